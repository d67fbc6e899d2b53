import http2 from "node:http2";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Fault } from "@sallyport/base";
import {
  type AgentMessage,
  AgentMessageSchema,
  AgentService,
  CONTROL_PLANE_NAME,
  type ControlMessage,
  GoodbyeReason,
  Severity,
  TunnelStateSchema,
  TunnelStatus,
} from "@sallyport/contract";
import { emptyIntent, type GatewayIntent } from "@sallyport/intent";
import { IntentStore } from "../../apps/agent/src/store/index.js";
import { eventually, TestAgent, TestControlPlane, TestDatabase } from "./harness.js";

let postgres: TestDatabase;
let plane: TestControlPlane;
let serial = 0;
const agents: TestAgent[] = [];

beforeAll(async () => {
  postgres = await TestDatabase.start();
  plane = await new TestControlPlane(postgres).start();
}, 60_000);
afterEach(async () => {
  await Promise.all(agents.splice(0).map((a) => a.channel?.stop()));
});
afterAll(async () => {
  await plane.stop();
  await postgres.stop();
});

async function enrolled(): Promise<TestAgent & { id: string }> {
  const gateway = await plane.gateway(`s${++serial}`);
  const agent = new TestAgent(path.join(postgres.directory, `agent-${serial}`));
  await agent.enrol(await plane.token(gateway.id));
  agents.push(agent);
  return Object.assign(agent, { id: gateway.id });
}

async function connected() {
  const agent = await enrolled();
  agent.connect();
  await eventually(() => agent.channel.connected);
  return agent;
}

function intent(id: string, revision: number, commitConfirmSeconds = 60): GatewayIntent {
  const empty = emptyIntent({ id, name: "gw", siteId: "s", fqdn: "gw.acme.sallyport" });
  return { ...empty, revision, options: { commitConfirmSeconds, reportSeconds: 5 } };
}

async function push(agent: { id: string }, revision: number, commitConfirmSeconds?: number): Promise<void> {
  plane.intents.latest.set(agent.id, intent(agent.id, revision, commitConfirmSeconds));
  plane.intents.answers.length = 0;
  const { organizationId } = plane.context;
  await plane.bus.publish("intent", { organizationId, gatewayId: agent.id, revision });
}

const lastGood = async (agent: TestAgent) => (await new IntentStore(agent.state).load()).intent?.revision;
const answers = () => plane.intents.answers;

