import { mkdirSync } from "node:fs";
import path from "node:path";
import { runInUml } from "@sallyport/testkit";
import { RECORDS } from "./scenarios.js";

/** What Jest's `--json` says, as far as it is looked at. */
interface JestReport {
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

const ROOT = path.resolve(import.meta.dirname, "../..");
mkdirSync(path.join(ROOT, RECORDS), { recursive: true });

/** The same tests where both ends' ESP is the kernel's own, not in UDP unless there is a NAT: under User Mode Linux. */
const guest = await runInUml(
  [
    ...[process.execPath, path.join(ROOT, "node_modules/jest/bin/jest.js"), "--selectProjects", "interop"],
    ...["--runInBand", "--ci", "--json", "--cacheDirectory", "/tmp/jest", "--testPathPatterns", "matrix|nat"],
  ],
  {
    directory: ROOT,
    writable: [path.join(ROOT, RECORDS)],
    memory: "3G",
    timeoutMs: 400_000,
    environment: {
      PATH: process.env.PATH ?? "",
      NODE_OPTIONS: "--experimental-vm-modules --disable-warning=ExperimentalWarning",
      SALLYPORT_INTEROP_DATA_PLANE: "kernel",
    },
  },
);
const line = guest.output.split("\n").find((text) => text.startsWith('{"num'));
const report: JestReport = line ? JSON.parse(line) : { testResults: [] };

describe("ESP in the kernel", () => {
  it("runs every test of the matrix and of NAT", () => {
    if (report.testResults.length === 0) throw new Error(`${guest.output.slice(-6000)}\n${guest.console.slice(-1000)}`);
    expect(report.testResults.flatMap((file) => file.assertionResults).length).toBeGreaterThan(60);
  });

  for (const { assertionResults, message } of report.testResults) {
    if (assertionResults.length === 0) {
      it("loads its tests", () => {
        throw new Error(message);
      });
    }
    for (const { fullName, status, failureMessages } of assertionResults) {
      it(fullName, () => {
        if (status !== "passed") throw new Error(failureMessages.join("\n"));
        expect(status).toBe("passed");
      });
    }
  }
});
