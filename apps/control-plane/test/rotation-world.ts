import { jest } from "@jest/globals";
import { type ConnectionIntent, type GatewayIntent, parseIntent } from "@sallyport/intent";
import { AgentCommands } from "../src/features/agents/agent-commands.service.js";
import { IntentService } from "../src/features/intents/intent.service.js";
import { Prover } from "../src/features/intents/prover.js";
import { PreSharedKeySaga } from "../src/features/rotations/pre-shared-key.saga.js";
import { RotationStore } from "../src/features/rotations/rotation.store.js";
import type { Saga, SagaStep } from "../src/features/rotations/saga.js";
import { Jobs } from "../src/platform/outbox/jobs.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { enrol } from "./enrol.js";
import { CREATE_NETWORK, CREATE_SITE, type MadeSite } from "./fleet.js";
import { childReport, ikeReport, tell, upReport } from "./reports.js";

const ROTATION = `
  id kind state failure plan { name impact reversible } progress { total pending running done rolledBack skipped }
  items { edges { node { name state step waitingFor } } } history(first: 200) { edges { node { what step note } } }`;

export interface ShownRotation {
  readonly id: string;
  readonly state: string;
  readonly failure: string | null;
  readonly plan: readonly { readonly name: string; readonly impact: string; readonly reversible: boolean }[];
  readonly progress: Readonly<Record<string, number>>;
  readonly items: { readonly edges: readonly { readonly node: Readonly<Record<string, string | null>> }[] };
  readonly history: { readonly edges: readonly { readonly node: Readonly<Record<string, string | null>> }[] };
}

class Killed extends Error {}

/** What a change of an item tells, as part of a point's name. */
function told(argument: unknown): string[] {
  if (typeof argument !== "object" || argument === null || !("what" in argument)) return [];
  return [`${argument.what}`, ...("step" in argument ? [`${argument.step}`] : [])];
}

/** An agent that has nothing but its intent, and the IKE SA of each tunnel: the key that proved the other end. */
class Agent {
  revision = 0;
  intent: GatewayIntent | undefined;
  readonly proven = new Map<string, string>();

  constructor(readonly gatewayId: string) {}

  connection(key: string): ConnectionIntent | undefined {
    return this.intent?.connections.find((c) => c.id === key);
  }

  own(key: string): string {
    const local = this.connection(key)?.local;
    return local?.method === "psk" ? local.keyId : "";
  }

  accepted(key: string): string[] {
    const peer = this.connection(key)?.peer;
    return peer?.method === "psk" ? [peer.keyId, ...(peer.alsoAccepted ?? []).map((k) => k.keyId)] : [];
  }
}

/** A hub and spokes with pre-shared keys on a control plane whose jobs the test runs by hand, and that it kills where it likes. */
export class RotationWorld {
  readonly agents = new Map<string, Agent>();
  /** What must never be. */
  readonly broken: string[] = [];
  tunnels: { readonly id: string; readonly key: string; readonly left: string; readonly right: string }[] = [];
  readonly #saga: Saga;
  /** Points that a process is still to die at; at every one, when undefined. */
  #fatal: ReadonlySet<string> | "every" = new Set();
  readonly #passed = new Set<string>();
  #dead = false;

