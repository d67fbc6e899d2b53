import http2 from "node:http2";
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
  IkeSaSchema,
  Severity,
  TunnelStateSchema,
  TunnelStatus,
} from "@sallyport/contract";
import { Stopwatch } from "@sallyport/testkit";
import { saKey } from "../../apps/agent/src/stream/index.js";
import { Fixture, lastGood } from "./fixture.js";
import { eventually, type TestAgent, TestDatabase } from "./harness.js";

let f: Fixture;

beforeAll(async () => {
  f = await Fixture.start(await TestDatabase.open());
});
afterEach(() => f.stopAgents());
afterAll(() => f.stop());

describe("a stream", () => {
  it("makes the gateway connected, and its end disconnected", async () => {
    const agent = await f.connected();
    const row = await eventually(async () => {
      const found = await f.plane.row(agent.id);
      return found.connectedAt && found;
    });
    expect(row).toMatchObject({ agentVersion: "1.2.3", dataPlane: "userspace", disconnectedAt: null });
    expect(row.firstConnectedAt).not.toBeNull();
    await agent.channel.stop();
    await eventually(async () => (await f.plane.row(agent.id)).disconnectedAt);
    expect(await f.plane.session(agent.id)).toBeUndefined();
  });

  it("brings the newest revision, which is applied, acknowledged, confirmed and kept", async () => {
    const agent = await f.connected();
    await f.push(agent, 1);
    await eventually(() => f.answers.includes("confirmed 1"));
    expect(f.answers).toEqual(["pushed 1", "acked 1", "confirmed 1"]);
    expect(agent.keeper).toMatchObject({ running: 1, confirmed: 1 });
    expect(await lastGood(agent)).toBe(1);
    await f.push(agent, 2);
    await eventually(() => f.answers.includes("confirmed 2"));
    expect(agent.applied).toEqual([1, 2]);
  });

  it("does not send again what the agent runs", async () => {
    const agent = await f.connected();
    await f.push(agent, 1);
    await eventually(() => f.answers.includes("confirmed 1"));
    agent.channel.reconnect();
    await eventually(() => !agent.channel.connected);
    await eventually(() => agent.channel.connected);
    await f.plane.bus.publish("intent", {
      organizationId: f.plane.context.organizationId,
      gatewayId: agent.id,
      revision: 1,
    });
    await sleep(200);
    expect(agent.applied).toEqual([1]);
    expect(f.answers.filter((a) => a.startsWith("pushed"))).toEqual(["pushed 1"]);
  });

  it("carries a refusal with the field at fault; what ran runs on, and it is not sent again", async () => {
    const agent = await f.connected();
    await f.push(agent, 1);
    await eventually(() => f.answers.includes("confirmed 1"));
    agent.refuse = () => {
      throw new Fault(
        "agent/data-plane-refused",
        "EINVAL",
        { retry: false, expose: true },
        { field: "connections[0]", value: "10.0.0.0/8" },
      );
    };
    await f.push(agent, 2);
    await eventually(() => f.answers.includes("nacked 2"));
    expect(f.plane.intents.refusals.at(-1)).toMatchObject({
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
    expect(f.answers.filter((a) => a === "pushed 2")).toHaveLength(1);
    agent.refuse = undefined;
    await f.push(agent, 3);
    await eventually(() => f.answers.includes("confirmed 3"));
    expect(agent.keeper.refused).toEqual([]);
  });

  it("takes commands, also of another replica, and says what became of them", async () => {
    const agent = await f.connected();
    const { bus, stop } = await f.replica().then((other) => ({ bus: other.bus, stop: () => other.stop() }));
    const told: object[] = [];
    const end = bus.subscribe("commandResult", (result) => told.push(result));
    const command = (commandId: string, what: "rekey" | "initiate") =>
      bus.publish("command", {
        ...{ commandId, gatewayId: agent.id },
        action: { case: what, value: { tunnelId: "t", childId: "" } },
      });
    await command("c1", "rekey");
    await eventually(() => told.length === 1);
    expect(agent.commands).toEqual(["rekey"]);
    agent.refuseCommand = new Fault(
      "agent/unknown-tunnel",
      "no tunnel t",
      { retry: false, expose: true },
      { field: "tunnelId" },
    );
    await command("c2", "initiate");
    await eventually(() => told.length === 2);
    end();
    await stop();
    expect(told).toEqual([
      { commandId: "c1" },
      { commandId: "c2", problem: expect.objectContaining({ code: "agent/unknown-tunnel", field: "tunnelId" }) },
    ]);
  });

  it("carries states as they change, the newest counters, and every event once", async () => {
    const agent = await f.connected();
    await eventually(() => f.plane.tunnels.reports.some((r) => r.completes === "with-sas"));
    f.plane.tunnels.reports.length = 0;
    const sa = create(IkeSaSchema, { initiatorSpi: "00".repeat(8), responderSpi: "11".repeat(8) });
    const state = (status: TunnelStatus) => {
      const told = { state: create(TunnelStateSchema, { tunnelId: "t1", status }), sas: new Map([[saKey(sa), sa]]) };
      return new Map([["t1", told]]);
    };
    await agent.becomes(state(TunnelStatus.CONNECTING));
    await agent.becomes(state(TunnelStatus.UP));
    agent.reporter.counters(Date.now(), []);
    agent.reporter.event({ code: "ike/up", severity: Severity.INFO, message: "t1 is\u001b[31m up", at: Date.now() });
    await eventually(() => f.plane.tunnels.reports.some((r) => r.tunnels.some((t) => t.status === "up")));
    const { organizationId } = f.plane.context;
    const stored = await eventually(() =>
      f.plane.database.client.event.findFirst({ where: { organizationId, gatewayId: agent.id, kind: "ike/up" } }),
    );
    expect(stored.message).toBe("t1 is\u{fffd}[31m up");
    expect(f.plane.tunnels.reports.flatMap((r) => r.ikeSas.map((one) => one.sa.responderSpi))).toContain(
      "11".repeat(8),
    );
    await agent.becomes(new Map());
    await eventually(() => f.plane.tunnels.reports.some((r) => r.removedKeys.includes("t1")));
  });

  it("keeps events while there is no stream, and tells them afterwards", async () => {
    const agent = await f.enrolled();
    for (let i = 0; i < 1_200; i++)
      agent.reporter.event({ code: "x/y", severity: Severity.INFO, message: `${i}`, at: Date.now() });
    agent.connect();
    const { organizationId } = f.plane.context;
    const where = { organizationId, gatewayId: agent.id, kind: "x/y" };
    await eventually(async () => (await f.plane.database.client.event.count({ where })) === 1_000);
    expect(await f.plane.database.client.event.findFirst({ where: { ...where, message: "199" } })).toBeNull();
  });
});

describe("one gateway has one stream", () => {
  it("the second takes the place of the first, which waits", async () => {
    const first = await f.connected();
    const second = f.copyOf(first);
    second.connect();
    await eventually(() => second.channel.connected);
    await eventually(() => !first.channel.connected);
    await sleep(500);
    expect(second.channel.connected).toBe(true);
    expect((await f.plane.row(first.id)).disconnectedAt).toBeNull();
  });

  it("on whichever replica", async () => {
    const other = await f.replica();
    try {
      const first = await f.connected();
      const before = await eventually(() => f.plane.session(first.id));
      const second = f.copyOf(first);
      second.enrolment = { ...first.enrolment, urls: [`https://127.0.0.1:${other.server.port}`] };
      second.connect();
      await eventually(() => second.channel.connected);
      await eventually(() => !first.channel.connected);
      expect(await f.plane.session(first.id)).not.toBe(before);
      await f.push(first, 1);
      await eventually(() => second.applied.includes(1));
    } finally {
      await other.stop();
    }
  });
});

describe("who may not", () => {
  it("a revoked gateway loses its stream at once and gets no other", async () => {
    const agent = await f.connected();
    const watch = new Stopwatch();
    await f.plane.database.transaction((tx) =>
      f.plane.certificates.revokeAll(tx, f.plane.context.organizationId, agent.id),
    );
    await f.plane.bus.publish("revoked", { gatewayId: agent.id });
    await eventually(() => !agent.channel.connected);
    expect(watch.stop()).toBeLessThan(1_000);
    await expect(once(agent)).rejects.toThrow(
      expect.objectContaining({ rawMessage: expect.stringContaining("revoked") }),
    );
  });

  it("nobody without a certificate, or with one of another kind, or one of another CA", async () => {
    const agent = await f.enrolled();
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
    const agent = await f.enrolled();
    const messages = await once(agent, agent.enrolment, [hello("0190aaaa-0000-7000-8000-000000000000")]);
    expect(goodbyes(messages)).toEqual([GoodbyeReason.PROTOCOL_ERROR]);
  });

  it("an agent of a contract that is not spoken, one that says hello twice or not first", async () => {
    const agent = await f.enrolled();
    const reasons = await Promise.all(
      [[hello(agent.id, 99)], [ping()]].map(async (sent) => goodbyes(await once(agent, agent.enrolment, sent))),
    );
    expect(reasons.flat()).toEqual([GoodbyeReason.UNSUPPORTED_VERSION, GoodbyeReason.PROTOCOL_ERROR]);
    expect(goodbyes(await once(agent, agent.enrolment, [hello(agent.id), hello(agent.id)]))).toEqual([
      GoodbyeReason.PROTOCOL_ERROR,
    ]);
  });

  it("an agent that sends too much at once, or one message that is too large", async () => {
    const agent = await f.enrolled();
    const flood = [hello(agent.id), ...Array.from({ length: 2_000 }, ping)];
    expect(goodbyes(await once(agent, agent.enrolment, flood))).toEqual([GoodbyeReason.OVERLOADED]);
    const large = create(AgentMessageSchema, {
      body: { case: "events", value: { events: [{ message: "x".repeat(2 * 1024 * 1024) }] } },
    });
    await once(agent, agent.enrolment, [hello(agent.id), large], { ms: 3_000 });
    expect(f.plane.tunnels.reports.every((r) => r.tunnels.length < 10)).toBe(true);
    await f.connected();
  });

  it("but not one that has many states to tell: it is read more slowly", async () => {
    const agent = await f.enrolled();
    const states = Array.from({ length: 550 }, (_, i) =>
      create(AgentMessageSchema, {
        body: { case: "state", value: { complete: i === 0, tunnels: [{ tunnelId: `many ${i}` }] } },
      }),
    );
    // Its answer to the ping comes after all that was read before.
    const messages = await once(agent, agent.enrolment, [hello(agent.id), ...states, ping()], { enough: "pong" });
    expect(messages.at(-1)?.body.case).toBe("pong");
    expect(goodbyes(messages)).toEqual([]);
    const told = f.plane.tunnels.reports.flatMap((r) => r.tunnels.map((t) => t.key));
    expect(told.filter((key) => key.startsWith("many "))).toEqual(states.map((_, i) => `many ${i}`));
  });

  it("nor one whose SAs are not all kept: it is told", async () => {
    const agent = await f.enrolled();
    const state = create(AgentMessageSchema, { body: { case: "state", value: { complete: true } } });
    f.plane.tunnels.outcome = "in-part";
    try {
      const messages = await once(agent, agent.enrolment, [hello(agent.id), state], { enough: "statesRefused" });
      expect(goodbyes(messages)).toEqual([]);
      const refusals = messages.flatMap(({ body }) =>
        body.case === "statesRefused" ? [body.value.problem?.code] : [],
      );
      expect(refusals).toEqual(["agents/too-many-sas"]);
    } finally {
      f.plane.tunnels.outcome = "written";
    }
  });

  it("TLS before 1.3", async () => {
    const agent = await f.enrolled();
    const client = http2.connect(agent.enrolment.urls[0] ?? "", {
      ca: agent.enrolment.controlCa,
      servername: CONTROL_PLANE_NAME,
      maxVersion: "TLSv1.2",
    });
    const error = await new Promise<Error>((resolve) => client.once("error", resolve));
    expect(error.message).toMatch(/protocol version/);
  });
});

const hello = (gatewayId: string, contractVersion = 1) =>
  create(AgentMessageSchema, { body: { case: "hello", value: { gatewayId, contractVersion, agentVersion: "1" } } });
const ping = () => create(AgentMessageSchema, { body: { case: "ping", value: { sequence: 1 } } });
const goodbyes = (messages: readonly ControlMessage[]) =>
  messages.flatMap(({ body }) => (body.case === "goodbye" ? [body.value.reason] : []));

/** A stream without the agent's manners: sends `sent`, then reads until the control plane ends it, or says what is `enough`. */
async function once(
  agent: TestAgent & { id: string },
  enrolment = agent.enrolment,
  sent: AgentMessage[] = [hello(agent.id)],
  { enough, ms = 30_000 }: { enough?: ControlMessage["body"]["case"]; ms?: number } = {},
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
    for await (const m of createClient(AgentService, transport).connect(outgoing(), { timeoutMs: ms })) {
      received.push(m);
      if (enough !== undefined && m.body.case === enough) break;
    }
  } catch (error) {
    if (received.length === 0) throw error;
  } finally {
    end.abort();
  }
  return received;
}
