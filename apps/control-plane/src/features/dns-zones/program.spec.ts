import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pino } from "pino";
import { runProgram } from "./program.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "sallyport-programs-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const log = pino({ level: "silent" });
const change = { change: "add", name: "_acme-challenge.a.example.org", text: "$(id) 'x' \"y\"", ttl: 60 } as const;

async function program(name: string, text: string, mode = 0o755): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, `#!/bin/sh\n${text}\n`);
  await chmod(file, mode);
  return name;
}

const run = (name: string, timeoutMs = 60_000, where: string | undefined = folder) =>
  runProgram({ folder: where, log, timeoutMs }, name, "example.org", change);

it("gets its arguments as they are, an environment of its own and no input", async () => {
  const out = path.join(folder, "out");
  process.env.SALLYPORT_PROGRAM_SPEC = "secret";
  await run(await program("shows", `printf '%s\\n' "$@" > ${out}; env | sort >> ${out}; cat >> ${out}; pwd >> ${out}`));
  delete process.env.SALLYPORT_PROGRAM_SPEC;
  const [what, zone, name, text, ...rest] = (await readFile(out, "utf8")).trimEnd().split("\n");
  expect([what, zone, name, text]).toEqual(["add", "example.org", change.name, change.text]);
  const variables = rest.slice(0, -1).map((line) => line.split("=")[0]);
  // The shell itself adds some.
  expect(variables.filter((v) => !["PWD", "OLDPWD", "SHLVL", "_"].includes(v ?? ""))).toEqual(["LANG", "PATH"]);
  expect(rest.at(-1)).toBe("/");
});

it("is refused when it is none, may not be run, or is somewhere else", async () => {
  const refused = expect.objectContaining({ code: "dns/no-such-program" });
  await program("outside", "exit 0");
  await program("plain", "exit 0", 0o644);
  for (const name of ["missing", "plain", "../outside", ".hidden", "a/b", ""]) {
    await expect(run(name)).rejects.toEqual(refused);
  }
  await expect(runProgram({ folder: undefined, log }, "outside", "example.org", change)).rejects.toEqual(refused);
});

it("fails with its exit code, and nothing that it printed is told", async () => {
  const failed = run(await program("fails", "echo token-of-the-provider >&2; exit 3"));
  await expect(failed).rejects.toMatchObject({ code: "dns/program-failed", message: "fails add: exit code 3" });
  await expect(run(await program("dies", "kill -TERM $$"))).rejects.toMatchObject({
    code: "dns/program-failed",
    message: expect.stringContaining("SIGTERM"),
  });
});

it("is ended, with all that it has begun, when it takes too long, however much it prints", async () => {
  const pids = path.join(folder, "pids");
  const name = await program("hangs", `sleep 600 & echo $! > ${pids}; while :; do echo much; done`);
  // Where the machine stands still, half a second may be over before the program has come to its first line.
  let child = 0;
  for (let tries = 0; child === 0 && tries < 10; tries++) {
    await expect(run(name, 500)).rejects.toMatchObject({
      code: "dns/program-failed",
      message: expect.stringContaining("0.5 s"),
    });
    child = Number(await readFile(pids, "utf8").catch(() => 0));
  }
  expect(child).toBeGreaterThan(0);
  // A moment may pass until the one who inherits it has seen its end.
  const gone = async () => {
    const status = await readFile(`/proc/${child}/stat`, "utf8").catch(() => "gone Z");
    return /\bZ\b|gone/.test(status);
  };
  for (let i = 0; i < 1_000 && !(await gone()); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await gone()).toBe(true);
});
