import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { TunnelStateService } from "../src/features/tunnels/tunnel-state.service.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { describeFleet, type Fleet } from "./fleet.js";
import { tell, upReport } from "./reports.js";

let cp: TestControlPlane;
let fleet: Fleet;
let key: string;
let states: TunnelStateService;

beforeAll(async () => {
  cp = await startControlPlane();
  states = cp.application.nest.get(TunnelStateService, { strict: false });
  fleet = await describeFleet(cp);
  key = String((await query(cp.connection, "SELECT key FROM tunnels"))[0]?.key);
}, 60_000);
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
