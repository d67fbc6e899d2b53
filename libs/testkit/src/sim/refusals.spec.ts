import { Fault, Prefix } from "@sallyport/base";
import { DEFAULT_LIMITS } from "@sallyport/ike";
import { disagreements } from "./agreement.js";
import { ADDRESSES, childOf, configOf, ESP_PROPOSAL, IKE_PROPOSAL, peerOf, range } from "./configs.js";
import { SimKeys, trusting } from "./sim-keys.js";
import { pair } from "./simulation.js";

const utf8 = new TextEncoder();
const CA = "root";

describe("refusals in IKE_SA_INIT", () => {
  test("NO_PROPOSAL_CHOSEN names both sides' proposals at both ends", () => {
    const strict = { ...IKE_PROPOSAL, prf: ["hmac-sha2-512"] as const };
    const { sim, a, b } = pair({ b: configOf(peerOf("b", { proposals: [strict] })) });
    sim.run(1.5);
    expect(a.of("negotiation-failed")[0]?.error).toMatchObject({
      code: "ike/no-proposal-chosen",
      ours: "IKE:AES_GCM_16_256/PRF_HMAC_SHA2_256/CURVE25519",
      theirs: "NO_PROPOSAL_CHOSEN",
      exchange: "IKE_SA_INIT",
    });
    expect(b.peer("a")?.lastError).toMatchObject({
      ours: "IKE:AES_GCM_16_256/PRF_HMAC_SHA2_512/CURVE25519",
      theirs: "IKE:AES_GCM_16_256/PRF_HMAC_SHA2_256/CURVE25519",
    });
    expect(b.engine.sizes().ikeSas).toBe(0);
  });

  test("a refused initiator tries again for ever, ever less often, and comes up once the other end agrees", () => {
    const { sim, a, b } = pair({ b: configOf() });
    sim.run(600);
    const tries = a.of("retrying").map((e) => e.at);
    expect(tries.length).toBeGreaterThan(8);
    const gaps = tries.slice(1).map((at, i) => at - (tries[i] ?? 0));
    expect(gaps.at(-1)).toBeGreaterThan(25_000);
    expect(Math.max(...gaps)).toBeLessThan(61_000);
    b.configure(configOf(peerOf("b")));
    sim.run(61);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.peer("b")?.lastError).toBeUndefined();
  });

  test("INVALID_KE_PAYLOAD: the initiator comes again with the responder's group", () => {
    const { sim, a, b } = pair({
      a: configOf(peerOf("a", { proposals: [{ ...IKE_PROPOSAL, dh: ["modp2048", "ecp256"] }] })),
      b: configOf(peerOf("b", { proposals: [{ ...IKE_PROPOSAL, dh: ["ecp256"] }] })),
    });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(b.count("invalid-ke")).toBe(1);
    expect(a.established()[0]?.suite).toContain("ECP_256");
  });

  test("COOKIE: a responder under load makes the initiator show that it receives", () => {
    const { sim, a, b } = pair({ b: { ...configOf(peerOf("b")), limits: { ...DEFAULT_LIMITS, cookieThreshold: 0 } } });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(b.count("cookie-demanded")).toBe(1);
    expect(b.of("under-load")[0]).toMatchObject({ cookies: true });
  });

  test("COOKIE and INVALID_KE_PAYLOAD in one negotiation", () => {
    const { sim, a, b } = pair({
      a: configOf(peerOf("a", { proposals: [{ ...IKE_PROPOSAL, dh: ["modp2048", "ecp256"] }] })),
      b: {
        ...configOf(peerOf("b", { proposals: [{ ...IKE_PROPOSAL, dh: ["ecp256"] }] })),
        limits: { ...DEFAULT_LIMITS, cookieThreshold: 0 },
      },
    });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(b.count("invalid-ke")).toBe(1);
  });
});

