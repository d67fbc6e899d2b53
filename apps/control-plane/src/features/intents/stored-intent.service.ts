import { createHash } from "node:crypto";
import { Inject, Injectable } from "@nestjs/common";
import { type GatewayIntent, maskIntent, parseIntent } from "@sallyport/intent";
import { type Message, WakeUpBus } from "../../platform/bus/bus.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import type { IntentRevision } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { Vault } from "../../platform/vault/vault.js";
import { EventService, type NewEvent } from "../events/event.service.js";
import { type DeliverableIntent, IntentService, type Refusal } from "./intent.service.js";
import { COMPILE_INTENTS, revisionPlace } from "./jobs.js";
import { type RevisionFilter, RevisionStore } from "./revision.store.js";

const MAX_TEXT = 2_000;
const cut = (text: string | undefined) => text?.slice(0, MAX_TEXT) ?? null;

@Injectable()
export class StoredIntentService extends IntentService {
  constructor(
    private readonly database: Database,
    private readonly revisions: RevisionStore,
    private readonly events: EventService,
    private readonly outbox: Outbox,
    private readonly vault: Vault,
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {
    super();
  }

  override async recompile(tx: Tx, organizationId: string, notBefore?: Date): Promise<void> {
    await this.outbox.add(tx, organizationId, COMPILE_INTENTS, {}, notBefore);
  }

  override async latestFor(gatewayId: string): Promise<DeliverableIntent | undefined> {
    const newest = await this.revisions.newestOf(gatewayId, false);
    const refused = newest?.status === "NACKED" || newest?.status === "REVERTED";
    const row = refused ? await this.revisions.newestOf(gatewayId, true) : newest;
    if (!row) return undefined;
    const body = new Uint8Array(this.vault.unseal(revisionPlace(gatewayId, row.number), row));
    return {
      organizationId: row.organizationId,
      gatewayId,
      revision: row.number,
      schemaVersion: row.schemaVersion,
      body,
      sha256: new Uint8Array(createHash("sha256").update(body).digest()),
    };
  }

  override async pushed(gatewayId: string, revision: number): Promise<void> {
    await this.database.transaction((tx) =>
      this.revisions.answer(tx, gatewayId, revision, ["PENDING", "PUSHED"], { status: "PUSHED", pushedAt: new Date() }),
    );
  }

  override async acked(gatewayId: string, revision: number): Promise<void> {
    const at = new Date();
    // An agent that comes back may tell of a revision whose push it was that failed: every open state will do.
    await this.#answer(
      gatewayId,
      revision,
      ["PENDING", "PUSHED", "SUPERSEDED"],
      { status: "ACKED", ackedAt: at },
      (tx, organizationId) => this.#runs(tx, organizationId, gatewayId, revision, at),
    );
  }

  override async confirmed(gatewayId: string, revision: number): Promise<void> {
    const at = new Date();
    const row = await this.database.transaction((tx) =>
      this.revisions.answer(tx, gatewayId, revision, ["ACKED"], { confirmedAt: at }),
    );
    if (row) await this.#wake("confirmed", { organizationId: row.organizationId, gatewayId });
  }

