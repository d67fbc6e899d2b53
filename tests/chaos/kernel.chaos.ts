import path from "node:path";
import { type PingResult, runInUml } from "@sallyport/testkit";

interface Restart {
  readonly alone: PingResult;
  readonly takeOver: PingResult;
}
interface Report {
  readonly failed?: string;
  readonly branch: Restart;
  readonly rekeyed: PingResult;
  readonly headquarters: Restart;
  readonly upgrade: Restart;
  readonly refusal: {
    readonly before: number;
    readonly running: number;
    readonly after: {
      readonly intentRevisions: { readonly edges: readonly { readonly node: Readonly<Record<string, unknown>> }[] };
      readonly gateway: { readonly ackedRevision: number };
    };
    readonly traffic: PingResult;
  };
}

const ROOT = path.resolve(import.meta.dirname, "../..");
const LIMIT_MS = 400_000;
let report: Report;

beforeAll(async () => {
  const guest = await runInUml([process.execPath, path.join(import.meta.dirname, "kernel-main.ts")], {
    directory: ROOT,
    writable: [],
    environment: { PATH: process.env.PATH ?? "" },
    memory: "3G",
    timeoutMs: LIMIT_MS,
  });
  const lines = guest.output.trimEnd().split("\n");
  report = JSON.parse(lines.at(-1) ?? "{}") as Report;
  if (guest.status !== 0 || report.failed)
    throw new Error(`status ${guest.status}\n${guest.output.slice(-6000)}\n${guest.console.slice(-1000)}`);
  expect(lines.at(-2)).toBe("left behind: []");
}, LIMIT_MS + 10_000);

describe.each(["branch", "headquarters"] as const)("kill -9 of the agent of %s, ESP in the kernel", (name) => {
  it("lets traffic go on without a packet lost", () => {
    expect(report[name].alone.sent).toBeGreaterThan(50);
    expect(report[name].alone.lossPct).toBe(0);
  });

  it("restarted, takes over without a second of loss", () => {
    expect(report[name].takeOver.longestGapMs).toBeLessThan(1_000);
    expect(report[name].takeOver.received).toBeGreaterThan(0);
  });
});

it("an agent that is restarted in order, as for an upgrade, loses no packet while it is away and no second when it is back", () => {
  const { alone, takeOver } = report.upgrade;
  expect(alone).toMatchObject({ lossPct: 0 });
  expect(alone.sent).toBeGreaterThan(50);
  expect(takeOver.longestGapMs).toBeLessThan(1_000);
  expect(takeOver.received).toBeGreaterThan(0);
});

it("rekeys without loss after the agent was restarted", () => {
  expect(report.rekeyed).toMatchObject({ lossPct: 0 });
});

describe("an intent that the kernel refuses", () => {
  it("is NACKed with the field at fault, and GraphQL shows it", () => {
    const [edge] = report.refusal.after.intentRevisions.edges;
    expect(edge?.node).toMatchObject({
      status: "NACKED",
      nack: {
        code: "agent/unsupported-proposal",
        field: expect.stringMatching(/^connections\[\d\]\.children\[0\]\.espProposals\[0\]$/),
        value: expect.stringContaining("chacha20poly1305"),
      },
    });
  });

  it("leaves the last good one running", () => {
    expect(report.refusal.running).toBe(report.refusal.before);
    expect(report.refusal.after.gateway.ackedRevision).toBe(report.refusal.before);
    expect(report.refusal.traffic.lossPct).toBe(0);
  });
});
