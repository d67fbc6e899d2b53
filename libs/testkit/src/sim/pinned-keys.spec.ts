import { createHash } from "node:crypto";
import type { Identity, LocalAuth } from "@sallyport/ike";
import { disagreements, traffic } from "./agreement.js";
import { configOf, peerOf } from "./configs.js";
import { SimKeys, trusting } from "./sim-keys.js";
import { pair } from "./simulation.js";

const NAMES = {
  a: { type: "fqdn", name: "a.example" },
  b: { type: "fqdn", name: "b.example" },
} as const satisfies Record<string, Identity>;

function hashOf(shown: LocalAuth): Uint8Array {
  const der = shown.method === "certificate" ? shown.credentials[0].chain[0] : undefined;
  return createHash("sha256")
    .update(der ?? "")
    .digest();
}
const fingerprintOf = (shown: LocalAuth) => Buffer.from(hashOf(shown)).toString("hex");

test("a pinned certificate of somebody else's authority is renewed under traffic: the peer takes both, then the new one alone, without a packet lost", () => {
  const keys = new SimKeys();
  const [own, old, made] = [keys.issue("ours", NAMES.a), keys.issue("public", NAMES.b), keys.issue("public", NAMES.b)];
  const showing = (shown: LocalAuth) =>
    configOf(peerOf("b", { localAuth: [shown], remoteAuth: [trusting(NAMES.a, "ours")] }));
  const pinning = (...pinned: LocalAuth[]) => {
    const remoteAuth = { ...trusting(NAMES.b, "ours"), pinned: pinned.map(hashOf) };
    return configOf(peerOf("a", { localAuth: [own], remoteAuth: [remoteAuth] }));
  };
  const { sim, a, b } = pair({ keys, a: pinning(old), b: showing(old) });
  sim.run(5);
  const proven = () => a.established().map((sa) => sa.keyId);
  expect(proven()).toEqual([fingerprintOf(old)]);
  const start = sim.now;
  const at = (ms: number, run: () => void) => sim.clock.at(start + ms, run);
  const report = traffic({ a, b, at }, { seconds: 150, everyMs: 37, delayMs: 10 });

  a.configure(pinning(old, made));
  b.configure(showing(made));
  sim.run(5);
  expect(proven()).toEqual([fingerprintOf(old)]);
  b.command({ command: "reauthenticate", peer: b.established()[0]?.peer ?? "" });
  sim.run(60);
  expect(proven()).toEqual([fingerprintOf(made)]);
  a.configure(pinning(made));
  sim.run(30);
  expect(proven()).toEqual([fingerprintOf(made)]);
  expect(report.sent).toBeGreaterThan(2_000);
  expect(report.lost).toEqual([]);
  expect(disagreements(a, b)).toEqual([]);

  // From now on the old one opens nothing.
  b.configure(showing(old));
  b.command({ command: "reauthenticate", peer: b.established()[0]?.peer ?? "" });
  sim.run(60);
  expect(proven()).not.toContain(fingerprintOf(old));
});
