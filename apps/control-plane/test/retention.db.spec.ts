import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { RetentionService } from "../src/features/retention/retention.service.js";
import { firstUuidOf } from "../src/features/retention/retention.store.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { describeFleet } from "./fleet.js";

const DAY = 86_400_000;
const GENEROUS = {
  ...{ eventDays: 30, events: 1_000_000, revisions: 1_000_000, leaseDays: 90, leases: 1_000_000 },
  ...{ rotationDays: 365, rotations: 1_000_000, rollouts: 1_000_000, alertDays: 90 },
};
let cp: TestControlPlane;
let retention: RetentionService;
let gatewayId: string;
let organizationId: string;

beforeAll(async () => {
  cp = await startControlPlane();
  retention = cp.application.nest.get(RetentionService, { strict: false });
  gatewayId = (await describeFleet(cp)).hub.gateway.id;
  organizationId = String((await query(cp.connection, "SELECT id FROM organizations"))[0]?.id);
  await query(cp.connection, "DELETE FROM events");
});
afterAll(() => cp?.close());

const count = async (table: string) =>
  (await query(cp.connection, `SELECT count(*)::int AS n FROM ${table}`))[0]?.n as number;

/** Events that were written so long ago, one after another, whatever time they claim. */
async function tell(n: number, daysAgo: number, of = organizationId): Promise<void> {
  const [first] = firstUuidOf(new Date(Date.now() - daysAgo * DAY)).split("-7000-");
  await query(
    cp.connection,
    `INSERT INTO events (id, organization_id, kind, message, at)
    SELECT ($1 || '-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, $2, 'x/y', '', now() + interval '1 year' FROM generate_series(1, $3::int) i`,
    [first, of, n],
  );
}

test("events go after their time, by when they were written", async () => {
  await tell(5_000, 31);
  await tell(10, 29);
  const [one, two] = await Promise.all([retention.run(GENEROUS), retention.run(GENEROUS)]);
  expect(one.events + two.events).toBe(5_000);
  expect(await count("events")).toBe(10);
  expect((await retention.run(GENEROUS)).events).toBe(0);
});

test("an organization has only so many events; another's are its own", async () => {
  const other = "01920000-0000-7000-8000-00000000beef";
  await query(cp.connection, "INSERT INTO organizations (id, name, slug) VALUES ($1, 'Other', 'other')", [other]);
  await tell(40, 2);
  await tell(3, 1, other);
  await retention.run({ ...GENEROUS, events: 7 });
  const left = await query(cp.connection, "SELECT organization_id AS id, count(*)::int AS n FROM events GROUP BY 1");
  expect(left).toEqual(
    expect.arrayContaining([
      { id: organizationId, n: 7 },
      { id: other, n: 3 },
    ]),
  );
});

test("of a gateway's revisions the newest stay, and those that it may need", async () => {
  await query(
    cp.connection,
    `INSERT INTO intent_revisions (id, organization_id, gateway_id, number, sealed, key_id, hash, schema_version, status, confirmed_at)
    SELECT gen_random_uuid(), $1, $2, i, '', '', '', 1,
      (CASE WHEN i IN (3, 5, 6) THEN 'ACKED' WHEN i > 100 THEN 'NACKED' ELSE 'SUPERSEDED' END)::revision_status,
      CASE WHEN i IN (3, 5) THEN now() END
    FROM generate_series(1, 150) i`,
    [organizationId, gatewayId],
  );
  await query(cp.connection, "UPDATE gateways SET acked_revision = 4 WHERE id = $1", [gatewayId]);
  const limits = { ...GENEROUS, revisions: 100 };
  const runs = await Promise.all([retention.run(limits), retention.run(limits)]);
  expect(runs.reduce((n, r) => n + r.revisions, 0)).toBe(47);
  const left = await query(
    cp.connection,
    "SELECT number FROM intent_revisions WHERE gateway_id = $1 ORDER BY number LIMIT 4",
    [gatewayId],
  );
  expect(left.map((row) => row.number)).toEqual([4, 5, 6, 51]);
  expect(await count("intent_revisions")).toBe(103);
});

test("of revocations those go that matter no more, with their confirmations", async () => {
  await query(
    cp.connection,
    `INSERT INTO revocations (id, organization_id, number, kind, subject_id, key, name, lifted, not_after, at)
    SELECT gen_random_uuid(), $1, n, kind::"RevocationSubject", gen_random_uuid(), key, key, lifted,
      now() + make_interval(days => expires), now() - make_interval(days => age)
    FROM (VALUES
      (1, 'PERSON', 'overruled', false, NULL::int, 40),
      (2, 'PERSON', 'overruled', true, NULL, 40),
      (3, 'PERSON', 'overruled', false, NULL, 40),
      (4, 'PERSON', 'refused', false, NULL, 400),
      (5, 'PERSON', 'back', true, NULL, 400),
      (6, 'CERTIFICATE', 'expired', false, -31, 400),
      (7, 'CERTIFICATE', 'expired of late', false, -29, 400),
      (8, 'CERTIFICATE', 'good', false, 1, 400),
      (9, 'PERSON', 'of late', false, NULL, 29),
      (10, 'PERSON', 'of late', true, NULL, 1)) AS v (n, kind, key, lifted, expires, age)`,
    [organizationId],
  );
  await query(
    cp.connection,
    `INSERT INTO revocation_tellings (revocation_id, gateway_id, organization_id, number)
    SELECT id, $1, organization_id, number FROM revocations`,
    [gatewayId],
  );
  const runs = await Promise.all([retention.run(GENEROUS), retention.run(GENEROUS)]);
  expect(runs.reduce((n, r) => n + r.revocations, 0)).toBe(3);
  const left = await query(cp.connection, "SELECT number FROM revocation_tellings ORDER BY number");
  expect(left.map((row) => row.number)).toEqual([3, 4, 5, 7, 8, 9, 10]);
});