  private constructor(readonly cp: TestControlPlane) {
    const get = <T>(type: abstract new (...args: never[]) => T) => cp.application.nest.get<T>(type, { strict: false });
    jest
      .spyOn(get(Prover), "judge")
      .mockImplementation(async (claims) => new Map(claims.map((c) => [c.digest, undefined])));
    jest.spyOn(get(AgentCommands), "give").mockImplementation(async (_, action) => {
      if (action.case === "reauthenticate") await this.reauthenticate(action.value.tunnelId);
      return undefined;
    });
    this.#saga = get(PreSharedKeySaga);
    for (const step of [...this.#saga.steps, this.#saga.undo]) this.#mortal(step, "perform");
    const store = get(RotationStore);
    for (const method of ["claim", "change", "nextTick", "move"] as const) this.#mortal(store, method);
    const release = store.release.bind(store);
    // The dead give nothing back.
    jest.spyOn(store, "release").mockImplementation(async (...args) => (this.#dead ? undefined : release(...args)));
  }

  static async start(spokes: number): Promise<RotationWorld> {
    const world = new RotationWorld(await startControlPlane({ SALLYPORT_ROLES: "api" }));
    const { cp } = world;
    const site = async (name: string, subnet: string, host?: string) => {
      const gateway = host === undefined ? {} : { host };
      const { createSite } = await cp.get<{ createSite: MadeSite }>(CREATE_SITE, {
        input: { name, subnets: [subnet], gateway },
      });
      await enrol(cp, createSite);
      world.agents.set(createSite.gateway.id, new Agent(createSite.gateway.id));
      return createSite.gateway.id;
    };
    const hub = await site("Hub", "10.1.0.0/16", "198.51.100.1");
    const ids: string[] = [];
    for (let i = 0; i < spokes; i++) ids.push(await site(`Spoke ${i}`, `10.${i + 2}.0.0/16`));
    const input = { name: "Keyed", hubGatewayIds: [hub], spokeGatewayIds: ids, authentication: "PRE_SHARED_KEY" };
    await cp.get(CREATE_NETWORK, { input });
    const rows = await query(
      cp.connection,
      "SELECT id, key, left_gateway_id AS l, right_gateway_id AS r FROM tunnels ORDER BY id",
    );
    world.tunnels = rows.map(({ id, key, l, r }) => ({ id: `${id}`, key: `${key}`, left: `${l}`, right: `${r}` }));
    await world.turn();
    await world.everybody();
    for (const { key } of world.tunnels) await world.reauthenticate(key);
    return world;
  }

  #mortal<K extends string>(target: { [P in K]: (...args: never[]) => Promise<unknown> }, method: K): void {
    const original = target[method].bind(target) as (...args: unknown[]) => Promise<unknown>;
    const replacement = async (...args: unknown[]) => {
      const point = [
        target instanceof RotationStore ? "" : (target as unknown as SagaStep).name,
        method,
        ...args.flatMap(told),
      ];
      this.#mayDie(`before ${point.join(" ")}`);
      const result = await original(...args);
      this.#mayDie(`after ${point.join(" ")}`);
      return result;
    };
    Object.assign(target, { [method]: replacement });
  }

  #mayDie(point: string): void {
    if (this.#dead) throw new Killed(point);
    if (this.#passed.has(point) || !(this.#fatal === "every" || this.#fatal.has(point))) return;
    this.#passed.add(point);
    this.#dead = true;
    throw new Killed(point);
  }

  /** From now on a process dies where it comes by one of these points, or by any, for the first time. Gives where some died before. */
  dieAt(points: ReadonlySet<string> | "every"): string[] {
    const passed = [...this.#passed];
    this.#passed.clear();
    this.#fatal = points;
    return passed;
  }

  /** Does each job that waits, once. A dead process is followed by another after its lease. */
  async turn(): Promise<void> {
    const jobs = this.cp.application.nest.get(Jobs, { strict: false });
    for (const { id } of await query(this.cp.connection, "SELECT id FROM outbox ORDER BY id")) {
      await jobs.run({ id: `outbox-${id}`, name: "", data: {} }).catch((error: unknown) => {
        if (!(error instanceof Killed)) throw error;
      });
      if (!this.#dead) continue;
      this.#dead = false;
      await query(
        this.cp.connection,
        "UPDATE rotations SET leased_until = now() - interval '1 s' WHERE leased_until IS NOT NULL",
      );
    }
  }

  /** The agent takes its newest intent, as its engine would. */
  async take(gatewayId: string): Promise<void> {
    const agent = this.agents.get(gatewayId) as Agent;
    const intents = this.cp.application.nest.get(IntentService, { strict: false });
    const latest = await intents.latestFor(gatewayId);
    if (!latest || latest.revision <= agent.revision) return;
    agent.revision = latest.revision;
    agent.intent = parseIntent(Buffer.from(latest.body).toString("utf8"));
    await intents.acked(gatewayId, latest.revision);
    await intents.confirmed(gatewayId, latest.revision);
    for (const [key, keyId] of agent.proven) {
      if (!agent.accepted(key).includes(keyId)) this.broken.push(`${gatewayId} ends an IKE SA of ${key}`);
    }
    this.check();
  }

  async everybody(): Promise<void> {
    for (const id of this.agents.keys()) await this.take(id);
  }

  /** Both ends could authenticate each other at this moment, and take two keys at the most. */
  check(): void {
    for (const { key, left, right } of this.tunnels) {
      const [a, b] = [this.agents.get(left) as Agent, this.agents.get(right) as Agent];
      if (!a.connection(key) || !b.connection(key)) continue;
      if (!b.accepted(key).includes(a.own(key)) || !a.accepted(key).includes(b.own(key))) {
        this.broken.push(`the ends of ${key} share no key`);
      }
      for (const end of [a, b]) if (end.accepted(key).length > 2) this.broken.push(`${key} takes more than two keys`);
    }
  }

  async reauthenticate(key: string): Promise<void> {
    const tunnel = this.tunnels.find((t) => t.key === key);
    if (!tunnel) return;
    const [a, b] = [this.agents.get(tunnel.left) as Agent, this.agents.get(tunnel.right) as Agent];
    a.proven.set(key, b.own(key));
    b.proven.set(key, a.own(key));
    for (const [i, agent] of [a, b].entries()) {
      const ikeSas = [ikeReport([childReport(`a000000${i}`)], { keyId: agent.proven.get(key) })];
      await tell(this.cp, agent.gatewayId, [{ ...upReport(key, `a000000${i}`), ikeSas }]);
    }
  }

  async rotate(input: object = {}): Promise<ShownRotation> {
    const mutation = `mutation ($input: RotatePreSharedKeysInput!) { rotatePreSharedKeys(input: $input) { ${ROTATION} } }`;
    return (await this.cp.get<{ rotatePreSharedKeys: ShownRotation }>(mutation, { input })).rotatePreSharedKeys;
  }

  async shown(id: string): Promise<ShownRotation> {
    const asked = `query ($id: ID!) { rotation(id: $id) { ${ROTATION} } }`;
    return (await this.cp.get<{ rotation: ShownRotation }>(asked, { id })).rotation;
  }

  /** Undefined when it fits the rotation's state, else the code of the error. */
  async steer(action: "pause" | "resume" | "abort", id: string): Promise<unknown> {
    const { errors } = await this.cp.send(`mutation ($id: ID!) { ${action}Rotation(id: $id) { state } }`, { id });
    return errors?.[0]?.extensions.code;
  }

  /** Everybody does his part until the rotation is over. */
  async finish(id: string): Promise<ShownRotation> {
    for (let turns = 0; turns < 100; turns++) {
      const [row] = await query(this.cp.connection, "SELECT state FROM rotations WHERE id = $1", [id]);
      if (["DONE", "ABORTED", "FAILED"].includes(`${row?.state}`)) return this.shown(id);
      await this.turn();
      await this.everybody();
    }
    throw new Error(`it does not come to an end: ${JSON.stringify(await this.shown(id))}`);
  }

  /** The tunnel's keys in the database, the used one first. */
  async keysOf(key: string): Promise<string[]> {
    const rows = await query(
      this.cp.connection,
      `SELECT id FROM secrets WHERE tunnel_key = $1
       UNION ALL SELECT b.id FROM secrets b JOIN secrets u ON b.beside_id = u.id WHERE u.tunnel_key = $1`,
      [key],
    );
    return rows.map((row) => `${row.id}`);
  }

  close(): Promise<void> {
    jest.restoreAllMocks();
    return this.cp.close();
  }
}
