import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { describeFleet, type Fleet } from "./fleet.js";

const SET = `mutation ($input: SetMaintenanceWindowsInput!) {
  setMaintenanceWindows(input: $input) { id timeZone maintenanceWindows { days from minutes } } }`;

let cp: TestControlPlane;
let fleet: Fleet;
beforeAll(async () => {
  cp = await startControlPlane({ SALLYPORT_ROLES: "api" });
  fleet = await describeFleet(cp);
});
afterAll(() => cp?.close());

const sites = async () =>
  (
    await cp.get<{ sites: { edges: { node: object }[] } }>(
      "{ sites { edges { node { name timeZone maintenanceWindows { days from minutes } } } } }",
    )
  ).sites.edges.map((e) => e.node);

test("a site has windows on its own clocks, which replace those it had", async () => {
  expect(await sites()).toEqual([
    { name: "Headquarters", timeZone: "UTC", maintenanceWindows: [] },
    { name: "Vienna", timeZone: "UTC", maintenanceWindows: [] },
  ]);
  const siteId = fleet.branch.site.id;
  const first = [
    { days: [6, 0], from: "23:30", minutes: 120 },
    { days: [], from: "03:00", minutes: 30 },
  ];
  const set = await cp.get(SET, { input: { siteId, timeZone: "Europe/Vienna", windows: first } });
  expect(set).toEqual({
    setMaintenanceWindows: { id: siteId, timeZone: "Europe/Vienna", maintenanceWindows: first },
  });
  const second = [{ days: [1], from: "00:00", minutes: 1_440 }];
  await cp.get(SET, { input: { siteId, timeZone: "Asia/Tokyo", windows: second } });
  expect(await sites()).toEqual([
    { name: "Headquarters", timeZone: "UTC", maintenanceWindows: [] },
    { name: "Vienna", timeZone: "Asia/Tokyo", maintenanceWindows: second },
  ]);
  const [entry] = await query(
    cp.connection,
    "SELECT before, after FROM audit_entries WHERE action = 'setMaintenanceWindows' ORDER BY id DESC LIMIT 1",
  );
  expect(entry).toEqual({
    before: { timeZone: "Europe/Vienna", windows: first },
    after: { timeZone: "Asia/Tokyo", windows: second },
  });
});

test("what is no window, no zone or no site of the organization is refused with the field at fault", async () => {
  const refused = async (change: object) => {
    const input = { siteId: fleet.hub.site.id, windows: [], ...change };
    return (await cp.send(SET, { input })).errors?.[0]?.extensions;
  };
  const window = (change: object) =>
    refused({
      windows: [
        { from: "02:00", minutes: 60 },
        { from: "02:00", minutes: 60, ...change },
      ],
    });
  expect(await refused({ timeZone: "Europe/Atlantis" })).toMatchObject({
    code: "api/bad-input",
    field: "input.timeZone",
    value: "Europe/Atlantis",
  });
  expect(await window({ from: "24:00" })).toMatchObject({ code: "api/bad-input", field: "input.windows[1].from" });
  expect(await window({ days: [7] })).toMatchObject({ code: "api/bad-input", field: "input.windows[1].days" });
  expect(await window({ minutes: 1_441 })).toMatchObject({ code: "api/bad-input", field: "input.windows[1].minutes" });
  const many = Array.from({ length: 22 }, () => ({ from: "02:00", minutes: 1 }));
  expect(await refused({ windows: many })).toMatchObject({ code: "api/bad-input", field: "input.windows" });
  const other = "01920000-0000-7000-8000-00000000beef";
  await query(cp.connection, "INSERT INTO organizations (id, name, slug) VALUES ($1, 'Other', 'other')", [other]);
  const [foreign] = await query(
    cp.connection,
    `INSERT INTO sites (id, organization_id, name, updated_at)
     VALUES ('01920000-0000-7000-8000-00000000cafe', $1, 'Theirs', now()) RETURNING id`,
    [other],
  );
  for (const siteId of [foreign?.id, "01920000-0000-7000-8000-000000000000"]) {
    expect(await refused({ siteId })).toMatchObject({ code: "api/not-found", field: "input.siteId", value: siteId });
  }
  expect(
    await query(cp.connection, "SELECT site_id FROM site_windows WHERE site_id <> $1", [fleet.branch.site.id]),
  ).toEqual([]);
});
