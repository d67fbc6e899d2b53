import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { HistoryKeeper } from "../src/features/history/history-keeper.js";
import { TunnelStateService } from "../src/features/tunnels/tunnel-state.service.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { describeFleet, type Fleet } from "./fleet.js";
import { childReport, downReport, ikeReport, tell, upReport } from "./reports.js";

let cp: TestControlPlane;
let fleet: Fleet;
let key: string;
let tunnelId: string;
let keeper: HistoryKeeper;
let states: TunnelStateService;
/** An hour that is over. */
const HOUR = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3 * 3_600_000;
const at = (seconds: number) => new Date(HOUR + seconds * 1000);

beforeAll(async () => {
  // Nothing is done but what the tests do, at the time that they say it is.
  cp = await startControlPlane({ SALLYPORT_ROLES: "api,agents" });
  keeper = cp.application.nest.get(HistoryKeeper, { strict: false });
  states = cp.application.nest.get(TunnelStateService, { strict: false });
  fleet = await describeFleet(cp);
  const [tunnel] = await query(cp.connection, "SELECT id, key FROM tunnels");
  [tunnelId, key] = [String(tunnel?.id), String(tunnel?.key)];
  await keeper.tick(at(0));
});
afterAll(() => cp?.close());

const count = (seconds: number, inboundSpi: string, bytesIn: number, gateway = fleet.hub.gateway.id) =>
  states.counters(gateway, at(seconds), [
    {
      ...{ key, inboundSpi, bytesIn: BigInt(bytesIn), bytesOut: BigInt(2 * bytesIn), packetsIn: 1n, packetsOut: 2n },
      ...{ errorsIn: 0n, lastPacketInAt: undefined },
    },
  ]);

interface Point {
  readonly at: string;
  readonly state: string | null;
  readonly availability: number | null;
  readonly drops: number;
  readonly bytesIn: string;
  readonly bytesOut: string;
  readonly bytesInPerSecond: number | null;
}
interface History {
  readonly resolution: string;
  readonly ends: { readonly end: { readonly gateway: { readonly id: string } }; readonly points: Point[] }[];
}

const HISTORY = `query ($id: ID!, $from: DateTime!, $to: DateTime, $resolution: HistoryResolution) { tunnel(id: $id) {
  history(from: $from, to: $to, resolution: $resolution) { resolution from ends { end { gateway { id } }
    points { at state availability drops bytesIn bytesOut bytesInPerSecond } } } } }`;
const ask = (range: object) => cp.send<{ tunnel: { history: History } | null }>(HISTORY, { id: tunnelId, ...range });
async function hubPoints(resolution: string, seconds = 3_600): Promise<Point[]> {
  const { data, errors } = await ask({ from: at(0), to: at(seconds), resolution });
  expect(errors).toBeUndefined();
  return data?.tunnel?.history.ends.find((e) => e.end.gateway.id === fleet.hub.gateway.id)?.points ?? [];
}

test("what SAs have counted since the last time becomes a sample of their tunnel's end, also after a rekey or a new beginning", async () => {
  await tell(cp, fleet.hub.gateway.id, [upReport(key, "a0000001")], { complete: true });
  await count(10, "a0000001", 1_000);
  await count(30, "a0000001", 1_500);
  await count(90, "a0000001", 4_500);
  // A rekey: the new SA counts from 0 beside the old one.
  const rekeyed = { ...upReport(key, "x"), ikeSas: [ikeReport([childReport("a0000001"), childReport("a0000002")])] };
  await tell(cp, fleet.hub.gateway.id, [rekeyed]);
  await count(150, "a0000001", 4_600);
  await count(150, "a0000002", 400);
  // The data plane began anew with the same SA; then nobody has sent anything for a minute.
  await count(210, "a0000002", 50);
  await count(270, "a0000002", 50);
  const points = await hubPoints("MINUTE");
  const shown = points.map((p) => [
    (Date.parse(p.at) - HOUR) / 1000,
    p.state,
    p.bytesIn,
    p.bytesOut,
    p.bytesInPerSecond,
  ]);
  expect(shown).toEqual([
    [0, "UP", "1500", "3000", 1_500 / 80],
    [60, "UP", "3000", "6000", 3_000 / 60],
    [120, "UP", "500", "1000", 500 / 60],
    [180, "UP", "50", "100", 50 / 60],
    [240, "UP", "0", "0", 0],
  ]);
});

test("a report that is written twice, or late, counts once", async () => {
  const before = await hubPoints("MINUTE");
  await count(270, "a0000002", 50);
  await count(200, "a0000002", 7_000);
  expect(await hubPoints("MINUTE")).toEqual(before);
});

test("whatever a gateway counts, sums stay numbers", async () => {
  for (let i = 0; i < 4; i++) {
    await count(300 + i, "a0000002", 0);
    await count(300.5 + i, "a0000002", Number.MAX_SAFE_INTEGER);
  }
  expect((await hubPoints("MINUTE")).at(-1)).toMatchObject({ bytesIn: String(Number.MAX_SAFE_INTEGER) });
  await query(cp.connection, "DELETE FROM tunnel_samples WHERE at = $1", [at(300)]);
});

