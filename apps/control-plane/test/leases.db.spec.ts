import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { remoteAccessConnectionIds } from "@sallyport/intent";
import { LeaseStore } from "../src/features/leases/lease.store.js";
import { type IkeSaReport, TunnelStateService } from "../src/features/tunnels/tunnel-state.service.js";
import { Database } from "../src/platform/database/database.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { CREATE_SITE, describeFleet, type Fleet, type MadeSite } from "./fleet.js";
import { ASSIGN, person, pool } from "./people.js";
import { childReport, downReport, ikeReport, tell, upReport } from "./reports.js";

const CREATE = "mutation ($input: CreateRemoteAccessInput!) { createRemoteAccess(input: $input) { id } }";
const WITHDRAW =
  "mutation ($id: ID!, $gatewayId: ID!) { withdrawRemoteAccessGateway(id: $id, gatewayId: $gatewayId) { id } }";
const LEASES = `query ($filter: LeaseFilterInput, $first: Int, $after: String) { leases(filter: $filter, first: $first, after: $after) {
  edges { node { id address identity outerEndpoint beganAt endedAt static gateway { id } pool { name } roadWarrior { username }
    ikeSa { initiatorSpi user remoteVirtual localVirtual } } } pageInfo { hasNextPage endCursor } } }`;
const POOLS =
  "{ addressPools { edges { node { name size leased free staticLeases { edges { node { address current { identity } } } } } } } }";

interface ShownLease {
  readonly id: string;
  readonly address: string;
  readonly identity: string;
  readonly endedAt: string | null;
  readonly gateway: { readonly id: string };
}
interface Page {
  readonly leases: {
    readonly edges: readonly { readonly node: ShownLease }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
  };
}

let cp: TestControlPlane;
let fleet: Fleet;
let second: MadeSite;
let ids: { service: string; pool: string; ann: string; bob: string };
let key: string;

beforeAll(async () => {
  cp = await startControlPlane();
  fleet = await describeFleet(cp);
  const site = { name: "Second", subnets: ["10.3.0.0/16"], gateway: { host: "198.51.100.2" } };
  ({ createSite: second } = await cp.get<{ createSite: MadeSite }>(CREATE_SITE, { input: site }));
  const made = {
    pool: await pool(cp, "Staff", ["10.9.0.0/24"], ["10.9.0.1-10.9.0.9"]),
    ann: await person(cp, "ann@example.org"),
    bob: await person(cp, "bob@example.org"),
  };
  await cp.get(ASSIGN, { input: { poolId: made.pool, roadWarriorId: made.ann, address: "10.9.0.20" } });
  await cp.get(ASSIGN, { input: { poolId: made.pool, roadWarriorId: made.bob, address: "10.9.0.30" } });
  const { createRemoteAccess } = await cp.get<{ createRemoteAccess: { id: string } }>(CREATE, {
    input: {
      ...{ name: "Staff", gatewayIds: [fleet.hub.gateway.id, second.gateway.id], shares: 2, poolIds: [made.pool] },
      ...{ methods: ["EAP_MSCHAPV2"], networks: ["10.1.0.0/16"], people: [{ roadWarriorId: made.ann }] },
    },
  });
  ids = { service: createRemoteAccess.id, ...made };
  key = remoteAccessConnectionIds(ids.service)[1] ?? "";
});
afterAll(() => cp?.close());

const sa = (n: number, user: string, addresses: readonly string[], change: Partial<IkeSaReport> = {}) =>
  ikeReport([childReport(`c${n.toString(16).padStart(7, "0")}`)], {
    ...{ initiatorSpi: n.toString(16).padStart(16, "0"), user, remoteVirtual: addresses, remoteIdentity: "10.0.0.5" },
    ...{ remoteEndpoint: `203.0.113.${n}:4500`, ...change },
  });

/** All IKE SAs that a gateway has of remote access. */
const has = (site: Pick<MadeSite, "gateway">, ...ikeSas: IkeSaReport[]) =>
  tell(cp, site.gateway.id, [{ tunnel: { key, status: "up", changedAt: new Date(), lastError: undefined }, ikeSas }]);

const leases = async (filter: object = {}) =>
  (await cp.get<Page>(LEASES, { filter })).leases.edges.map((edge) => edge.node);
const short = async (filter: object = {}) =>
  (await leases(filter)).map((l) => `${l.address} ${l.identity}${l.endedAt === null ? "" : " ended"}`).sort();

