import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { AlertEvaluator } from "../src/features/alerts/evaluator.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { describeFleet, type Fleet } from "./fleet.js";
import { downReport, tell, upReport } from "./reports.js";
import { subscribe } from "./subscribe.js";

let cp: TestControlPlane;
let fleet: Fleet;
let tunnel: { readonly id: string; readonly key: string; readonly name: string };
let evaluator: AlertEvaluator;
const NOW = Date.now();
const evaluate = (seconds: number) => evaluator.tick(new Date(NOW + seconds * 1000));
const OTHER = "01920000-0000-7000-8000-00000000beef";

beforeAll(async () => {
  // Nothing is evaluated but when the tests say so.
  cp = await startControlPlane({ SALLYPORT_ROLES: "api,agents" });
  evaluator = cp.application.nest.get(AlertEvaluator, { strict: false });
  fleet = await describeFleet(cp);
  [tunnel] = (await query(cp.connection, "SELECT id, key, name FROM tunnels")) as unknown as [typeof tunnel];
}, 60_000);
afterAll(() => cp?.close());

interface Shown {
  readonly id: string;
  readonly state: string;
  readonly subjectId: string;
  readonly subject: string;
  readonly detail: string;
  readonly firedAt: string | null;
  readonly resolvedAt: string | null;
  readonly acknowledgedBy: string | null;
  readonly silencedUntil: string | null;
  readonly rule: { readonly id: string };
}
const SHOWN = "id state subjectId subject detail firedAt resolvedAt acknowledgedBy silencedUntil rule { id }";

async function makeRule(input: object): Promise<string> {
  const made = await cp.get<{ createAlertRule: { id: string } }>(
    "mutation ($input: CreateAlertRuleInput!) { createAlertRule(input: $input) { id } }",
    { input },
  );
  return made.createAlertRule.id;
}
async function alerts(filter: object = {}): Promise<Shown[]> {
  const { alerts: page } = await cp.get<{ alerts: { edges: { node: Shown }[] } }>(
    `query ($filter: AlertFilterInput) { alerts(filter: $filter) { edges { node { ${SHOWN} } } } }`,
    { filter },
  );
  return page.edges.map((edge) => edge.node);
}
const stateOf = async (ruleId: string) => (await alerts({ ruleId })).map((alert) => alert.state);
const report = async (what: typeof upReport) => {
  for (const [i, { gateway }] of [fleet.hub, fleet.branch].entries())
    await tell(cp, gateway.id, [what(tunnel.key, `a000000${i}`)]);
};

test("a tunnel that is down is pending, fires after its time, and is resolved when it is up; again is another alert", async () => {
  const ruleId = await makeRule({ name: "Down", kind: "TUNNEL_DOWN", severity: "ERROR", forSeconds: 120 });
  await report(downReport);
  await evaluate(30);
  const [first] = await alerts({ ruleId });
  expect(first).toMatchObject({
    ...{ state: "PENDING", subjectId: tunnel.id, subject: tunnel.name, firedAt: null, resolvedAt: null },
    detail: "ike/no-proposal-chosen: the peer refused our proposals",
  });
  await evaluate(60);
  expect(await stateOf(ruleId)).toEqual(["PENDING"]);
  await Promise.all([evaluate(600), evaluate(600)]);
  expect(await alerts({ ruleId })).toEqual([
    { ...first, state: "FIRING", firedAt: new Date(NOW + 600_000).toISOString() },
  ]);
  await report(upReport);
  await evaluate(610);
  const resolved = new Date(NOW + 610_000).toISOString();
  expect(await alerts({ ruleId })).toMatchObject([{ id: first?.id, state: "RESOLVED", resolvedAt: resolved }]);
  await report(downReport);
  await evaluate(700);
  await evaluate(1_000);
  expect(await stateOf(ruleId)).toEqual(["FIRING", "RESOLVED"]);
  expect(await alerts({ states: ["RESOLVED"], ruleId })).toHaveLength(1);
});

