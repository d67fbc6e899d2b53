import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { IntentStore } from "../../apps/agent/src/store/index.js";
import { startControlPlane, type TestControlPlane } from "../../apps/control-plane/test/control-plane.js";
import { CREATE_NETWORK, CREATE_SITE, type MadeSite, ONBOARD_SITE } from "../../apps/control-plane/test/fleet.js";
import { eventually, TestAgent } from "./harness.js";

let cp: TestControlPlane;
let directory: string;
const agents: TestAgent[] = [];

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "sallyport-whole-"));
  cp = await startControlPlane();
}, 60_000);
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

it("the CAs are listed, and a token can be issued again", async () => {
  const { certificateAuthorities } = await cp.get<{ certificateAuthorities: Record<string, string>[] }>(
    "{ certificateAuthorities { name purpose level fingerprint pem notAfter } }",
  );
  expect(certificateAuthorities.map((c) => `${c.purpose} ${c.level}`)).toEqual([
    "GATEWAY_IDENTITY ISSUING",
    "GATEWAY_IDENTITY ROOT",
    "CONTROL_CHANNEL ISSUING",
    "CONTROL_CHANNEL ROOT",
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
