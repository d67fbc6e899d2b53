import { X509Certificate } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "@sallyport/base";
import { IntentStore } from "../../apps/agent/src/store/index.js";
import { startControlPlane, type TestControlPlane } from "../../apps/control-plane/test/control-plane.js";
import { query } from "../../apps/control-plane/test/database.js";
import { CREATE_NETWORK, CREATE_SITE, type MadeSite, ONBOARD_SITE } from "../../apps/control-plane/test/fleet.js";
import { eventually, TestAgent } from "./harness.js";

/** A well-formed id (version 7) of nothing. */
const UNKNOWN = "01920000-0000-7000-8000-000000000000";

let cp: TestControlPlane;
let directory: string;
const agents: TestAgent[] = [];

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "sallyport-whole-"));
  cp = await startControlPlane();
});
afterAll(async () => {
  await Promise.all(agents.map((a) => a.channel?.stop()));
  await cp.close();
  await rm(directory, { recursive: true, force: true });
});

async function machine(name: string, token: string): Promise<TestAgent> {
  const agent = new TestAgent(path.join(directory, name));
  agents.push(agent);
  await agent.enrol(token);
  agent.connect();
  return agent;
}

const GATEWAYS = `{ gateways { edges { node {
  name state connected agentVersion dataPlane ackedRevision latestRevision { number status }
} } } }`;

it("a branch that is onboarded through the API gets its intent, and so does the hub", async () => {
  const { createSite: hub } = await cp.get<{ createSite: MadeSite }>(CREATE_SITE, {
    input: { name: "Headquarters", subnets: ["10.1.0.0/16"], gateway: { host: "198.51.100.1" } },
  });
  const { createNetwork } = await cp.get<{ createNetwork: { id: string } }>(CREATE_NETWORK, {
    input: { name: "Offices", hubGatewayIds: [hub.gateway.id] },
  });
  const hubAgent = await machine("hub", hub.enrolment.token);
  await eventually(() => hubAgent.keeper.confirmed > 0);

  const { onboardSite: branch } = await cp.get<{ onboardSite: MadeSite }>(ONBOARD_SITE, {
    input: { name: "Vienna", subnets: ["10.2.0.0/16"], networkId: createNetwork.id, gateway: {} },
  });
  const agent = await machine("branch", branch.enrolment.token);
  const has = async (a: TestAgent, tunnels: number) => {
    const { intent } = await new IntentStore(a.state).load();
    return intent?.connections.length === tunnels && intent;
  };
  const intent = await eventually(() => has(agent, 1));
  const hubIntent = await eventually(() => has(hubAgent, 1));

  expect(intent.identity).toEqual({ type: "fqdn", value: branch.gateway.identity });
  expect(intent.connections[0]?.peer).toMatchObject({
    method: "certificate",
    identity: { value: hub.gateway.identity },
  });
  expect(hubIntent.connections[0]?.peer).toMatchObject({ identity: { value: branch.gateway.identity } });
  const { gateways } = await eventually(async () => {
    const answer = await cp.get<{ gateways: { edges: { node: { latestRevision: { status: string } | null } }[] } }>(
      GATEWAYS,
    );
    return answer.gateways.edges.every((e) => e.node.latestRevision?.status === "ACKED") && answer;
  });
  expect(gateways.edges.map((e) => e.node)).toEqual(
    ["Headquarters", "Vienna"].map((name) =>
      expect.objectContaining({
        name,
        state: "ENROLLED",
        connected: true,
        agentVersion: "1.2.3",
        dataPlane: "userspace",
      }),
    ),
  );
});

