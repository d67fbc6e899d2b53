import { isFault } from "@sallyport/base";
import fc from "fast-check";
import { fleet, fleets, gateway, PARTNER, ROOT_DER, shuffled, site } from "../testing/fleets.js";
import { compile, compileAll } from "./compile.js";
import { diffIntent } from "./diff.js";
import { listTunnels } from "./fleet.js";
import type { FleetModel } from "./fleet-model.js";
import type { GatewayIntent } from "./model.js";
import { findOverlaps } from "./overlaps.js";
import { parseIntent } from "./parse.js";
import { Secret } from "./secret.js";
import { sameIntent, serializeIntent } from "./serialize.js";

function codeOf(run: () => unknown) {
  try {
    run();
  } catch (error) {
    if (isFault(error)) return { code: error.code, field: error.field };
    throw error;
  }
  return undefined;
}

const three = fleet({
  sites: [site(0), site(1), site(2, "10.3.0.0/16", "fd00:3::/48")],
  gateways: [gateway(0), { ...gateway(1), host: undefined }, gateway(2)],
  networks: [{ id: "net", name: "Net", hubs: ["gw-hq"], spokes: ["gw-branch", "gw-depot"] }],
});

describe("compile", () => {
  test("a branch behind a NAT calls its hub and keeps the tunnel up; the hub answers", () => {
    const [branch, hq] = [compile(fleet(), "gw-branch", 7), compile(fleet(), "gw-hq")];
    expect(branch).toMatchObject({
      schema: 1,
      revision: 7,
      gateway: { id: "gw-branch", name: "branch" },
      identity: { type: "fqdn", value: "gw-branch.acme.sallyport" },
      trustAnchors: [{ id: "root", der: ROOT_DER }],
    });
    expect(branch.connections).toHaveLength(1);
    expect(branch.connections[0]).toMatchObject({
      role: "initiator",
      remote: { host: "203.0.113.1", ports: { ike: 500, natt: 4500 } },
      peer: { method: "certificate", identity: { value: "gw-hq.acme.sallyport" }, trustAnchorIds: ["root"] },
      children: [{ name: "site", localSubnets: ["10.2.0.0/16"], remoteSubnets: ["10.1.0.0/16"], startAction: "start" }],
    });
    expect(hq.connections[0]).toMatchObject({
      id: branch.connections[0]?.id,
      role: "responder",
      children: [{ localSubnets: ["10.1.0.0/16"], remoteSubnets: ["10.2.0.0/16"], startAction: "none" }],
    });
    expect(hq.connections[0]?.remote.host).toBeUndefined();
  });

  test("a certificate of a public authority proves a gateway where its network says so; peers take that one and those that they are told of", () => {
    const reference = { fingerprint: "ab".repeat(32), intermediates: [], leaf: "MAA=" };
    const pins = [reference.fingerprint, "12".repeat(32)];
    const gateways = [
      { ...gateway(0), publicCertificate: { name: "vpn.example.org", reference, pins } },
      { ...gateway(1), host: undefined },
    ];
    const ends = (auth: "certificate" | "public-certificate") => {
      const model = fleet({ gateways });
      const networks = model.networks.map((network) => ({ ...network, auth }));
      return ["gw-hq", "gw-branch"].map((id) => compile({ ...model, networks }, id).connections[0]);
    };
    const [hq, branch] = ends("public-certificate");
    const [usual, plain] = ends("certificate");
    expect(hq?.local).toEqual({ ...usual?.local, certificates: [reference] });
    expect(hq?.peer).toEqual(usual?.peer);
    expect(branch?.local).toEqual(plain?.local);
    expect(branch?.peer).toEqual({ ...plain?.peer, fingerprints: [...pins].sort() });
    expect([usual?.local, plain?.peer].some((x) => x && ("certificates" in x || "fingerprints" in x))).toBe(false);
  });

  test("spokes reach each other through the hub, one family at a time; the reachable one may be called", () => {
    const hq = compile(three, "gw-hq");
    const selectors = hq.connections.map((c) => [
      c.name,
      c.role,
      ...c.children.map((x) => `${x.name} ${x.localSubnets} = ${x.remoteSubnets} ${x.startAction}`),
    ]);
    expect(selectors.sort()).toEqual([
      ["branch", "responder", "site 10.1.0.0/16 = 10.2.0.0/16 none", "transit 10.3.0.0/16 = 10.2.0.0/16 none"],
      ["depot", "both", "site 10.1.0.0/16 = 10.3.0.0/16 trap", "transit 10.2.0.0/16 = 10.3.0.0/16 trap"],
    ]);
    const depot = compile(three, "gw-depot").connections[0];
    expect(depot).toMatchObject({ role: "both", children: [{ startAction: "start" }, { startAction: "start" }] });
  });

  test("without transit spokes reach the hub alone", () => {
    const model = { ...three, networks: three.networks.map((n) => ({ ...n, transit: false })) };
    expect(compile(model, "gw-hq").connections.flatMap((c) => c.children.map((x) => x.name))).toEqual(["site", "site"]);
  });

  test("an external peer's key travels in the intent and never prints", () => {
    const intent = compile(fleet({ externalPeers: [PARTNER] }), "gw-hq");
    const connection = intent.connections.find((c) => c.name === "Partner");
    expect(connection).toMatchObject({
      role: "both",
      remote: { host: "198.51.100.7" },
      local: { method: "psk", keyId: "psk-partner", identity: { value: "gw-hq.acme.sallyport" } },
      peer: { method: "psk", identity: { type: "address", value: "198.51.100.7" } },
      children: [{ localSubnets: ["10.1.0.0/16"], remoteSubnets: ["172.16.5.0/24"] }],
    });
    expect(serializeIntent(intent)).toContain("correct horse");
    expect(JSON.stringify(intent)).not.toContain("correct horse");
    expect(`${connection?.local.method === "psk" && connection.local.secret}`).toBe("***");
  });

  const bad: [string, Partial<FleetModel>, string, string?][] = [
    ["a gateway of no site", { sites: [] }, "intent/unknown-reference", "gateways[gw-branch].siteId"],
    ["two sites of one id", { sites: [site(0), site(1), site(1)] }, "intent/duplicate", "sites[2].id"],
    [
      "a hub that is not there",
      { networks: [{ id: "net", name: "Net", hubs: ["gw-x"], spokes: [] }] },
      "intent/unknown-reference",
      "networks[net].hubs[0]",
    ],
    [
      "a gateway that is hub and spoke",
      { networks: [{ id: "net", name: "Net", hubs: ["gw-hq"], spokes: ["gw-hq"] }] },
      "intent/duplicate",
      "networks[net]",
    ],
    [
      "two networks that join the same two",
      {
        networks: [
          { id: "net", name: "Net", hubs: ["gw-hq"], spokes: ["gw-branch"] },
          { id: "net2", name: "Net 2", hubs: ["gw-hq"], spokes: ["gw-branch"] },
        ],
      },
      "intent/duplicate",
      "networks[net2]",
    ],
    [
      "two ends behind NATs",
      {
        gateways: [
          { ...gateway(0), host: undefined },
          { ...gateway(1), host: undefined },
        ],
      },
      "intent/unreachable",
      "networks[net]",
    ],
    [
      "an external peer without the key",
      { externalPeers: [{ ...PARTNER, auth: { method: "psk", keyId: "x" } }] },
      "intent/unknown-reference",
      "externalPeers[partner].auth.keyId",
    ],
    [
      "an external peer to call, without an address",
      { externalPeers: [{ ...PARTNER, host: undefined }] },
      "intent/unreachable",
      "externalPeers[partner].host",
    ],
    [
      "an external peer of another family",
      { externalPeers: [{ ...PARTNER, remoteSubnets: ["2001:db8::/32"] }] },
      "intent/invalid-field",
      "externalPeers[partner].remoteSubnets",
    ],
    ["a bad prefix", { sites: [site(0), site(1, "10.2.0.1/16")] }, "base/bad-prefix", "subnet"],
  ];
  test.each(bad)("refuses %s", (_, parts, code, field) => {
    expect(codeOf(() => compile(fleet(parts), "gw-hq"))).toEqual({ code, field });
  });

  test("a new branch touches itself and its hub, and with transit the other spokes", () => {
    const grown = (transit: boolean): [FleetModel, FleetModel] => [
      fleet({ networks: [{ id: "net", name: "Net", hubs: ["gw-hq"], spokes: ["gw-branch"], transit }] }),
      { ...three, networks: three.networks.map((n) => ({ ...n, transit })) },
    ];
    expect(touched(...grown(false))).toEqual(["gw-depot", "gw-hq"]);
    expect(touched(...grown(true))).toEqual(["gw-branch", "gw-depot", "gw-hq"]);
    expect(touched(three, three)).toEqual([]);
  });

  test("a new key touches the gateway that uses it", () => {
    const before = fleet({ externalPeers: [PARTNER] });
    const after = { ...before, preSharedKeys: [{ id: "psk-partner", secret: new Secret("other") }] };
    expect(touched(before, after)).toEqual(["gw-hq"]);
  });
});

