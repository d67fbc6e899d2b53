import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Periodic } from "../../platform/periodic.js";
import { Prisma } from "../../platform/prisma/generated/client.js";
import { EventService } from "../events/event.service.js";

const FIRST_MS = 30_000;
const EVERY_MS = 600_000;
const BATCH = 200;
/** How many of the times at which operators are told have passed when a certificate is over. */
const EXPIRED = 3;

interface Due {
  readonly organizationId: string | null;
  readonly gatewayId: string | null;
  /** Whose it is, for messages. */
  readonly whose: string;
  readonly facts: Readonly<Record<string, string>>;
  readonly notAfter: Date;
  readonly told: number;
}

/** How many of the times at which operators are told have passed for the row `row`. */
const stage = (row: "a" | "c", now: Date) => {
  const [from, to] = [Prisma.raw(`${row}.not_before`), Prisma.raw(`${row}.not_after`)];
  return Prisma.sql`(SELECT CASE WHEN ${to} <= ${now} THEN ${EXPIRED}::int
    WHEN ${to} - (${to} - ${from}) * 0.1 <= ${now} THEN 2
    WHEN ${to} - (${to} - ${from}) * 0.25 <= ${now} THEN 1 ELSE 0 END AS stage)`;
};

/**
 * Tells operators when a quarter of a certificate's life is left and nothing took its place, when a tenth is, and at its end; foreign ones
 * and those of CAs too. What a public authority issued has alerts of its own. Of the installation's CAs, which are no organization's, the
 * log tells.
 */
@Injectable()
export class ExpiryAlerts implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #periodic: Periodic;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly database: Database,
    private readonly events: EventService,
  ) {
    this.#periodic = new Periodic(() => this.tick(), log);
  }

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs")) this.#periodic.start(FIRST_MS, EVERY_MS);
  }

  onApplicationShutdown(): Promise<void> {
    return this.#periodic.stop();
  }

  /** Replicas may do it at the same time. */
  async tick(now = new Date()): Promise<void> {
    for (const due of [dueCertificates, dueAuthorities]) while ((await this.#tell(due, now)) === BATCH);
  }

  #tell(find: (tx: Tx, now: Date) => Promise<Due[]>, now: Date): Promise<number> {
    return this.database.transaction(async (tx) => {
      const due = await find(tx, now);
      for (const { organizationId, gatewayId, whose, facts, notAfter, told } of due) {
        const over = told === EXPIRED;
        const kind = over ? "certificates/expired" : "certificates/expiring";
        const end = notAfter.toISOString();
        const message = `the certificate of ${whose} ${over ? "has expired" : "was not renewed yet and expires"} (${end})`;
        if (organizationId === null) {
          this.log.warn({ kind, ...facts, notAfter: end }, message);
          continue;
        }
        await this.events.record(tx, organizationId, {
          kind,
          severity: told === 1 ? "WARNING" : "ERROR",
          message,
          facts: { ...facts, notAfter: end },
          ...(gatewayId === null ? {} : { gatewayId }),
        });
      }
      return due.length;
    });
  }
}

const dueCertificates = (tx: Tx, now: Date) =>
  tx.$queryRaw<Due[]>`
    UPDATE certificates SET alerts_told = d.stage FROM (
      SELECT c.id, s.stage FROM certificates c
        LEFT JOIN gateways g ON g.id = c.gateway_id AND g.organization_id = c.organization_id,
        LATERAL ${stage("c", now)} s
      WHERE c.alerts_told < s.stage AND c.superseded_at IS NULL AND c.revoked_at IS NULL AND NOT c.standby
        AND (g.id IS NULL OR g.state <> 'RETIRED')
        AND NOT EXISTS (SELECT 1 FROM certificates n WHERE n.replaces_id = c.id AND n.organization_id = c.organization_id)
        AND NOT EXISTS (SELECT 1 FROM acme_orders o WHERE o.certificate_id = c.id)
      ORDER BY c.not_after LIMIT ${BATCH} FOR UPDATE OF c SKIP LOCKED) d
    WHERE certificates.id = d.id
    RETURNING organization_id::text AS "organizationId", gateway_id::text AS "gatewayId", holder AS whose,
      json_build_object('subject', subject, 'serial', serial) AS facts, not_after AS "notAfter", alerts_told AS told`;

/** One that is retired has a successor, and one that waits is to be one. */
const dueAuthorities = (tx: Tx, now: Date) =>
  tx.$queryRaw<Due[]>`
    UPDATE certificate_authorities SET alerts_told = d.stage FROM (
      SELECT a.id, s.stage FROM certificate_authorities a, LATERAL ${stage("a", now)} s
      WHERE a.alerts_told < s.stage AND a.retired_at IS NULL AND a.distrusted_at IS NULL AND NOT a.standby
      ORDER BY a.not_after LIMIT ${BATCH} FOR UPDATE OF a SKIP LOCKED) d
    WHERE certificate_authorities.id = d.id
    RETURNING organization_id::text AS "organizationId", NULL AS "gatewayId", 'the CA ' || name AS whose,
      json_build_object('authority', name, 'fingerprint', fingerprint) AS facts, not_after AS "notAfter", alerts_told AS told`;
