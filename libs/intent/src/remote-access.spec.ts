import { IpAddress, isFault } from "@sallyport/base";
import { OWN_CREDENTIAL } from "../testing/credential.js";
import { fleet, gateway, site } from "../testing/fleets.js";
import { compile } from "./compile.js";
import { mschapVerifier } from "./engine-auth.js";
import { toIkeConfig } from "./engine-config.js";
import type { FleetModel, RemoteAccessModel, RoadWarriorModel } from "./fleet-model.js";
import type { LocalFacts } from "./local-facts.js";
import { parseIntent } from "./parse.js";
import { givenRanges, isGiven, rangesOverlap } from "./ranges.js";
import { remoteAccessConnectionIds } from "./remote-access.js";
import { maskIntent, serializeIntent } from "./serialize.js";

const person = (name: string, more: Partial<RoadWarriorModel> = {}): RoadWarriorModel => ({
  id: name,
  username: `${name}@example.org`,
  groupIds: [],
  sessions: 1,
  addresses: [],
  ...more,
});

const SERVICE: RemoteAccessModel = {
  id: "ra",
  name: "Staff",
  gateways: [{ gatewayId: "gw-hq", share: 0 }],
  shares: 1,
  poolIds: ["four", "six"],
  methods: ["eap-mschapv2"],
  trustAnchorIds: ["root"],
  networks: ["10.1.0.0/16"],
  dns: ["10.1.0.53"],
  splitDns: ["corp.example"],
  groups: [],
  people: [],
};

function served(change: Partial<RemoteAccessModel> = {}, people = [person("ann")], more: Partial<FleetModel> = {}) {
  return fleet({
    sites: [site(0), site(1), site(2)],
    gateways: [gateway(0), { ...gateway(1), host: undefined }, gateway(2)],
    pools: [
      { id: "four", name: "Staff", addresses: ["10.9.0.0/24"], except: ["10.9.0.1-10.9.0.9"] },
      { id: "six", name: "Staff 6", addresses: ["2001:db8:9::/64"] },
    ],
    roadWarriors: people,
    remoteAccess: [{ ...SERVICE, ...change }],
    ...more,
  });
}

/** Of the gateway's intent as it arrives there. */
function arrived(model: FleetModel, id = "gw-hq") {
  const intent = parseIntent(serializeIntent(compile(model, id)));
  return { intent, people: intent.connections.filter((c) => c.modeConfig) };
}

const usersIn = (model: FleetModel, id?: string) =>
  new Map(arrived(model, id).people[0]?.modeConfig?.users?.map((u) => [u.identity.value, u]));

