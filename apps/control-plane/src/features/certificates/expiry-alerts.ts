import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Database } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Periodic } from "../../platform/periodic.js";
import { EventService } from "../events/event.service.js";

const FIRST_MS = 30_000;
const EVERY_MS = 600_000;
const BATCH = 200;
/** How many of the times at which operators are told have passed when a certificate is over. */
const EXPIRED = 3;

interface Due {
  readonly organizationId: string;
  readonly gatewayId: string | null;
  readonly holder: string;
  readonly subject: string;
  readonly serial: string;
  readonly notAfter: Date;
  readonly told: number;
}

/**
 * Tells operators when a quarter of a certificate's life is left and nothing took its place, when a tenth is, and at its end; foreign ones
 * too. What a public authority issued has alerts of its own.
 */
@Injectable()
export class ExpiryAlerts implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #periodic: Periodic;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) log: Log,
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
    while ((await this.#tell(now)) === BATCH);
  }

  #tell(now: Date): Promise<number> {
    return this.database.transaction(async (tx) => {
      const due = await tx.$queryRaw<Due[]>`
        UPDATE certificates SET alerts_told = d.stage FROM (
          SELECT c.id, s.stage FROM certificates c
            LEFT JOIN gateways g ON g.id = c.gateway_id AND g.organization_id = c.organization_id,
            LATERAL (SELECT CASE WHEN c.not_after <= ${now} THEN ${EXPIRED}::int
              WHEN c.not_after - (c.not_after - c.not_before) * 0.1 <= ${now} THEN 2
              WHEN c.not_after - (c.not_after - c.not_before) * 0.25 <= ${now} THEN 1 ELSE 0 END AS stage) s
          WHERE c.alerts_told < s.stage AND c.superseded_at IS NULL AND c.revoked_at IS NULL AND NOT c.standby
            AND (g.id IS NULL OR g.state <> 'RETIRED')
            AND NOT EXISTS (SELECT 1 FROM certificates n WHERE n.replaces_id = c.id AND n.organization_id = c.organization_id)
            AND NOT EXISTS (SELECT 1 FROM acme_orders o WHERE o.certificate_id = c.id)
          ORDER BY c.not_after LIMIT ${BATCH} FOR UPDATE OF c SKIP LOCKED) d
        WHERE certificates.id = d.id
        RETURNING organization_id::text AS "organizationId", gateway_id::text AS "gatewayId", holder, subject, serial,
          not_after AS "notAfter", alerts_told AS told`;
      for (const { organizationId, gatewayId, holder, subject, serial, notAfter, told } of due) {
        const over = told === EXPIRED;
        await this.events.record(tx, organizationId, {
          kind: over ? "certificates/expired" : "certificates/expiring",
          severity: told === 1 ? "WARNING" : "ERROR",
          message: `the certificate of ${holder} ${over ? "has expired" : "was not renewed yet and expires"} (${notAfter.toISOString()})`,
          facts: { subject, serial, notAfter: notAfter.toISOString() },
          ...(gatewayId === null ? {} : { gatewayId }),
        });
      }
      return due.length;
    });
  }
}