test("minutes in which nothing was counted are told of connected gateways; one replica is enough", async () => {
  const connected = "UPDATE gateways SET connected_at = $2, disconnected_at = $3 WHERE id = $1";
  await query(cp.connection, connected, [fleet.hub.gateway.id, at(-60), null]);
  await query(cp.connection, connected, [fleet.branch.gateway.id, at(-60), at(0)]);
  await Promise.all([keeper.tick(at(390)), keeper.tick(at(390))]);
  expect((await hubPoints("MINUTE")).at(-1)).toEqual({
    ...{ at: at(300).toISOString(), state: "UP", availability: 1, drops: 0, bytesIn: "0", bytesOut: "0" },
    bytesInPerSecond: null,
  });
});

test("samples are rolled up once their time is over, and what nobody did in time is done later", async () => {
  await query(
    cp.connection,
    `INSERT INTO tunnel_samples (step, at, tunnel_end_id, organization_id, bytes_in, covered, known, up, degraded, drops)
     SELECT 60, $2, id, organization_id, 90, 30, 1, 0, 1, 2 FROM tunnel_ends WHERE gateway_id = $1`,
    [fleet.hub.gateway.id, at(1_800)],
  );
  await Promise.all([keeper.tick(at(7_200)), keeper.tick(at(7_200))]);
  await keeper.tick(at(7_200));
  const five = await hubPoints("FIVE_MINUTES");
  expect(five.map((p) => [(Date.parse(p.at) - HOUR) / 1000, p.state, p.availability, p.bytesIn, p.drops])).toEqual([
    [0, "UP", 1, "5050", 0],
    [300, "UP", 1, "0", 0],
    [1_800, "DEGRADED", 0, "90", 2],
  ]);
  expect(five[0]?.bytesInPerSecond).toBeCloseTo(5_050 / 320);
  expect(await hubPoints("HOUR")).toEqual([
    expect.objectContaining({ at: at(0).toISOString(), state: "DEGRADED", bytesIn: "5140", drops: 2 }),
  ]);
});

test("an end that stops being up is counted", async () => {
  const gateway = fleet.branch.gateway.id;
  const drops = async () =>
    (
      await query(
        cp.connection,
        `SELECT sum(s.drops)::int AS n, count(*)::int AS rows FROM tunnel_samples s JOIN tunnel_ends e ON e.id = s.tunnel_end_id
         WHERE e.gateway_id = $1 AND s.drops > 0`,
        [gateway],
      )
    )[0];
  await tell(cp, gateway, [downReport(key)]);
  expect(await drops()).toMatchObject({ n: null });
  for (let i = 0; i < 3; i++) {
    await tell(cp, gateway, [upReport(key, "b0000001")]);
    await tell(cp, gateway, [downReport(key)]);
    await tell(cp, gateway, [downReport(key)]);
  }
  expect(await drops()).toMatchObject({ n: 3 });
});

test("the finest resolution with few points is taken; too many, or none, are refused", async () => {
  const resolution = async (range: object) => (await ask(range)).data?.tunnel?.history.resolution;
  expect(await resolution({ from: at(0), to: at(3_600) })).toBe("MINUTE");
  expect(await resolution({ from: at(-86_400), to: at(0) })).toBe("FIVE_MINUTES");
  expect(await resolution({ from: at(-5 * 86_400), to: at(-5 * 86_400 + 60) })).toBe("FIVE_MINUTES");
  expect(await resolution({ from: at(-20 * 86_400) })).toBe("HOUR");
  for (const range of [
    { from: at(60), to: at(0) },
    { from: at(-90 * 86_400) },
    { from: at(-3 * 86_400), to: at(0), resolution: "MINUTE" },
  ]) {
    expect((await ask(range)).errors?.[0]?.extensions?.code).toBe("api/bad-input");
  }
});

test("a tunnel's history is its organization's alone", async () => {
  const other = "01920000-0000-7000-8000-00000000beef";
  await query(cp.connection, "INSERT INTO organizations (id, name, slug) VALUES ($1, 'Other', 'other')", [other]);
  const [own] = await query(cp.connection, "SELECT organization_id AS id FROM tunnels");
  await query(cp.connection, "UPDATE tunnel_samples SET organization_id = $1", [other]);
  expect(await hubPoints("MINUTE")).toEqual([]);
  await query(cp.connection, "UPDATE tunnel_samples SET organization_id = $1", [own?.id]);
  await query(cp.connection, "UPDATE tunnels SET organization_id = $1", [other]);
  expect((await ask({ from: at(0) })).data).toEqual({ tunnel: null });
  await query(cp.connection, "UPDATE tunnels SET organization_id = $1", [own?.id]);
});

test("samples go after their time, by partitions", async () => {
  const rows = async () =>
    (
      await query(
        cp.connection,
        "SELECT step, count(*)::int AS n FROM tunnel_samples WHERE at < $1 GROUP BY 1 ORDER BY 1",
        [at(3_600)],
      )
    ).map((row) => row.step);
  expect(await rows()).toEqual([60, 300, 3600]);
  // Of each step one goes in a turn, the oldest.
  const turns = async (now: Date) => {
    for (let i = 0; i < 6; i++) await keeper.tick(now);
  };
  // Long after the last one, and as partitions change: the minute that is filled is of the one before.
  const sixHours = 6 * 3_600_000;
  await turns(new Date(Math.ceil(at(60 * 3_600).getTime() / sixHours) * sixHours));
  expect(await rows()).toEqual([300, 3600]);
  await turns(at(32 * 86_400));
  expect(await rows()).toEqual([3600]);
  await turns(at(420 * 86_400));
  expect(await rows()).toEqual([]);
});
