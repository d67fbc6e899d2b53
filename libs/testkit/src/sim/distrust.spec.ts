import { createHash } from "node:crypto";
import type { Identity, LocalAuth } from "@sallyport/ike";
import { configOf, peerOf } from "./configs.js";
import { SimKeys, trusting } from "./sim-keys.js";
import { pair } from "./simulation.js";

const A = { type: "fqdn", name: "a.example" } as const satisfies Identity;
const B = { type: "fqdn", name: "b.example" } as const satisfies Identity;
const FAILURE = { code: "pki/revoked", message: "CN=b was revoked" };

function fingerprintOf(auth: LocalAuth): string {
  const der = auth.method === "certificate" ? auth.credentials[0].chain[0] : undefined;
  return createHash("sha256")
    .update(der ?? "")
    .digest("hex");
}

function up() {
  const keys = new SimKeys();
  const [a, b] = [keys.issue("CA", A), keys.issue("CA", B)];
  const ends = pair({
    keys,
    a: configOf(peerOf("a", { localAuth: [a], remoteAuth: [trusting(B, "CA")] })),
    b: configOf(peerOf("b", { localAuth: [b], remoteAuth: [trusting(A, "CA")], passive: true })),
  });
  ends.sim.run(2);
  expect(ends.a.established()).toHaveLength(1);
  return { ...ends, keys, theirs: fingerprintOf(b) };
}

describe("a certificate that is not believed any more", () => {
  it("takes the CHILD SAs away at once, tells the peer, and says why", () => {
    const { sim, a, b, keys, theirs } = up();
    keys.revoked.add("b.example");
    a.command({ command: "distrust", fingerprint: theirs, failure: FAILURE });
    expect(a.dataPlane.sas.size).toBe(0);
    expect(a.of("child-down")[0]?.reason).toBe("distrusted");
    expect(a.of("auth-failed")[0]?.error).toMatchObject({ ...FAILURE, theirs: "b.example" });
    sim.run(60);
    expect(b.established()).toEqual([]);
    expect(b.dataPlane.sas.size).toBe(0);
    expect(a.established()).toEqual([]);
    expect(a.peer("b")?.lastError?.message).toContain("is revoked");
  });

  it("is remembered over a rekey of the IKE SA", () => {
    const { sim, a, theirs } = up();
    a.command({ command: "rekey-ike", peer: "b" });
    sim.run(2);
    a.command({ command: "distrust", fingerprint: theirs, failure: FAILURE });
    expect(a.dataPlane.sas.size).toBe(0);
  });

  test.each([5, 15, 25, 35, 45, 55, 65, 75, 85, 95])("leaves nothing when it comes %i ms into a handshake", (ms) => {
    const keys = new SimKeys();
    const [a, b] = [keys.issue("CA", A), keys.issue("CA", B)];
    const ends = pair({
      keys,
      a: configOf(peerOf("a", { localAuth: [a], remoteAuth: [trusting(B, "CA")] })),
      b: configOf(peerOf("b", { localAuth: [b], remoteAuth: [trusting(A, "CA")], passive: true })),
    });
    ends.a.cryptoDelay = ends.a.dataPlaneDelay = ends.b.cryptoDelay = ends.b.dataPlaneDelay = 10;
    ends.sim.run(ms / 1000);
    // What was answered before it was known is dealt with before the command: inputs keep their order.
    keys.revoked.add("a.example");
    ends.b.command({ command: "distrust", fingerprint: fingerprintOf(a), failure: FAILURE });
    ends.sim.run(60);
    expect(ends.b.established()).toEqual([]);
    expect(ends.b.dataPlane.sas.size).toBe(0);
    expect(ends.a.established()).toEqual([]);
    expect(ends.a.dataPlane.sas.size).toBe(0);
  });

  it("touches no IKE SA that rests on another", () => {
    const { a } = up();
    a.command({ command: "distrust", fingerprint: "00".repeat(32), failure: FAILURE });
    expect(a.established()).toHaveLength(1);
    expect(a.of("auth-failed")).toEqual([]);
  });
});
