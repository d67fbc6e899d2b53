import { type GatewayIntent, parseIntent } from "@sallyport/intent";
import { IntentService, type Refusal } from "../src/features/intents/intent.service.js";
import { Changes } from "../src/platform/database/changes.js";
import { Jobs } from "../src/platform/outbox/jobs.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { enrol } from "./enrol.js";
import { CREATE_NETWORK, CREATE_SITE, type MadeSite } from "./fleet.js";
import { downReport, tell, upReport } from "./reports.js";

export const ROLLOUT = `id state stage pushedAt nextAt finishedAt failure { code message gatewayId tunnelId }
  progress { total pending pushed done rolledBack withdrawn superseded }
  items { edges { node { gateway { name } revision state stage waitingFor former restored } } }`;

export interface ShownItem {
  readonly gateway: { readonly name: string };
  readonly revision: number;
  readonly state: string;
  readonly stage: number | null;
  readonly waitingFor: string | null;
  readonly former: number | null;
  readonly restored: number | null;
}

export interface ShownRollout {
  readonly id: string;
  readonly state: string;
  readonly stage: number;
  readonly failure: { readonly code: string; readonly message: string; readonly tunnelId: string | null } | null;
  readonly progress: Readonly<Record<string, number>>;
  readonly items: { readonly edges: readonly { readonly node: ShownItem }[] };
}

/** An agent that has nothing but the intent that it runs. */
export class Agent {
  revision = 0;
  intent: GatewayIntent | undefined;

  constructor(
    readonly id: string,
    readonly siteId: string,
  ) {}

  /** What the control plane asks for, without its number. */
  get body(): string {
    return JSON.stringify({ ...this.intent, revision: 0 });
  }
}

/** So long that none of them is over by itself while a test runs. */
const HOURS = { pauseSeconds: 3_600, ackSeconds: 3_600, gateSeconds: 3_600 };
/** Longer than any of them. */
const LATER = 4_000;

const REFUSAL: Refusal = {
  ...{ code: "xfrm/kernel-rejected", message: "the kernel refused it", field: "connections[0].remote.host" },
  ...{ value: "192.0.2.1", expected: "another one" },
};

/** A hub and branches on a control plane whose jobs the test runs by hand, and whose time it makes pass. */
export class RolloutWorld {
  readonly agents = new Map<string, Agent>();
  networkId = "";
  tunnels: { readonly id: string; readonly key: string; readonly left: string; readonly right: string }[] = [];

  private constructor(readonly cp: TestControlPlane) {}

  static async start(branches: readonly string[]): Promise<RolloutWorld> {
    const world = new RolloutWorld(await startControlPlane({ SALLYPORT_ROLES: "api" }));
    const { cp } = world;
    const site = async (name: string, i: number, gateway: object) => {
      const input = { name, subnets: [`10.${i}.0.0/16`], gateway };
      const { createSite: made } = await cp.get<{ createSite: MadeSite }>(CREATE_SITE, { input });
      await enrol(cp, made);
      world.agents.set(name, new Agent(made.gateway.id, made.site.id));
      return made.gateway.id;
    };
    const hub = await site("Hub", 1, { host: "198.51.100.1" });
    const spokes: string[] = [];
    for (const [i, name] of branches.entries()) spokes.push(await site(name, i + 2, {}));
    const input = { name: "Offices", hubGatewayIds: [hub], spokeGatewayIds: spokes };
    world.networkId = (await cp.get<{ createNetwork: { id: string } }>(CREATE_NETWORK, { input })).createNetwork.id;
    const rows = await query(cp.connection, "SELECT id, key, left_gateway_id AS l, right_gateway_id AS r FROM tunnels");
    world.tunnels = rows.map(({ id, key, l, r }) => ({ id: `${id}`, key: `${key}`, left: `${l}`, right: `${r}` }));
    for (const name of world.agents.keys()) await world.connect(name);
    await world.turn();
    await world.everybody();
    await world.report();
    return world;
  }

  agent(name: string): Agent {
    const agent = this.agents.get(name);
    if (!agent) throw new Error(`there is no ${name}`);
    return agent;
  }

  /** Does each job that waits, once, whenever it is owed. */
  async turn(): Promise<void> {
    const jobs = this.cp.application.nest.get(Jobs, { strict: false });
    for (const { id } of await query(this.cp.connection, "SELECT id FROM outbox ORDER BY id")) {
      await jobs.run({ id: `outbox-${id}`, name: "", data: {} });
    }
  }

  /** A gate, a pause and an agent's time pass: what was done so far was done so much earlier. */
  async pass(names = ["pushed_at", "acked_at", "next_at"]): Promise<void> {
    const columns = names.map((name) => `${name} = ${name} - make_interval(secs => $1)`);
    await query(this.cp.connection, `UPDATE rollouts SET ${columns.join(", ")}`, [LATER]);
  }