describe("leases", () => {
  test("begin with the IKE SA, and say who holds what, from where and since when", async () => {
    await has(fleet.hub, sa(1, "Ann@example.org", ["10.9.0.20"]), sa(2, "guest", ["10.9.0.40", "2001:db8::7"]));
    expect((await leases({ address: "10.9.0.20" }))[0]).toEqual({
      ...{
        id: expect.any(String),
        address: "10.9.0.20",
        identity: "Ann@example.org",
        outerEndpoint: "203.0.113.1:4500",
      },
      ...{ beganAt: "2026-01-01T10:00:00.000Z", endedAt: null, static: true, gateway: { id: fleet.hub.gateway.id } },
      ...{ pool: { name: "Staff" }, roadWarrior: { username: "ann@example.org" } },
      ikeSa: {
        ...{
          initiatorSpi: "0000000000000001",
          user: "Ann@example.org",
          remoteVirtual: ["10.9.0.20"],
          localVirtual: [],
        },
      },
    });
    expect((await leases({ address: "2001:0db8::7" }))[0]).toMatchObject({
      ...{ identity: "guest", static: false, pool: null, roadWarrior: null },
    });
    const { addressPools } = await cp.get<{ addressPools: { edges: { node: unknown }[] } }>(POOLS);
    const staticLeases = {
      edges: [
        { node: { address: "10.9.0.20", current: { identity: "Ann@example.org" } } },
        { node: { address: "10.9.0.30", current: null } },
      ],
    };
    // 254 less nine: two are held, and one is Bob's own.
    expect(addressPools.edges[0]?.node).toEqual({ name: "Staff", size: "245", leased: 2, free: "242", staticLeases });
  });

  test("go on while any IKE SA of a rekey lives, and end with the last", async () => {
    const [before] = await leases({ address: "10.9.0.20" });
    const moved = sa(3, "Ann@example.org", ["10.9.0.20"], { establishedAt: new Date() });
    await has(fleet.hub, sa(1, "Ann@example.org", ["10.9.0.20"]), moved);
    expect((await leases({ address: "10.9.0.20" }))[0]).toMatchObject({
      ...{ id: before?.id, beganAt: "2026-01-01T10:00:00.000Z", ikeSa: { initiatorSpi: "0000000000000003" } },
      outerEndpoint: "203.0.113.3:4500",
    });
    // Of two rekeys at once, the other one won.
    await has(fleet.hub, sa(1, "Ann@example.org", ["10.9.0.20"]));
    expect(await leases({ address: "10.9.0.20" })).toMatchObject([{ id: before?.id, endedAt: null }]);
    await has(fleet.hub);
    expect(await leases({ address: "10.9.0.20" })).toMatchObject([
      { id: before?.id, endedAt: expect.any(String), ikeSa: null },
    ]);
    await has(fleet.hub, sa(4, "Ann@example.org", ["10.9.0.20"]));
    expect(await short({ address: "10.9.0.20" })).toEqual([
      "10.9.0.20 Ann@example.org",
      "10.9.0.20 Ann@example.org ended",
    ]);
  });

  test("of an IKE SA that got another address, or whose holder turned out to be somebody else, end", async () => {
    await has(fleet.hub, sa(5, "x", ["10.9.0.50"]));
    await has(fleet.hub, sa(5, "x", ["10.9.0.51"]));
    await has(fleet.hub, sa(5, "y", ["10.9.0.51"]));
    expect(await short({ active: true })).toEqual(["10.9.0.51 y"]);
  });

  test("at two gateways with one address are an event, and both are shown", async () => {
    await has(fleet.hub, sa(6, "ann@example.org", ["10.9.0.20"]));
    await has(second, sa(7, "bob@example.org", ["10.9.0.20"]), sa(8, "carl", ["10.9.0.60"]));
    await has(second, sa(7, "bob@example.org", ["10.9.0.20"]), sa(8, "carl", ["10.9.0.60"]));
    const events = await query(
      cp.connection,
      "SELECT message, gateway_id, severity FROM events WHERE kind = 'lease/clash'",
    );
    expect(events).toEqual([
      {
        message: `10.9.0.20 is held by two at once: bob@example.org at ${second.gateway.name} and ann@example.org at ${fleet.hub.gateway.name}`,
        gateway_id: second.gateway.id,
        severity: "ERROR",
      },
    ]);
    expect(await short({ address: "10.9.0.20", active: true })).toEqual([
      "10.9.0.20 ann@example.org",
      "10.9.0.20 bob@example.org",
    ]);
    expect(await short({ gatewayId: second.gateway.id })).toEqual(["10.9.0.20 bob@example.org", "10.9.0.60 carl"]);
    expect(await short({ roadWarriorId: ids.bob })).toEqual(["10.9.0.20 bob@example.org"]);
    expect((await short({ poolId: ids.pool, active: true })).length).toBe(3);
  });

  test("come in pages, newest first, and what is asked wrongly is refused", async () => {
    const all = await leases();
    const seen: ShownLease[] = [];
    for (let after: string | undefined; ; ) {
      const { leases: page } = await cp.get<Page>(LEASES, { first: 2, after });
      seen.push(...page.edges.map((edge) => edge.node));
      after = page.pageInfo.endCursor;
      if (!page.pageInfo.hasNextPage) break;
    }
    expect(seen).toEqual(all);
    for (const [filter, code, field] of [
      [{ poolId: "x" }, "api/bad-input", "filter.poolId"],
      [{ address: "10.9.0" }, "base/bad-address", "filter.address"],
    ] as const) {
      const { errors } = await cp.send(LEASES, { filter });
      expect(errors?.[0]?.extensions).toMatchObject({ code, field });
    }
  });

  test("are for those who may read leases, of their own organization", async () => {
    const token = async (permissions: string[]) => {
      const source = "mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { token } }";
      const input = { name: permissions.join(), permissions };
      return (await cp.get<{ createApiToken: { token: string } }>(source, { input })).createApiToken.token;
    };
    const refused = await cp.send(LEASES, {}, await token(["fleet:read"]));
    expect(refused.errors?.[0]?.extensions).toMatchObject({ code: "api/forbidden" });
    expect((await cp.send(LEASES, {}, await token(["lease:read", "fleet:read"]))).errors).toBeUndefined();
    const other = "01920000-0000-7000-8000-00000000beef";
    await query(cp.connection, "INSERT INTO organizations (id, name, slug) VALUES ($1, 'Other', 'other')", [other]);
    await query(cp.connection, "UPDATE leases SET organization_id = $1 WHERE identity = 'carl'", [other]);
    expect((await short()).filter((text) => text.includes("carl"))).toEqual([]);
    await query(cp.connection, "DELETE FROM leases WHERE organization_id = $1", [other]);
  });

  test("are of remote access, which is no tunnel: its IKE SAs are counted, and nothing is down while nobody calls", async () => {
    const before = await cp.get("{ fleetHealth { tunnels tunnelsUp tunnelsDown tunnelsStale } }");
    const counter = {
      key,
      inboundSpi: "c0000009",
      bytesIn: 5n,
      bytesOut: 7n,
      packetsIn: 1n,
      packetsOut: 2n,
      errorsIn: 0n,
    };
    await has(second, sa(9, "dora", ["10.9.0.70"]));
    const states = cp.application.nest.get(TunnelStateService, { strict: false });
    await states.counters(second.gateway.id, new Date(), [{ ...counter, lastPacketInAt: undefined }]);
    const found = await query(cp.connection, "SELECT bytes_in::int AS n FROM child_sas WHERE inbound_spi = 'c0000009'");
    expect(found).toEqual([{ n: 5 }]);
    await tell(cp, second.gateway.id, [downReport(key)]);
    expect(await cp.get("{ fleetHealth { tunnels tunnelsUp tunnelsDown tunnelsStale } }")).toEqual(before);
    expect(await short({ gatewayId: second.gateway.id, active: true })).toEqual([]);
  });

  test("end when the gateway has no such connection any more, and when its tunnel is deleted", async () => {
    await has(fleet.hub, sa(10, "emil", ["10.9.0.80"]));
    await cp.get(WITHDRAW, { id: ids.service, gatewayId: fleet.hub.gateway.id });
    await tell(cp, fleet.hub.gateway.id, [], { complete: true });
    expect(await short({ active: true })).toEqual([]);
    const tunnel = String((await query(cp.connection, "SELECT key FROM tunnels LIMIT 1"))[0]?.key);
    const [up] = [upReport(tunnel, "c00000aa")];
    await tell(cp, fleet.hub.gateway.id, [{ ...up, ikeSas: [sa(11, "fritz", ["10.9.0.90"])] }]);
    expect(await short({ active: true })).toEqual(["10.9.0.90 fritz"]);
    await query(cp.connection, "DELETE FROM tunnels WHERE key = $1", [tunnel]);
    expect(await short({ active: true })).toEqual([]);
  });

  test("that ended make room for new ones where a gateway has too many, the oldest first", async () => {
    const before = await leases({ gatewayId: fleet.hub.gateway.id });
    const organizationId = String(
      (await query(cp.connection, "SELECT organization_id AS id FROM leases LIMIT 1"))[0]?.id,
    );
    const get = <T>(type: abstract new (...args: never[]) => T): T =>
      cp.application.nest.get<T>(type as never, { strict: false });
    await get(Database).transaction((tx) =>
      get(LeaseStore).forgetOldest(tx, organizationId, fleet.hub.gateway.id, before.length - 2),
    );
    expect(await leases({ gatewayId: fleet.hub.gateway.id })).toEqual(before.slice(0, 2));
  });
});