describe("before it is known who may call", () => {
  test("nobody is answered, so that a peer that calls goes on calling until there is an answer", () => {
    const { sim, a, b } = pair();
    b.crash();
    let answers = 0;
    sim.network.taps.push((p) => {
      if (p.from.address.equals(b.address)) answers++;
      return p;
    });
    sim.run(3);
    expect(b.count("undecided")).toBeGreaterThan(1);
    expect(answers).toBe(0);
    expect(a.of("negotiation-failed")).toEqual([]);
    b.configure(configOf(peerOf("b")));
    sim.run(5);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("only callers who may be the peer that is not set up yet are left without an answer", () => {
    const here = { ...configOf(), undecided: [Prefix.parse(`${ADDRESSES.a}/32`)] };
    const { sim, a, b } = pair({ b: here });
    sim.run(1);
    expect(b.count("undecided")).toBeGreaterThan(0);
    expect(a.of("negotiation-failed")).toEqual([]);
    b.configure({ ...configOf(), undecided: [Prefix.parse("203.0.113.0/24")] });
    sim.run(10);
    expect(a.of("negotiation-failed")[0]?.error).toMatchObject({ theirs: "NO_PROPOSAL_CHOSEN" });
  });
});

describe("refusals of strangers (nobody has proved to be the peer)", () => {
  const strict = [{ ...IKE_PROPOSAL, prf: ["hmac-sha2-512"] as const }];
  const anywhere = { endpoint: undefined, accept: [Prefix.any(4)] };

  test("a refused proposal from a roaming peer's range is no error of that peer", () => {
    const { sim, b } = pair({ b: configOf(peerOf("b", { proposals: strict, remote: anywhere, passive: true })) });
    sim.run(0.5);
    const { refusals } = b.engine.status();
    expect(b.peer("a")?.lastError).toBeUndefined();
    expect(refusals[0]).toMatchObject({ peer: "a", error: { code: "ike/no-proposal-chosen" } });
    expect(refusals[0]?.remote.address.toString()).toBe(ADDRESSES.a);
    expect(b.of("negotiation-failed")[0]).toMatchObject({
      peer: "a",
      error: { ours: expect.stringContaining("SHA2_512"), theirs: expect.stringContaining("SHA2_256") },
    });
  });

  test("of several peers at the address of the caller each has the error, with its own proposals", () => {
    const other = [{ ...IKE_PROPOSAL, dh: ["ecp384"] as const }];
    const wide = peerOf("b", { id: "wide", name: "wide", proposals: strict, remote: anywhere, passive: true });
    const peers = [
      peerOf("b", { id: "one", name: "one", proposals: strict }),
      peerOf("b", { id: "two", name: "two", proposals: other }),
    ].map((p) => ({ ...p, passive: true, children: p.children.map((c) => ({ ...c, id: `${p.id}-net` })) }));
    const { sim, b } = pair({ b: configOf(...peers, wide) });
    sim.run(0.5);
    const theirs = "IKE:AES_GCM_16_256/PRF_HMAC_SHA2_256/CURVE25519";
    const ours = {
      one: "IKE:AES_GCM_16_256/PRF_HMAC_SHA2_512/CURVE25519",
      two: "IKE:AES_GCM_16_256/PRF_HMAC_SHA2_256/ECP_384",
    };
    for (const id of ["one", "two"] as const) {
      const error = { code: "ike/no-proposal-chosen", exchange: "IKE_SA_INIT", ours: ours[id], theirs };
      expect(b.peer(id)?.lastError).toMatchObject(error);
      expect(b.of("negotiation-failed").find((e) => e.peer === id)?.error).toMatchObject(error);
    }
    // Who may call from anywhere is not blamed, but looked up among the refusals.
    expect(b.peer("wide")?.lastError).toBeUndefined();
    const all = { ours: `${ours.one} | ${ours.two}`, theirs };
    expect(b.engine.status().refusals).toMatchObject([{ peer: undefined, error: all }]);
  });

  test("a peer that is up keeps its own state whatever comes from its address", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    const impostor = sim.addPeer("impostor", ADDRESSES.a);
    impostor.configure(configOf(peerOf("a", { proposals: strict })));
    sim.run(0.5);
    expect(b.count("no-proposal-chosen")).toBe(1);
    expect(b.engine.status().refusals).toHaveLength(1);
    expect(b.peer("a")?.lastError).toBeUndefined();
    sim.peers.set(ADDRESSES.a, a);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("a wrong key is the error of the peer whose identity was claimed, wherever it came from", () => {
    const secret = utf8.encode("wrong");
    const wrong = { method: "psk", identity: { type: "fqdn", name: "a.example" }, secret } as const;
    const { sim, b } = pair({
      a: configOf(peerOf("a", { localAuth: [wrong] })),
      b: configOf(peerOf("b", { remote: anywhere, passive: true })),
    });
    sim.run(0.5);
    expect(b.peer("a")?.lastError?.code).toBe("ike/authentication-failed");
  });

  test("another identity is no error of the one peer that it could have been", () => {
    const who = { method: "psk", identity: { type: "fqdn", name: "x.example" }, secret: utf8.encode("s") } as const;
    const { sim, b } = pair({
      a: configOf(peerOf("a", { localAuth: [who] })),
      b: configOf(peerOf("b", { remote: anywhere, passive: true })),
    });
    sim.run(0.5);
    expect(b.peer("a")?.lastError).toBeUndefined();
    expect(b.engine.status().refusals).toMatchObject([{ peer: "a", error: { code: "ike/identity-mismatch" } }]);
  });

  test("only the last refusals are kept", () => {
    const { sim, a, b } = pair({ b: configOf(peerOf("b", { proposals: strict, remote: anywhere, passive: true })) });
    for (let i = 0; i < 40; i++) {
      a.crash();
      a.configure(configOf(peerOf("a")));
      sim.run(0.1);
    }
    const { refusals } = b.engine.status();
    expect(b.count("no-proposal-chosen")).toBe(41);
    expect(refusals).toHaveLength(16);
    expect(refusals.at(-1)?.error.at).toBeGreaterThan(refusals[0]?.error.at ?? Number.POSITIVE_INFINITY);
  });
});

describe("refusals in IKE_AUTH", () => {
  test("another PSK: both ends say so, nothing stands", () => {
    const { sim, a, b } = pair({
      a: configOf(
        peerOf("a", {
          localAuth: [{ method: "psk", identity: { type: "fqdn", name: "a.example" }, secret: utf8.encode("wrong") }],
        }),
      ),
    });
    sim.run(0.5);
    expect(b.of("auth-failed")[0]).toMatchObject({
      peer: "a",
      error: { code: "ike/authentication-failed", message: "the peer does not have the pre-shared key" },
    });
    expect(a.of("auth-failed")[0]?.error).toMatchObject({
      code: "ike/authentication-failed",
      theirs: "AUTHENTICATION_FAILED",
    });
    expect(a.dataPlane.sas.size + b.dataPlane.sas.size).toBe(0);
    sim.run(11);
    expect(b.engine.sizes().halfOpen).toBe(0);
  });

  test("an unknown identity: the responder's log holds both", () => {
    const { sim, a, b } = pair({
      a: configOf(
        peerOf("a", {
          localAuth: [{ method: "psk", identity: { type: "email", name: "x@y.example" }, secret: utf8.encode("s") }],
        }),
      ),
    });
    sim.run(0.5);
    expect(a.established()).toEqual([]);
    expect(b.of("auth-failed")[0]?.error).toMatchObject({
      code: "ike/identity-mismatch",
      ours: "a.example",
      theirs: "x@y.example",
    });
  });

  test("the responder fails to convince: it is told, and drops what it has made", () => {
    const { sim, a, b } = pair({
      b: configOf(
        peerOf("b", {
          localAuth: [{ method: "psk", identity: { type: "fqdn", name: "b.example" }, secret: utf8.encode("wrong") }],
        }),
      ),
    });
    sim.run(0.5);
    expect(a.of("auth-failed")[0]?.error.message).toBe("the peer does not have the pre-shared key");
    expect(b.of("auth-failed").at(-1)?.error.message).toBe("the peer does not trust this end");
    expect(b.of("ike-down")[0]?.reason).toBe("failed");
    expect(b.dataPlane.sas.size).toBe(0);
    expect(a.dataPlane.sas.size).toBe(0);
  });

  test("a certificate of another authority is not believed", () => {
    const keys = new SimKeys();
    const [idA, idB] = [{ type: "fqdn", name: "a.example" } as const, { type: "fqdn", name: "b.example" } as const];
    const { sim, a, b } = pair({
      keys,
      a: configOf(peerOf("a", { localAuth: [keys.issue("another", idA)], remoteAuth: [trusting(idB, CA)] })),
      b: configOf(peerOf("b", { localAuth: [keys.issue(CA, idB)], remoteAuth: [trusting(undefined, CA)] })),
    });
    sim.run(0.5);
    expect(b.of("auth-failed")[0]?.error).toMatchObject({
      code: "sim/untrusted",
      message: '"another" is no trust anchor',
    });
    expect(a.established()).toEqual([]);
  });

  test("an empty secret matches nothing", () => {
    const none = new Uint8Array(0);
    const id = (name: string) => ({ type: "fqdn", name }) as const;
    const { sim, a, b } = pair({
      a: configOf(peerOf("a", { localAuth: [{ method: "psk", identity: id("a.example"), secret: none }] })),
      b: configOf(peerOf("b", { remoteAuth: [{ method: "psk", identity: { match: "any" }, secrets: [none] }] })),
    });
    sim.run(0.5);
    expect(a.established().concat(b.established())).toEqual([]);
  });
});

describe("refusals of a CHILD SA", () => {
  test("TS_UNACCEPTABLE leaves the IKE SA and names both sides' selectors", () => {
    const child = childOf("b", { remote: [range("10.9.0.0/16")] });
    const { sim, a, b } = pair({ b: configOf(peerOf("b", { children: [child] })) });
    sim.run(0.5);
    expect(a.established()).toHaveLength(1);
    expect(a.peer("b")?.childErrors.net).toMatchObject({
      code: "ike/ts-unacceptable",
      theirs: "TS_UNACCEPTABLE",
    });
    expect(b.of("negotiation-failed")[0]?.error).toMatchObject({
      ours: "10.2.0.0/16 === 10.9.0.0/16",
      theirs: "10.2.0.0/16 === 10.1.0.0/16",
    });
    b.configure(configOf(peerOf("b")));
    sim.run(60);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("NO_PROPOSAL_CHOSEN for ESP leaves the IKE SA", () => {
    const esp = { ...ESP_PROPOSAL, encryption: [{ algorithm: "aes-gcm-16", keyBits: 128 } as const] };
    const { sim, a, b } = pair({ b: configOf(peerOf("b", { children: [childOf("b", { proposals: [esp] })] })) });
    sim.run(0.5);
    expect(a.established()).toHaveLength(1);
    expect(b.of("negotiation-failed")[0]?.error).toMatchObject({
      ours: "ESP:AES_GCM_16_128/NO_ESN",
      theirs: "ESP:AES_GCM_16_256/NO_ESN",
    });
    expect(a.dataPlane.sas.size + b.dataPlane.sas.size).toBe(0);
  });

  test.each(["a", "b"] as const)("a data plane that refuses at %s undoes the CHILD SA at both ends", (end) => {
    const { sim, a, b } = pair();
    const peer = end === "a" ? a : b;
    peer.dataPlane.refuse = (op) =>
      op.op === "installSa" && op.args[0].direction === "out"
        ? new Fault("dataplane/refused", "no such cipher", { retry: false, expose: true }, { field: "encryption" })
        : undefined;
    sim.run(0.5);
    expect(peer.of("negotiation-failed")[0]).toMatchObject({ child: "net", error: { code: "dataplane/refused" } });
    expect(a.dataPlane.sas.size).toBe(0);
    expect(b.dataPlane.sas.size).toBe(0);
    expect(a.established()).toHaveLength(1);
    peer.dataPlane.refuse = undefined;
    sim.run(30);
    expect(disagreements(a, b)).toEqual([]);
  });
});