  connect(name: string): Promise<unknown> {
    return query(
      this.cp.connection,
      `INSERT INTO agent_sessions (gateway_id, organization_id, session_id, replica_id, contract_version)
       SELECT id, organization_id, id, id, 1 FROM gateways WHERE id = $1 ON CONFLICT DO NOTHING`,
      [this.agent(name).id],
    );
  }

  disconnect(name: string): Promise<unknown> {
    return query(this.cp.connection, "DELETE FROM agent_sessions WHERE gateway_id = $1", [this.agent(name).id]);
  }

  /** The agent takes what it may have. */
  async take(name: string, answer: "ack" | "nack" = "ack"): Promise<void> {
    const agent = this.agent(name);
    const intents = this.cp.application.nest.get(IntentService, { strict: false });
    const latest = await intents.latestFor(agent.id);
    if (!latest || latest.revision === agent.revision) return;
    await intents.pushed(agent.id, latest.revision);
    if (answer === "nack") return intents.nacked(agent.id, latest.revision, REFUSAL);
    agent.revision = latest.revision;
    agent.intent = parseIntent(Buffer.from(latest.body).toString("utf8"));
    await intents.acked(agent.id, latest.revision);
    await intents.confirmed(agent.id, latest.revision);
  }

  async everybody(): Promise<void> {
    for (const name of this.agents.keys()) await this.take(name);
  }

  /** Both ends of every tunnel say that it is up, but those of the tunnels of `down`. */
  async report(down?: string): Promise<void> {
    for (const { id } of this.agents.values()) {
      const own = this.tunnels.filter(({ left, right }) => left === id || right === id);
      const reports = own.map(({ key, left, right }, i) => {
        const isDown = down !== undefined && [left, right].includes(this.agent(down).id);
        return isDown ? downReport(key) : upReport(key, `a000000${i}`);
      });
      await tell(this.cp, id, reports);
    }
  }

  /** One stage: it is pushed, taken by those who get it, and its gate and pause pass. */
  async stage(): Promise<void> {
    await this.turn();
    await this.everybody();
    await this.turn();
    await this.pass();
    await this.turn();
    await this.pass(["next_at"]);
  }

  /** Changes what the branches are told of the hub. */
  async moveHub(host: string): Promise<void> {
    await this.cp.get("mutation ($input: UpdateGatewayInput!) { updateGateway(input: $input) { id } }", {
      input: { id: this.agent("Hub").id, host },
    });
    await this.turn();
  }

  /** Changes the network's proposals, which nobody offers yet. */
  async propose(proposal: string): Promise<void> {
    const { nest } = this.cp.application;
    const [row] = await query(
      this.cp.connection,
      "UPDATE networks SET ike_proposals = $1 RETURNING organization_id AS o",
      [[proposal]],
    );
    const organizationId = `${row?.o}`;
    await nest
      .get(Changes, { strict: false })
      .commit({ organizationId }, (tx) => nest.get(IntentService, { strict: false }).recompile(tx, organizationId));
    await this.turn();
  }

  async policy(change: object = {}): Promise<unknown> {
    const input = { mode: "STAGED", canary: 1, batchPercent: 50, ...HOURS, ...change };
    return this.cp.get("mutation ($input: SetRolloutPolicyInput!) { setRolloutPolicy(input: $input) { mode } }", {
      input,
    });
  }

  async windows(name: string, windows: readonly object[]): Promise<void> {
    await this.cp.get(
      "mutation ($input: SetMaintenanceWindowsInput!) { setMaintenanceWindows(input: $input) { id } }",
      {
        input: { siteId: this.agent(name).siteId, windows },
      },
    );
  }

  /** Newest first. */
  async rollouts(): Promise<ShownRollout[]> {
    const { rollouts } = await this.cp.get<{ rollouts: { edges: { node: ShownRollout }[] } }>(
      `{ rollouts(first: 5) { edges { node { ${ROLLOUT} } } } }`,
    );
    return rollouts.edges.map((edge) => edge.node);
  }

  async newest(): Promise<ShownRollout> {
    const [newest] = await this.rollouts();
    if (!newest) throw new Error("there is no rollout");
    return newest;
  }

  /** States of a rollout's items, by gateway. */
  states({ items }: ShownRollout): Record<string, string> {
    return Object.fromEntries(items.edges.map(({ node }) => [node.gateway.name, node.state]));
  }

  /** Undefined when it fits the rollout's state, else the code of the error. */
  async steer(action: "pause" | "resume" | "abort" | "retry", id: string): Promise<unknown> {
    const { errors } = await this.cp.send(`mutation ($id: ID!) { ${action}Rollout(id: $id) { state } }`, { id });
    return errors?.[0]?.extensions.code;
  }

  /** The newest rollout's end, however many stages that takes. */
  async finish(): Promise<ShownRollout> {
    for (let stages = 0; stages < 10; stages++) {
      const newest = await this.newest();
      if (!["RUNNING", "PAUSED"].includes(newest.state)) return newest;
      await this.stage();
    }
    throw new Error(`it does not come to an end: ${JSON.stringify(await this.newest())}`);
  }

  close(): Promise<void> {
    return this.cp.close();
  }
}