describe("a stream", () => {
  it("makes the gateway connected, and its end disconnected", async () => {
    const agent = await connected();
    const row = await eventually(async () => {
      const found = await plane.row(agent.id);
      return found.connectedAt && found;
    });
    expect(row).toMatchObject({ agentVersion: "1.2.3", dataPlane: "userspace", disconnectedAt: null });
    expect(row.firstConnectedAt).not.toBeNull();
    await agent.channel.stop();
    await eventually(async () => (await plane.row(agent.id)).disconnectedAt);
    expect(plane.sessions.size).toBe(0);
  });

  it("brings the newest revision, which is applied, acknowledged, confirmed and kept", async () => {
    const agent = await connected();
    await push(agent, 1);
    await eventually(() => answers().includes("confirmed 1"));
    expect(answers()).toEqual(["pushed 1", "acked 1", "confirmed 1"]);
    expect(agent.keeper).toMatchObject({ running: 1, confirmed: 1 });
    expect(await lastGood(agent)).toBe(1);
    await push(agent, 2);
    await eventually(() => answers().includes("confirmed 2"));
    expect(agent.applied).toEqual([1, 2]);
  });

  it("does not send again what the agent runs", async () => {
    const agent = await connected();
    await push(agent, 1);
    await eventually(() => answers().includes("confirmed 1"));
    agent.channel.reconnect();
    await eventually(() => !agent.channel.connected);
    await eventually(() => agent.channel.connected);
    await plane.bus.publish("intent", {
      organizationId: plane.context.organizationId,
      gatewayId: agent.id,
      revision: 1,
    });
    await sleep(200);
    expect(agent.applied).toEqual([1]);
    expect(answers().filter((a) => a.startsWith("pushed"))).toEqual(["pushed 1"]);
  });

  it("carries a refusal with the field at fault; what ran runs on, and it is not sent again", async () => {
    const agent = await connected();
    await push(agent, 1);
    await eventually(() => answers().includes("confirmed 1"));
    agent.refuse = () => {
      throw new Fault(
        "agent/data-plane-refused",
        "EINVAL",
        { retry: false, expose: true },
        { field: "connections[0]", value: "10.0.0.0/8" },
      );
    };
    await push(agent, 2);
    await eventually(() => answers().includes("nacked 2"));
    expect(plane.intents.refusals.at(-1)).toMatchObject({
      code: "agent/data-plane-refused",
      message: "EINVAL",
      field: "connections[0]",
      value: "10.0.0.0/8",
    });
    expect(agent.keeper).toMatchObject({ running: 1, confirmed: 1, refused: [2] });
    agent.channel.reconnect();
    await eventually(() => !agent.channel.connected);
    await eventually(() => agent.channel.connected);
    await sleep(200);
    expect(answers().filter((a) => a === "pushed 2")).toHaveLength(1);
    agent.refuse = undefined;
    await push(agent, 3);
    await eventually(() => answers().includes("confirmed 3"));
    expect(agent.keeper.refused).toEqual([]);
  });

  it("takes commands and says what became of them", async () => {
    const agent = await connected();
    const session = await eventually(() => plane.sessions.of(agent.id));
    const value = { tunnelId: "t", childId: "" };
    session.command({
      $typeName: "sallyport.agent.v1.Command",
      id: "c1",
      action: { case: "rekey", value: { $typeName: "sallyport.agent.v1.Rekey", ...value } },
    });
    await eventually(() => agent.commands.includes("rekey"));
  });

  it("carries states as they change, the newest counters, and every event once", async () => {
    const agent = await connected();
    await eventually(() => plane.tunnels.reports.some((r) => r.complete));
    plane.tunnels.reports.length = 0;
    const state = (status: TunnelStatus) =>
      create(TunnelStateSchema, { tunnelId: "t1", status, ikeSas: [{ initiatorSpi: "00".repeat(8) }] });
    agent.reporter.states([state(TunnelStatus.CONNECTING)]);
    agent.reporter.states([state(TunnelStatus.UP)]);
    agent.reporter.counters(Date.now(), []);
    agent.reporter.event({ code: "ike/up", severity: Severity.INFO, message: "t1 is\u001b[31m up", at: Date.now() });
    await eventually(() => plane.tunnels.reports.some((r) => r.tunnels.some((t) => t.status === "up")));
    const { organizationId } = plane.context;
    const stored = await eventually(() =>
      plane.database.client.event.findFirst({ where: { organizationId, gatewayId: agent.id, kind: "ike/up" } }),
    );
    expect(stored.message).toBe("t1 is\u{fffd}[31m up");
    agent.reporter.states([], ["t1"]);
    await eventually(() => plane.tunnels.reports.some((r) => r.removed.includes("t1")));
  });

  it("keeps events while there is no stream, and tells them afterwards", async () => {
    const agent = await enrolled();
    for (let i = 0; i < 1_200; i++)
      agent.reporter.event({ code: "x/y", severity: Severity.INFO, message: `${i}`, at: Date.now() });
    agent.connect();
    const { organizationId } = plane.context;
    const where = { organizationId, gatewayId: agent.id, kind: "x/y" };
    await eventually(async () => (await plane.database.client.event.count({ where })) === 1_000);
    expect(await plane.database.client.event.findFirst({ where: { ...where, message: "199" } })).toBeNull();
  });
});

describe("one gateway has one stream", () => {
  it("the second takes the place of the first, which waits", async () => {
    const first = await connected();
    const second = new TestAgent(path.join(first.state, "copy"));
    second.enrolment = first.enrolment;
    agents.push(second);
    second.connect();
    await eventually(() => second.channel.connected);
    await eventually(() => !first.channel.connected);
    await sleep(500);
    expect(second.channel.connected).toBe(true);
    expect((await plane.row(first.id)).disconnectedAt).toBeNull();
  });

  it("on whichever replica", async () => {
    const other = await new TestControlPlane(postgres, { intents: plane.intents }).start();
    try {
      const first = await connected();
      const second = new TestAgent(path.join(first.state, "copy"));
      second.enrolment = { ...first.enrolment, urls: [`https://127.0.0.1:${other.server.port}`] };
      agents.push(second);
      second.connect();
      await eventually(() => second.channel.connected);
      await eventually(() => !first.channel.connected);
      expect(other.sessions.size).toBe(1);
      await push(first, 1);
      await eventually(() => second.applied.includes(1));
    } finally {
      await other.stop();
    }
  });
});