it("certificates that an agent tells of are in the inventory, with where and who", async () => {
  const [hub, branch] = agents as [TestAgent, TestAgent];
  const shown = new X509Certificate(branch.enrolment.identities[0]?.certificates ?? "");
  const { tunnels } = await cp.get<{ tunnels: { edges: { node: { key: string; name: string } }[] } }>(
    "{ tunnels { edges { node { key name } } } }",
  );
  const { key = "", name = "" } = tunnels.edges[0]?.node ?? {};
  const seen = { certificate: Uint8Array.from(shown.raw), at: Date.now() };
  branch.reporter.certificate({ ...seen, tunnelId: "", identity: "" });
  hub.reporter.certificate({ ...seen, tunnelId: key, identity: "gw-vienna" });
  const serial = shown.serialNumber.toLowerCase();
  await eventually(async () => {
    const { certificates } = await cp.get<{
      certificates: { edges: { node: { serial: string; seenAt: object[] } }[] };
    }>("{ certificates { edges { node { serial seenAt { gateway connection identity } } } } }");
    const found = certificates.edges.map((e) => e.node).find((n) => n.serial.toLowerCase() === serial);
    return (
      found?.seenAt.length === 2 &&
      expect(found.seenAt).toEqual(
        expect.arrayContaining([
          { gateway: "Vienna", connection: null, identity: null },
          { gateway: "Headquarters", connection: name, identity: "gw-vienna" },
        ]),
      ) === undefined
    );
  });
});

const COMMAND = (name: string) => `mutation ($input: TunnelCommandInput!) { ${name}(input: $input) { id name } }`;

it("operators' commands reach the agents, and what these say comes back", async () => {
  const { tunnels } = await cp.get<{
    tunnels: { edges: { node: { id: string; key: string; ends: { gateway: { id: string; name: string } }[] } }[] };
  }>("{ tunnels { edges { node { id key ends { gateway { id name } } } } } }");
  const tunnel = tunnels.edges[0]?.node;
  const hubId = tunnel?.ends.find((e) => e.gateway.name === "Headquarters")?.gateway.id;
  const [hub, branch] = agents;
  // The one that calls first is the branch, whose hub has an address.
  for (const [name, action] of [
    ["initiateTunnel", "initiate"],
    ["rekeyTunnel", "rekey"],
    ["terminateTunnel", "terminate"],
  ] as const) {
    const answer = await cp.get<Record<string, { id: string }>>(COMMAND(name), { input: { tunnelId: tunnel?.id } });
    expect(answer[name]?.id).toBe(tunnel?.id);
    expect(branch?.commands.at(-1)).toBe(action);
  }
  const input = { tunnelId: tunnel?.id, gatewayId: hubId, childId: `${tunnel?.key}.site` };
  await cp.get(COMMAND("rekeyTunnel"), { input });
  expect(hub?.commands).toEqual(["rekey"]);
  if (hub)
    hub.refuseCommand = new Fault(
      "agent/no-such-child",
      "no such child",
      { retry: false, expose: true },
      { field: "childId" },
    );
  expect((await cp.send(COMMAND("rekeyTunnel"), { input })).errors?.[0]).toMatchObject({
    message: "no such child",
    extensions: { code: "agents/command-refused", reason: "agent/no-such-child", field: "childId" },
  });
  for (const [change, field] of [
    [{ tunnelId: UNKNOWN }, "input.tunnelId"],
    [{ gatewayId: UNKNOWN }, "input.gatewayId"],
  ] as const) {
    const { errors } = await cp.send(COMMAND("initiateTunnel"), { input: { ...input, ...change } });
    expect(errors?.[0]?.extensions).toMatchObject({ field });
  }
  await hub?.channel.stop();
  await eventually(async () => {
    const { errors } = await cp.send(COMMAND("initiateTunnel"), { input });
    return errors?.[0]?.extensions.code === "agents/not-connected";
  });
  // Its stream ends while a command is on its way to it: nobody holds the stream that the database still names.
  await query(
    cp.connection,
    `INSERT INTO agent_sessions (gateway_id, organization_id, session_id, replica_id, contract_version)
     SELECT id, organization_id, $2, $2, 1 FROM gateways WHERE id = $1`,
    [hubId, UNKNOWN],
  );
  const asked = async () => (await query(cp.connection, "SELECT 1 FROM audit_entries")).length;
  const before = await asked();
  const unheard = cp.send(COMMAND("initiateTunnel"), { input });
  await eventually(async () => (await asked()) > before);
  await query(cp.connection, "DELETE FROM agent_sessions WHERE session_id = $1", [UNKNOWN]);
  expect((await unheard).errors?.[0]?.extensions.code).toBe("agents/not-connected");
  hub?.connect();
  await eventually(() => hub?.channel.connected);
});

