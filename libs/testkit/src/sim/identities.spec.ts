import { createHash } from "node:crypto";
import { Prefix } from "@sallyport/base";
import {
  decodeMessage,
  dnFromText,
  type Identity,
  type IdentityMatch,
  type LocalAuth,
  type PeerConfig,
  type RemoteAuth,
  type SignatureName,
} from "@sallyport/ike";
import { configOf, peerOf } from "./configs.js";
import { anchor, SimKeys, type SimKeyType, trusting } from "./sim-keys.js";
import { pair } from "./simulation.js";

const ID_A = { type: "fqdn", name: "a.example" } as const;
const ID_B = { type: "fqdn", name: "b.example" } as const;
const ANYWHERE = { endpoint: undefined, accept: [Prefix.any(4)] };
const CA = "root";

const dn = (text: string) => ({ type: "dn", data: dnFromText(text) ?? new Uint8Array(0) }) as const;
type Certified = Extract<LocalAuth, { method: "certificate" }>;
const leafOf = (local: LocalAuth) => (local as Certified).credentials[0].chain[0] as Uint8Array;
const hashOf = (local: LocalAuth) => createHash("sha256").update(leafOf(local)).digest();

/** `b` takes whatever `a` is by these configurations, `a` takes `b` by its certificate. */
function called(keys: SimKeys, a: Partial<PeerConfig>, ...b: Partial<PeerConfig>[]) {
  const own = keys.issue(CA, ID_B);
  const result = pair({
    keys,
    a: configOf(peerOf("a", { remoteAuth: [trusting(ID_B, CA)], ...a })),
    b: configOf(
      ...b.map((more, i) => peerOf("b", { id: `p${i}`, remote: ANYWHERE, passive: true, localAuth: [own], ...more })),
    ),
  });
  result.sim.run(1);
  return result;
}