describe("remote access", () => {
  test("shows a certificate of a public authority under its own name, in IKE and in EAP; other connections keep the gateway's own", () => {
    const reference = { fingerprint: "ab".repeat(32), intermediates: ["MAA="], leaf: "MAA=" };
    const publicCertificate = { name: "vpn.example.org", reference, pins: [reference.fingerprint] };
    const change = { methods: ["certificate", "eap-tls"] as const };
    const before = compile(served(change), "gw-hq");
    const model = served(change, undefined, {
      gateways: [{ ...gateway(0), publicCertificate }, { ...gateway(1), host: undefined }, gateway(2)],
    });
    const intent = compile(model, "gw-hq");
    const local = {
      method: "certificate",
      identity: { type: "fqdn", value: "vpn.example.org" },
      certificates: [reference],
    };
    const [services, others] = [true, false].map((is) =>
      intent.connections.filter((c) => (c.modeConfig !== undefined) === is),
    );
    expect(services?.map((c) => c.local)).toEqual([local, local]);
    expect(others).toEqual(before.connections.filter((c) => c.modeConfig === undefined));
    expect(parseIntent(serializeIntent(intent))).toEqual(intent);

    const shown = { ...OWN_CREDENTIAL, key: "public", chain: [Uint8Array.of(2)] };
    const facts: LocalFacts = {
      credential: (named) => (named?.leaf === undefined ? OWN_CREDENTIAL : shown),
      resolved: new Map(),
      localAddress: () => IpAddress.parse("198.51.100.1"),
      ownAddresses: [],
      ownNetworks: [],
      forcesEncapsulation: false,
    };
    const config = toIkeConfig(intent, facts).config.peers.find((p) => p.remoteAuth[0].method === "eap");
    expect(config?.localAuth[0]).toMatchObject({ credentials: [shown] });
    expect(config?.remoteAuth[0]).toMatchObject({ eap: { tls: { key: "public", chain: shown.chain } } });
  });

  test("is a connection for people with passwords, whose hashes travel along and never print", () => {
    const verifier = mschapVerifier("correct horse");
    const { intent, people } = arrived(served({}, [person("ann", { verifier }), person("bob")]));
    expect(people).toHaveLength(1);
    expect(people[0]).toMatchObject({
      role: "responder",
      name: "Staff (EAP)",
      local: { method: "certificate", identity: { value: "gw-hq.acme.sallyport" } },
      peer: { method: "eap", methods: ["mschapv2"], userSetId: "people-ra", identity: { type: "any" } },
      uniqueness: "keep",
      modeConfig: {
        poolIds: ["four", "six"],
        dns: ["10.1.0.53"],
        splitDns: ["corp.example"],
        splitInclude: ["10.1.0.0/16"],
        onlyUsers: true,
        users: [
          { identity: { type: "email", value: "ann@example.org" }, sessions: 1 },
          { identity: { type: "email", value: "bob@example.org" }, sessions: 1 },
        ],
      },
      children: [{ localSubnets: ["10.1.0.0/16"], remoteSubnets: [], startAction: "none" }],
    });
    expect(intent.eapUsers).toEqual([
      { id: "people-ra", users: [{ name: "ann@example.org", secret: verifier, verifier: "nt-hash" }] },
    ]);
    expect(maskIntent(intent)).not.toContain(verifier.reveal());
    expect(intent.pools?.map((p) => p.addresses)).toEqual([["10.9.0.0/24"], ["2001:db8:9::/64"]]);
  });

  test("has a connection of its own for certificates of IKE, and trusts what it says", () => {
    const { intent, people } = arrived(served({ methods: ["certificate", "eap-tls", "eap-mschapv2"] }));
    expect(people.map((c) => c.peer).sort((a, b) => (a.method < b.method ? -1 : 1))).toEqual([
      { method: "certificate", identity: { type: "any" }, trustAnchorIds: ["root"] },
      {
        ...{ method: "eap", identity: { type: "any" }, methods: ["tls", "mschapv2"] },
        ...{ userSetId: "people-ra", trustAnchorIds: ["root"] },
      },
    ]);
    expect(intent.trustAnchors.map((t) => t.id)).toEqual(["root"]);
    expect(arrived(served({ methods: ["eap-tls"] })).intent.eapUsers).toBeUndefined();
  });

  test("by both is a connection of two rounds, in which EAP has to prove the certificate's name", () => {
    const verifier = mschapVerifier("correct horse");
    const model = served({ methods: ["certificate-and-eap-mschapv2"] }, [person("ann", { verifier })]);
    const { intent, people } = arrived(model);
    expect(people.map(({ name, peer, peerRounds }) => ({ name, peer, peerRounds }))).toEqual([
      {
        name: "Staff (certificate and EAP)",
        peer: { method: "certificate", identity: { type: "any" }, trustAnchorIds: ["root"] },
        peerRounds: [
          {
            ...{ method: "eap", identity: { type: "any" }, methods: ["mschapv2"] },
            ...{ userSetId: "people-ra", samePerson: true },
          },
        ],
      },
    ]);
    expect(intent.eapUsers?.[0]?.users.map((u) => u.name)).toEqual(["ann@example.org"]);
    const all = ["certificate", "eap-tls", "eap-mschapv2", "certificate-and-eap-mschapv2"] as const;
    const every = arrived(served({ methods: all })).people;
    expect(new Set(every.map((c) => c.id)).size).toBe(3);
    expect(every.map((c) => c.id)).toEqual(remoteAccessConnectionIds("ra"));
    // Of one person the sessions of all of them count together.
    expect(new Set(every.map((c) => c.modeConfig?.peopleId))).toEqual(new Set(["people-ra"]));
  });

  test("is for the service's groups, each of which reaches what it says, and a person what is said of him", () => {
    const users = usersIn(
      served(
        {
          networks: ["10.1.0.0/16"],
          groups: [
            { groupId: "staff" },
            { groupId: "guests", networks: ["10.1.7.0/24"], dns: ["10.1.7.53"], splitDns: ["guests.example"] },
            { groupId: "admins", networks: ["10.2.0.0/16"], dns: ["10.1.8.53"] },
          ],
          people: [{ personId: "boss", networks: ["10.1.9.0/24"], dns: [] }],
        },
        [
          person("ann", { groupIds: ["staff"], sessions: 3 }),
          person("guest", { groupIds: ["guests"] }),
          person("both", { groupIds: ["admins", "guests"] }),
          person("boss", { groupIds: ["admins"] }),
          person("stranger", { groupIds: ["others"] }),
        ],
      ),
    );
    expect([...users.keys()]).toEqual(["ann", "boss", "both", "guest"].map((n) => `${n}@example.org`));
    expect(users.get("ann@example.org")).toMatchObject({ sessions: 3, reach: ["10.1.0.0/16"] });
    expect(users.get("guest@example.org")).toMatchObject({
      ...{ reach: ["10.1.7.0/24"], splitInclude: ["10.1.7.0/24"], dns: ["10.1.7.53"], splitDns: ["guests.example"] },
    });
    expect(users.get("both@example.org")).toMatchObject({
      ...{ reach: ["10.1.7.0/24", "10.2.0.0/16"], dns: ["10.1.7.53"], splitDns: ["guests.example"] },
    });
    expect(users.get("boss@example.org")).toMatchObject({ reach: ["10.1.9.0/24"], dns: [] });
  });

  test("gives a group, and before it a person, addresses of pools of its own, and believes other roots, strictly", () => {
    const people = ["ann", "bob", "cid"].map((name) => person(name, { groupIds: name === "cid" ? [] : ["guests"] }));
    const change: Partial<RemoteAccessModel> = {
      methods: ["certificate"],
      trustAnchorIds: ["people"],
      groups: [{ groupId: "guests", poolIds: ["six"] }, { groupId: "staff" }],
      people: [{ personId: "bob", poolIds: ["six", "four"] }],
    };
    const anchors = fleet({}).trustAnchors;
    const own = { id: "people", name: "People", der: anchors[0]?.der ?? "", revocation: "strict" } as const;
    const model = served(change, people, { trustAnchors: [...anchors, own] });
    const users = usersIn(model);
    expect(users?.get("ann@example.org")?.poolIds).toEqual(["six"]);
    expect(users?.get("bob@example.org")?.poolIds).toEqual(["six", "four"]);
    const { intent } = arrived(model);
    expect(intent.trustAnchors.find((t) => t.id === "people")).toMatchObject({ revocation: "strict" });
    const refused = served({ groups: [{ groupId: "guests", poolIds: ["elsewhere"] }] });
    expect(() => compile(refused, "gw-hq")).toThrow(expect.objectContaining({ code: "intent/unknown-reference" }));
  });

  test("cuts pools into shares that never meet; a person's own address is at the gateway whose share it lies in", () => {
    const gateways = [
      { gatewayId: "gw-hq", share: 0 },
      { gatewayId: "gw-depot", share: 3 },
    ];
    const people = [person("ann", { addresses: ["10.9.0.250", "2001:db8:9::5"] })];
    const model = served({ gateways, shares: 4 }, people);
    const [hq, depot] = [arrived(model).intent, arrived(model, "gw-depot").intent];
    const ranges = [hq, depot].map((i) => (i.pools ?? []).flatMap((p) => givenRanges(p)));
    for (const a of ranges[0] ?? []) for (const b of ranges[1] ?? []) expect(rangesOverlap(a, b)).toBe(false);
    expect(isGiven(ranges[1] ?? [], IpAddress.parse("10.9.0.250"))).toBe(true);
    expect(usersIn(model).get("ann@example.org")?.addresses).toEqual(["2001:db8:9::5"]);
    expect(usersIn(model, "gw-depot").get("ann@example.org")?.addresses).toEqual(["10.9.0.250"]);
    // Another gateway takes nothing from those that are there, which may be out of reach.
    const third = { gatewayId: "gw-branch", share: 1 };
    const reachable = { gateways: [gateway(0), gateway(1), gateway(2)] };
    const grown = served({ gateways: [...gateways, third], shares: 4 }, people, reachable);
    expect(arrived(grown).intent.pools).toEqual(hq.pools);
    expect(arrived(model, "gw-branch").people).toEqual([]);
  });

  test("is what the engine takes", () => {
    const model = served({ groups: [{ groupId: "guests", networks: ["10.1.7.0/24"] }] }, [
      person("ann", { groupIds: ["guests"], sessions: 2, addresses: ["10.9.0.77"] }),
    ]);
    const facts: LocalFacts = {
      credential: () => OWN_CREDENTIAL,
      resolved: new Map(),
      localAddress: () => IpAddress.parse("203.0.113.1"),
      ownAddresses: [IpAddress.parse("203.0.113.1")],
      ownNetworks: [],
      forcesEncapsulation: false,
    };
    const { config } = toIkeConfig(arrived(model).intent, facts);
    const peer = config.peers.find((p) => p.modeConfig);
    expect(peer?.modeConfig).toMatchObject({ onlyUsers: true, users: [{ sas: 2, reach: [{ protocol: 0 }] }] });
  });

  const bad: [string, Partial<RemoteAccessModel>, string, string, string?][] = [
    ["a pool that is not there", { poolIds: ["x"] }, "intent/unknown-reference", "remoteAccess[ra].poolIds[0]"],
    [
      "a gateway that nobody can call",
      { gateways: [{ gatewayId: "gw-branch", share: 0 }] },
      "intent/unreachable",
      "remoteAccess[ra].gateways",
      "gw-branch",
    ],
    [
      "a share of which nothing is left",
      { shares: 64, gateways: [{ gatewayId: "gw-hq", share: 0 }] },
      "intent/invalid-field",
      "remoteAccess[ra].poolIds[0]",
    ],
    ["nothing to reach", { networks: [] }, "intent/invalid-field", "remoteAccess[ra].networks"],
    [
      "an authority that is not there",
      { methods: ["eap-tls"], trustAnchorIds: ["x"] },
      "intent/unknown-reference",
      "trustAnchors",
    ],
  ];
  test.each(bad)("is refused for %s", (_, change, code, field, id = "gw-hq") => {
    let error: unknown;
    try {
      compile(served(change), id);
    } catch (thrown) {
      error = thrown;
    }
    expect(isFault(error) && { code: error.code, field: error.field }).toEqual({ code, field });
  });
});