/** Ids, sorted, of the gateways whose intent has become another. */
function touched(before: FleetModel, after: FleetModel): string[] {
  const old = compileAll(before);
  const same = (id: string, intent: GatewayIntent) => {
    const was = old.get(id);
    return was !== undefined && sameIntent(was, intent);
  };
  return [...compileAll(after)].flatMap(([id, intent]) => (same(id, intent) ? [] : [id])).sort();
}

describe("every compiled fleet", () => {
  test("does not depend on the order of its lists", () => {
    fc.assert(
      fc.property(fleets, fc.nat(), (model, order) => {
        const [a, b] = [compileAll(model), compileAll(shuffled(model, order))];
        for (const [id, intent] of a) expect(b.get(id)).toEqual(intent);
        expect(listTunnels(shuffled(model, order))).toEqual(listTunnels(model));
        expect(touched(model, shuffled(model, order))).toEqual([]);
      }),
    );
  });

  test("has mirrored intents at the two ends of every tunnel", () => {
    fc.assert(
      fc.property(fleets, (model) => {
        const intents = compileAll(model);
        const ends = (tunnel: string) =>
          [...intents.values()].flatMap((i) => i.connections.filter((c) => c.id === tunnel).map((c) => ({ i, c })));
        const tunnels = listTunnels(model);
        expect([...intents.values()].flatMap((i) => i.connections.map((c) => c.id)).sort()).toEqual(
          tunnels.flatMap((t) => (t.b === undefined ? [t.id] : [t.id, t.id])).sort(),
        );
        for (const tunnel of tunnels.filter((t) => t.b !== undefined)) {
          const [x, y] = ends(tunnel.id);
          if (!x || !y) throw new Error("a tunnel has two ends");
          expect(x.c.local.identity).toEqual(y.c.peer.identity);
          expect(y.c.local.identity).toEqual(x.c.peer.identity);
          expect(x.c.ikeProposals).toEqual(y.c.ikeProposals);
          expect([x.c.role, y.c.role].sort()).toEqual(
            x.c.role === "both" ? ["both", "both"] : ["initiator", "responder"],
          );
          const flip = x.c.children.map((k) => ({
            ...k,
            localSubnets: k.remoteSubnets,
            remoteSubnets: k.localSubnets,
            startAction: "",
          }));
          expect(flip).toEqual(y.c.children.map((k) => ({ ...k, startAction: "" })));
          const starts = [x, y].filter(({ c }) => c.children.every((k) => k.startAction === "start"));
          expect(starts.map(({ i }) => i.gateway.id)).toEqual([tunnel.a]);
        }
      }),
    );
  });

  test("routes no prefix of a gateway into two tunnels", () => {
    fc.assert(
      fc.property(fleets, (model) => {
        for (const intent of compileAll(model).values()) {
          const pairs = intent.connections.flatMap((c) =>
            c.children.flatMap((k) => k.localSubnets.flatMap((l) => k.remoteSubnets.map((r) => `${l} ${r}`))),
          );
          expect(new Set(pairs).size).toBe(pairs.length);
        }
        expect(findOverlaps(model)).toEqual([]);
      }),
    );
  });

  test("serialises, parses back and differs from itself in nothing", () => {
    fc.assert(
      fc.property(fleets, fc.nat(1_000_000), (model, revision) => {
        for (const model2 of compileAll(model).values()) {
          const intent = { ...model2, revision };
          const text = serializeIntent(intent);
          const back = parseIntent(text);
          expect(serializeIntent(back)).toBe(text);
          expect(back).toEqual(intent);
          expect(diffIntent(intent, { ...back, revision: revision + 1 })).toMatchObject({
            fields: [],
            connections: [],
          });
          expect(sameIntent(intent, model2)).toBe(true);
        }
      }),
    );
  });
});
