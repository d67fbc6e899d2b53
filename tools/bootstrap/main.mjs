// Entry of `npm run demo|start|test|bench`: makes a fresh checkout ready, then hands over to the command under the pinned Node.
// Runs on any Node from 20 on and imports nothing but Node itself, because nothing else may be installed yet.
import { spawn } from "node:child_process";
import path from "node:path";
import { COMMANDS } from "./commands.mjs";
import { prepareDebian, unpackDebian } from "./debian.mjs";
import { say } from "./say.mjs";
import { installNpm, runNode } from "./workspace.mjs";

const root = path.resolve(import.meta.dirname, "../..");
const [name = "", ...args] = process.argv.slice(2);
const command = COMMANDS[name];
if (!command) {
  console.error(`unknown command "${name}": one of ${Object.keys(COMMANDS).join(", ")}`);
  process.exit(64);
}
if (Number(process.versions.node.split(".")[0]) < 20) {
  console.error(`Node ${process.versions.node} is too old: Sallyport needs Node 20 or newer to set itself up`);
  process.exit(69);
}

const started = performance.now();
const missing = await prepareDebian(command.debian(args));
missing.push(...(await unpackDebian(command.unpacked ?? [], path.join(root, ".sallyport/debian"))));
await installNpm(root);
for (const step of ["libs/linux-io/build.mjs", "tools/codegen.mjs", "tools/build.mjs"]) await runNode(root, [step]);
say(`ready after ${((performance.now() - started) / 1000).toFixed(1)} s`);

const node = path.join(root, "node_modules/.bin/node");
const child = spawn(node, [...(command.flags ?? []), path.join(root, command.entry), ...args], {
  cwd: root,
  stdio: "inherit",
  env: {
    ...process.env,
    PATH: `${path.join(root, "node_modules/.bin")}:${process.env.PATH}`,
    SALLYPORT_SETUP_STARTED_AT: String(Date.now() - Math.round(performance.now() - started)),
    SALLYPORT_MISSING: missing.join(" "),
  },
});
// The child shares the terminal's process group and gets its signals from there; this process only waits for its end.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  });
}
child.on("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
