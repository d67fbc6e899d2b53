import type { PeerConfig } from "@sallyport/ike";
import { disagreements, traffic } from "./agreement.js";
import { configOf, peerOf } from "./configs.js";
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
