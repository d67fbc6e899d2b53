import { mkdirSync } from "node:fs";
import path from "node:path";
import { runInUml, type UmlResult } from "@sallyport/testkit";
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

/** Runs tests where both ends' ESP is the kernel's own, not in UDP unless there is a NAT: under User Mode Linux. */
function run(files: string): Promise<UmlResult> {
  mkdirSync(path.join(ROOT, RECORDS), { recursive: true });
  return runInUml(
    [
      ...[process.execPath, path.join(ROOT, "node_modules/jest/bin/jest.js")],
      ...["--selectProjects", "interop", "interop-guest", "--testPathPatterns", `tests/interop/(${files})`],
      ...["--runInBand", "--ci", "--json", "--cacheDirectory", "/tmp/jest"],
    ],
    {
      directory: ROOT,
      writable: [path.join(ROOT, RECORDS)],
      memory: "3G",
      timeoutMs: 1_140_000,
      environment: {
        PATH: process.env.PATH ?? "",
        // What one program has compiled, the next one of the same takes from there.
        NODE_COMPILE_CACHE: "/tmp/node",
        NODE_OPTIONS: "--experimental-vm-modules --disable-warning=ExperimentalWarning",
        SALLYPORT_INTEROP_DATA_PLANE: "kernel",
      },
    },
  );
}

function report({ output }: UmlResult): JestReport {
  const line = output.split("\n").find((text) => text.startsWith('{"num'));
  return line ? JSON.parse(line) : { testResults: [] };
}

/** Runs the files that match in a guest, and tells each of their tests as one of this file; they have to be more than `least`. */
export async function inGuest(files: string, least: number): Promise<void> {
  const guest = await run(files);
  const { testResults } = report(guest);
  if (testResults.some((file) => file.assertionResults.some(({ status }) => status === "failed"))) {
    // What the daemons had logged when a scenario failed is among it.
    process.stderr.write(
      guest.output
        .split("\n")
        .filter((line) => !line.startsWith('{"num'))
        .join("\n"),
    );
  }

  describe("ESP in the kernel", () => {
    it("runs its tests", () => {
      if (testResults.length === 0) throw new Error(`${guest.output.slice(-6000)}\n${guest.console.slice(-1000)}`);
      expect(testResults.flatMap((file) => file.assertionResults).length).toBeGreaterThan(least);
    });

    for (const { assertionResults, message } of testResults) {
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
}
