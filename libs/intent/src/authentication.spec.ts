import { IpAddress } from "@sallyport/base";
import { OWN_CREDENTIAL } from "../testing/credential.js";
import { fleet } from "../testing/fleets.js";
import { compile } from "./compile.js";
import { diffIntent } from "./diff.js";
import { toIkeConfig } from "./engine-config.js";
import type { Credential, LocalFacts } from "./local-facts.js";
import type { ConnectionIntent, GatewayIntent, LocalAuth, PeerAuth } from "./model.js";
import { parseIntent } from "./parse.js";
import { prove, proveExternal } from "./prove.js";
import { Secret } from "./secret.js";
import { serializeIntent } from "./serialize.js";

const HERE = IpAddress.parse("203.0.113.1");
const facts: LocalFacts = {
  credential: () => OWN_CREDENTIAL,
  resolved: new Map(),
  localAddress: () => HERE,
  ownAddresses: [HERE],
  ownNetworks: [],
  forcesEncapsulation: false,
};
const base = compile(fleet(), "gw-hq");
const [connection] = base.connections as [ConnectionIntent];
const AUTO = { type: "auto" } as const;
const anchor = base.trustAnchors[0]?.id ?? "";
const intent = (change: Partial<ConnectionIntent>): GatewayIntent =>
  parseIntent(serializeIntent({ ...base, connections: [{ ...connection, ...change }] }));
const peerOf = (change: Partial<ConnectionIntent>) => toIkeConfig(intent(change), facts).config.peers[0];
const named = (value: string) => ({ type: "fqdn", value }) as const;
const psk = (value: string) =>
  ({ method: "psk", identity: named(value), keyId: "k", secret: new Secret("s") }) as const;
const certified = (more: Partial<Extract<PeerAuth, { method: "certificate" }>>): PeerAuth => ({
  method: "certificate",
  identity: named("peer.example"),
  trustAnchorIds: [anchor],
  ...more,
});

test("rounds follow the first in order, at either end", () => {
  const local: LocalAuth[] = [psk("b.example"), { method: "certificate", identity: named("c.example") }];
  const peer = peerOf({ localRounds: local, peerRounds: [psk("y.example")] });
  expect(peer?.localAuth.slice(1)).toMatchObject([{ method: "psk" }, { method: "certificate" }]);
  expect(peer?.remoteAuth.slice(1)).toMatchObject([{ method: "psk", identity: { match: "is" } }]);
});

describe("certificates of this gateway", () => {
  const credential = (name: string): Credential => ({
    ...OWN_CREDENTIAL,
    key: name,
    subject: { type: "fqdn", name: `${name}.example` },
  });
  const named = (n: number) => ({ fingerprint: String(n).repeat(64), intermediates: [] });
  const have = new Map([1, 2].map((n) => [named(n).fingerprint, credential(`c${n}`)]));
  const local = (more: object) => ({
    local: { method: "certificate", identity: { type: "auto" }, ...more } as LocalAuth,
  });
  const configured = (more: object) =>
    toIkeConfig(intent(local(more)), {
      ...facts,
      credential: (c) => (c ? have.get(c.fingerprint) : credential("usual")),
    });

  test("are those that a connection names, in its order, as far as they are there", () => {
    const auth = configured({ certificates: [named(2), named(3), named(1)] }).config.peers[0]?.localAuth[0];
    expect(auth).toMatchObject({
      identity: "auto",
      credentials: [{ key: "c2" }, { key: "c1", subject: { name: "c1.example" } }],
    });
    expect(configured({}).config.peers[0]?.localAuth[0]).toMatchObject({ credentials: [{ key: "usual" }] });
  });

  test("that are named and not there are missing, whatever others there are", () => {
    const { config, missing } = configured({ certificates: [named(3)] });
    expect(config.peers).toEqual([]);
    expect([...missing.values()]).toMatchObject([{ code: "intent/missing-fact", field: "connections[0].local" }]);
  });
});

test.each(["any", "auto", "ignore"] as const)("a peer may be %s", (type) => {
  expect(peerOf({ peer: certified({ identity: { type } }) })?.remoteAuth[0]?.identity).toEqual({ match: type });
});

