import { Inject, Injectable, type OnModuleInit } from "@nestjs/common";
import { faultTable } from "@sallyport/base";
import {
  compile,
  compileEach,
  type FleetModel,
  type GatewayIntent,
  listTunnels,
  parseIntent,
  serializeIntent,
} from "@sallyport/intent";
import { WakeUpBus } from "../../platform/bus/bus.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { JobContext, JobRunner } from "../../platform/outbox/job.js";
import { Jobs } from "../../platform/outbox/jobs.js";
import type { IntentRevision, RolloutPolicy } from "../../platform/prisma/generated/client.js";
import { Slice } from "../../platform/slices.js";
import { Vault } from "../../platform/vault/vault.js";
import { EventService } from "../events/event.service.js";
import { RolloutStarter } from "../rollouts/rollout-starter.js";
import { type Couple, couplesOf, isBound } from "./couples.js";
import { FleetStore } from "./fleet.store.js";
import { COMPILE_INTENTS, type CompileIntents, revisionPlace } from "./jobs.js";
import { type Claim, claimOf, Prover, sameConnection, type Verdicts } from "./prover.js";
import { type NewRevision, RevisionStore } from "./revision.store.js";

interface Written {
  readonly gatewayId: string;
  readonly revision: number;
}

interface Changed {
  readonly intent: GatewayIntent;
  readonly hash: string;
  readonly revision: number;
}

/** What the model, as it was read, asks for. */
interface Plan {
  /** By gateway id; those whose newest revision says something else. */
  readonly changed: ReadonlyMap<string, Changed>;
  /** Tunnels that have to be proved before those are written. */
  readonly claims: readonly Claim[];
  /** Undefined: what is written may be sent at once. */
  readonly staged: Staged | undefined;
}

/** What a rollout in stages has to know besides. */
interface Staged {
  readonly policy: RolloutPolicy;
  /** What the gateways whose intent changes, or waits to be changed, run now. */
  readonly inForce: ReadonlyMap<string, GatewayIntent>;
  readonly couples: readonly Couple[];
  /** Numbers of the newest revisions that are held, by gateway id. */
  readonly held: ReadonlyMap<string, number>;
}

/** Bodies that are read from the database at a time. */
const BODIES_AT_ONCE = 100;
/** A model that changes faster than its tunnels are proved: later rounds find most of them proved. */
const ROUNDS = 5;

const fault = faultTable({ "intent/model-moving": { retry: true, expose: false } });

/** Turns the organization's model, as it is when the job runs, into revisions of the gateways whose intent it changes. */
@Injectable()
export class CompileJob implements JobRunner<CompileIntents>, OnModuleInit {
  readonly type = COMPILE_INTENTS;

  constructor(
    private readonly database: Database,
    private readonly fleets: FleetStore,
    private readonly revisions: RevisionStore,
    private readonly prover: Prover,
    private readonly events: EventService,
    private readonly vault: Vault,
    private readonly bus: WakeUpBus,
    private readonly jobs: Jobs,
    private readonly rollouts: RolloutStarter,
    @Inject(LOG) private readonly log: Log,
  ) {}

  onModuleInit(): void {
    this.jobs.register(this);
  }

  async run(_: CompileIntents, { organizationId }: JobContext): Promise<void> {
    const started = performance.now();
    const written = await this.#compile(organizationId);
    for (const { gatewayId, revision } of written) {
      await this.bus
        .publish("intent", { organizationId, gatewayId, revision })
        .catch((err: unknown) => this.log.warn({ err, gatewayId }, "the gateway's replica was not woken"));
    }
    if (written.length > 0) {
      const ms = Math.round(performance.now() - started);
      this.log.info({ organizationId, gateways: written.length, ms }, "intents compiled");
    }
  }

  /** Proofs take their time, so they are made before the lock; under it only what was proved is written. */
  async #compile(organizationId: string): Promise<readonly Written[]> {
    for (let round = 0; round < ROUNDS; round++) {
      const plan = await this.database.transaction(async (tx) => {
        await tx.$executeRaw`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY`;
        return this.#plan(tx, organizationId);
      });
      // What is committed after this look has a row of its own in the outbox.
      if (plan.changed.size === 0) return [];
      const verdicts = await this.prover.judge(allClaims(plan));
      const written = await this.database.transaction((tx) => this.#write(tx, organizationId, verdicts));
      if (written) return written;
    }
    throw fault("intent/model-moving", `the model changed ${ROUNDS} times while it was proved`);
  }

