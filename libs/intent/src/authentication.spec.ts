import { IpAddress } from "@sallyport/base";
import { fleet } from "../testing/fleets.js";
import { compile } from "./compile.js";
import { diffIntent } from "./diff.js";
import { toIkeConfig } from "./engine-config.js";
import type { LocalFacts } from "./local-facts.js";
import type { ConnectionIntent, GatewayIntent, LocalAuth, PeerAuth } from "./model.js";
import { parseIntent } from "./parse.js";
import { prove } from "./prove.js";
import { Secret } from "./secret.js";
import { serializeIntent } from "./serialize.js";

const HERE = IpAddress.parse("203.0.113.1");
const facts: LocalFacts = {
  credential: { key: "own", keyKind: { type: "ec", curve: "P-256" }, chain: [Uint8Array.of(1)] },
  resolved: new Map(),
  localAddress: () => HERE,
  ownAddresses: [HERE],
  ownNetworks: [],
  forcesEncapsulation: false,
};
const base = compile(fleet(), "gw-hq");
const [connection] = base.connections as [ConnectionIntent];
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

test("the proof plays the first round, whatever signatures are wanted", () => {
  const [a, b] = [compile(fleet(), "gw-hq"), compile(fleet(), "gw-branch")];
  const shared = a.connections.find((c) => b.connections.some((x) => x.id === c.id));
  const sign = (g: GatewayIntent): GatewayIntent => ({
    ...g,
    connections: g.connections.map((c) =>
      c.local.method === "certificate" ? { ...c, local: { ...c.local, signatures: ["rsa-pss-sha256"] } } : c,
    ),
  });
  if (shared) expect(prove(sign(a), sign(b), shared.id)).toMatchObject({ ok: true });
  expect(shared).toBeDefined();
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
