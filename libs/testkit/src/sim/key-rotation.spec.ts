import { createHash } from "node:crypto";
import type { Identity, LocalAuth, PeerConfig } from "@sallyport/ike";
import { disagreements, traffic } from "./agreement.js";
import { configOf, peerOf } from "./configs.js";
import { SimKeys, trusting } from "./sim-keys.js";
import { pair } from "./simulation.js";

const utf8 = new TextEncoder();
const secretOf = (keyId: string) => utf8.encode(`${keyId}: a secret of some length`);

/** An end that proves itself by one key and accepts these, in their order. */
function end(mine: "a" | "b", own: string, ...accepted: string[]) {
  const { localAuth, remoteAuth } = peerOf(mine);
  const change = {
    localAuth: [{ ...localAuth[0], secret: secretOf(own) }],
    remoteAuth: [{ ...remoteAuth[0], secrets: accepted.map(secretOf), keyIds: accepted }],
  } as unknown as Pick<PeerConfig, "localAuth" | "remoteAuth">;
  return configOf(peerOf(mine, change));
}

test("a pre-shared key is rotated make before break: each end tells which key proved the other, and no packet is lost", () => {
  const { sim, a, b } = pair({ a: end("a", "old", "old"), b: end("b", "old", "old") });
  sim.run(5);
  const keys = () => [a, b].map((p) => p.established().map((sa) => sa.keyId));
  expect(keys()).toEqual([["old"], ["old"]]);
  const start = sim.now;
  const at = (ms: number, run: () => void) => sim.clock.at(start + ms, run);
  const report = traffic({ a, b, at }, { seconds: 100, everyMs: 37, delayMs: 10 });

  b.configure(end("b", "old", "old", "new"));
  a.configure(end("a", "old", "old", "new"));
  a.configure(end("a", "new", "new", "old"));
  b.configure(end("b", "new", "new", "old"));
  sim.run(5);
  expect(keys()).toEqual([["old"], ["old"]]);

  a.command({ command: "reauthenticate", peer: a.established()[0]?.peer ?? "" });
  sim.run(60);
  expect(keys()).toEqual([["new"], ["new"]]);
  a.configure(end("a", "new", "new"));
  b.configure(end("b", "new", "new"));
  sim.run(60);
  expect(keys()).toEqual([["new"], ["new"]]);
  expect(report.sent).toBeGreaterThan(2_000);
  expect(report.lost).toEqual([]);
  expect(disagreements(a, b)).toEqual([]);
  expect([a, b].flatMap((p) => p.of("ike-down").map((e) => e.reason))).toEqual(["replaced", "replaced"]);
});

const NAMES = {
  a: { type: "fqdn", name: "a.example" },
  b: { type: "fqdn", name: "b.example" },
} as const satisfies Record<string, Identity>;

/** An end that shows this certificate and trusts these authorities. */
function certified(mine: "a" | "b", shown: LocalAuth, ...trusted: string[]) {
  const theirs = NAMES[mine === "a" ? "b" : "a"];
  return configOf(peerOf(mine, { localAuth: [shown], remoteAuth: [trusting(theirs, ...trusted)] }));
}

function fingerprintOf(shown: LocalAuth): string {
  const der = shown.method === "certificate" ? shown.credentials[0].chain[0] : undefined;
  return createHash("sha256")
    .update(der ?? "")
    .digest("hex");
}

function underTraffic(keys: SimKeys, a: LocalAuth, b: LocalAuth, seconds: number) {
  const ends = pair({ keys, a: certified("a", a, "old"), b: certified("b", b, "old") });
  ends.sim.run(5);
  const start = ends.sim.now;
  const at = (ms: number, run: () => void) => ends.sim.clock.at(start + ms, run);
  const report = traffic({ ...ends, at }, { seconds, everyMs: 10, delayMs: 10 });
  /** What each end tells that the other one has proved itself by. */
  const proven = () => [ends.a, ends.b].map((p) => p.established().map((sa) => sa.keyId));
  const reauthenticate = () => {
    ends.a.command({ command: "reauthenticate", peer: ends.a.established()[0]?.peer ?? "" });
    ends.sim.run(60);
  };
  return { ...ends, report, proven, reauthenticate };
}

test("a gateway's certificate is rotated under traffic, and the old one revoked, without a packet lost", () => {
  const keys = new SimKeys();
  const [a, old, made] = [keys.issue("old", NAMES.a), keys.issue("old", NAMES.b), keys.issue("old", NAMES.b)];
  const ends = underTraffic(keys, a, old, 120);
  expect(ends.proven()).toEqual([[fingerprintOf(old)], [fingerprintOf(a)]]);
  ends.b.configure(certified("b", made, "old"));
  ends.sim.run(5);
  expect(ends.proven()).toEqual([[fingerprintOf(old)], [fingerprintOf(a)]]);
  ends.reauthenticate();
  expect(ends.proven()).toEqual([[fingerprintOf(made)], [fingerprintOf(a)]]);
  const failure = { code: "pki/revoked", message: "the old certificate was revoked" };
  ends.a.command({ command: "distrust", fingerprint: fingerprintOf(old), failure });
  ends.sim.run(60);
  expect(ends.proven()).toEqual([[fingerprintOf(made)], [fingerprintOf(a)]]);
  expect(ends.report.sent).toBeGreaterThan(10_000);
  expect(ends.report.lost).toEqual([]);
  expect(disagreements(ends.a, ends.b)).toEqual([]);
});

test("a root is rotated under traffic: both ends trust both, move, and forget the old one without a packet lost", () => {
  const keys = new SimKeys();
  const [a, b] = [keys.issue("old", NAMES.a), keys.issue("old", NAMES.b)];
  const [movedA, movedB] = [keys.issue("new", NAMES.a), keys.issue("new", NAMES.b)];
  const ends = underTraffic(keys, a, b, 200);
  ends.a.configure(certified("a", a, "old", "new"));
  ends.b.configure(certified("b", b, "old", "new"));
  ends.a.configure(certified("a", movedA, "old", "new"));
  ends.reauthenticate();
  expect(ends.proven()).toEqual([[fingerprintOf(b)], [fingerprintOf(movedA)]]);
  ends.b.configure(certified("b", movedB, "old", "new"));
  ends.reauthenticate();
  expect(ends.proven()).toEqual([[fingerprintOf(movedB)], [fingerprintOf(movedA)]]);
  ends.b.configure(certified("b", movedB, "new"));
  ends.a.configure(certified("a", movedA, "new"));
  ends.sim.run(60);
  expect(ends.proven()).toEqual([[fingerprintOf(movedB)], [fingerprintOf(movedA)]]);
  expect(ends.report.sent).toBeGreaterThan(15_000);
  expect(ends.report.lost).toEqual([]);
  expect(disagreements(ends.a, ends.b)).toEqual([]);
});