  async #plan(tx: Tx, organizationId: string): Promise<Plan> {
    const model = await this.fleets.load(tx, organizationId);
    const enrolled = model.gateways.flatMap((g) => (g.certificate === undefined ? [] : g.id));
    const newest = await this.revisions.newest(tx, organizationId);
    const intents = new Map<string, GatewayIntent>();
    const changed = new Map<string, Changed>();
    const slice = new Slice();
    for (const [id, intent] of compileEach(model, enrolled)) {
      intents.set(id, intent);
      const last = newest.get(id);
      const hash = this.#hash(intent);
      if (last?.hash !== hash) changed.set(id, { intent, hash, revision: (last?.number ?? 0) + 1 });
      if (slice.isOver) await slice.next();
    }
    const newestOf = (some: readonly string[]) => this.revisions.newestOfEach(organizationId, some, tx);
    const before = await this.#bodies([...changed.keys()], newestOf);
    const judged = await claims(model, intents, new Set(changed.keys()), before);
    const policy = await this.rollouts.policy(tx, organizationId);
    if (!policy || changed.size === 0) return { changed, claims: judged, staged: undefined };
    const held = new Map([...newest.values()].flatMap((r) => (r.status === "HELD" ? [[r.gatewayId, r.number]] : [])));
    const moving = new Set([...changed.keys(), ...held.keys()]);
    const inForceOf = (some: readonly string[]) => this.revisions.inForceOfEach(tx, organizationId, some);
    const inForce = await this.#bodies([...moving], inForceOf);
    const couples = await couplesOf(model, intents, inForce, moving);
    return { changed, claims: judged, staged: { policy, inForce, couples, held } };
  }

  /** Undefined when the model asks for a tunnel that has no verdict. */
  async #write(tx: Tx, organizationId: string, verdicts: Verdicts): Promise<Written[] | undefined> {
    // The row that changes of the model hold too: what is compiled is what was committed last.
    await tx.$queryRaw`SELECT 1 FROM organizations WHERE id = ${organizationId}::uuid FOR NO KEY UPDATE`;
    const plan = await this.#plan(tx, organizationId);
    const { changed, claims, staged } = plan;
    if (allClaims(plan).some((claim) => !verdicts.has(claim.digest))) return undefined;
    const refused = claims.filter((claim) => verdicts.get(claim.digest) !== undefined);
    await this.#tellRefused(tx, organizationId, refused, verdicts);
    // Their agents keep what they have: half a tunnel is worse than the old one.
    const held = new Set(refused.flatMap(({ tunnel }) => [tunnel.a, tunnel.b]));
    const written = [...changed].filter(([gatewayId]) => !held.has(gatewayId));
    const revisions: NewRevision[] = [];
    const slice = new Slice();
    for (const [gatewayId, { intent, hash, revision }] of written) {
      const sealed = this.vault.seal(revisionPlace(gatewayId, revision), serializeIntent({ ...intent, revision }));
      const status = staged && isRisky(staged.inForce.get(gatewayId), intent) ? "HELD" : "PENDING";
      revisions.push({ gatewayId, number: revision, hash, status, schemaVersion: intent.schema, ...sealed });
      if (slice.isOver) await slice.next();
    }
    await this.revisions.append(tx, organizationId, revisions);
    const events = written.map(([gatewayId, { intent, revision }]) => ({
      kind: "intent/compiled",
      severity: "INFO" as const,
      message: `${intent.gateway.name} gets revision ${revision}`,
      facts: { revision: String(revision) },
      gatewayId,
    }));
    await this.events.record(tx, organizationId, ...events);
    if (staged) await this.#roll(tx, staged, revisions, verdicts);
    return revisions.flatMap(({ gatewayId, number, status }) =>
      status === "PENDING" ? { gatewayId, revision: number } : [],
    );
  }

  /** What is held, and what was held before and is still wanted, goes out together. */
  async #roll(tx: Tx, staged: Staged, written: readonly NewRevision[], verdicts: Verdicts) {
    const held = written.filter((revision) => revision.status === "HELD");
    if (held.length === 0) return;
    const numbers = new Map(staged.held);
    for (const { gatewayId } of written) numbers.delete(gatewayId);
    for (const { gatewayId, number } of held) numbers.set(gatewayId, number);
    const items = [...numbers].map(([gatewayId, revision]) => {
      const connections = staged.inForce.get(gatewayId)?.connections.length ?? 0;
      return { gatewayId, revision, connections };
    });
    const bound = staged.couples.filter((couple) => isBound(couple, verdicts));
    await this.rollouts.begin(tx, staged.policy, items, bound);
  }

  async #tellRefused(tx: Tx, organizationId: string, refused: readonly Claim[], verdicts: Verdicts): Promise<void> {
    const rows = await tx.tunnel.findMany({
      where: { organizationId, key: { in: refused.map(({ tunnel }) => tunnel.id) } },
      select: { id: true, key: true },
    });
    const ids = new Map(rows.map((row) => [row.key, row.id]));
    const events = refused.flatMap(({ tunnel, digest }) => {
      const why = verdicts.get(digest);
      if (!why) return [];
      return {
        kind: "intent/would-not-negotiate",
        severity: "ERROR" as const,
        message: `not pushed: ${why.message}`,
        facts: { ...why.facts, ...(why.field === undefined ? {} : { field: why.field }) },
        gatewayId: tunnel.a,
        tunnelId: ids.get(tunnel.id),
      };
    });
    if (events.length > 0) await this.events.record(tx, organizationId, ...events);
  }

  /** Without the revision's number, so that an unchanged intent makes no revision; keyed, since intents hold pre-shared keys. */
  #hash(intent: GatewayIntent): string {
    return this.vault.hash(serializeIntent({ ...intent, revision: 0 }));
  }

  /** Intents by gateway id. One that cannot be read any more is absent, and costs proofs only. */
  async #bodies(
    gatewayIds: readonly string[],
    read: (some: readonly string[]) => Promise<readonly IntentRevision[]>,
  ): Promise<ReadonlyMap<string, GatewayIntent>> {
    const found = new Map<string, GatewayIntent>();
    const slice = new Slice();
    for (let from = 0; from < gatewayIds.length; from += BODIES_AT_ONCE) {
      const some = gatewayIds.slice(from, from + BODIES_AT_ONCE);
      for (const row of await read(some)) {
        try {
          const text = this.vault.unseal(revisionPlace(row.gatewayId, row.number), row).toString("utf8");
          found.set(row.gatewayId, parseIntent(text));
        } catch (err) {
          this.log.debug({ err, gatewayId: row.gatewayId }, "a revision cannot be read any more");
        }
        if (slice.isOver) await slice.next();
      }
    }
    return found;
  }
}