describe("who may not", () => {
  it("a revoked gateway loses its stream at once and gets no other", async () => {
    const agent = await connected();
    const started = performance.now();
    await plane.database.transaction((tx) => plane.certificates.revokeAll(tx, plane.context.organizationId, agent.id));
    await plane.bus.publish("revoked", { gatewayId: agent.id });
    await eventually(() => !agent.channel.connected);
    expect(performance.now() - started).toBeLessThan(1_000);
    await expect(once(agent)).rejects.toThrow(
      expect.objectContaining({ rawMessage: expect.stringContaining("revoked") }),
    );
  });

  it("nobody without a certificate, or with one of another kind, or one of another CA", async () => {
    const agent = await enrolled();
    const { control, identities } = agent.enrolment;
    const none = { ...agent.enrolment, control: { privateKey: "", certificates: "" } };
    const identity = { ...agent.enrolment, control: identities[0] ?? control };
    for (const enrolment of [none, identity]) {
      await expect(once(agent, enrolment)).rejects.toThrow(
        expect.objectContaining({ rawMessage: "this needs a certificate of the control channel's CA" }),
      );
    }
  });

  it("a gateway that says it is another", async () => {
    const agent = await enrolled();
    const messages = await once(agent, agent.enrolment, [hello("0190aaaa-0000-7000-8000-000000000000")]);
    expect(goodbyes(messages)).toEqual([GoodbyeReason.PROTOCOL_ERROR]);
  });

  it("an agent of a contract that is not spoken, one that says hello twice or not first", async () => {
    const agent = await enrolled();
    const reasons = await Promise.all(
      [[hello(agent.id, 99)], [ping()]].map(async (sent) => goodbyes(await once(agent, agent.enrolment, sent))),
    );
    expect(reasons.flat()).toEqual([GoodbyeReason.UNSUPPORTED_VERSION, GoodbyeReason.PROTOCOL_ERROR]);
    expect(goodbyes(await once(agent, agent.enrolment, [hello(agent.id), hello(agent.id)]))).toEqual([
      GoodbyeReason.PROTOCOL_ERROR,
    ]);
  });

  it("an agent that sends too much at once, or one message that is too large", async () => {
    const agent = await enrolled();
    const flood = [hello(agent.id), ...Array.from({ length: 2_000 }, ping)];
    expect(goodbyes(await once(agent, agent.enrolment, flood))).toEqual([GoodbyeReason.OVERLOADED]);
    const large = create(AgentMessageSchema, {
      body: { case: "events", value: { events: [{ message: "x".repeat(2 * 1024 * 1024) }] } },
    });
    await once(agent, agent.enrolment, [hello(agent.id), large]);
    expect(plane.tunnels.reports.every((r) => r.tunnels.length < 10)).toBe(true);
    await connected();
  });

  it("TLS before 1.3", async () => {
    const agent = await enrolled();
    const client = http2.connect(agent.enrolment.urls[0] ?? "", {
      ca: agent.enrolment.controlCa,
      servername: CONTROL_PLANE_NAME,
      maxVersion: "TLSv1.2",
    });
    const error = await new Promise<Error>((resolve) => client.once("error", resolve));
    expect(error.message).toMatch(/protocol version/);
  });
});

