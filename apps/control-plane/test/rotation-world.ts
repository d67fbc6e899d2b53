import { jest } from "@jest/globals";
import { type ConnectionIntent, type GatewayIntent, parseIntent } from "@sallyport/intent";
import { createRequest, generateKeys, readCertificate, spkiOf } from "@sallyport/pki";
import { AgentCommands } from "../src/features/agents/agent-commands.service.js";
import { IntentService } from "../src/features/intents/intent.service.js";
import { Prover } from "../src/features/intents/prover.js";
import { RotationStore } from "../src/features/rotations/rotation.store.js";
import type { SagaStep } from "../src/features/rotations/saga.js";
import { Sagas } from "../src/features/rotations/sagas.js";
import { Jobs } from "../src/platform/outbox/jobs.js";
import { type NetworkAuthentication, RotationKind } from "../src/platform/prisma/generated/enums.js";
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

const MUTATIONS = {
  PRE_SHARED_KEY: ["rotatePreSharedKeys", "RotatePreSharedKeysInput"],
  GATEWAY_CERTIFICATE: ["rotateGatewayCertificates", "RotateGatewaysInput"],
  AGENT_CERTIFICATE: ["rotateAgentCertificates", "RotateGatewaysInput"],
  MASTER_KEY: ["rotateMasterKey", "RotationInput"],
  ISSUING_AUTHORITY: ["rotateIssuingAuthority", "RotationInput"],
  ROOT_AUTHORITY: ["rotateRootAuthority", "RotationInput"],
} as const;

class Killed extends Error {}

/** What the left and the right end of a tunnel prove themselves by. */
type Shown = readonly [string, string];

/** What a change of an item tells, as part of a point's name. */
function told(argument: unknown): string[] {
  if (typeof argument !== "object" || argument === null || !("what" in argument)) return [];
  return [`${argument.what}`, ...("step" in argument ? [`${argument.step}`] : [])];
}

/** An agent that has nothing but its intent, keys by what asked for them, and the IKE SA of each tunnel: what proved the other end. */
class Agent {
  revision = 0;
  intent: GatewayIntent | undefined;
  readonly proven = new Map<string, string>();
  readonly keys = new Map<string, Awaited<ReturnType<typeof generateKeys>>>();

  constructor(readonly gatewayId: string) {}

  connection(key: string): ConnectionIntent | undefined {
    return this.intent?.connections.find((c) => c.id === key);
  }

  own(key: string): string {
    const local = this.connection(key)?.local;
    return local?.method === "psk" ? local.keyId : (this.intent?.certificate?.fingerprint ?? "");
  }

  accepted(key: string): string[] {
    const peer = this.connection(key)?.peer;
    return peer?.method === "psk" ? [peer.keyId, ...(peer.alsoAccepted ?? []).map((k) => k.keyId)] : [];
  }

  anchors(key: string): readonly string[] {
    const peer = this.connection(key)?.peer;
    return peer?.method === "certificate" ? peer.trustAnchorIds : [];
  }

  /** A request with the key that this id stands for. */
  async request(id: string): Promise<Uint8Array> {
    const pair = this.keys.get(id) ?? (await generateKeys());
    this.keys.set(id, pair);
    return createRequest(pair, "ignored");
  }
}

/** A hub and spokes with pre-shared keys on a control plane whose jobs the test runs by hand, and that it kills where it likes. */
export class RotationWorld {
  readonly agents = new Map<string, Agent>();
  /** What must never be. */
  readonly broken: string[] = [];
  tunnels: { readonly id: string; readonly key: string; readonly left: string; readonly right: string }[] = [];
  /** Of gateways' certificates, by fingerprint: the root above, and whether it is revoked. */
  readonly #certificates = new Map<string, { readonly root: string; readonly revoked: boolean }>();
  /** Points that a process is still to die at; at every one, when undefined. */
  #fatal: ReadonlySet<string> | "every" = new Set();
  readonly #passed = new Set<string>();
  #dead = false;
  /** Turns that an authentication takes, in which no other one of the tunnel begins. */
  handshakeTurns = 0;
  /** Tunnels' authentications that are under way: the turns that are left, and what their ends show. */
  readonly #underWay = new Map<string, { turns: number; readonly shown: Shown }>();

