import { readFileSync } from "node:fs";
import fc from "fast-check";
import { fleet, fleets, gateway, PARTNER, PARTNER_DER } from "../testing/fleets.js";
import { compile, compileAll } from "./compile.js";
import { listTunnels } from "./fleet.js";
import type { DeclaredPeer } from "./fleet-model.js";
import type { ConnectionIntent, GatewayIntent } from "./model.js";
import { type Proof, prove, proveExternal } from "./prove.js";

interface Case {
  readonly about: string;
  readonly declared: DeclaredPeer;
  readonly exchange: string;
  readonly field: string;
  readonly theirs: string;
  readonly child?: string;
}
const cases = JSON.parse(readFileSync(`${import.meta.dirname}/cases/declared-peers.json`, "utf8")) as Case[];

const proven = (proof: Proof) => {
  if (!proof.ok) throw proof.fault;
  return proof;
};
const refused = (proof: Proof) => {
  if (proof.ok) throw new Error(`negotiated ${proof.ikeSuite}`);
  return proof.fault;
};

/** Every connection of an intent changed the same way. */
const changed = (intent: GatewayIntent, change: (c: ConnectionIntent) => ConnectionIntent): GatewayIntent => ({
  ...intent,
  connections: intent.connections.map(change),
});

describe("the proof of a tunnel between two gateways", () => {
  const [branch, hq] = [compile(fleet(), "gw-branch"), compile(fleet(), "gw-hq")];
  const id = branch.connections[0]?.id ?? "";

  test("gives the suites that they agree on, rekeys included, from either end", () => {
    const proof = proven(prove(branch, hq, id));
    expect(proof.ikeSuite).toMatch(/GCM_16_256.*25519/);
    expect(proof.children).toHaveLength(1);
    expect(proof.children[0]).toMatchObject({ id: `${id}.site`, name: "site" });
    expect(proof.children[0]?.suite).toMatch(/GCM_16_256/);
    expect(proof.children[0]?.rekeySuite).toMatch(/GCM_16_256.*25519/);
    expect(proof.children[0]?.narrowed).toBeUndefined();
    expect(proven(prove(hq, branch, id))).toEqual(proof);
    expect(prove(branch, hq, id)).toEqual(proof);
  });

  test.each(["192.0.2.1", "192.0.2.2", "2001:db8::1"])("takes %s as an end's address", (host) => {
    const there = changed(branch, (c) => ({ ...c, remote: { ...c.remote, host } }));
    expect(proven(prove(there, hq, id)).children).toHaveLength(1);
  });

  test("is fast enough to precede every push", () => {
    for (let i = 0; i < 20; i++) proven(prove(branch, hq, id));
    const before = process.cpuUsage();
    for (let i = 0; i < 20; i++) proven(prove(branch, hq, id));
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000 / 20).toBeLessThan(50);
  });

  test("refuses one end with an anchor that the other's certificate does not lead to", () => {
    const strange = { ...hq, trustAnchors: [{ id: "root", der: PARTNER_DER }] };
    const fault = refused(prove(branch, strange, id));
    expect(fault).toMatchObject({
      code: "intent/would-not-negotiate",
      field: "authentication",
      facts: { exchange: "IKE_AUTH", code: "intent/would-not-negotiate" },
    });
    expect(fault.message).toContain("branch's certificate leads to none of the trust anchors root");
  });

  test("refuses a name that the certificate is not for", () => {
    const other = { type: "fqdn", value: "gw-other.acme.sallyport" } as const;
    const renamed = changed(branch, (c) => ({ ...c, local: { ...c.local, identity: other } }));
    const expecting = changed(hq, (c) => ({ ...c, peer: { ...c.peer, identity: other } }));
    expect(refused(prove(renamed, expecting, id)).message).toContain(
      "branch's certificate is for gw-branch.acme.sallyport, not for gw-other.acme.sallyport",
    );
  });

  test("refuses two ends that only answer", () => {
    const shy = changed(branch, (c) => ({ ...c, role: "responder" }));
    expect(refused(prove(shy, hq, id))).toMatchObject({
      code: "intent/would-not-negotiate",
      field: "role",
      facts: { ours: "responder", theirs: "responder" },
    });
  });

  test("shows both ends' proposals, each from its own side", () => {
    const old = changed(hq, (c) => ({ ...c, ikeProposals: ["aes128-sha1-modp1024"] }));
    const ours = branch.connections[0]?.ikeProposals.join(", ") ?? "";
    expect(refused(prove(branch, old, id)).facts).toMatchObject({ ours, theirs: "aes128-sha1-modp1024" });
    expect(refused(prove(old, branch, id)).facts).toMatchObject({ ours: "aes128-sha1-modp1024", theirs: ours });
  });

  test("says when a connection is not there", () => {
    expect(refused(prove(branch, hq, "tun-x"))).toMatchObject({ code: "intent/unknown-reference", value: "tun-x" });
  });

  test("every tunnel of every compiled fleet comes up", () => {
    fc.assert(
      fc.property(fleets, (model) => {
        const intents = compileAll(model);
        for (const { id, a, b } of listTunnels(model)) {
          const [x, y] = [intents.get(a), b === undefined ? undefined : intents.get(b)];
          if (!x) throw new Error("every gateway has an intent");
          const proof = proven(y ? prove(x, y, id) : proveExternal(x, id));
          const wanted = x.connections.find((c) => c.id === id)?.children.map((c) => c.id);
          expect(proof.children.map((c) => c.id)).toEqual(wanted);
          expect(proof.children.filter((c) => c.narrowed)).toEqual([]);
        }
      }),
      { numRuns: 25 },
    );
  });
});

describe("the proof of a tunnel to an external peer", () => {
  const model = fleet({ externalPeers: [PARTNER], gateways: [gateway(0), gateway(1)] });
  const hq = compile(model, "gw-hq");
  const id = hq.connections.find((c) => c.name === "Partner")?.id ?? "";

  test("takes what was not declared as a mirror of ours", () => {
    expect(proven(proveExternal(hq, id)).children).toHaveLength(1);
  });

  test.each(["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"])("takes %s as a peer's address", (host) => {
    const there = changed(hq, (c) => (c.id === id ? { ...c, remote: { ...c.remote, host } } : c));
    expect(proven(proveExternal(there, id)).children).toHaveLength(1);
  });

  test("is made with what was declared", () => {
    const declared = { ikeProposals: ["aes128-sha256-modp2048"], espProposals: ["aes128-sha256-modp2048"] };
    const proof = proven(proveExternal(hq, id, declared));
    expect(proof.ikeSuite).toMatch(/CBC_128.*MODP_?2048/);
  });

  test("says which packets would be left out when the peer is narrower", () => {
    const proof = proven(proveExternal(hq, id, { localSubnets: ["172.16.5.0/25"] }));
    expect(proof.children[0]?.narrowed).toEqual({ local: ["10.1.0.0/16"], remote: ["172.16.5.0/25"] });
  });

  test.each(cases)("refuses $about", ({ declared, exchange, field, theirs, child }) => {
    const fault = refused(proveExternal(hq, id, declared));
    expect(fault).toMatchObject({ code: "intent/would-not-negotiate", field, facts: { exchange, theirs } });
    expect(fault.facts.ours).toBeTruthy();
    expect(fault.facts.child).toBe(child);
    expect(JSON.stringify([fault.message, fault.facts])).not.toContain("horse");
  });
});