describe("when parts are away", () => {
  it("agents are connected again within 5 seconds after the control plane came back, told what happened meanwhile", async () => {
    const own = await new TestControlPlane(postgres, { intents: plane.intents }).start();
    const { port } = own.server;
    const agent = await enrolled();
    agent.enrolment = { ...agent.enrolment, urls: [`https://127.0.0.1:${port}`] };
    agent.connect();
    await eventually(() => agent.channel.connected);
    await own.stop();
    await eventually(() => !agent.channel.connected);
    await sleep(6_000); // the back-off is at its longest by then
    plane.intents.latest.set(agent.id, intent(agent.id, 1));
    const back = await new TestControlPlane(postgres, { port, intents: plane.intents }).start();
    const started = performance.now();
    try {
      await eventually(() => agent.channel.connected);
      expect(performance.now() - started).toBeLessThan(5_000);
      await eventually(() => agent.keeper.confirmed === 1);
    } finally {
      await agent.channel.stop();
      await back.stop();
    }
  }, 30_000);

  it("a revision that cost the control plane is undone, told, and not sent again", async () => {
    const own = await new TestControlPlane(postgres, { intents: plane.intents }).start();
    const { port } = own.server;
    const agent = await enrolled();
    agent.enrolment = { ...agent.enrolment, urls: [`https://127.0.0.1:${port}`] };
    plane.intents.latest.set(agent.id, intent(agent.id, 1));
    agent.connect();
    await eventually(() => agent.keeper.confirmed === 1);
    // Applying it cuts the connection, as a wrong policy would.
    let gone: Promise<void> | undefined;
    agent.refuse = ({ revision }) => {
      if (revision === 2) gone = own.stop();
    };
    await push(agent, 2, 5);
    await eventually(() => agent.applied.includes(2));
    await gone;
    expect(agent.keeper).toMatchObject({ running: 2, confirmed: 1 });
    await eventually(() => agent.keeper.running === 1);
    expect(agent.applied).toEqual([1, 2, 1]);
    expect(await lastGood(agent)).toBe(1);
    const back = await new TestControlPlane(postgres, { port, intents: plane.intents }).start();
    try {
      await eventually(() => answers().includes("reverted 2 to 1"));
      expect(answers().filter((a) => a === "pushed 2")).toHaveLength(1);
      await push(agent, 3, 5);
      await eventually(() => agent.keeper.confirmed === 3);
    } finally {
      await agent.channel.stop();
      await back.stop();
    }
  }, 40_000);

  it("a connection that breaks and comes back within the time does not undo the revision", async () => {
    const agent = await connected();
    agent.refuse = () => agent.channel.reconnect();
    await push(agent, 1, 20);
    await eventually(() => agent.keeper.confirmed === 1);
    expect(agent.applied).toEqual([1]);
    await eventually(() => answers().includes("confirmed 1"));
  });

  it("an agent that starts without a control plane runs its last good intent", async () => {
    const agent = await connected();
    await push(agent, 1);
    await eventually(() => answers().includes("confirmed 1"));
    await agent.channel.stop();
    const again = new TestAgent(agent.state);
    await again.keeper.start();
    expect(again.applied).toEqual([1]);
    expect(again.keeper).toMatchObject({ running: 1, confirmed: 1 });
  });

  it("answers and events are kept while PostgreSQL is down, and streams stay", async () => {
    const agent = await connected();
    await eventually(async () => (await plane.row(agent.id)).connectedAt);
    const session = plane.sessions.of(agent.id);
    process.kill(postgres.pid, "SIGKILL");
    agent.reporter.event({
      code: "x/outage",
      severity: Severity.WARNING,
      message: "told during an outage",
      at: Date.now(),
    });
    await sleep(1_500);
    const { organizationId } = plane.context;
    const where = { organizationId, gatewayId: agent.id, kind: "x/outage" };
    await eventually(() => plane.database.client.event.findFirst({ where }).catch(() => null), 20_000);
    expect(agent.channel.connected).toBe(true);
    expect(plane.sessions.of(agent.id)).toBe(session);
    await eventually(async () => {
      await push(agent, 1).catch(() => {});
      await sleep(200);
      return agent.keeper.confirmed === 1;
    }, 20_000);
  }, 60_000);

  it("sessions of a replica that died are closed when their lease ends", async () => {
    const agent = await connected();
    await eventually(async () => (await plane.row(agent.id)).connectedAt);
    const { organizationId } = plane.context;
    const seenAt = new Date(Date.now() - 60_000);
    await plane.database.client.agentSession.update({
      where: { organizationId, gatewayId: agent.id },
      data: { seenAt },
    });
    expect(await plane.store.reap()).toEqual([{ organizationId, gatewayId: agent.id }]);
    expect((await plane.row(agent.id)).disconnectedAt).toEqual(seenAt);
  });
});

const hello = (gatewayId: string, contractVersion = 1) =>
  create(AgentMessageSchema, { body: { case: "hello", value: { gatewayId, contractVersion, agentVersion: "1" } } });
const ping = () => create(AgentMessageSchema, { body: { case: "ping", value: { sequence: 1 } } });
const goodbyes = (messages: readonly ControlMessage[]) =>
  messages.flatMap(({ body }) => (body.case === "goodbye" ? [body.value.reason] : []));

/** A stream without the agent's manners: sends `sent`, then reads until the control plane ends it. */
async function once(
  agent: TestAgent & { id: string },
  enrolment = agent.enrolment,
  sent: AgentMessage[] = [hello(agent.id)],
) {
  const { privateKey, certificates } = enrolment.control;
  const transport = createGrpcTransport({
    baseUrl: enrolment.urls[0] ?? "",
    nodeOptions: {
      ca: enrolment.controlCa,
      servername: CONTROL_PLANE_NAME,
      ...(privateKey === "" ? {} : { key: privateKey, cert: certificates }),
    },
    idleConnectionTimeoutMs: 10,
  });
  const end = new AbortController();
  async function* outgoing() {
    yield* sent;
    await new Promise((resolve) => end.signal.addEventListener("abort", resolve));
  }
  const received: ControlMessage[] = [];
  try {
    for await (const m of createClient(AgentService, transport).connect(outgoing(), { timeoutMs: 3_000 }))
      received.push(m);
  } catch (error) {
    if (received.length === 0) throw error;
  } finally {
    end.abort();
  }
  return received;
}
