import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { TunnelStateService } from "../src/features/tunnels/tunnel-state.service.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { describeFleet, type Fleet } from "./fleet.js";
import { downReport, tell, upReport } from "./reports.js";

let cp: TestControlPlane;
let fleet: Fleet;
let key: string;
let states: TunnelStateService;

beforeAll(async () => {
  cp = await startControlPlane();
  states = cp.application.nest.get(TunnelStateService, { strict: false });
  fleet = await describeFleet(cp);
  key = String((await query(cp.connection, "SELECT key FROM tunnels"))[0]?.key);
});
afterAll(() => cp?.close());

const health = async () =>
  (await cp.get<{ fleetHealth: object }>("{ fleetHealth { tunnels tunnelsUp tunnelsPending tunnelsStale } }"))
    .fleetHealth;
const connected = (id: string, since: string, until: string | null) =>
  query(
    cp.connection,
    "UPDATE gateways SET connected_at = now() - $2::interval, disconnected_at = now() - $3::interval WHERE id = $1",
    [id, since, until],
  );

test("a tunnel whose agents are all gone is told apart from one that is known to be up", async () => {
  const { hub, branch } = fleet;
  expect(await health()).toEqual({ tunnels: 1, tunnelsUp: 0, tunnelsPending: 1, tunnelsStale: 0 });
  for (const [i, { gateway }] of [hub, branch].entries()) {
    await connected(gateway.id, "1 hour", null);
    await tell(cp, gateway.id, [upReport(key, `a000000${i}`)], { complete: true });
  }
  const up = { tunnels: 1, tunnelsUp: 1, tunnelsPending: 0 };
  expect(await health()).toEqual({ ...up, tunnelsStale: 0 });
  await connected(hub.gateway.id, "1 hour", "1 second");
  await connected(branch.gateway.id, "1 hour", "1 second");
  expect(await health()).toEqual({ ...up, tunnelsStale: 0 });
  await query(cp.connection, "UPDATE tunnel_ends SET reported_at = now() - interval '46 seconds'");
  expect(await health()).toEqual({ ...up, tunnelsStale: 1 });
  await connected(branch.gateway.id, "1 second", "1 hour");
  expect(await health()).toEqual({ ...up, tunnelsStale: 0 });
});

test("a gateway's counters stay in its organization", async () => {
  const { id } = fleet.hub.gateway;
  const counter = {
    key,
    inboundSpi: "a0000000",
    bytesIn: 7n,
    bytesOut: 7n,
    packetsIn: 1n,
    packetsOut: 1n,
    errorsIn: 0n,
    lastPacketInAt: undefined,
  };
  const counted = async () =>
    (await query(cp.connection, "SELECT bytes_in::int AS n FROM child_sas WHERE inbound_spi = 'a0000000'"))[0]?.n;
  const other = "01920000-0000-7000-8000-00000000beef";
  await query(cp.connection, "INSERT INTO organizations (id, name, slug) VALUES ($1, 'Other', 'other')", [other]);
  const move = (to: string) => query(cp.connection, "UPDATE child_sas SET organization_id = $1", [to]);
  const own = String((await query(cp.connection, "SELECT organization_id AS id FROM gateways LIMIT 1"))[0]?.id);
  await move(other);
  await states.counters(id, new Date(), [counter]);
  expect(await counted()).toBe(0);
  await move(own);
  await states.counters(id, new Date(), [counter]);
  expect(await counted()).toBe(7);
});

interface Health {
  readonly reasons: object[];
  readonly flapping: object[];
  readonly gatewaysOffline: object[];
  readonly certificatesExpiring: number;
  readonly poolsNearlyFull: object[];
  readonly bytesIn: string;
}
const PROBLEMS = `{ fleetHealth { bytesIn reasons { code tunnels } flapping(first: 5) { tunnel { key } drops } gatewaysOffline { id }
  certificatesExpiring(days: 10) poolsNearlyFull { pool { name } held share } } }`;
const problems = async () => (await cp.get<{ fleetHealth: Health }>(PROBLEMS)).fleetHealth;

test("what is wrong is named: reasons, tunnels that flap, gateways that are away, certificates that end, pools that are full", async () => {
  const { hub, branch } = fleet;
  const [own] = await query(cp.connection, "SELECT organization_id AS id FROM gateways LIMIT 1");
  await query(cp.connection, "UPDATE gateways SET connected_at = NULL, disconnected_at = NULL");
  expect(await problems()).toMatchObject({
    reasons: [],
    flapping: [],
    gatewaysOffline: [],
    poolsNearlyFull: [],
    bytesIn: "7",
  });

  await tell(cp, hub.gateway.id, [downReport(key)]);
  await tell(cp, branch.gateway.id, [downReport(key)]);
  for (let i = 0; i < 2; i++) {
    await tell(cp, branch.gateway.id, [upReport(key, "a0000001")]);
    await tell(cp, branch.gateway.id, [downReport(key)]);
  }
  await query(cp.connection, "UPDATE gateways SET state = 'ENROLLED'");
  await connected(hub.gateway.id, "1 hour", "1 minute");
  await connected(branch.gateway.id, "1 hour", null);
  const { createAddressPool: pool } = await cp.get<{ createAddressPool: { id: string } }>(
    `mutation { createAddressPool(input: { name: "People", addresses: ["10.9.0.1-10.9.0.10"] }) { id } }`,
  );
  const lease = (n: number) =>
    query(
      cp.connection,
      `INSERT INTO leases (id, organization_id, gateway_id, pool_id, address, identity, outer_endpoint, began_at)
       VALUES (gen_random_uuid(), $1, $2, $3, ('10.9.0.' || $4::text)::inet, 'somebody', '', now())`,
      [own?.id, hub.gateway.id, pool.id, n],
    );
  for (let n = 1; n <= 8; n++) await lease(n);
  expect((await problems()).poolsNearlyFull).toEqual([]);
  await lease(9);
  expect(await problems()).toMatchObject({
    reasons: [{ code: "ike/no-proposal-chosen", tunnels: 1 }],
    flapping: [{ tunnel: { key }, drops: 3 }],
    gatewaysOffline: [{ id: hub.gateway.id }],
    poolsNearlyFull: [{ pool: { name: "People" }, held: 9, share: 0.9 }],
  });
  const { certificatesExpiring: before } = await problems();
  await query(
    cp.connection,
    `INSERT INTO certificates (id, organization_id, serial, fingerprint, subject, certificate, not_before, not_after, names)
     SELECT gen_random_uuid(), $1, n::text, n::text, '', '', now(), now() + make_interval(days => n), '{}' FROM (VALUES (9), (11)) v (n)`,
    [own?.id],
  );
  expect((await problems()).certificatesExpiring).toBe(before + 1);
  const { errors } = await cp.send("{ fleetHealth { flapping(first: 51) { drops } } }");
  expect(errors?.[0]?.extensions).toMatchObject({ code: "api/bad-input", field: "first" });
});
