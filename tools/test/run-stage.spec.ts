import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type RunOptions, runStage } from "./run-stage.ts";
import { type Count, closingLine, type Stage } from "./stages.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "sallyport-stages-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const options = (more: Partial<RunOptions> = {}): RunOptions => ({
  root: folder,
  logs: folder,
  lane: undefined,
  missing: [],
  signal: new AbortController().signal,
  ...more,
});
const program = (script: string, more: Partial<Stage> = {}): Stage => ({
  name: "a stage",
  command: [process.execPath, "-e", script],
  limitSeconds: 20,
  count: closingLine,
  ...more,
});
const nothing: Count = { passed: 0, failed: 0, skipped: 0 };

/** A program that starts another as a group of its own, as a guest is, both deaf to SIGTERM; each writes its pid to a file. */
const FAMILY = `
const deaf = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);";
const here = (name) => "require('node:fs').writeFileSync('" + name + "', String(process.pid));";
const child = require("node:child_process").spawn(process.execPath, ["-e", deaf + here("child")], { detached: true });
eval(deaf + here("parent"));
`;
const pidOf = (name: string) => Number(readFileSync(path.join(folder, name), "utf8") || "0");
const lives = (pid: number) =>
  existsSync(`/proc/${pid}`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
async function family(): Promise<number[]> {
  for (let tries = 0; tries < 400; tries++) {
    if (["parent", "child"].every((name) => existsSync(path.join(folder, name)) && pidOf(name) > 0)) break;
    await delay(25);
  }
  return [pidOf("parent"), pidOf("child")];
}

it("counts what the command says", async () => {
  const { count, says, output } = await runStage(program("console.log('3 passed, 1 failed')"), options());
  expect(count).toEqual({ passed: 3, failed: 1, skipped: 0 });
  expect(says).toMatch(/^a stage: 3 passed, 1 failed, 0 skipped \(\d+\.\d s\)$/);
  expect(output).toBe("3 passed, 1 failed\n");
});

it.each([
  { what: "exits with a failure and counts none", script: "process.exit(3)", count: { ...nothing, failed: 1 } },
  { what: "counts nothing", script: "", count: { ...nothing, failed: 1 } },
  {
    what: "exits with a failure after its tests passed",
    script: "console.log('2 passed, 0 failed'); process.exitCode = 1",
    count: { ...nothing, passed: 2, failed: 1 },
  },
  { what: "is ended by a signal", script: "process.kill(process.pid)", count: { ...nothing, failed: 1 } },
])("a command that $what has failed", async ({ script, count }) => {
  expect((await runStage(program(script), options())).count).toEqual(count);
});

it("a command that does not exist has failed, and says so", async () => {
  const { count, output } = await runStage(program("", { command: ["no-such-program"] }), options());
  expect(count).toEqual({ ...nothing, failed: 1 });
  expect(output).toContain("ENOENT");
});

it("tells the command its lane", async () => {
  const script = "console.log(process.env.SALLYPORT_LANE + ' passed, 0 failed')";
  expect((await runStage(program(script), options({ lane: 1 }))).count.passed).toBe(1);
});

it("skips what needs packages that are missing, and says which", async () => {
  const stage = program("process.exit(1)", { needs: ["pebble", "gcc"] });
  const { count, says } = await runStage(stage, options({ missing: ["pebble"] }));
  expect(count).toEqual({ ...nothing, skipped: 1 });
  expect(says).toMatch(/^a stage: skipped: needs /);
});

it("ends a command after its limit with all that it started, and counts a failure", async () => {
  const ended = runStage(program(FAMILY, { limitSeconds: 2 }), options({ graceMs: 200 }));
  const pids = await family();
  expect(pids.map(lives)).toEqual([true, true]);
  const { count, output } = await ended;
  expect(count).toEqual({ ...nothing, failed: 1 });
  expect(output).toContain("ended after 2 s");
  expect(pids.map(lives)).toEqual([false, false]);
}, 30_000);

it("ends a command with all that it started when the run is stopped", async () => {
  const stop = new AbortController();
  const ended = runStage(program(FAMILY), options({ graceMs: 200, signal: stop.signal }));
  const pids = await family();
  expect(pids.map(lives)).toEqual([true, true]);
  stop.abort();
  await ended;
  expect(pids.map(lives)).toEqual([false, false]);
}, 30_000);
