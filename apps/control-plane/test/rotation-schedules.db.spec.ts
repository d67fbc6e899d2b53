import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { RotationScheduler } from "../src/features/rotations/rotation-scheduler.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { enrol } from "./enrol.js";
import { describeFleet } from "./fleet.js";

let cp: TestControlPlane;
let scheduler: RotationScheduler;
beforeAll(async () => {
  cp = await startControlPlane({ SALLYPORT_ROLES: "api" });
  const { hub, branch } = await describeFleet(cp);
  await enrol(cp, hub);
  await enrol(cp, branch);
  scheduler = cp.application.nest.get(RotationScheduler, { strict: false });
});
afterAll(() => cp?.close());

const CREATE = `mutation ($input: CreateRotationScheduleInput!) {
  createRotationSchedule(input: $input) { id kind everyDays batch patience nextAt requestedBy window { days from minutes timeZone } } }`;

const rotations = () =>
  query(cp.connection, "SELECT kind, state, batch, window_from, requested_by FROM rotations ORDER BY id");
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);

test("a rotation begins when its time has come, once, by however many replicas, and again after its days", async () => {
  const window = { days: [6], from: "02:00", minutes: 60, timeZone: "Europe/Vienna" };
  const input = { kind: "GATEWAY_CERTIFICATE", everyDays: 30, batch: 5, firstAt: inDays(-1).toISOString(), window };
  const { createRotationSchedule: made } = await cp.get<{ createRotationSchedule: Record<string, unknown> }>(CREATE, {
    input,
  });
  expect(made).toMatchObject({ kind: "GATEWAY_CERTIFICATE", everyDays: 30, batch: 5, patience: 600, window });
  const begun = await Promise.all([scheduler.run(), scheduler.run()]);
  expect(begun.toSorted()).toEqual([0, 1]);
  const requestedBy = `schedule of ${made.requestedBy}`;
  const rotation = { kind: "GATEWAY_CERTIFICATE", state: "RUNNING", batch: 5, window_from: 120 };
  expect(await rotations()).toEqual([{ ...rotation, requested_by: requestedBy }]);
  expect(await scheduler.run()).toBe(0);

  // Its window was never open: the next one has nothing to begin with, and says so.
  expect(await scheduler.run(inDays(30))).toBe(0);
  expect(await rotations()).toHaveLength(1);
  expect(
    await query(cp.connection, "SELECT facts->>'code' AS code FROM events WHERE kind = 'rotation/not-begun'"),
  ).toEqual([{ code: "rotation/under-way" }]);
  await query(cp.connection, "UPDATE rotations SET state = 'DONE'");
  expect(await scheduler.run(inDays(60))).toBe(1);
  expect(await rotations()).toHaveLength(2);
});

test("schedules are listed, the next one first, and one that is deleted begins nothing", async () => {
  const input = { kind: "PRE_SHARED_KEY", everyDays: 7, firstAt: inDays(1).toISOString() };
  const { createRotationSchedule: made } = await cp.get<{ createRotationSchedule: { id: string } }>(CREATE, { input });
  const listed = await cp.get<{ rotationSchedules: { kind: string }[] }>("{ rotationSchedules { kind } }");
  expect(listed.rotationSchedules.map((s) => s.kind)).toEqual(["PRE_SHARED_KEY", "GATEWAY_CERTIFICATE"]);
  // There is no network with pre-shared keys: nothing to do is no news.
  expect(await scheduler.run(inDays(2))).toBe(0);
  expect(await query(cp.connection, "SELECT 1 FROM events WHERE kind = 'rotation/not-begun'")).toHaveLength(1);
  await cp.get("mutation ($id: ID!) { deleteRotationSchedule(id: $id) { id } }", { id: made.id });
  expect(await query(cp.connection, "SELECT kind FROM rotation_schedules")).toEqual([{ kind: "GATEWAY_CERTIFICATE" }]);
});

test("what a schedule cannot be is said with the field at fault", async () => {
  const refused = async (change: object) => {
    const { errors } = await cp.send(CREATE, { input: { kind: "MASTER_KEY", everyDays: 30, ...change } });
    return errors?.[0]?.extensions;
  };
  expect(await refused({ everyDays: 0 })).toMatchObject({ code: "api/bad-input", field: "input.everyDays" });
  expect(await refused({ batch: 101 })).toMatchObject({ code: "api/bad-input", field: "input.batch" });
  expect(await refused({ window: { from: "2", minutes: 5 } })).toMatchObject({ field: "input.window.from" });
});