  private constructor(readonly cp: TestControlPlane) {
    const get = <T>(type: abstract new (...args: never[]) => T) => cp.application.nest.get<T>(type, { strict: false });
    jest
      .spyOn(get(Prover), "judge")
      .mockImplementation(async (claims) => new Map(claims.map((c) => [c.digest, undefined])));
    jest.spyOn(get(AgentCommands), "give").mockImplementation(async ({ gatewayId }, action) => {
      if (action.case === "reauthenticate") await this.#begin(action.value.tunnelId);
      if (action.case === "requestCertificate") return this.agents.get(gatewayId)?.request(action.value.id);
      if (action.case === "useControlCertificate") await this.connect(gatewayId, action.value.chain);
      return undefined;
    });
    jest.spyOn(get(AgentCommands), "reaches").mockResolvedValue(true);
    const sagas = get(Sagas);
    for (const saga of Object.values(RotationKind).map((kind) => sagas.of(kind))) {
      for (const step of [...saga.steps, saga.undo]) this.#mortal(step, "perform");
    }
    const store = get(RotationStore);
    for (const method of ["claim", "change", "nextTick", "move"] as const) this.#mortal(store, method);
    const release = store.release.bind(store);
    // The dead give nothing back.
    jest.spyOn(store, "release").mockImplementation(async (...args) => (this.#dead ? undefined : release(...args)));
  }

  static async start(spokes: number, authentication: NetworkAuthentication): Promise<RotationWorld> {
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
    const input = { name: "Keyed", hubGatewayIds: [hub], spokeGatewayIds: ids, authentication };
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
      await this.#look();
      if (!this.#dead) continue;
      this.#dead = false;
      await query(
        this.cp.connection,
        "UPDATE rotations SET leased_until = now() - interval '1 s' WHERE leased_until IS NOT NULL",
      );
    }
    await this.#goOn();
  }

  /** What was done so far was done so much earlier. */
  async pass(seconds: number): Promise<void> {
    const earlier = "UPDATE rotation_items SET performed_at = performed_at - make_interval(secs => $1)";
    await query(this.cp.connection, earlier, [seconds]);
  }

  async #look(): Promise<void> {
    const rows = await query(
      this.cp.connection,
      `WITH RECURSIVE above AS (
         SELECT id AS below, id, parent_id FROM certificate_authorities
         UNION ALL SELECT a.below, c.id, c.parent_id FROM above a JOIN certificate_authorities c ON c.id = a.parent_id)
       SELECT c.fingerprint, c.revoked_at IS NOT NULL AS revoked, a.id AS root
       FROM certificates c JOIN above a ON a.below = c.authority_id AND a.parent_id IS NULL`,
    );
    for (const { fingerprint, revoked, root } of rows) {
      this.#certificates.set(`${fingerprint}`, { root: `${root}`, revoked: revoked === true });
    }
    this.check();
  }

  /** The agent opens a stream with this certificate. */
  async connect(gatewayId: string, [leaf = ""]: readonly string[]): Promise<void> {
    const { fingerprint, spki } = readCertificate(Buffer.from(leaf, "base64"));
    const keys = [...(this.agents.get(gatewayId)?.keys.values() ?? [])];
    if (!keys.some(({ publicKey }) => Buffer.compare(spkiOf(publicKey), spki) === 0)) {
      this.broken.push(`${gatewayId} has no key for its certificate`);
    }
    await query(
      this.cp.connection,
      `INSERT INTO agent_sessions (gateway_id, organization_id, session_id, replica_id, contract_version, fingerprint)
       SELECT id, organization_id, id, id, 1, $2 FROM gateways WHERE id = $1
       ON CONFLICT (gateway_id) DO UPDATE SET fingerprint = $2`,
      [gatewayId, fingerprint],
    );
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
      if (agent.anchors(key).length > 0) continue;
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
      if (a.anchors(key).length > 0) {
        for (const [end, far] of [
          [a, b],
          [b, a],
        ] as const) {
          for (const fingerprint of [far.own(key), end.proven.get(key)]) {
            const known = this.#certificates.get(fingerprint ?? "");
            if (known?.revoked) this.broken.push(`what ${far.gatewayId} shows or has shown is revoked`);
            if (known && !end.anchors(key).includes(known.root)) this.broken.push(`${end.gatewayId} does not trust it`);
          }
        }
        continue;
      }
      if (!b.accepted(key).includes(a.own(key)) || !a.accepted(key).includes(b.own(key))) {
        this.broken.push(`the ends of ${key} share no key`);
      }
      for (const end of [a, b]) if (end.accepted(key).length > 2) this.broken.push(`${key} takes more than two keys`);
    }
  }