test("leases go some time after their end, and there are only so many that ended; those that are held stay", async () => {
  await query(
    cp.connection,
    `INSERT INTO leases (id, organization_id, gateway_id, address, identity, outer_endpoint, began_at, ended_at, open)
    SELECT gen_random_uuid(), $1, $2, '10.9.0.1', i::text, '', now() - interval '1 year', CASE WHEN i > 2 THEN now() - make_interval(days => i) END,
      CASE WHEN i <= 2 THEN true END
    FROM generate_series(1, 100) i`,
    [organizationId, gatewayId],
  );
  expect((await retention.run(GENEROUS)).leases).toBe(11);
  expect((await retention.run({ ...GENEROUS, leases: 5 })).leases).toBe(82);
  const left = await query(cp.connection, "SELECT identity FROM leases ORDER BY identity::int");
  expect(left.map((row) => row.identity)).toEqual(["1", "2", "3", "4", "5", "6", "7"]);
});

test("foreign certificates that nobody recorded go some time after their end, with where they were seen", async () => {
  await query(
    cp.connection,
    `INSERT INTO certificates (id, organization_id, serial, fingerprint, subject, certificate, not_before, not_after, seen)
     SELECT gen_random_uuid(), $1, n::text, n::text, '', '', now() - interval '1 year', now() - make_interval(days => n), n <> 40
     FROM generate_series(28, 42) n`,
    [organizationId],
  );
  await query(
    cp.connection,
    `INSERT INTO certificate_sightings SELECT organization_id, id, $1, '', '', now(), now() FROM certificates WHERE fingerprint = '41'`,
    [gatewayId],
  );
  expect((await retention.run(GENEROUS)).certificates).toBe(12);
  const left = await query(cp.connection, "SELECT serial FROM certificates WHERE subject = '' ORDER BY serial");
  expect(left.map((row) => row.serial)).toEqual(["28", "29", "40"]);
});

test("rotations go with their history some time after their end, and there are only so many; those that are not over stay", async () => {
  await query(
    cp.connection,
    `INSERT INTO rotations (id, organization_id, kind, state, batch, patience, requested_by, created_at, finished_at)
     SELECT gen_random_uuid(), $1, 'PRE_SHARED_KEY', CASE WHEN n > 30 THEN 'FAILED' ELSE 'DONE' END::rotation_state, 1, 600, n::text,
       now() - interval '400 days', CASE WHEN n <= 30 THEN now() - n * interval '20 days' END
     FROM generate_series(1, 31) n`,
    [organizationId],
  );
  await query(
    cp.connection,
    `INSERT INTO rotation_events (id, organization_id, rotation_id, what)
     SELECT gen_random_uuid(), organization_id, id, 'requested' FROM rotations`,
  );
  expect((await retention.run(GENEROUS)).rotations).toBe(12);
  expect((await retention.run({ ...GENEROUS, rotations: 5 })).rotations).toBe(13);
  const left = await query(
    cp.connection,
    `SELECT r.requested_by FROM rotations r JOIN rotation_events e ON e.rotation_id = r.id ORDER BY requested_by::int`,
  );
  expect(left.map((row) => row.requested_by)).toEqual(["1", "2", "3", "4", "5", "31"]);
});

test("alerts go some time after they were resolved", async () => {
  await query(
    cp.connection,
    `WITH rule AS (
       INSERT INTO alert_rules (id, organization_id, name, kind, severity, for_seconds)
       VALUES (gen_random_uuid(), $1, 'Down', 'TUNNEL_DOWN', 'ERROR', 0) RETURNING id)
     INSERT INTO alerts (id, organization_id, rule_id, state, subject_id, subject, detail, since, resolved_at, updated_at, open)
     SELECT gen_random_uuid(), $1, id, CASE WHEN n > 1 THEN 'RESOLVED' ELSE 'FIRING' END::alert_state, gen_random_uuid(), n::text, '',
       now() - interval '1 year', CASE WHEN n > 1 THEN now() - make_interval(days => n) END, now() - make_interval(days => n),
       CASE WHEN n = 1 THEN true END
     FROM rule, (VALUES (1), (80), (100), (101)) v (n)`,
    [organizationId],
  );
  expect((await retention.run(GENEROUS)).alerts).toBe(2);
  const left = await query(cp.connection, "SELECT subject FROM alerts ORDER BY 1");
  expect(left.map((row) => row.subject)).toEqual(["1", "80"]);
});

test("rollouts go some time after their end, and there are only so many; those that are not over stay", async () => {
  await query(
    cp.connection,
    `INSERT INTO rollouts (id, organization_id, state, canary, batch_percent, pause_seconds, ack_seconds, gate_seconds, stage, finished_at)
     SELECT gen_random_uuid(), $1, CASE WHEN n > 30 THEN 'PAUSED' ELSE 'DONE' END::rollout_state, 1, 25, 60, 60, 60, n,
       CASE WHEN n <= 30 THEN now() - n * interval '20 days' END
     FROM generate_series(1, 31) n`,
    [organizationId],
  );
  expect((await retention.run(GENEROUS)).rollouts).toBe(12);
  expect((await retention.run({ ...GENEROUS, rollouts: 5 })).rollouts).toBe(13);
  const left = await query(cp.connection, "SELECT stage FROM rollouts ORDER BY stage");
  expect(left.map((row) => row.stage)).toEqual([1, 2, 3, 4, 5, 31]);
});
