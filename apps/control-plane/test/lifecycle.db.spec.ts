import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";
import { IntentService } from "../src/features/intents/intent.service.js";
import { TunnelStateService } from "../src/features/tunnels/tunnel-state.service.js";
import { eventually, startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query, redisUrl } from "./database.js";
import { enrol } from "./enrol.js";
import { ADD_PEER, describeFleet, type Fleet } from "./fleet.js";
import { downReport, tell, upReport } from "./reports.js";

interface Revisions {
  intentRevisions: {
    edges: {
      node: {
        number: number;
        status: string;
        gatewayId: string;
        nack: object | null;
        intent: { connections: object[] };
      };
    }[];
  };
}

const REVISIONS = `query ($gatewayId: ID) { intentRevisions(filter: { gatewayId: $gatewayId }) { edges { node {
  number status gatewayId nack { code reason field value expected } intent ackedAt confirmedAt } } } }`;
const TUNNELS = `{ tunnels { edges { node { id key state ends { state gateway { name } lastError { code ours theirs exchange }
  ikeSas { initiatorSpi nextRekeyAt childSas { inboundSpi bytesIn packetsOut nextRekeyAt } } } } } } }`;

describe.each([
  ["PostgreSQL alone", () => ({})],
  ["Redis", () => ({ REDIS_URL: redisUrl(1) })],
])("a branch's life with jobs and wake-ups on %s", (_, environment) => {
  let cp: TestControlPlane;
  let fleet: Fleet;
  let intents: IntentService;
  let states: TunnelStateService;

  beforeAll(async () => {
    cp = await startControlPlane(environment());
    intents = cp.application.nest.get(IntentService, { strict: false });
    states = cp.application.nest.get(TunnelStateService, { strict: false });
    fleet = await describeFleet(cp);
  });
  afterAll(() => cp?.close());

  const revisions = async (gatewayId: string) =>
    (await cp.get<Revisions>(REVISIONS, { gatewayId })).intentRevisions.edges.map((e) => e.node);
  const tunnel = async () => {
    const data = await cp.get<{
      tunnels: { edges: { node: { id: string; key: string; state: string; ends: object[] } }[] };
    }>(TUNNELS);
    const [edge] = data.tunnels.edges;
    if (!edge) throw new Error("no tunnel");
    return edge.node;
  };
  const iterate = (source: string) => {
    const client = createClient({
      url: `${cp.application.url.replace("http", "ws")}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${cp.first.apiToken}` },
    });
    return { news: client.iterate<Record<string, unknown>>({ query: source }), dispose: () => client.dispose() };
  };

  test("a gateway gets no revision before it is enrolled, and one right after", async () => {
    expect(await intents.latestFor(fleet.branch.gateway.id)).toBeUndefined();
    await enrol(cp, fleet.hub);
    await enrol(cp, fleet.branch);
    const latest = await eventually(
      () => intents.latestFor(fleet.branch.gateway.id),
      (intent) => intent !== undefined,
    );
    const body = JSON.parse(Buffer.from(latest?.body ?? []).toString("utf8"));
    expect(body).toMatchObject({
      revision: latest?.revision,
      connections: [{ remote: { host: "198.51.100.1" }, role: "initiator" }],
    });
    const rows = await query(cp.connection, "SELECT count(*)::int AS left FROM outbox");
    await eventually(
      () => query(cp.connection, "SELECT count(*)::int AS left FROM outbox"),
      ([row]) => row?.left === 0,
    );
    expect(rows).toHaveLength(1);
  });

  test("pushed, acknowledged and confirmed revisions show as such, once each", async () => {
    const { id } = fleet.branch.gateway;
    const { revision = 0 } = (await intents.latestFor(id)) ?? {};
    await intents.pushed(id, revision);
    await intents.acked(id, revision);
    await intents.acked(id, revision);
    await intents.confirmed(id, revision);
    const [newest] = await revisions(id);
    expect(newest).toMatchObject({
      number: revision,
      status: "ACKED",
      nack: null,
      ackedAt: expect.any(String),
      confirmedAt: expect.any(String),
    });
    const acks = await query(cp.connection, "SELECT 1 FROM events WHERE kind = 'intent/acked' AND gateway_id = $1", [
      id,
    ]);
    expect(acks).toHaveLength(1);
    const { gateway } = await cp.get<{ gateway: { ackedRevision: number } }>(
      "query ($id: ID!) { gateway(id: $id) { ackedRevision } }",
      { id },
    );
    expect(gateway.ackedRevision).toBe(revision);
  });

  test("a change makes a revision of the gateway it touches and of no other; the pre-shared key is masked", async () => {
    const before = {
      hub: (await revisions(fleet.hub.gateway.id)).length,
      branch: (await revisions(fleet.branch.gateway.id)).length,
    };
    const input = {
      name: "Partner",
      gatewayId: fleet.hub.gateway.id,
      host: "203.0.113.9",
      preSharedKey: "correct horse battery staple",
      subnets: ["192.168.7.0/24"],
    };
    await cp.get(ADD_PEER, { input });
    const hub = await eventually(
      () => revisions(fleet.hub.gateway.id),
      (list) => list.length === before.hub + 1,
    );
    expect(hub[0]?.intent.connections).toHaveLength(2);
    expect(JSON.stringify(hub)).toContain('"secret":"***"');
    expect(JSON.stringify(hub)).not.toContain("battery staple");
    expect(await revisions(fleet.branch.gateway.id)).toHaveLength(before.branch);
    const stored = await query(cp.connection, "SELECT row_to_json(r)::text FROM intent_revisions r");
    expect(JSON.stringify(stored)).not.toContain(Buffer.from("battery staple").toString("hex"));
  });

  test("a refused revision shows the field at fault, and is not sent again", async () => {
    const { id } = fleet.hub.gateway;
    const { revision = 0 } = (await intents.latestFor(id)) ?? {};
    const field = "connections[1].children[0].espProposals[0]";
    const refusal = {
      code: "xfrm/kernel-rejected",
      message: "the kernel refused it",
      field,
      value: "aes256gcm16",
      expected: "an algorithm it has",
    };
    await intents.pushed(id, revision);
    await intents.nacked(id, revision, refusal);
    const [newest] = await revisions(id);
    expect(newest).toMatchObject({
      status: "NACKED",
      nack: { code: refusal.code, reason: refusal.message, field, value: "aes256gcm16" },
    });
    expect(await intents.latestFor(id)).toBeUndefined();
    const { fleetHealth } = await cp.get<{ fleetHealth: object }>("{ fleetHealth { revisionsRefused gateways } }");
    expect(fleetHealth).toEqual({ revisionsRefused: 1, gateways: 2 });
  });

  test("a tunnel is what both ends report; subscribers hear of it", async () => {
    const { key, id } = await tunnel();
    const { news, dispose } = iterate(`subscription { tunnelChanged(tunnelId: "${id}") { state ends { state } } }`);
    const heard: string[] = [];
    const listening = (async () => {
      for await (const { data } of news) {
        heard.push((data as { tunnelChanged: { state: string } }).tunnelChanged.state);
        if (heard.at(-1) === "UP") return;
      }
    })();
    // Subscribing has no answer of its own: report until the first is heard.
    await eventually(
      async () => {
        await tell(cp, fleet.hub.gateway.id, [upReport(key, "a0000001")]);
        return heard.length;
      },
      (n) => n > 0,
    );
    expect(await tunnel()).toMatchObject({ state: "DEGRADED" });
    await tell(cp, fleet.branch.gateway.id, [upReport(key, "b0000001")], { complete: true });
    await listening;
    await dispose();
    expect(heard).toContain("DEGRADED");
    expect(heard.at(-1)).toBe("UP");
    expect(await tunnel()).toMatchObject({ state: "UP", ends: [{ state: "UP" }, { state: "UP" }] });
  });

  test("counters survive a report; SAs that are gone are gone", async () => {
    const { key } = await tunnel();
    const counter = {
      key,
      inboundSpi: "a0000001",
      bytesIn: 2n ** 40n,
      bytesOut: 7n,
      packetsIn: 3n,
      packetsOut: 5n,
      errorsIn: 0n,
      lastPacketInAt: new Date(),
    };
    const { id } = fleet.hub.gateway;
    await states.counters(id, new Date(), [counter, { ...counter, inboundSpi: "ffffffff" }]);
    await tell(cp, id, [upReport(key, "a0000001")]);
    const childOf = async () => JSON.stringify((await tunnel()).ends);
    expect(await childOf()).toContain('"inboundSpi":"a0000001","bytesIn":"1099511627776","packetsOut":"5"');
    // A late report changes nothing.
    await states.counters(id, new Date(0), [{ ...counter, bytesIn: 1n }]);
    expect(await childOf()).toContain('"bytesIn":"1099511627776"');
    await tell(cp, id, [upReport(key, "a0000002")]);
    expect(await childOf()).not.toContain("a0000001");
    expect(await childOf()).toContain('"inboundSpi":"a0000002","bytesIn":"0"');
  });

  test("a tunnel that fails tells why, with both sides' values, in its state, an event and the totals", async () => {
    const { key, id } = await tunnel();
    for (const { gateway } of [fleet.hub, fleet.branch]) {
      await tell(cp, gateway.id, [downReport(key)]);
    }
    const error = {
      code: "ike/no-proposal-chosen",
      ours: "aes256gcm16-prfsha384-x25519",
      theirs: "3des-sha1-modp1024",
      exchange: "IKE_SA_INIT",
    };
    expect(await tunnel()).toMatchObject({
      state: "DOWN",
      ends: [{ lastError: error, ikeSas: [] }, { lastError: error }],
    });
    const data = await cp.get<{ events: { edges: { node: { kind: string; facts: object } }[] }; fleetHealth: object }>(
      `query ($id: ID!) { events(first: 5, filter: { tunnelId: $id }) { edges { node { kind facts } } } fleetHealth { tunnels tunnelsDown tunnelsUp } }`,
      { id },
    );
    expect(data.events.edges.map((e) => e.node.kind)).toEqual(
      expect.arrayContaining(["tunnel/down", "tunnel/up", "tunnel/degraded"]),
    );
    expect(data.events.edges[0]?.node).toMatchObject({
      kind: "tunnel/down",
      facts: { ours: error.ours, theirs: error.theirs },
    });
    expect(data.fleetHealth).toEqual({ tunnels: 2, tunnelsDown: 1, tunnelsUp: 0 });
  });

  test("onboarding progress is told step by step until it is complete", async () => {
    await query(cp.connection, "UPDATE gateways SET first_connected_at = NULL WHERE id = $1", [
      fleet.branch.gateway.id,
    ]);
    const { news, dispose } = iterate(
      `subscription { onboardingProgress(gatewayId: "${fleet.branch.gateway.id}") { complete steps { name done } } }`,
    );
    const heard: { complete: boolean; steps: { name: string; done: boolean }[] }[] = [];
    for await (const { data, errors } of news) {
      expect(errors).toBeUndefined();
      heard.push((data as { onboardingProgress: (typeof heard)[0] }).onboardingProgress);
      if (heard.length > 1) continue;
      await query(cp.connection, "UPDATE gateways SET first_connected_at = now() WHERE id = $1", [
        fleet.branch.gateway.id,
      ]);
      const { revision = 0 } = (await intents.latestFor(fleet.branch.gateway.id)) ?? {};
      await intents.reverted(fleet.branch.gateway.id, revision, 0, "lost the control plane");
    }
    await dispose();
    expect(heard.map((h) => h.complete)).toEqual([false, true]);
    expect(heard[0]?.steps.map((s) => `${s.name} ${s.done}`)).toEqual([
      "described true",
      "enrolled true",
      "connected false",
      "configured true",
      "tunnelUp true",
    ]);
  });
});