it("a retired gateway's stream ends, it cannot come back, and its peers drop it", async () => {
  const [hub, agent] = agents;
  if (!hub || !agent) throw new Error("no agents");
  const RETIRE = "mutation ($id: ID!) { retireGateway(id: $id) { id state } }";
  const idOf = (a: TestAgent) => a.enrolment.gatewayId;
  expect((await cp.send(RETIRE, { id: idOf(hub) })).errors?.[0]?.extensions).toMatchObject({
    code: "api/in-use",
    field: "id",
  });
  expect(await cp.get(RETIRE, { id: idOf(agent) })).toEqual({ retireGateway: { id: idOf(agent), state: "RETIRED" } });
  await eventually(() => !agent.channel.connected);
  const good = await query(cp.connection, "SELECT 1 FROM certificates WHERE gateway_id = $1 AND revoked_at IS NULL", [
    idOf(agent),
  ]);
  expect(good).toEqual([]);
  agent.channel.reconnect();
  const again = new TestAgent(path.join(directory, "again"));
  again.enrolment = agent.enrolment;
  agents.push(again);
  again.connect();
  await sleep(1_000);
  expect([agent.channel.connected, again.channel.connected]).toEqual([false, false]);
  await eventually(async () => (await new IntentStore(hub.state).load()).intent?.connections.length === 0);
  const { gateways } = await cp.get<{ gateways: { edges: { node: { name: string } }[] } }>(
    "{ gateways { edges { node { name } } } }",
  );
  expect(gateways.edges.map((e) => e.node.name)).toEqual(["Headquarters"]);
  expect((await cp.send(RETIRE, { id: idOf(agent) })).errors?.[0]?.extensions.code).toBe("api/not-found");
});

it("the CAs are listed, and a token can be issued again", async () => {
  const listed = await cp.get<{ certificateAuthorities: { edges: { node: Record<string, string> }[] } }>(
    "{ certificateAuthorities { edges { node { name purpose level fingerprint pem notAfter } } } }",
  );
  const certificateAuthorities = listed.certificateAuthorities.edges.map((e) => e.node);
  expect(certificateAuthorities.map((c) => `${c.purpose} ${c.level}`).toSorted()).toEqual([
    "CONTROL_CHANNEL ISSUING",
    "CONTROL_CHANNEL ROOT",
    "GATEWAY_IDENTITY ISSUING",
    "GATEWAY_IDENTITY ROOT",
  ]);
  expect(certificateAuthorities.every((c) => c.pem?.startsWith("-----BEGIN CERTIFICATE-----"))).toBe(true);
  const { gateways } = await cp.get<{ gateways: { edges: { node: { id: string } }[] } }>(
    "{ gateways { edges { node { id } } } }",
  );
  const REISSUE = "mutation ($id: ID!) { reissueEnrolment(gatewayId: $id) { command token expiresAt } }";
  const id = gateways.edges[0]?.node.id;
  const { reissueEnrolment } = await cp.get<{ reissueEnrolment: { command: string; token: string } }>(REISSUE, { id });
  expect(reissueEnrolment.command).toBe(`sallyport-agent enrol --run --token ${reissueEnrolment.token}`);
  const unknown = await cp.send(REISSUE, { id: crypto.randomUUID() });
  expect(unknown.errors?.[0]?.extensions).toMatchObject({ code: "api/not-found", field: "gatewayId" });
  expect((await cp.send(REISSUE, { id }, null)).errors?.[0]?.extensions).toMatchObject({ code: "api/unauthenticated" });
});
