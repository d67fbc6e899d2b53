import type { LocalAuth, NonEmpty, PeerConfig, RemoteAuth } from "@sallyport/ike";
import fc from "fast-check";
import { disagreements } from "./agreement.js";
import { configOf, peerOf } from "./configs.js";
import { SimKeys, trusting } from "./sim-keys.js";
import { pair } from "./simulation.js";

const utf8 = new TextEncoder();
const CA = "root";
const fqdn = (name: string) => ({ type: "fqdn", name }) as const;
const secretOf = (name: string) => utf8.encode(`the secret of ${name}`);

type Way = "psk" | "certificate";

/** The rounds of one end, named `<end><number>.example`, as it proves them and as the other end checks them. */
function rounds(keys: SimKeys, end: string, ways: readonly Way[]) {
  const local = ways.map((way, i): LocalAuth => {
    const identity = fqdn(`${end}${i}.example`);
    return way === "psk" ? { method: "psk", identity, secret: secretOf(identity.name) } : keys.issue(CA, identity);
  });
  const remote = ways.map((way, i): RemoteAuth => {
    const identity = fqdn(`${end}${i}.example`);
    if (way === "certificate") return trusting(identity, CA);
    return { method: "psk", identity: { match: "is", identity }, secrets: [secretOf(identity.name)] };
  });
  return { local: local as unknown as NonEmpty<LocalAuth>, remote: remote as unknown as NonEmpty<RemoteAuth> };
}

function lab(a: readonly Way[], b: readonly Way[], differs: { a?: Partial<PeerConfig>; b?: Partial<PeerConfig> } = {}) {
  const keys = new SimKeys();
  const [x, y] = [rounds(keys, "a", a), rounds(keys, "b", b)];
  return pair({
    keys,
    a: configOf(peerOf("a", { localAuth: x.local, remoteAuth: y.remote, ...differs.a })),
    b: configOf(peerOf("b", { localAuth: y.local, remoteAuth: x.remote, ...differs.b })),
  });
}

const ways = fc.array(fc.constantFrom<Way>("psk", "certificate"), { minLength: 1, maxLength: 3 });

describe("rounds of authentication (RFC 4739)", () => {
  test("two rounds of the initiator take one exchange more, and the CHILD SA comes with the last response", () => {
    const { sim, a, b } = lab(["certificate", "psk"], ["certificate"]);
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(sim.network.carried).toBe(6);
    expect(b.established()[0]).toMatchObject({ remoteId: "a1.example", remoteCertificate: "a0.example" });
  });

  test("a responder with more rounds than the initiator is asked for them", () => {
    const { sim, a, b } = lab(["psk"], ["certificate", "psk", "certificate"]);
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(sim.network.carried).toBe(8);
    expect(a.established()[0]).toMatchObject({ remoteId: "b2.example", remoteCertificate: "b0.example" });
  });

  test("any rounds at each end, in bad weather", () => {
    fc.assert(
      fc.property(ways, ways, fc.integer({ min: 0, max: 1000 }), (x, y, seed) => {
        const { sim, a, b } = lab(x, y);
        sim.network.faults = { loss: 0.2, duplication: 0.2, delay: 10, jitter: 50 };
        a.cryptoDelay = seed % 7;
        sim.run(120);
        sim.network.faults = { loss: 0, duplication: 0, delay: 10, jitter: 0 };
        sim.run(60);
        expect(disagreements(a, b)).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });

  test("a proof that fails in the second round is refused, and nothing stands", () => {
    const wrong = { method: "psk", identity: fqdn("a1.example"), secret: utf8.encode("wrong") } as const;
    const first = rounds(new SimKeys(), "a", ["psk"]).local[0];
    const { sim, a, b } = lab(["psk", "psk"], ["psk"], { a: { localAuth: [first, wrong] } });
    sim.run(1);
    expect(b.peer("a")?.lastError).toMatchObject({
      code: "ike/authentication-failed",
      ours: "psk",
      theirs: "a1.example by psk",
      exchange: "IKE_AUTH",
    });
    expect(a.of("auth-failed")[0]?.error).toMatchObject({ theirs: "AUTHENTICATION_FAILED", ours: "a1.example by psk" });
    expect([...a.established(), ...b.established()]).toEqual([]);
    expect(b.dataPlane.inbound()).toEqual([]);
    sim.run(60);
    expect(a.dataPlane.inbound()).toEqual([]);
  });

  test.each([
    ["fewer", ["psk"], "1 round"],
    ["more", ["psk", "psk", "psk"], "2 rounds, and another follows"],
  ] as const)("%s rounds than wanted prove nothing", (_, given, theirs) => {
    const { local } = rounds(new SimKeys(), "a", given);
    const { sim, a, b } = lab(["psk", "psk"], ["psk"], { a: { localAuth: local } });
    sim.run(1);
    expect(b.peer("a")?.lastError).toMatchObject({ ours: "2 rounds", theirs: expect.stringContaining(theirs) });
    expect([...a.established(), ...b.established()]).toEqual([]);
  });

  test("a responder that takes one round only is not bothered with two", () => {
    const { local } = rounds(new SimKeys(), "a", ["psk", "psk"]);
    const { sim, a, b } = lab(["psk"], ["psk"], { a: { localAuth: local } });
    sim.run(0.5);
    expect(a.peer("b")?.lastError).toMatchObject({ ours: "2 rounds", theirs: "1 round" });
    expect(b.count("authentication-failed")).toBe(0);
  });

  test("the initiator holds the responder to its rounds too", () => {
    const { local } = rounds(new SimKeys(), "b", ["psk"]);
    const { sim, a, b } = lab(["psk"], ["psk", "psk"], { b: { localAuth: local } });
    sim.run(1);
    expect(a.peer("b")?.lastError).toMatchObject({ ours: "2 rounds", theirs: "1 round" });
    expect(a.established()).toEqual([]);
    sim.run(60);
    expect(b.dataPlane.inbound()).toEqual([]);
  });

  test("an initiator that never goes on is dropped, and what it was offered with it", () => {
    const { sim, a, b } = lab(["psk", "psk"], ["psk"]);
    let toB = 0; // IKE_SA_INIT is on its way already.
    sim.network.taps.push((packet) => (packet.to.address.equals(b.address) && ++toB > 1 ? undefined : packet));
    sim.run(31);
    expect(b.engine.sizes()).toMatchObject({ ikeSas: 0, halfOpen: 0 });
    expect(b.count("half-open-expired")).toBe(1);
    sim.run(120);
    expect(a.of("retrying").length).toBeGreaterThan(0);
    expect(a.dataPlane.inbound()).toEqual([]);
  });
});