  #ends(key: string): readonly [Agent, Agent] | undefined {
    const tunnel = this.tunnels.find((t) => t.key === key);
    return tunnel && [this.agents.get(tunnel.left) as Agent, this.agents.get(tunnel.right) as Agent];
  }

  async #begin(key: string): Promise<void> {
    if (this.handshakeTurns === 0) await this.reauthenticate(key);
    const [a, b] = this.#ends(key) ?? [];
    if (this.handshakeTurns === 0 || !a || !b || this.#underWay.has(key)) return;
    this.#underWay.set(key, { turns: this.handshakeTurns, shown: [a.own(key), b.own(key)] });
  }

  /** Whether ends authenticate each other at this moment. */
  get authenticates(): boolean {
    return this.#underWay.size > 0;
  }

  async #goOn(): Promise<void> {
    for (const [key, handshake] of this.#underWay) {
      handshake.turns -= 1;
      if (handshake.turns > 0) continue;
      this.#underWay.delete(key);
      await this.reauthenticate(key, handshake.shown);
    }
  }

  /** The ends authenticate each other by what they show now, or have shown before. */
  async reauthenticate(key: string, shown?: Shown): Promise<void> {
    const [a, b] = this.#ends(key) ?? [];
    if (!a || !b) return;
    const [byLeft, byRight] = shown ?? [a.own(key), b.own(key)];
    a.proven.set(key, byRight);
    b.proven.set(key, byLeft);
    for (const [i, agent] of [a, b].entries()) {
      const ikeSas = [ikeReport([childReport(`a000000${i}`)], { keyId: agent.proven.get(key) })];
      await tell(this.cp, agent.gatewayId, [{ ...upReport(key, `a000000${i}`), ikeSas }]);
    }
  }

  async rotate(input: object = {}, kind: keyof typeof MUTATIONS = "PRE_SHARED_KEY"): Promise<ShownRotation> {
    const [name, type] = MUTATIONS[kind];
    const mutation = `mutation ($input: ${type}!) { rotation: ${name}(input: $input) { ${ROTATION} } }`;
    return (await this.cp.get<{ rotation: ShownRotation }>(mutation, { input })).rotation;
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

  /** Fingerprints of a gateway's certificates that are good: the one that it shows first, then those that wait or were. */
  async certificatesOf(gatewayId: string, purpose: "GATEWAY_IDENTITY" | "CONTROL_CHANNEL"): Promise<string[]> {
    const rows = await query(
      this.cp.connection,
      `SELECT fingerprint FROM certificates WHERE gateway_id = $1 AND purpose::text = $2 AND revoked_at IS NULL
       ORDER BY standby OR superseded_at IS NOT NULL, id`,
      [gatewayId, purpose],
    );
    return rows.map((row) => `${row.fingerprint}`);
  }

  /** The CA that issued it. */
  async issuerOf(fingerprint: string): Promise<unknown> {
    const [row] = await query(this.cp.connection, "SELECT authority_id FROM certificates WHERE fingerprint = $1", [
      fingerprint,
    ]);
    return row?.authority_id;
  }

  async sessionOf(gatewayId: string): Promise<unknown> {
    const [row] = await query(this.cp.connection, "SELECT fingerprint FROM agent_sessions WHERE gateway_id = $1", [
      gatewayId,
    ]);
    return row?.fingerprint;
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
