import { Inject, Injectable } from "@nestjs/common";
import { Repeats } from "@sallyport/base";
import { Database } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { systemContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { REFUSAL_LIMITS, refusalEntry } from "../audit/refusal.js";
import { sourceOf } from "./attempts.js";

const CODE = "handover/unknown-link";

/**
 * Guesses at links that are no organization's. The audit log of the organization that the installation began with has them, bounded like
 * all refusals there: its operators are those who run the installation.
 */
@Injectable()
export class GuessAudit {
  readonly #repeats = new Repeats(REFUSAL_LIMITS);

  constructor(
    private readonly database: Database,
    private readonly audit: AuditService,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** The guess is refused whether this can be written or not. */
  async refused(address: string): Promise<void> {
    this.log.warn({ source: address }, "a link was asked for that there is not");
    const who = sourceOf(address);
    const repeated = this.#repeats.add(CODE, who, Date.now());
    if (!repeated) return;
    try {
      await this.database.transaction(async (tx) => {
        const first = await tx.organization.findFirst({ orderBy: { id: "asc" }, select: { id: true } });
        if (first === null) return;
        const target = { kind: "installation", id: first.id };
        const entry = refusalEntry({ action: "refuseHandover", target, code: CODE, who, facts: {} }, repeated);
        const origin = repeated.subject === undefined ? undefined : address;
        await this.audit.record(tx, systemContext(first.id, "hand-over page", { origin }), entry);
      });
    } catch (err) {
      this.log.error({ err, code: CODE }, "a refusal could not be written into the audit log");
    }
  }
}
