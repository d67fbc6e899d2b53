import { Inject, Injectable, type OnModuleInit } from "@nestjs/common";
import { compileAll, type GatewayIntent, serializeIntent } from "@sallyport/intent";
import { WakeUpBus } from "../../platform/bus/bus.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { JobContext, JobRunner } from "../../platform/outbox/job.js";
import { Jobs } from "../../platform/outbox/jobs.js";
import { Vault } from "../../platform/vault/vault.js";
import { EventService } from "../events/event.service.js";
import { FleetStore } from "./fleet.store.js";
import { COMPILE_INTENTS, type CompileIntents, revisionPlace } from "./jobs.js";
import { Prover, type RefusedTunnel } from "./prover.js";
import { RevisionStore } from "./revision.store.js";

interface Written {
  readonly gatewayId: string;
  readonly revision: number;
}

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
    @Inject(LOG) private readonly log: Log,
  ) {}

  onModuleInit(): void {
    this.jobs.register(this);
  }

  async run(_: CompileIntents, { organizationId }: JobContext): Promise<void> {
    const started = performance.now();
    const written = await this.database.transaction((tx) => this.#compile(tx, organizationId));
    for (const { gatewayId, revision } of written) {
      await this.bus
        .publish("intent", { organizationId, gatewayId, revision })
        .catch((err: unknown) => this.log.warn({ err, gatewayId }, "the gateway's replica was not woken"));
    }
    if (written.length > 0) {
      this.log.info({ organizationId, written, ms: Math.round(performance.now() - started) }, "intents compiled");
    }
  }

  async #compile(tx: Tx, organizationId: string): Promise<Written[]> {
    // The row that changes of the model hold too: what is compiled is what was committed last.
    await tx.$queryRaw`SELECT 1 FROM organizations WHERE id = ${organizationId}::uuid FOR UPDATE`;
    const model = await this.fleets.load(tx, organizationId);
    const enrolled = model.gateways.filter((g) => g.certificate !== undefined);
    const intents = compileAll(
      model,
      enrolled.map((g) => g.id),
    );
    const newest = await this.revisions.newest(tx, organizationId);
    const changed = new Map(
      [...intents]
        .map(([id, intent]) => [id, this.#hash(intent)] as const)
        .filter(([id, hash]) => newest.get(id)?.hash !== hash),
    );
    const refused = await this.prover.refused(model, intents, new Set(changed.keys()));
    await this.#tellRefused(tx, organizationId, refused);
    // Their agents keep what they have: half a tunnel is worse than the old one.
    const held = new Set(refused.flatMap(({ tunnel }) => [tunnel.a, tunnel.b]));
    const written: Written[] = [];
    for (const { id: gatewayId, name } of enrolled) {
      const intent = intents.get(gatewayId);
      const hash = changed.get(gatewayId);
      if (!intent || hash === undefined || held.has(gatewayId)) continue;
      const revision = (newest.get(gatewayId)?.number ?? 0) + 1;
      await this.#write(tx, organizationId, gatewayId, hash, { ...intent, revision });
      await this.events.record(tx, organizationId, {
        kind: "intent/compiled",
        severity: "INFO",
        message: `${name} gets revision ${revision}`,
        facts: { revision: String(revision) },
        gatewayId,
      });
      written.push({ gatewayId, revision });
    }
    return written;
  }

  async #tellRefused(tx: Tx, organizationId: string, refused: readonly RefusedTunnel[]): Promise<void> {
    const rows = await tx.tunnel.findMany({
      where: { organizationId, key: { in: refused.map(({ tunnel }) => tunnel.id) } },
      select: { id: true, key: true },
    });
    const ids = new Map(rows.map((row) => [row.key, row.id]));
    const events = refused.map(({ tunnel, fault }) => ({
      kind: "intent/would-not-negotiate",
      severity: "ERROR" as const,
      message: `not pushed: ${fault.message}`,
      facts: { ...fault.facts, ...(fault.field === undefined ? {} : { field: fault.field }) },
      gatewayId: tunnel.a,
      tunnelId: ids.get(tunnel.id),
    }));
    if (events.length > 0) await this.events.record(tx, organizationId, ...events);
  }

  /** Without the revision's number, so that an unchanged intent makes no revision; keyed, since intents hold pre-shared keys. */
  #hash(intent: GatewayIntent): string {
    return this.vault.hash(serializeIntent({ ...intent, revision: 0 }));
  }

  async #write(tx: Tx, organizationId: string, gatewayId: string, hash: string, intent: GatewayIntent): Promise<void> {
    const place = revisionPlace(gatewayId, intent.revision);
    await this.revisions.append(tx, {
      organizationId,
      gatewayId,
      number: intent.revision,
      hash,
      schemaVersion: intent.schema,
      ...this.vault.seal(place, serializeIntent(intent)),
    });
  }
}
