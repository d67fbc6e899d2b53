import http2 from "node:http2";
import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import { AgentServer } from "../src/features/agents/agent-server.js";
import { SessionStore } from "../src/features/agents/session.store.js";
import { Changes } from "../src/platform/database/changes.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { describeFleet, type Fleet } from "./fleet.js";

jest.setTimeout(60_000);

let cp: TestControlPlane;
let fleet: Fleet;
const made = jest.spyOn(http2, "createSecureServer");
beforeAll(async () => {
  cp = await startControlPlane();
  fleet = await describeFleet(cp);
});
afterAll(() => cp?.close());

test("a connection that cannot be accepted does not end the agents' listener", async () => {
  const server = made.mock.results[0]?.value as http2.Http2SecureServer;
  // The first one might be taken by whoever waited for the listening.
  for (let i = 0; i < 2; i++) {
    expect(server.emit("error", Object.assign(new Error("accept EMFILE"), { code: "EMFILE" }))).toBe(true);
  }
  expect(server.listening).toBe(true);
  const { port } = cp.application.nest.get(AgentServer, { strict: false });
  const client = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  await new Promise((resolve, reject) => client.once("connect", resolve).once("error", reject));
  client.destroy();
});

test("streams that are alive are said to be, their gateways too, and no others", async () => {
  await query(
    cp.connection,
    `INSERT INTO agent_sessions (gateway_id, organization_id, session_id, replica_id, contract_version, seen_at)
    SELECT id, organization_id, gen_random_uuid(), gen_random_uuid(), 1, now() - interval '10 seconds' FROM gateways
    ON CONFLICT (gateway_id) DO UPDATE SET seen_at = EXCLUDED.seen_at`,
  );
  const rows = () =>
    query(
      cp.connection,
      `SELECT g.id, s.session_id, g.last_seen_at = s.seen_at AS told
      FROM gateways g JOIN agent_sessions s ON s.gateway_id = g.id`,
    );
  const before = await rows();
  const own = before.find((row) => row.id === fleet.hub.gateway.id);
  const began = Date.now();
  await cp.application.nest.get(SessionStore, { strict: false }).seen([own?.session_id as string]);
  const [{ at } = { at: undefined }] = await query(
    cp.connection,
    `SELECT last_seen_at AS at FROM gateways WHERE id = '${fleet.hub.gateway.id}'`,
  );
  expect((at as Date).getTime()).toBeGreaterThanOrEqual(began);
  expect((await rows()).filter((row) => row.told).map((row) => row.id)).toEqual([fleet.hub.gateway.id]);
});

test("a change keeps other changes waiting, and nobody else who writes rows of the organization", async () => {
  const { id } = fleet.hub.gateway;
  const [row] = await query(cp.connection, `SELECT organization_id FROM gateways WHERE id = '${id}'`);
  const organizationId = row?.organization_id as string;
  const changes = cp.application.nest.get(Changes, { strict: false });
  const order: string[] = [];
  let second: Promise<unknown> = Promise.resolve();
  await query(cp.connection, `DELETE FROM agent_sessions WHERE gateway_id = '${id}'`);
  await changes.commit({ organizationId }, async () => {
    second = changes.commit({ organizationId }, async () => order.push("second"));
    // As an agent's stream that opens: it names the organization whose row the change holds.
    await query(
      cp.connection,
      `INSERT INTO agent_sessions (gateway_id, organization_id, session_id, replica_id, contract_version)
      VALUES ('${id}', '${organizationId}', gen_random_uuid(), gen_random_uuid(), 1)`,
    );
    order.push("first");
  });
  await second;
  expect(order).toEqual(["first", "second"]);
});