test("what was not so for long enough leaves nothing behind", async () => {
  const ruleId = await makeRule({ name: "Down for long", kind: "TUNNEL_DOWN", forSeconds: 86_400 });
  await evaluate(1_010);
  expect(await stateOf(ruleId)).toEqual(["PENDING"]);
  await report(upReport);
  await evaluate(1_020);
  expect(await stateOf(ruleId)).toEqual([]);
});

test("an alert is acknowledged once, and silenced also for when it comes back; subscribers see it", async () => {
  const ruleId = await makeRule({ name: "Down at once", kind: "TUNNEL_DOWN", forSeconds: 0 });
  await report(downReport);
  const { next, end } = subscribe(cp, cp.first.apiToken, `subscription { alertChanged { ${SHOWN} } }`);
  const told = next();
  // A subscription begins at some time after it was asked for.
  let over = false;
  void told.finally(() => (over = true)).catch(() => {});
  for (let i = 0; i < 500 && !over; i++) {
    await evaluate(1_100 + i);
    await query(cp.connection, "UPDATE alerts SET state = 'PENDING', fired_at = NULL WHERE rule_id = $1", [ruleId]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(await told).toMatchObject({ value: { data: { alertChanged: { subjectId: tunnel.id } } } });
  await end();
  await evaluate(2_000);
  const [alert] = await alerts({ ruleId });
  const until = new Date(NOW + 86_400_000).toISOString();
  const change = async (mutation: string) =>
    await cp.send(`mutation ($id: ID!) { a: ${mutation} { acknowledgedBy silencedUntil } }`, { id: alert?.id });
  const { data } = await change("acknowledgeAlert(id: $id)");
  expect(data?.a).toMatchObject({ acknowledgedBy: expect.stringMatching(/./), silencedUntil: null });
  expect((await change(`silenceAlert(id: $id, until: "${until}")`)).data?.a).toMatchObject({ silencedUntil: until });
  expect(await alerts({ ruleId, acknowledged: false })).toEqual([]);
  await report(upReport);
  await evaluate(2_010);
  expect((await change("acknowledgeAlert(id: $id)")).errors?.[0]?.extensions?.code).toBe("alert/resolved");
  await report(downReport);
  await evaluate(2_020);
  expect((await alerts({ ruleId }))[0]).toMatchObject({ state: "FIRING", silencedUntil: until, acknowledgedBy: null });
  const audited = await query(
    cp.connection,
    "SELECT action FROM audit_entries WHERE target_kind = 'alert' ORDER BY id",
  );
  expect(audited.map((row) => row.action)).toEqual(["acknowledgeAlert", "silenceAlert"]);
});

test("what fires is owed to webhooks once, and its end; not what is silenced, taken on or matters too little", async () => {
  const ruleId = await makeRule({ name: "Told", kind: "TUNNEL_DOWN", severity: "ERROR", forSeconds: 0 });
  await cp.get(
    `mutation { createAlertWebhook(input: { name: "Desk", url: "https://desk.example/", minSeverity: ERROR }) { key } }`,
  );
  const owed = async () =>
    (await query(cp.connection, "SELECT state FROM alert_deliveries WHERE rule_id = $1 ORDER BY id", [ruleId])).map(
      (row) => row.state,
    );
  const silence = (until: Date | null) =>
    query(cp.connection, "UPDATE alert_rules SET silenced_until = $1 WHERE id = $2", [until, ruleId]);
  const all =
    "SELECT 1 FROM alert_deliveries WHERE rule_id <> $1 AND state = 'FIRING' AND rule_id IN (SELECT id FROM alert_rules WHERE severity = 'WARNING')";
  await silence(new Date(NOW + 2_110_000));
  await report(downReport);
  await evaluate(2_100);
  expect([await stateOf(ruleId), await owed()]).toEqual([["FIRING"], []]);
  await Promise.all([evaluate(2_120), evaluate(2_120)]);
  await evaluate(2_130);
  expect(await owed()).toEqual(["FIRING"]);
  await report(upReport);
  await evaluate(2_140);
  expect(await owed()).toEqual(["FIRING", "RESOLVED"]);
  await silence(new Date(NOW + 2_200_000));
  await report(downReport);
  await evaluate(2_150);
  const [alert] = await alerts({ ruleId });
  await cp.get("mutation ($id: ID!) { acknowledgeAlert(id: $id) { id } }", { id: alert?.id });
  await evaluate(2_210);
  await report(upReport);
  await evaluate(2_220);
  expect([(await stateOf(ruleId))[0], await owed()]).toEqual(["RESOLVED", ["FIRING", "RESOLVED"]]);
  expect(await query(cp.connection, all, [ruleId])).toEqual([]);
});

test("each kind finds what it is for", async () => {
  const [own] = await query(cp.connection, "SELECT organization_id AS id FROM tunnels");
  const { id } = fleet.hub.gateway;
  const [end] = await query(cp.connection, "SELECT id FROM tunnel_ends WHERE gateway_id = $1", [id]);
  const sample = (step: number, at: number, errors: number, drops: number) =>
    query(
      cp.connection,
      `INSERT INTO tunnel_samples (step, at, tunnel_end_id, organization_id, packets_in, errors_in, drops) VALUES ($1, $2, $3, $4, 90, $5, $6)
       ON CONFLICT (step, at, tunnel_end_id) DO UPDATE SET errors_in = EXCLUDED.errors_in, drops = EXCLUDED.drops`,
      [step, new Date(at), end?.id, own?.id, errors, drops],
    );
  // An hour on, whatever the clocks of what is written below say.
  const then = NOW + 3_600_000;
  const minute = Math.floor(then / 60_000) * 60_000;
  const five = Math.floor((then - 900_000) / 300_000) * 300_000;
  await query(cp.connection, "DELETE FROM tunnel_samples");
  await query(cp.connection, "UPDATE gateways SET state = 'ENROLLED', connected_at = now(), disconnected_at = NULL");
  const cases: [string, object, () => Promise<unknown>][] = [
    [tunnel.id, { kind: "TUNNEL_FLAPPING", threshold: 3 }, () => sample(60, minute - 60_000, 0, 3)],
    [tunnel.id, { kind: "PACKETS_DROPPED", threshold: 10 }, () => sample(300, five, 10, 0)],
    [
      id,
      { kind: "GATEWAY_OFFLINE" },
      () => query(cp.connection, "UPDATE gateways SET disconnected_at = connected_at WHERE id = $1", [id]),
    ],
    [
      id,
      { kind: "REVISION_REFUSED" },
      () =>
        query(
          cp.connection,
          `INSERT INTO intent_revisions (id, organization_id, gateway_id, number, sealed, key_id, hash, schema_version, status, nack_field, nack_reason)
           VALUES (gen_random_uuid(), $1, $2, 99, '', '', '', 1, 'NACKED', 'connections[0]', 'no')`,
          [own?.id, id],
        ),
    ],
    [
      OTHER,
      { kind: "CERTIFICATE_EXPIRING", threshold: 1 },
      () =>
        query(
          cp.connection,
          `INSERT INTO certificates (id, organization_id, serial, fingerprint, subject, certificate, not_before, not_after, names)
           VALUES ($2, $1, '1', '1', 'CN=old', '', now() - interval '1 day', now() + interval '1 hour', '{}')`,
          [own?.id, OTHER],
        ),
    ],
    [
      OTHER,
      { kind: "POOL_NEARLY_FULL", threshold: 50 },
      async () => {
        await query(
          cp.connection,
          `INSERT INTO address_pools (id, organization_id, name, addresses, exclusions, updated_at) VALUES ($2, $1, 'People', '{10.9.0.1-10.9.0.2}', '{}', now())`,
          [own?.id, OTHER],
        );
        await query(
          cp.connection,
          `INSERT INTO leases (id, organization_id, gateway_id, pool_id, address, identity, outer_endpoint, began_at)
           VALUES (gen_random_uuid(), $1, $2, $3, '10.9.0.1', 'somebody', '', now())`,
          [own?.id, id, OTHER],
        );
      },
    ],
  ];
  for (const [subjectId, rule, happens] of cases) {
    const ruleId = await makeRule({ name: JSON.stringify(rule), forSeconds: 0, ...rule });
    await evaluate(3_600);
    expect([rule, await alerts({ ruleId })]).toEqual([rule, []]);
    await happens();
    await evaluate(3_600);
    expect([rule, await alerts({ ruleId })]).toEqual([rule, [expect.objectContaining({ state: "FIRING", subjectId })]]);
  }
});

test("rules are checked, and deleted with their alerts", async () => {
  const create = async (input: object) =>
    (
      await cp.send("mutation ($input: CreateAlertRuleInput!) { createAlertRule(input: $input) { id } }", {
        input: { name: "Rule", kind: "TUNNEL_DOWN", ...input },
      })
    ).errors?.[0]?.extensions;
  expect(await create({ name: "Down" })).toMatchObject({ code: "api/name-taken" });
  expect(await create({ threshold: 5 })).toMatchObject({ code: "api/bad-input", field: "input.threshold" });
  expect(await create({ kind: "POOL_NEARLY_FULL", threshold: 101 })).toMatchObject({ field: "input.threshold" });
  expect(await create({ forSeconds: -1 })).toMatchObject({ field: "input.forSeconds" });
  const { alertRules } = await cp.get<{ alertRules: { id: string; name: string; threshold: number | null }[] }>(
    "{ alertRules { id name threshold } }",
  );
  const [down] = alertRules;
  expect(down).toMatchObject({ name: "Down", threshold: null });
  const update =
    "mutation ($input: UpdateAlertRuleInput!) { updateAlertRule(input: $input) { name forSeconds silencedUntil } }";
  const silencedUntil = new Date(NOW + 60_000).toISOString();
  expect(await cp.get(update, { input: { id: down?.id, silencedUntil } })).toMatchObject({
    updateAlertRule: { name: "Down", forSeconds: 120, silencedUntil },
  });
  await cp.get("mutation ($id: ID!) { deleteAlertRule(id: $id) { id } }", { id: down?.id });
  expect(await alerts({ ruleId: down?.id })).toEqual([]);
});

test("alerts and rules are their organization's alone", async () => {
  await query(cp.connection, "INSERT INTO organizations (id, name, slug) VALUES ($1, 'Other', 'other')", [OTHER]);
  const [own] = await query(cp.connection, "SELECT organization_id AS id FROM tunnels");
  const [alert] = await alerts();
  for (const table of ["alerts", "alert_rules"])
    await query(cp.connection, `UPDATE ${table} SET organization_id = $1`, [OTHER]);
  expect(await alerts()).toEqual([]);
  expect(await cp.get("{ alertRules { id } }")).toEqual({ alertRules: [] });
  const { errors } = await cp.send("mutation ($id: ID!) { acknowledgeAlert(id: $id) { id } }", { id: alert?.id });
  expect(errors?.[0]?.extensions?.code).toBe("api/not-found");
  // Rules of one organization find nothing of another's.
  await query(cp.connection, "UPDATE alerts SET open = NULL, state = 'RESOLVED', resolved_at = now()");
  await evaluate(7_200);
  expect(await query(cp.connection, "SELECT 1 FROM alerts WHERE open")).toEqual([]);
  for (const table of ["alerts", "alert_rules"])
    await query(cp.connection, `UPDATE ${table} SET organization_id = $1`, [own?.id]);
});
