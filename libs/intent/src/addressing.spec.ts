import { IpAddress, Prefix } from "@sallyport/base";
import { OWN_CREDENTIAL } from "../testing/credential.js";
import { fleet } from "../testing/fleets.js";
import { compile } from "./compile.js";
import { diffIntent } from "./diff.js";
import { toIkeConfig } from "./engine-config.js";
import type { LocalFacts } from "./local-facts.js";
import type { AddressRequestIntent, ConnectionIntent, GatewayIntent, ModeConfigIntent, PoolIntent } from "./model.js";
import { parseIntent } from "./parse.js";
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
const POOLS: PoolIntent[] = [
  { id: "four", name: "four", addresses: ["10.9.0.0/24"], except: ["10.9.0.10-10.9.0.19", "10.9.0.200"] },
  { id: "six", name: "six", addresses: ["2001:db8:9::/64"] },
];
const ANN = { identity: { type: "email", value: "ann@example.org" }, addresses: ["10.9.0.7"] } as const;
const SERVES: ModeConfigIntent = {
  poolIds: ["four", "six"],
  dns: ["10.1.0.53"],
  splitDns: ["corp.example"],
  splitInclude: ["10.1.0.0/16"],
  users: [ANN],
};

function intent(change: Partial<ConnectionIntent>, pools: readonly PoolIntent[] = POOLS): GatewayIntent {
  const base = compile(fleet(), "gw-hq");
  const connection = base.connections[0] as ConnectionIntent;
  return { ...base, pools, connections: [{ ...connection, modeConfig: SERVES, ...change }] };
}
const CALLED = { host: "198.51.100.9", ports: { ike: 500, natt: 4500 } };
const parsed = (value: GatewayIntent) => parseIntent(serializeIntent(value));
const serving = (change: Partial<ModeConfigIntent>) => intent({ modeConfig: { ...SERVES, ...change } });
const asking = (request: AddressRequestIntent, more: Partial<ConnectionIntent> = {}) =>
  intent({ modeConfig: undefined, addressRequest: request, role: "both", remote: CALLED, ...more });
const text = (ranges: readonly { first: IpAddress; last: IpAddress }[] = []) =>
  ranges.map((r) => `${r.first}-${r.last}`);

describe("addresses for callers", () => {
  test("are those of the pools but for the excepted, the gateway's own, and the ends of prefixes", () => {
    const { config } = toIkeConfig(parsed(intent({})), {
      ...facts,
      ownAddresses: [HERE, IpAddress.parse("10.9.0.1")],
    });
    expect(text(config.pools?.[0]?.ranges)).toEqual([
      "10.9.0.2-10.9.0.9",
      "10.9.0.20-10.9.0.199",
      "10.9.0.201-10.9.0.254",
    ]);
    expect(text(config.pools?.[1]?.ranges)).toEqual(["2001:db8:9::1-2001:db8:9:0:ffff:ffff:ffff:ffff"]);
    expect(config.peers[0]?.modeConfig).toMatchObject({
      pools: ["four", "six"],
      required: true,
      domains: ["corp.example"],
    });
    expect(config.peers[0]?.modeConfig?.users[0]?.addresses?.map(String)).toEqual(["10.9.0.7"]);
  });

  test("may not lie in a network of the gateway", () => {
    const { config, missing } = toIkeConfig(parsed(intent({})), {
      ...facts,
      ownNetworks: [Prefix.parse("10.8.0.0/14")],
    });
    expect([...missing.values()][0]).toMatchObject({
      code: "intent/missing-fact",
      field: "connections[0].modeConfig.poolIds",
      message: expect.stringContaining("pool four lie in 10.8.0.0/14"),
    });
    expect(config.peers).toHaveLength(1);
  });

  test("may be for anybody who proves to be somebody", () => {
    const anybody = intent({});
    const [connection] = anybody.connections as [ConnectionIntent];
    const peer = { ...connection.peer, identity: { type: "any" } } as ConnectionIntent["peer"];
    const { config } = toIkeConfig(parsed({ ...anybody, connections: [{ ...connection, peer }] }), facts);
    expect(config.peers[0]?.remoteAuth[0].identity).toEqual({ match: "any" });
  });

  test("may be asked for", () => {
    const { config } = toIkeConfig(parsed(asking({ families: ["ipv4", "ipv6"], hides: ["10.1.0.0/16"] })), facts);
    expect(config.peers[0]?.request).toMatchObject({
      families: [4, 6],
      dns: true,
      hides: [Prefix.parse("10.1.0.0/16")],
    });
  });

  test("a change of pools and users is told and touches nothing, one of the request negotiates anew", () => {
    const users = [{ identity: { type: "email", value: "bob@example.org" } as const }];
    const diff = diffIntent(intent({}), { ...serving({ users }), pools: POOLS.slice(1) });
    expect(diff.fields.map((f) => f.field)).toEqual(expect.arrayContaining(["pools.four.addresses"]));
    expect(diff.connections).toMatchObject([{ fields: [{ field: "modeConfig.users" }], impact: "untouched" }]);
    const asked = diffIntent(asking({ families: ["ipv4"] }), asking({ families: ["ipv6"] }));
    expect(asked.connections).toMatchObject([{ impact: "re-established" }]);
  });

  const trap = (c: ConnectionIntent) =>
    c.children.map((x) => ({ ...x, localSubnets: [], startAction: "trap" as const }));
  test.each<[string, GatewayIntent]>([
    ["connections[0].modeConfig.poolIds[0]", serving({ poolIds: ["none"] })],
    ["connections[0].modeConfig.users[0].poolIds[0]", serving({ users: [{ ...ANN, poolIds: ["x"] }] })],
    ["connections[0].modeConfig.users[1].identity", serving({ users: [ANN, ANN] })],
    ["connections[0].modeConfig.splitDns[0]", serving({ splitDns: ["not a name"] })],
    ["connections[0].modeConfig.addressPrefixLength", serving({ addressPrefixLength: 33 })],
    ["connections[0].addressRequest", intent({ addressRequest: { families: ["ipv4"] } })],
    ["connections[0].addressRequest", asking({ families: ["ipv4"] }, { role: "responder" })],
    [
      "connections[0].children[0].startAction",
      asking({ families: ["ipv4"] }, { children: trap(intent({}).connections[0] as ConnectionIntent) }),
    ],
    ["pools[0].addresses[1]", intent({}, [{ id: "four", name: "x", addresses: ["10.9.0.0/24", "10.9.0.9-10.9.1.9"] }])],
    ["pools[0].addresses[1]", intent({}, [{ id: "four", name: "x", addresses: ["10.9.0.0/24", "2001:db8::/64"] }])],
    ["pools[0].addresses[0]", intent({}, [{ id: "four", name: "x", addresses: ["10.9.0.9-10.9.0.1"] }])],
    [
      "pools[1].addresses[0]",
      intent({}, [...POOLS.slice(0, 1), { id: "six", name: "x", addresses: ["10.9.0.64/26"] }]),
    ],
  ])("refuses %s", (field, value) => {
    expect(() => parsed(value)).toThrow(expect.objectContaining({ code: "intent/invalid-field", field }));
  });
});
