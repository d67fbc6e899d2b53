import type { RoadWarrior } from "../../apps/control-plane/src/platform/prisma/generated/client.js";
import { type EnrolledAgent, Fixture } from "./fixture.js";
import { eventually, TestAgent, TestDatabase } from "./harness.js";

let f: Fixture;

beforeAll(async () => {
  f = await Fixture.start(await TestDatabase.open());
});
afterEach(() => f.stopAgents());
afterAll(() => f.stop());

let serial = 0;
const somebody = () => {
  const id = crypto.randomUUID();
  return { id, username: `person${++serial}@acme.example` } as RoadWarrior;
};

/** Writes to the register as a change does; the outbox's job is played by hand. */
async function revoke(person: RoadWarrior, lifted = false) {
  const { organizationId } = f.plane.context;
  const [entry] = await f.plane.database.transaction((tx) =>
    f.plane.register.person(tx, organizationId, person, lifted),
  );
  if (!entry) throw new Error("nothing was written");
  await f.plane.bus.publish("revocation", { organizationId, number: entry.number });
  return entry;
}

const telling = (revocationId: string, gatewayId: string) => {
  const { organizationId } = f.plane.context;
  return f.plane.database.client.revocationTelling.findUniqueOrThrow({
    where: { organizationId, revocationId_gatewayId: { revocationId, gatewayId } },
  });
};
const confirmed = (revocationId: string, gatewayId: string) =>
  eventually(async () => {
    const row = await telling(revocationId, gatewayId);
    return row.confirmedAt !== null && row;
  });
const heardOf = ({ verdicts }: TestAgent, { username }: RoadWarrior) =>
  verdicts.flatMap(({ refusal, lifted }) =>
    refusal.kind === "person" && refusal.username === username ? [lifted ? "admit" : "refuse"] : [],
  );

describe("a revocation", () => {
  it("reaches every connected gateway at once, and each confirms it with what it ended and an event", async () => {
    const agents = [await f.connected(), await f.connected(), await f.connected()];
    for (const [i, agent] of agents.entries()) agent.endedSas = i;
    const person = somebody();
    const entry = await revoke(person);
    for (const [i, agent] of agents.entries()) {
      const row = await confirmed(entry.id, agent.id);
      expect(row.endedSas).toBe(i);
      expect(heardOf(agent, person)).toEqual(["refuse"]);
    }
    const { organizationId } = f.plane.context;
    const events = await eventually(async () => {
      const found = await f.plane.database.client.event.findMany({
        where: { organizationId, kind: "revocation/confirmed", gatewayId: { in: agents.map((a) => a.id) } },
      });
      const own = found.filter((e) => (e.facts as Record<string, string>).revocationId === entry.id);
      return own.length === 3 && own;
    });
    expect(events[0]).toMatchObject({ facts: { number: String(entry.number) }, severity: "INFO" });
  });

  it("finds a gateway that was away when it comes back, before its intent, and only what it missed", async () => {
    const agent = await f.connected();
    const first = somebody();
    await confirmed((await revoke(first)).id, agent.id);
    await agent.channel.stop();
    const missed = somebody();
    const entry = await revoke(missed);
    await revoke(somebody());
    expect((await telling(entry.id, agent.id)).confirmedAt).toBeNull();
    await f.push(agent, 1);
    const order: string[] = [];
    const again = await restarted(agent, order);
    await confirmed(entry.id, agent.id);
    await eventually(() => again.applied.includes(1));
    expect(order[0]).toBe("revocations");
    expect(order.indexOf("intent")).toBeGreaterThan(0);
    // From its disk once, and nothing of it from the stream.
    expect(heardOf(again, first)).toEqual(["refuse"]);
    expect(heardOf(again, missed)).toEqual(["refuse"]);
  });

  it("that is lifted is lifted for those who were away and for those who never heard of it", async () => {
    const person = somebody();
    await revoke(person);
    const entry = await revoke(person, true);
    const agent = await f.connected();
    const { organizationId } = f.plane.context;
    await eventually(() => agent.revocations.upTo >= entry.number);
    expect(heardOf(agent, person)).toEqual(["admit"]);
    const count = await f.plane.database.client.revocationTelling.count({
      where: { organizationId, gatewayId: agent.id },
    });
    // It was not enrolled at the time.
    expect(count).toBe(0);
  });

  it("begins anew for an agent that knows of more than there is", async () => {
    const agent = await f.connected();
    const person = somebody();
    await confirmed((await revoke(person)).id, agent.id);
    const { organizationId } = f.plane.context;
    const last = agent.revocations.upTo;
    await agent.channel.stop();
    await f.plane.database.client.organization.update({
      where: { id: organizationId },
      data: { lastRevocation: last - 1 },
    });
    try {
      agent.connect();
      await eventually(() => agent.revocations.upTo === last - 1);
      expect(heardOf(agent, person)).toEqual(["refuse", "admit"]);
    } finally {
      await f.plane.database.client.organization.update({
        where: { id: organizationId },
        data: { lastRevocation: last },
      });
    }
  });
});

describe("the register", () => {
  it("numbers entries in the order of their commits, however many changes happen at once", async () => {
    const { organizationId } = f.plane.context;
    const written = await Promise.all(
      Array.from({ length: 20 }, () =>
        f.plane.database.transaction((tx) => f.plane.register.person(tx, organizationId, somebody(), false)),
      ),
    );
    const numbers = written.flat().map((r) => r.number);
    expect(new Set(numbers).size).toBe(20);
    expect(Math.max(...numbers) - Math.min(...numbers)).toBe(19);
  });
});

/** The same gateway started anew: it hears what it missed before it serves. */
async function restarted(agent: EnrolledAgent, order: string[]): Promise<TestAgent> {
  const again = new TestAgent(agent.state, {
    apply: async (intent) => {
      order.push("intent");
      again.applied.push(intent.revision);
    },
  });
  again.enrolment = agent.enrolment;
  again.onRevocations = () => order.push("revocations");
  await again.revocations.start();
  order.length = 0;
  await again.keeper.load();
  const inForce = again.keeper.start(again.revocations.heard());
  again.connect();
  f.agents.push(again);
  await inForce;
  return again;
}