test("a PPK is required unless said", () => {
  const secret = new Secret("sixteen octets, and more");
  expect(peerOf({ ppk: { id: "x", secret } })?.ppk).toEqual({
    id: new TextEncoder().encode("x"),
    secret: new TextEncoder().encode(secret.reveal()),
    required: true,
  });
  expect(peerOf({ ppk: { id: "x", secret, required: false } })?.ppk?.required).toBe(false);
  expect(peerOf({})?.ppk).toBeUndefined();
});

test.each([
  ["*.example.org", "fqdn"],
  ["*@example.org", "email"],
  ["C=AT, O=Acme, CN=*", "dn"],
] as const)("%s is a pattern", (value, type) => {
  const peer = peerOf({ peer: certified({ identity: { type, value } }) });
  expect(peer?.remoteAuth[0].identity).toMatchObject({ match: "like", pattern: { type } });
});

test("a distinguished name may be text", () => {
  const peer = peerOf({ peer: certified({ identity: { type: "dn", value: "CN=gw" } }) });
  expect(peer?.remoteAuth[0].identity).toMatchObject({ match: "is", identity: { type: "dn" } });
});

test("a peer may be known by its very certificate, and signatures may be chosen", () => {
  const fingerprints = ["ab".repeat(32)];
  const peer = peerOf({
    local: { method: "certificate", identity: named("a.example"), signatures: ["rsa-pss-sha384", "rsa"] },
    peer: certified({ trustAnchorIds: [], fingerprints, signatures: ["ed25519"] }),
  });
  expect(peer?.localAuth[0]).toMatchObject({ signatures: ["rsa-pss-sha384", "rsa"] });
  expect(peer?.remoteAuth[0]).toMatchObject({
    pinned: [new Uint8Array(32).fill(0xab)],
    signatures: ["ed25519"],
    trust: [],
  });
});

test.each<[string, Partial<ConnectionIntent>]>([
  ["connections[0].peerRounds[0].trustAnchorIds[0]", { peerRounds: [certified({ trustAnchorIds: ["none"] })] }],
  ["connections[0].peer.trustAnchorIds", { peer: certified({ trustAnchorIds: [] }) }],
  ["connections[0].peer.fingerprints[0]", { peer: certified({ fingerprints: ["AB"] }) }],
  ["connections[0].peer.signatures[0]", { peer: certified({ signatures: ["md5" as never] }) }],
  ["connections[0].ppk.secret", { ppk: { id: "x", secret: new Secret("short") } }],
  ["connections[0].localRounds", { localRounds: [] }],
  ["connections[0].local.identity.value", { local: { method: "certificate", identity: named("*.example") } }],
  ["connections[0].local.certificates", { local: { method: "certificate", identity: AUTO, certificates: [] } }],
  [
    "connections[0].local.certificates[0].fingerprint",
    { local: { method: "certificate", identity: AUTO, certificates: [{ fingerprint: "x", intermediates: [] }] } },
  ],
  ["connections[0].local.identity.value", { local: { method: "certificate", identity: named("not a name") } }],
  ["connections[0].peer.identity.value", { peer: certified({ identity: named("*.*.example") }) }],
])("refuses %s", (field, change) => {
  expect(() => intent(change)).toThrow(expect.objectContaining({ code: "intent/invalid-field", field }));
});

test("a change of rounds negotiates anew, one of the PPK does not; no secret shows", () => {
  const secret = new Secret("sixteen octets, and more");
  expect(diffIntent(intent({}), intent({ localRounds: [psk("b.example")] })).connections[0]?.impact).toBe(
    "re-established",
  );
  const diff = diffIntent(intent({}), intent({ ppk: { id: "x", secret } }));
  expect(diff.connections[0]?.impact).toBe("untouched");
  expect(JSON.stringify(diff)).not.toContain("sixteen");
});