describe("which of several configurations a caller is (IDENT-06, IDENT-14)", () => {
  test("by the identity that it claims", () => {
    const keys = new SimKeys();
    const id = (name: string): Identity => ({ type: "email", name });
    const { b } = called(
      keys,
      { localAuth: [keys.issue(CA, id("ann@example"))] },
      { remoteAuth: [trusting(id("bob@example"), CA)] },
      { remoteAuth: [trusting(id("ann@example"), CA)] },
    );
    expect(b.established("p1")).toHaveLength(1);
  });

  test("by the identity that it claims, though one that takes anybody comes before (IDENT-14)", () => {
    const keys = new SimKeys();
    const by = (identity: IdentityMatch): Partial<PeerConfig> => ({
      remoteAuth: [{ method: "certificate", identity, trust: [anchor(CA)] }],
    });
    const anybody = by({ match: "any" });
    const like = by({ match: "like", pattern: { type: "fqdn", name: "*.example" } });
    const named = by({ match: "is", identity: ID_A });
    const caller = { localAuth: [keys.issue(CA, ID_A)] } as const;
    expect(called(keys, caller, anybody, like, named).b.established("p2")).toHaveLength(1);
    expect(called(keys, caller, named, like, anybody).b.established("p0")).toHaveLength(1);
    expect(called(keys, caller, anybody, like).b.established("p1")).toHaveLength(1);
  });

  test("by where it calls from before that: the longer prefix wins (PEER-01)", () => {
    const keys = new SimKeys();
    const near = { endpoint: undefined, accept: [Prefix.parse("192.0.2.0/24")] };
    const anybody: RemoteAuth = { method: "certificate", identity: { match: "any" }, trust: [anchor(CA)] };
    const caller = { localAuth: [keys.issue(CA, ID_A)] } as const;
    const { b } = called(keys, caller, { remoteAuth: [trusting(ID_A, CA)] }, { remote: near, remoteAuth: [anybody] });
    expect(b.established("p1")).toHaveLength(1);
  });

  test("by its very certificate, whoever has signed it and whatever names it has", () => {
    const keys = new SimKeys();
    const local = keys.issue("nobody", ID_A);
    const other = keys.issue("nobody", ID_A);
    const pinned = (...who: LocalAuth[]): Partial<PeerConfig> => ({
      remoteAuth: [{ method: "certificate", identity: { match: "any" }, trust: [], pinned: who.map(hashOf) }],
    });
    const { b } = called(
      keys,
      { localAuth: [local] },
      { remoteAuth: [trusting(ID_A, CA)] },
      pinned(other),
      pinned(other, local),
    );
    expect(b.established("p2")).toHaveLength(1);
    const refused = called(keys, { localAuth: [local] }, pinned(other));
    expect(refused.b.established()).toEqual([]);
    expect(refused.b.of("auth-failed")[0]?.error).toMatchObject({
      code: "ike/authentication-failed",
      ours: `certificate ${hashOf(other).toString("hex")}`,
      theirs: expect.stringContaining(hashOf(local).toString("hex")),
    });
  });

  test("and is asked to show that certificate, though nobody here knows whose it is (RFC 7296 §3.7)", () => {
    const keys = new SimKeys();
    const local = keys.issue("nobody", ID_A);
    const pinned: RemoteAuth = {
      method: "certificate",
      identity: { match: "any" },
      trust: [],
      pinned: [hashOf(local)],
    };
    const asked = (remoteAuth: RemoteAuth) => {
      const { sim, a } = pair({ keys, b: configOf(peerOf("b", { remoteAuth: [remoteAuth], passive: true })) });
      const requests: Uint8Array[] = [];
      sim.network.taps.push((packet) => {
        if (!packet.to.address.equals(a.address)) return undefined;
        for (const p of decodeMessage(packet.datagram).payloads) if (p.kind === "CERTREQ") requests.push(p.data);
        return undefined;
      });
      sim.run(1);
      return requests.map((data) => Buffer.from(data).toString("hex"));
    };
    expect(asked(pinned)).toEqual(["00".repeat(20)]);
    expect(asked(trusting(ID_A, CA))).toEqual([Buffer.from(anchor(CA).keyHash).toString("hex")]);
    expect(asked(peerOf("b").remoteAuth[0])).toEqual([]);
  });

  test("as far as their proposals take what it offers: a wider one that does answers before one that does not", () => {
    const keys = new SimKeys();
    const other = { encryption: [{ algorithm: "aes-cbc", keyBits: 128 }], integrity: ["hmac-sha2-256-128"] } as const;
    const strict: Partial<PeerConfig> = {
      remote: { endpoint: undefined, accept: [Prefix.parse("192.0.2.1/32")] },
      proposals: [{ ...other, prf: ["hmac-sha2-256"], dh: ["x25519"] }],
      remoteAuth: [trusting(ID_A, CA)],
    };
    const caller = { localAuth: [keys.issue(CA, ID_A)] } as const;
    const taken = called(keys, caller, strict, { remoteAuth: [trusting(undefined, CA)] });
    expect(taken.b.established("p1")).toHaveLength(1);
    const { b } = called(keys, caller, strict, { remoteAuth: [trusting(ID_B, CA)] });
    expect(b.established()).toEqual([]);
    expect(b.peer("p0")?.lastError).toMatchObject({
      code: "ike/no-proposal-chosen",
      exchange: "IKE_AUTH",
      ours: expect.stringContaining("AES_CBC"),
      theirs: "a.example by AES_GCM_16_256/PRF_HMAC_SHA2_256/CURVE25519",
    });
    expect(b.peer("p1")?.lastError).toBeUndefined();
  });

  test("by the authority of its certificate", () => {
    const keys = new SimKeys();
    const { b } = called(
      keys,
      { localAuth: [keys.issue("second", ID_A)] },
      { remoteAuth: [trusting(undefined, "first")] },
      { remoteAuth: [trusting(undefined, "second")] },
      { remoteAuth: [trusting(undefined, "third")] },
    );
    expect(b.established("p1")).toHaveLength(1);
  });

  test("by the identity that it asks for", () => {
    const keys = new SimKeys();
    const own = (name: string): Partial<PeerConfig> => ({
      localAuth: [keys.issue(CA, { type: "fqdn", name })],
      remoteAuth: [trusting(ID_A, CA)],
    });
    const { b } = called(keys, { localAuth: [keys.issue(CA, ID_A)] }, own("x.example"), own("b.example"));
    expect(b.established("p1")).toHaveLength(1);
  });
});

