import { parseArgs } from "node:util";
import { runInUml } from "./uml.js";

/** `node uml-cli.js [--timeout SECONDS] [--memory SIZE] [--writable DIRECTORY]… -- COMMAND…`: exits with the command's status. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    timeout: { type: "string", default: "120" },
    memory: { type: "string", default: "1G" },
    writable: { type: "string", multiple: true },
  },
});
if (positionals.length === 0) {
  console.error("uml: which command?");
  process.exit(64);
}
const stopped = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopped.abort());
const result = await runInUml(positionals, {
  timeoutMs: Number(values.timeout) * 1000,
  memory: values.memory,
  ...(values.writable ? { writable: values.writable } : {}),
  signal: stopped.signal,
  onOutput: (chunk) => process.stdout.write(chunk),
});
if (result.status === 124) console.error(`uml: no end after ${values.timeout} s`);
if (result.status === 125) console.error(`uml: the guest died:\n${result.console.split("\n").slice(-30).join("\n")}`);
process.exitCode = result.status;
