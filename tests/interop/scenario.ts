import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { markLogs, recentLogs } from "@sallyport/testkit";
import { DATA_PLANE } from "./lab.js";
import {
  type PeerName,
  RECORDS,
  type RecordedFile,
  type RecordedTest,
  type Role,
  type ScenarioNumber,
} from "./scenarios.js";

/** Which lines of `docs/interop.md` a test proves. */
export interface Proof {
  /** Numbers of `SCENARIOS`. */
  readonly proves: ScenarioNumber | readonly ScenarioNumber[];
  /** Default: strongSwan. */
  readonly peer?: PeerName;
  /** What we are: who sends the request that the test is about. Default: both. */
  readonly role?: Role | "both";
}

const ROOT = path.resolve(import.meta.dirname, "../..");
const recorded: { -readonly [K in keyof RecordedTest]: RecordedTest[K] }[] = [];

/** A test, like `it`, whose result goes into `docs/interop.md`. */
export function scenario(proof: Proof, title: string, run: () => Promise<void>, timeoutMs?: number): void {
  const { proves, peer = "strongSwan", role = "both" } = proof;
  const entry: (typeof recorded)[number] = {
    title,
    scenarios: [proves].flat(),
    peer,
    roles: role === "both" ? ["initiator", "responder"] : [role],
    result: "not run",
  };
  recorded.push(entry);
  it(
    title,
    async () => {
      entry.result = "failed";
      try {
        await run();
      } catch (error) {
        process.stderr.write(`${title}:\n${await recentLogs()}\n`);
        throw error;
      }
      entry.result = "passed";
    },
    timeoutMs,
  );
}

/** Who starts something, in the words of `Pair`, and what we are then. */
export const STARTED_BY = { ours: "initiator", theirs: "responder" } as const;

/** So that what a daemon has logged is what it has logged in this very test. */
beforeEach(() => markLogs());

afterAll(() => {
  const file = path.relative(ROOT, expect.getState().testPath ?? "");
  const content: RecordedFile = { file, dataPlane: DATA_PLANE, tests: recorded };
  mkdirSync(path.join(ROOT, RECORDS), { recursive: true });
  const name = `${path.basename(file, ".ts")}.${DATA_PLANE}.json`;
  writeFileSync(path.join(ROOT, RECORDS, name), JSON.stringify(content));
});