const allClaims = ({ claims, staged }: Plan): Claim[] => [
  ...claims,
  ...(staged?.couples ?? []).flatMap((couple) => couple.claims),
];

/** A gateway that has nothing yet has nothing to lose, and neither has one that gets what it has. */
function isRisky(was: GatewayIntent | undefined, is: GatewayIntent): boolean {
  return was !== undefined && serializeIntent({ ...was, revision: 0 }) !== serializeIntent({ ...is, revision: 0 });
}

/** The tunnels of changed gateways, but for those that are at both ends what the newest revisions say: they were proved then. */
async function claims(
  model: FleetModel,
  intents: ReadonlyMap<string, GatewayIntent>,
  changed: ReadonlySet<string>,
  before: ReadonlyMap<string, GatewayIntent>,
): Promise<Claim[]> {
  const same = (gatewayId: string, tunnelId: string) => {
    const is = intents.get(gatewayId);
    if (!is || !changed.has(gatewayId)) return is !== undefined;
    const was = before.get(gatewayId);
    return was !== undefined && sameConnection(was, is, tunnelId);
  };
  const wanted: Claim[] = [];
  const slice = new Slice();
  for (const tunnel of listTunnels(model)) {
    const { id, a, b } = tunnel;
    if (!changed.has(a) && !(b !== undefined && changed.has(b))) continue;
    if (b === undefined || !same(a, id) || !same(b, id)) {
      wanted.push(claimOf(model, tunnel, (gatewayId) => intents.get(gatewayId) ?? compile(model, gatewayId)));
    }
    if (slice.isOver) await slice.next();
  }
  return wanted;
}
