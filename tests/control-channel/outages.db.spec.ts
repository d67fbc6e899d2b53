import { setTimeout as sleep } from "node:timers/promises";
import { Severity } from "@sallyport/contract";
import { Stopwatch } from "@sallyport/testkit";
import { Fixture, intentOf, lastGood } from "./fixture.js";
import { eventually, TestAgent, TestDatabase } from "./harness.js";

let f: Fixture;

beforeAll(async () => {
  f = await Fixture.start(await TestDatabase.start());
});
afterEach(() => f.stopAgents());
afterAll(() => f.stop());

describe("when parts are away", () => {
  it("agents are connected again within 5 seconds after the control plane came back, told what happened meanwhile", async () => {
    const own = await f.replica();
    const { port } = own.server;
    const agent = await f.enrolled();
    agent.enrolment = { ...agent.enrolment, urls: [`https://127.0.0.1:${port}`] };
    agent.connect();
    await eventually(() => agent.channel.connected);
    await own.stop();
    await eventually(() => !agent.channel.connected);
    await sleep(6_000); // the back-off is at its longest by then
    f.plane.intents.latest.set(agent.id, intentOf(agent.id, 1));
    const back = await f.replica(port);
    const watch = new Stopwatch();
    try {
      await eventually(() => agent.channel.connected);
      expect(watch.stop()).toBeLessThan(5_000);
      await eventually(() => agent.keeper.confirmed === 1);
    } finally {
      await agent.channel.stop();
      await back.stop();
    }
  });

  it("a revision that cost the control plane is undone, told, and not sent again", async () => {
    const own = await f.replica();
    const { port } = own.server;
    const agent = await f.enrolled();
    agent.enrolment = { ...agent.enrolment, urls: [`https://127.0.0.1:${port}`] };
    f.plane.intents.latest.set(agent.id, intentOf(agent.id, 1));
    agent.connect();
    await eventually(() => agent.keeper.confirmed === 1);
    // Applying it cuts the connection, as a wrong policy would.
    let gone: Promise<void> | undefined;
    agent.refuse = ({ revision }) => {
      if (revision === 2) gone = own.stop();
    };
    await f.push(agent, 2, 5);
    await eventually(() => agent.applied.includes(2));
    await gone;
    expect(agent.keeper).toMatchObject({ running: 2, confirmed: 1 });
    await eventually(() => agent.keeper.running === 1);
    expect(agent.applied).toEqual([1, 2, 1]);
    expect(await lastGood(agent)).toBe(1);
    const back = await f.replica(port);
    try {
      await eventually(() => f.answers.includes("reverted 2 to 1"));
      expect(f.answers.filter((a) => a === "pushed 2")).toHaveLength(1);
      await f.push(agent, 3, 5);
      await eventually(() => agent.keeper.confirmed === 3);
    } finally {
      await agent.channel.stop();
      await back.stop();
    }
  });

  it("a connection that breaks and comes back within the time does not undo the revision", async () => {
    const agent = await f.connected();
    agent.refuse = () => agent.channel.reconnect();
    await f.push(agent, 1, 20);
    await eventually(() => agent.keeper.confirmed === 1);
    expect(agent.applied).toEqual([1]);
    await eventually(() => f.answers.includes("confirmed 1"));
  });

  it("an agent that starts without a control plane runs its last good intent", async () => {
    const agent = await f.connected();
    await f.push(agent, 1);
    await eventually(() => f.answers.includes("confirmed 1"));
    await agent.channel.stop();
    const again = new TestAgent(agent.state);
    await again.keeper.load();
    await again.keeper.start(Promise.resolve());
    expect(again.applied).toEqual([1]);
    expect(again.keeper).toMatchObject({ running: 1, confirmed: 1 });
  });

  it("answers and events are kept while PostgreSQL is down, and streams stay", async () => {
    const agent = await f.connected();
    await eventually(async () => (await f.plane.row(agent.id)).connectedAt);
    const session = await eventually(() => f.plane.session(agent.id));
    process.kill(f.postgres.pid, "SIGKILL");
    agent.reporter.event({
      code: "x/outage",
      severity: Severity.WARNING,
      message: "told during an outage",
      at: Date.now(),
    });
    await sleep(1_500);
    const { organizationId } = f.plane.context;
    const where = { organizationId, gatewayId: agent.id, kind: "x/outage" };
    await eventually(() => f.plane.database.client.event.findFirst({ where }).catch(() => null), 20_000);
    expect(agent.channel.connected).toBe(true);
    expect(await f.plane.session(agent.id)).toBe(session);
    await eventually(async () => {
      await f.push(agent, 1).catch(() => {});
      await sleep(200);
      return agent.keeper.confirmed === 1;
    });
  });

  it("sessions of a replica that died are closed when their lease ends", async () => {
    const agent = await f.connected();
    await eventually(async () => (await f.plane.row(agent.id)).connectedAt);
    const { organizationId } = f.plane.context;
    const seenAt = new Date(Date.now() - 60_000);
    await f.plane.database.client.agentSession.update({
      where: { organizationId, gatewayId: agent.id },
      data: { seenAt },
    });
    expect(await f.plane.store.reap()).toEqual([{ organizationId, gatewayId: agent.id }]);
    expect((await f.plane.row(agent.id)).disconnectedAt).toEqual(seenAt);
  });
});