  override async nacked(gatewayId: string, revision: number, refusal: Refusal): Promise<void> {
    const { code, message, field, value, expected } = refusal;
    const answer = {
      status: "NACKED",
      nackedAt: new Date(),
      nackCode: code.slice(0, 100),
      nackReason: cut(message),
      nackField: cut(field),
      nackValue: cut(value),
      nackExpected: cut(expected),
    } as const;
    const facts = { revision: String(revision), code, ...(field === undefined ? {} : { field }) };
    await this.#answer(gatewayId, revision, ["PENDING", "PUSHED", "SUPERSEDED"], answer, async (tx, organizationId) => {
      const told = `revision ${revision} was refused: ${message}`;
      await this.#tell(tx, organizationId, {
        kind: "intent/nacked",
        severity: "ERROR",
        message: told,
        facts,
        gatewayId,
      });
    });
  }

  override async reverted(gatewayId: string, revision: number, toRevision: number, reason: string): Promise<void> {
    const answer = { status: "REVERTED", revertedAt: new Date(), nackReason: cut(reason) } as const;
    await this.#answer(
      gatewayId,
      revision,
      ["PENDING", "PUSHED", "ACKED", "SUPERSEDED"],
      answer,
      async (tx, organizationId) => {
        const back = toRevision === 0 ? "to having none" : `to revision ${toRevision}`;
        await tx.gateway.update({
          where: { organizationId, id: gatewayId },
          data: { ackedRevision: toRevision === 0 ? null : toRevision },
          select: { id: true },
        });
        const message = `revision ${revision} was undone, back ${back}: ${reason}`;
        const facts = { revision: String(revision), toRevision: String(toRevision) };
        await this.#tell(tx, organizationId, {
          kind: "intent/reverted",
          severity: "WARNING",
          message,
          facts,
          gatewayId,
        });
      },
    );
  }

  list(context: TenantContext, args: PageArgs, filter: RevisionFilter): Promise<Connection<IntentRevision>> {
    return page(args, (request) => this.revisions.page(context.organizationId, request, filter));
  }

  async newestOfEach(
    context: TenantContext,
    gatewayIds: readonly string[],
  ): Promise<ReadonlyMap<string, IntentRevision>> {
    const rows = await this.revisions.newestOfEach(context.organizationId, gatewayIds);
    return new Map(rows.map((row) => [row.gatewayId, row]));
  }

  /** What the gateway's agent runs and has written down as its last good intent; undefined: nothing of what is known. */
  async inForce(organizationId: string, gatewayId: string): Promise<GatewayIntent | undefined> {
    const row = await this.revisions.inForce(organizationId, gatewayId);
    if (!row) return undefined;
    return parseIntent(this.vault.unseal(revisionPlace(gatewayId, row.number), row).toString("utf8"));
  }

  /** Whether nothing is on its way to the gateway: what it runs is its newest revision, and no other one will come of what was committed. */
  async isUpToDate(organizationId: string, gatewayId: string): Promise<boolean> {
    // In this order: a compilation that ends between the two has written its revision.
    const compiling = await this.database.client.outbox.count({ where: { organizationId, job: COMPILE_INTENTS.name } });
    const running = await this.revisions.inForce(organizationId, gatewayId);
    const [newest] = await this.revisions.newestOfEach(organizationId, [gatewayId]);
    return compiling === 0 && running !== null && running.number === newest?.number;
  }

  /** Why the gateway's newest revision is not in force: its agent refused it, or went back from it. */
  async refusal(organizationId: string, gatewayId: string): Promise<string | undefined> {
    const [row] = await this.revisions.newestOfEach(organizationId, [gatewayId]);
    if (row?.status === "WITHDRAWN") return `revision ${row.number}: its rollout was rolled back`;
    if (row?.status !== "NACKED" && row?.status !== "REVERTED") return undefined;
    return `revision ${row.number}: ${row.nackReason ?? row.status}`;
  }

  /** The body with its secrets masked. */
  masked(row: IntentRevision): unknown {
    const text = this.vault.unseal(revisionPlace(row.gatewayId, row.number), row).toString("utf8");
    return JSON.parse(maskIntent(parseIntent(text)));
  }

  async #answer(
    gatewayId: string,
    revision: number,
    from: Parameters<RevisionStore["answer"]>[3],
    answer: Parameters<RevisionStore["answer"]>[4],
    then: (tx: Tx, organizationId: string) => Promise<void>,
  ): Promise<void> {
    const organizationId = await this.database.transaction(async (tx) => {
      const row = await this.revisions.answer(tx, gatewayId, revision, from, answer);
      if (row) await then(tx, row.organizationId);
      return row?.organizationId;
    });
    if (organizationId !== undefined) await this.#wake("onboarding", { organizationId, gatewayId });
  }

  async #wake(channel: "onboarding" | "confirmed", of: Message<"confirmed">): Promise<void> {
    await this.bus
      .publish(channel, of)
      .catch((err: unknown) => this.log.warn({ err, ...of }, "subscribers were not woken"));
  }

  async #runs(tx: Tx, organizationId: string, gatewayId: string, revision: number, at: Date): Promise<void> {
    const where = { organizationId, id: gatewayId };
    await tx.gateway.updateMany({ where: { ...where, firstAckedAt: null }, data: { firstAckedAt: at } });
    await tx.gateway.update({ where, data: { ackedRevision: revision }, select: { id: true } });
    const facts = { revision: String(revision) };
    const message = `revision ${revision} is in force`;
    await this.#tell(tx, organizationId, { kind: "intent/acked", severity: "INFO", message, facts, gatewayId });
  }

  #tell(tx: Tx, organizationId: string, event: NewEvent): Promise<void> {
    return this.events.record(tx, organizationId, event);
  }
}
