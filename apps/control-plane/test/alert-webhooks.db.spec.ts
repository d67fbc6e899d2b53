import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { AlertEvaluator } from "../src/features/alerts/evaluator.js";
import { signature } from "../src/features/alerts/webhook.js";
import { eventually, startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { describeFleet } from "./fleet.js";
import { downReport, tell, upReport } from "./reports.js";

interface Told {
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let cp: TestControlPlane;
let server: Server;
let gatewayId: string;
let key: string;
let secret: string;
let status = 204;
const told: Told[] = [];
const PATIENCE = 60_000;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    told.push({ path: request.url, headers: request.headers, body: await text(request) });
    response.writeHead(status, { location: "/elsewhere" }).end("x".repeat(100_000));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  cp = await startControlPlane({ SALLYPORT_WEBHOOK_NETWORKS: "127.0.0.0/8" });
  gatewayId = (await describeFleet(cp)).hub.gateway.id;
  key = String((await query(cp.connection, "SELECT key FROM tunnels"))[0]?.key);
}, 60_000);
afterAll(async () => {
  await cp?.close();
  server.close();
});

const webhook = async () =>
  (
    await cp.get<{
      alertWebhooks: { id: string; origin: string; lastError: string | null; deliveredAt: string | null }[];
    }>("{ alertWebhooks { id origin lastError deliveredAt } }")
  ).alertWebhooks[0];
const evaluate = () => cp.application.nest.get(AlertEvaluator, { strict: false }).tick(new Date());
const owed = async () => (await query(cp.connection, "SELECT count(*)::int AS n FROM alert_deliveries"))[0]?.n;
/** What failed would wait for some seconds. */
async function owedAtOnce() {
  await query(cp.connection, "UPDATE outbox SET not_before = NULL");
  return owed();
}
const rule = (input: object) =>
  cp.get("mutation ($input: CreateAlertRuleInput!) { createAlertRule(input: $input) { id } }", {
    input: { kind: "TUNNEL_DOWN", forSeconds: 0, ...input },
  });

test("what fires and what is resolved is told, signed; the URL and the key are not shown again", async () => {
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/hooks/hidden`;
  const { createAlertWebhook: made } = await cp.get<{
    createAlertWebhook: { key: string; webhook: { origin: string } };
  }>("mutation ($input: CreateAlertWebhookInput!) { createAlertWebhook(input: $input) { key webhook { origin } } }", {
    input: { name: "Desk", url },
  });
  expect(made).toEqual({
    key: expect.stringMatching(/^[0-9a-f]{64}$/),
    webhook: { origin: `http://127.0.0.1:${port}` },
  });
  secret = made.key;
  await rule({ name: "Down", severity: "ERROR" });
  await rule({ name: "Of no importance", severity: "INFO" });
  await tell(cp, gatewayId, [downReport(key)]);
  await query(cp.connection, "UPDATE tunnels SET state = 'DOWN', state_since = now() - interval '1 minute'");
  await evaluate();
  await eventually(
    async () => told.length,
    (n) => n > 0,
    PATIENCE,
  );
  const [first] = told as [Told];
  const sent = String(first.headers["sallyport-signature"]);
  expect(sent).toBe(signature(secret, Number(/^t=(\d+)/.exec(sent)?.[1]), first.body));
  expect(first.path).toBe("/hooks/hidden");
  const body = JSON.parse(first.body) as { id: string };
  expect(body).toMatchObject({
    ...{ id: first.headers["sallyport-delivery"], state: "FIRING", count: 1 },
    rule: { name: "Down", kind: "TUNNEL_DOWN", severity: "ERROR" },
    alerts: [{ detail: "ike/no-proposal-chosen: the peer refused our proposals" }],
  });
  await tell(cp, gatewayId, [upReport(key, "a0000001")]);
  await query(cp.connection, "UPDATE tunnels SET state = 'UP'");
  await evaluate();
  await eventually(
    async () => told.length,
    (n) => n > 1,
    PATIENCE,
  );
  expect(JSON.parse(told[1]?.body ?? "")).toMatchObject({ state: "RESOLVED", count: 1, rule: { name: "Down" } });
  await eventually(webhook, (w) => w?.deliveredAt !== null, PATIENCE);
  const dump = JSON.stringify(await query(cp.connection, "SELECT w.*, a.* FROM alert_webhooks w, audit_entries a"));
  expect(dump).not.toMatch(new RegExp(`hidden|${secret}`));
});

test("what was not taken is told again, and no redirect is followed", async () => {
  await eventually(owed, (n) => n === 0, PATIENCE);
  told.length = 0;
  status = 302;
  await query(cp.connection, "UPDATE tunnels SET state = 'DOWN', state_since = now() - interval '1 minute'");
  await evaluate();
  const failing = await eventually(webhook, (w) => w?.lastError !== null, PATIENCE);
  expect(failing?.lastError).toContain("HTTP status 302");
  status = 200;
  await eventually(owedAtOnce, (n) => n === 0, PATIENCE);
  expect(new Set(told.map((t) => t.path))).toEqual(new Set(["/hooks/hidden"]));
  expect(new Set(told.map((t) => t.headers["sallyport-delivery"])).size).toBe(1);
  expect(await webhook()).toMatchObject({ lastError: null });
});

test("after a day nobody tries any more, and an event says so", async () => {
  await query(cp.connection, "UPDATE tunnels SET state = 'UP'");
  await evaluate();
  await eventually(
    async () => (await query(cp.connection, "SELECT 1 FROM alerts WHERE open")).length,
    (n) => n === 0,
    PATIENCE,
  );
  await eventually(owedAtOnce, (n) => n === 0, PATIENCE);
  status = 500;
  await query(cp.connection, "UPDATE tunnels SET state = 'DOWN', state_since = now() - interval '1 minute'");
  await evaluate();
  await eventually(webhook, (w) => w?.lastError !== null, PATIENCE);
  await query(cp.connection, "UPDATE alert_deliveries SET created_at = now() - interval '25 hours'");
  await eventually(owedAtOnce, (n) => n === 0, PATIENCE);
  const events = await query(cp.connection, "SELECT message FROM events WHERE kind = 'alert/webhook-failed'");
  expect(events).toEqual([{ message: expect.stringContaining("the webhook Desk") }]);
});