describe("patterns of identities", () => {
  test.each<[string, Identity, Identity, boolean]>([
    [
      "a mailbox of a domain",
      { type: "email", name: "*@example.org" },
      { type: "email", name: "Ann@Example.org" },
      true,
    ],
    [
      "a mailbox of another",
      { type: "email", name: "*@example.org" },
      { type: "email", name: "ann@example.net" },
      false,
    ],
    [
      "a name below a domain",
      { type: "fqdn", name: "*.example.org" },
      { type: "fqdn", name: "gw.sales.example.org" },
      true,
    ],
    ["the domain itself", { type: "fqdn", name: "*.example.org" }, { type: "fqdn", name: "example.org" }, false],
    [
      "a domain that ends alike",
      { type: "fqdn", name: "*.example.org" },
      { type: "fqdn", name: "x-example.org" },
      false,
    ],
    ["another kind of identity", { type: "fqdn", name: "*" }, { type: "email", name: "ann@example.org" }, false],
    [
      "a star of the peer's own",
      { type: "fqdn", name: "gw.example.org" },
      { type: "fqdn", name: "*.example.org" },
      false,
    ],
    ["any common name", dn("C=AT, O=Acme, CN=*"), dn("C=AT, O=ACME, CN=gw 7"), true],
    ["a name of another organization", dn("C=AT, O=Acme, CN=*"), dn("C=AT, O=Other, CN=gw 7"), false],
    ["a longer name", dn("C=AT, O=Acme, CN=*"), dn("C=AT, O=Acme, OU=x, CN=gw"), false],
    ["a star in the peer's name", dn("C=AT, O=Acme, CN=gw"), dn("C=AT, O=Acme, CN=*"), false],
  ])("%s", (_, pattern, claimed, allowed) => {
    if (pattern.type !== "fqdn" && pattern.type !== "email" && pattern.type !== "dn") throw new Error("no pattern");
    const keys = new SimKeys();
    const { a, b } = called(
      keys,
      { localAuth: [keys.issue(CA, claimed)] },
      { remoteAuth: [{ method: "certificate", identity: { match: "like", pattern }, trust: [anchor(CA)] }] },
    );
    expect(b.established()).toHaveLength(allowed ? 1 : 0);
    if (!allowed) expect(b.of("auth-failed")[0]?.error).toMatchObject({ code: "ike/identity-mismatch" });
    expect(a.established()).toHaveLength(allowed ? 1 : 0);
  });
});

describe("this end's own certificate", () => {
  test("is one that the peer asks for, and the identity is what it proves (IDENT-08)", () => {
    const keys = new SimKeys();
    const [old, young] = [keys.issue("old", { type: "fqdn", name: "old.example" }), keys.issue("young", ID_A)];
    const credentials = [...(old as Certified).credentials, ...(young as Certified).credentials] as const;
    const both: LocalAuth = {
      method: "certificate",
      identity: "auto",
      credentials: [credentials[0] as never, ...credentials.slice(1)],
    };
    for (const [issuer, name] of [
      ["old", "old.example"],
      ["young", "a.example"],
    ] as const) {
      const { a, b } = called(keys, { localAuth: [both] }, { remoteAuth: [trusting(undefined, issuer)] });
      expect(a.established()[0]).toMatchObject({ localId: name });
      expect(b.established()[0]).toMatchObject({ remoteCertificate: name });
    }
  });

  test.each<[SimKeyType, SignatureName[]]>([
    ["rsa", ["rsa-pss-sha256"]],
    ["rsa", ["rsa-pss-sha384"]],
    ["rsa", ["rsa-pss-sha512"]],
    ["rsa", ["rsa-sha512"]],
    ["rsa", ["rsa"]],
    ["p256", ["ecdsa-256"]],
    ["p384", ["ecdsa-384"]],
    ["p521", ["ecdsa-521"]],
    ["p521", ["ecdsa-sha256"]],
    ["ed25519", ["ed25519"]],
  ])("signs with a key of kind %s by %j, and the peer takes nothing else", (type, signatures) => {
    const keys = new SimKeys();
    const local = { ...(keys.issue(CA, ID_A, type) as Certified), signatures };
    const takes = { ...trusting(ID_A, CA), signatures } as PeerConfig["remoteAuth"][0];
    expect(called(keys, { localAuth: [local] }, { remoteAuth: [takes] }).b.established()).toHaveLength(1);
    const other: SignatureName = type === "rsa" ? "rsa-sha384" : "ecdsa-sha384";
    const wants = { ...takes, signatures: [other] } as PeerConfig["remoteAuth"][0];
    const { b } = called(keys, { localAuth: [local] }, { remoteAuth: [wants] });
    expect(b.established()).toEqual([]);
  });

  test("a signature of ours that the peer does not take is refused by it, with both", () => {
    const keys = new SimKeys();
    const local = { ...(keys.issue(CA, ID_A, "p256") as Certified), signatures: ["ecdsa-256"] } as const;
    const wants = { ...trusting(ID_A, CA), signatures: ["ecdsa-sha256"] } as PeerConfig["remoteAuth"][0];
    const { b } = called(keys, { localAuth: [local] }, { remoteAuth: [wants] });
    expect(b.of("auth-failed")[0]?.error.message).toMatch(/ecdsa-256, expected ecdsa-sha256/);
  });

  test("without RFC 7427 at the other end, the methods before it are used", () => {
    const keys = new SimKeys();
    const classic = { ...trusting(ID_A, CA), signatures: ["ecdsa-256"] } as PeerConfig["remoteAuth"][0];
    const { b } = called(keys, { localAuth: [keys.issue(CA, ID_A, "p256")] }, { remoteAuth: [classic] });
    expect(b.established()).toHaveLength(1);
  });
});
