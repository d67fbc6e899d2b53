import { Injectable } from "@nestjs/common";
import { Database } from "../../platform/database/database.js";

/** What one end's sample says. */
export interface Sample {
  readonly endId: string;
  readonly at: Date;
  readonly bytesIn: bigint;
  readonly bytesOut: bigint;
  readonly packetsIn: bigint;
  readonly packetsOut: bigint;
  readonly errorsIn: bigint;
  /** Seconds in which these came. */
  readonly covered: number;
  /** Minutes of known state; of these, those when it was up, and up in part. */
  readonly known: number;
  readonly up: number;
  readonly degraded: number;
  readonly drops: number;
}

export abstract class HistoryStore {
  /** Of the step's samples that begin in [from, to), in the order of ends and time. `from` is the beginning of one. */
  abstract samples(
    organizationId: string,
    endIds: readonly string[],
    range: { readonly seconds: number; readonly from: Date; readonly to: Date },
  ): Promise<Sample[]>;
}

@Injectable()
export class PrismaHistoryStore extends HistoryStore {
  constructor(private readonly database: Database) {
    super();
  }

  /** One look into the primary key for each point: whatever other tunnels there are, and whatever the planner knows of them. */
  override samples(
    organizationId: string,
    endIds: readonly string[],
    { seconds, from, to }: { readonly seconds: number; readonly from: Date; readonly to: Date },
  ): Promise<Sample[]> {
    return this.database.client.$queryRaw<Sample[]>`
      SELECT e.id::text AS "endId", s.at, s.bytes_in AS "bytesIn", s.bytes_out AS "bytesOut", s.packets_in AS "packetsIn",
        s.packets_out AS "packetsOut", s.errors_in AS "errorsIn", s.covered, s.known, s.up, s.degraded, s.drops
      FROM unnest(${endIds}::uuid[]) AS e (id)
      CROSS JOIN generate_series(${from}::timestamptz, ${to}::timestamptz - interval '1 millisecond',
        make_interval(secs => ${seconds})) AS p (at)
      CROSS JOIN LATERAL (
        SELECT * FROM tunnel_samples t
        WHERE t.step = ${seconds} AND t.at = p.at AND t.at >= ${from} AND t.at < ${to} AND t.tunnel_end_id = e.id AND t.organization_id = ${organizationId}::uuid
        LIMIT 1) s
      ORDER BY e.id, s.at`;
  }
}
