import path from "node:path";
import { emptyIntent, type GatewayIntent } from "@sallyport/intent";
import { IntentStore } from "../../apps/agent/src/store/index.js";
import { eventually, TestAgent, TestControlPlane, TestDatabase } from "./harness.js";

export type EnrolledAgent = TestAgent & { readonly id: string };

/** One control plane on one database, and the agents that a test makes. */
export class Fixture {
  #serial = 0;
  readonly agents: TestAgent[] = [];

  private constructor(
    readonly postgres: TestDatabase,
    readonly plane: TestControlPlane,
  ) {}

  static async start(postgres: TestDatabase): Promise<Fixture> {
    return new Fixture(postgres, await new TestControlPlane(postgres).start());
  }

  /** Another replica. */
  replica(port?: number): Promise<TestControlPlane> {
    const { intents } = this.plane;
    return new TestControlPlane(this.postgres, { intents, ...(port === undefined ? {} : { port }) }).start();
  }

  async enrolled(): Promise<EnrolledAgent> {
    const gateway = await this.plane.gateway(`s${++this.#serial}`);
    const agent = new TestAgent(path.join(this.postgres.directory, `agent-${this.#serial}`));
    await agent.enrol(await this.plane.token(gateway.id));
    this.agents.push(agent);
    return Object.assign(agent, { id: gateway.id });
  }

  async connected(): Promise<EnrolledAgent> {
    const agent = await this.enrolled();
    agent.connect();
    await eventually(() => agent.channel.connected);
    return agent;
  }

  /** A machine with the same enrolment. */
  copyOf(agent: EnrolledAgent): TestAgent {
    const copy = new TestAgent(path.join(agent.state, "copy"));
    copy.enrolment = agent.enrolment;
    this.agents.push(copy);
    return copy;
  }

  async push(agent: { id: string }, revision: number, commitConfirmSeconds?: number): Promise<void> {
    const { intents, context, bus } = this.plane;
    intents.latest.set(agent.id, intentOf(agent.id, revision, commitConfirmSeconds));
    intents.answers.length = 0;
    await bus.publish("intent", { organizationId: context.organizationId, gatewayId: agent.id, revision });
  }

  /** What agents answered since the last push. */
  get answers(): readonly string[] {
    return this.plane.intents.answers;
  }

  async stopAgents(): Promise<void> {
    await Promise.all(this.agents.splice(0).map((a) => a.channel?.stop()));
  }

  async stop(): Promise<void> {
    await this.plane.stop();
    await this.postgres.stop();
  }
}

export function intentOf(id: string, revision: number, commitConfirmSeconds = 60): GatewayIntent {
  const empty = emptyIntent({ id, name: "gw", siteId: "s", fqdn: "gw.acme.sallyport" });
  return { ...empty, revision, options: { commitConfirmSeconds, reportSeconds: 5 } };
}

/** Revision of the last good intent on an agent's disk. */
export async function lastGood(agent: TestAgent): Promise<number | undefined> {
  return (await new IntentStore(agent.state).load()).intent?.revision;
}
