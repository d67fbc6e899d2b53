import { fleet, PARTNER_DER } from "../testing/fleets.js";
import { compile } from "./compile.js";
import { mschapVerifier } from "./engine-auth.js";
import type { ConnectionIntent, EapUserSetIntent, GatewayIntent, LocalAuth, LocalEap, PeerEap } from "./model.js";
import { type Proof, prove, proveExternal } from "./prove.js";
import { Secret } from "./secret.js";

const [branch, hq] = [compile(fleet(), "gw-branch"), compile(fleet(), "gw-hq")];
const id = branch.connections[0]?.id ?? "";
const NAME = branch.identity.value;
const secret = new Secret("open sesame");
const anchors = hq.trustAnchors.map((t) => t.id);

function changed(intent: GatewayIntent, change: Partial<ConnectionIntent>): GatewayIntent {
  return { ...intent, connections: intent.connections.map((c) => ({ ...c, ...change })) };
}

const eap = (more: Partial<LocalEap>): LocalAuth => ({
  ...{ method: "eap", identity: branch.identity, methods: ["mschapv2"], secret, trustAnchorIds: anchors },
  ...more,
});

/** The branch as a client of EAP. */
const client = (more: Partial<LocalEap> = {}) => changed(branch, { role: "initiator", local: eap(more) });

/** Headquarters as its server. */
function server(more: Partial<PeerEap> = {}, users: EapUserSetIntent["users"] = [{ name: NAME, secret }]) {
  const peer = { method: "eap", methods: ["mschapv2"], userSetId: "staff", trustAnchorIds: anchors, ...more } as const;
  const intent = changed(hq, { role: "responder", peer: { identity: { type: "any" }, ...peer } });
  return { ...intent, eapUsers: [{ id: "staff", users }] };
}

const suite = (proof: Proof) => {
  if (!proof.ok) throw proof.fault;
  return proof.ikeSuite;
};
function refused(proof: Proof) {
  if (proof.ok) throw new Error(`negotiated ${proof.ikeSuite}`);
  expect(proof.fault).toMatchObject({ code: "intent/would-not-negotiate", field: "authentication" });
  return proof.fault.message;
}

describe("the proof plays rounds of EAP", () => {
  test.each(["mschapv2", "md5", "gtc", "tls"] as const)(
    "%s, of two gateways and of either with an external peer",
    (m) => {
      const [caller, called] = [client({ methods: [m] }), server({ methods: [m] })];
      expect(suite(prove(caller, called, id))).toMatch(/25519/);
      expect(suite(prove(called, caller, id))).toMatch(/25519/);
      expect(suite(proveExternal(caller, id))).toMatch(/25519/);
      expect(suite(proveExternal(called, id))).toMatch(/25519/);
      const staff = server({ methods: [m], user: "*@example.org" });
      expect(suite(proveExternal(staff, id))).toMatch(/25519/);
    },
  );

  test("with what a gateway has instead of the password, which nobody plays for a person outside", () => {
    const verified = server({}, [{ name: NAME, secret: mschapVerifier("open sesame"), verifier: "nt-hash" }]);
    expect(suite(prove(client(), verified, id))).toMatch(/25519/);
    expect(suite(proveExternal(verified, id))).toMatch(/25519/);
  });

  test("as a second round (RFC 4739), and alone (RFC 5998)", () => {
    const certified = { method: "certificate", identity: branch.identity } as const;
    const caller = changed(client(), { local: certified, localRounds: [eap({})] });
    const [connection] = server().connections;
    if (!connection) throw new Error("no connection");
    const [first] = hq.connections.map((c) => c.peer);
    const rounds = {
      ...server(),
      connections: [{ ...connection, peer: first ?? connection.peer, peerRounds: [connection.peer] }],
    };
    expect(suite(prove(caller, rounds, id))).toMatch(/25519/);
    expect(suite(proveExternal(caller, id))).toMatch(/25519/);
    expect(suite(proveExternal(rounds, id))).toMatch(/25519/);
    const alone = changed(client({ methods: ["tls"] }), { peer: { method: "eap", identity: hq.identity } });
    const answering = changed(server({ methods: ["tls"] }), { local: { method: "eap", identity: hq.identity } });
    expect(suite(prove(alone, answering, id))).toMatch(/25519/);
    expect(suite(proveExternal(alone, id))).toMatch(/25519/);
    expect(suite(proveExternal(answering, id))).toMatch(/25519/);
  });

  test("and refuses a wrong password, a stranger, another method, other versions of TLS and another authority", () => {
    expect(refused(prove(client({ secret: new Secret("open barley") }), server(), id))).toContain("IKE_AUTH");
    expect(refused(prove(client({ user: "nobody" }), server(), id))).toContain("IKE_AUTH");
    expect(refused(prove(client({ methods: ["tls"] }), server(), id))).toContain("by eap");
    const old = server({ methods: ["tls"], tlsVersions: { min: "1.2", max: "1.2" } });
    const fresh = client({ methods: ["tls"], tlsVersions: { min: "1.3", max: "1.3" } });
    expect(refused(prove(fresh, old, id))).toContain("TLS 1.2 to 1.2 is taken, 1.3 to 1.3 offered");
    const strange = { ...server({ methods: ["tls"] }), trustAnchors: [{ id: anchors[0] ?? "", der: PARTNER_DER }] };
    expect(refused(prove(client({ methods: ["tls"] }), strange, id))).toContain("leads to none of the trust anchors");
  });
});