describe("the proof", () => {
  const [hq, branch] = [compile(fleet(), "gw-hq"), compile(fleet(), "gw-branch")];
  const id = hq.connections.find((c) => branch.connections.some((x) => x.id === c.id))?.id ?? "";
  const changed = (g: GatewayIntent, change: (c: ConnectionIntent) => Partial<ConnectionIntent>): GatewayIntent => ({
    ...g,
    connections: g.connections.map((c) => (c.id === id ? { ...c, ...change(c) } : c)),
  });
  /** Two further rounds at the branch, one at headquarters. */
  const rounds = (secret = "s") =>
    [
      changed(branch, (c) => ({ localRounds: [psk("b.example"), c.local], peerRounds: [psk("y.example")] })),
      changed(hq, (c) => ({
        localRounds: [psk("y.example")],
        peerRounds: [{ ...psk("b.example"), secret: new Secret(secret) }, c.peer],
      })),
    ] as const;

  test("takes the keys for what is wanted, whatever signatures that are", () => {
    const sign = (g: GatewayIntent) =>
      changed(g, (c) =>
        c.local.method === "certificate" ? { local: { ...c.local, signatures: ["rsa-pss-sha256"] } } : {},
      );
    expect(prove(sign(hq), sign(branch), id)).toMatchObject({ ok: true });
  });

  test("plays every round of both ends", () => {
    expect(prove(...rounds(), id)).toMatchObject({ ok: true });
    const wrong = prove(...rounds("another"), id);
    expect(wrong).toMatchObject({
      ok: false,
      fault: {
        code: "intent/would-not-negotiate",
        field: "authentication",
        facts: { exchange: "IKE_AUTH", code: "ike/authentication-failed" },
      },
    });
    if (!wrong.ok) {
      expect(wrong.fault.facts.ours).toContain("then b.example by psk");
      expect(wrong.fault.facts.theirs).toContain("then b.example by psk");
    }
  });

  test("refuses ends that do not agree on how many rounds there are", () => {
    expect(prove(rounds()[0], hq, id)).toMatchObject({ ok: false, fault: { field: "authentication" } });
    expect(prove(branch, rounds()[1], id)).toMatchObject({ ok: false, fault: { field: "authentication" } });
  });

  test("of a tunnel to an external peer mirrors our rounds", () => {
    expect(proveExternal(rounds()[0], id)).toMatchObject({ ok: true });
    expect(proveExternal(rounds()[1], id)).toMatchObject({ ok: true });
  });
});

describe("a change inside the rounds", () => {
  const rounds = (end: "localRounds" | "peerRounds", secret: string, more: object = {}) =>
    intent({
      [end]: [{ ...psk(end === "localRounds" ? "b.example" : "y.example"), secret: new Secret(secret), ...more }],
    });
  const changeOf = (a: GatewayIntent, b: GatewayIntent) => diffIntent(a, b).connections[0];

  test("of our own secret is told and touches nothing; nothing of it is shown", () => {
    const [a, b] = [rounds("localRounds", "the one before"), rounds("localRounds", "the one after")];
    expect(changeOf(a, b)).toMatchObject({
      fields: [{ field: "localRounds.0.secret", from: "***", to: "***" }],
      impact: "untouched",
    });
    expect(changeOf(a, rounds("localRounds", "the one before"))).toBeUndefined();
  });

  test("of the peer's secret ends what rests on it, unless the old one is accepted too", () => {
    const [a, b] = [rounds("peerRounds", "the one before"), rounds("peerRounds", "the one after")];
    expect(changeOf(a, b)?.impact).toBe("re-established");
    const alsoAccepted = [{ keyId: "old", secret: new Secret("the one before") }];
    const gentle = changeOf(a, rounds("peerRounds", "the one after", { alsoAccepted }));
    expect(gentle?.fields.map((f) => f.field)).toEqual(["peerRounds.0.alsoAccepted.old", "peerRounds.0.secret"]);
    expect(gentle?.impact).toBe("untouched");
  });

  test("of who proves what, or of their number, is a new authentication", () => {
    expect(changeOf(rounds("localRounds", "s"), intent({}))?.impact).toBe("re-established");
    const other = intent({ peerRounds: [psk("z.example")] });
    expect(changeOf(rounds("peerRounds", "s"), other)).toMatchObject({
      fields: [{ field: "peerRounds.0.identity.value", from: "y.example", to: "z.example" }],
      impact: "re-established",
    });
  });
});
