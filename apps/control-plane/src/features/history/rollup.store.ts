import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { Prisma } from "../../platform/prisma/generated/client.js";
import { floorTo, later, partitionEnd, partitionName, STEPS, type Step } from "./steps.js";

/** Samples of all organizations at once: what is done with them is the same for each. */
export abstract class RollupStore {
  /** Makes the partitions of this time, of the minutes before it and the next ones. */
  abstract makePartitions(now: Date): Promise<void>;
  /** Drops partitions whose time is over, one at most of each step. Gives their names. Rejects when somebody holds them for long. */
  abstract dropPartitions(over: (step: Step, end: Date) => boolean): Promise<string[]>;
  /** Of ends of which nobody has counted anything in that minute: how they are now. Nothing of gateways that are not connected. */
  abstract fill(minute: Date): Promise<number>;
  /** The first sample of the step that can be made of finer ones and is not there; undefined: there is none. */
  abstract nextOf(step: Step): Promise<Date | undefined>;
  /** Makes samples of finer ones that are complete. False while another replica is at it. */
  abstract rollUp(step: Step, at: Date): Promise<boolean>;
}

/** Of the advisory lock: one replica is enough, and two would only wait for each other. */
const LOCK = "history";
const LOCK_WAIT = "2s";
/** Of minutes that are over, samples are still written: reports are on their way, and gaps are filled. After a long standstill their partition is not there. */
const LATE_S = 600;
/** The largest sum of a sample: sums of samples stay within 64 bits, whatever a gateway counts. */
const MAX = Prisma.raw(String(Number.MAX_SAFE_INTEGER));

@Injectable()
export class PrismaRollupStore extends RollupStore {
  constructor(private readonly database: Database) {
    super();
  }

  override makePartitions(now: Date): Promise<void> {
    return this.database.transaction(async (tx) => {
      const there = new Set(await this.#partitions(tx));
      const times = [-LATE_S, 0].map((seconds) => later(now, seconds));
      const wanted = STEPS.flatMap((step) => [...times, later(now, step.partitionSeconds)].map((at) => ({ step, at })));
      const missing = wanted.filter(
        ({ step, at }) => !there.has(partitionName(step, floorTo(at, step.partitionSeconds))),
      );
      if (missing.length === 0) return;
      await tx.$queryRaw`SELECT 1 AS locked FROM pg_advisory_xact_lock(hashtextextended(${LOCK}, 0))`;
      for (const { step, at } of missing) await this.#makePartition(tx, step, floorTo(at, step.partitionSeconds));
    });
  }

  /** Attached, since a table that is made as a partition waits for all who write, and makes all others wait for it. */
  async #makePartition(tx: Tx, step: Step, from: Date): Promise<void> {
    const name = partitionName(step, from);
    if ((await this.#partitions(tx)).includes(name)) return;
    const bound = (at: Date) => `(${step.seconds}, '${at.toISOString()}')`;
    const range = Prisma.raw(`FROM ${bound(from)} TO ${bound(later(from, step.partitionSeconds))}`);
    await tx.$executeRaw`CREATE TABLE ${Prisma.raw(name)} (LIKE tunnel_samples INCLUDING ALL)`;
    await tx.$executeRaw`ALTER TABLE tunnel_samples ATTACH PARTITION ${Prisma.raw(name)} FOR VALUES ${range}`;
  }

  async #partitions(tx: Tx): Promise<string[]> {
    const rows = await tx.$queryRaw<{ name: string }[]>`
      SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'tunnel_samples'::regclass ORDER BY 1`;
    return rows.map((row) => row.name);
  }

  override dropPartitions(over: (step: Step, end: Date) => boolean): Promise<string[]> {
    return this.database.transaction(async (tx) => {
      const due = new Map<Step, string>();
      for (const name of await this.#partitions(tx)) {
        const part = partitionEnd(name);
        if (part && over(part.step, part.end) && !due.has(part.step)) due.set(part.step, name);
      }
      if (due.size === 0 || !(await this.#alone(tx))) return [];
      // Whoever writes waits behind it.
      await tx.$executeRaw`SELECT set_config('lock_timeout', ${LOCK_WAIT}, true)`;
      for (const name of due.values()) await tx.$executeRaw`DROP TABLE ${Prisma.raw(name)}`;
      return [...due.values()];
    });
  }

  override fill(minute: Date): Promise<number> {
    return this.database.transaction(async (tx) => {
      if (!(await this.#alone(tx))) return 0;
      return tx.$executeRaw`
        INSERT INTO tunnel_samples (step, at, tunnel_end_id, organization_id, known, up, degraded)
        SELECT 60, ${minute}::timestamptz, e.id, e.organization_id, 1, (e.state = 'UP')::int, (e.state = 'DEGRADED')::int
        FROM gateways g JOIN tunnel_ends e ON e.gateway_id = g.id AND e.organization_id = g.organization_id
        WHERE g.state <> 'RETIRED' AND g.connected_at < ${later(minute, 60)}
          AND (g.disconnected_at IS NULL OR g.disconnected_at < g.connected_at)
          AND e.tunnel_id IS NOT NULL AND e.reported_at IS NOT NULL
        ON CONFLICT DO NOTHING`;
    });
  }

  override async nextOf({ seconds, from }: Step): Promise<Date | undefined> {
    const [row] = await this.database.client.$queryRaw<{ at: Date | null }[]>`
      SELECT min(at) AS at FROM tunnel_samples WHERE step = ${from} AND at >= coalesce(
        (SELECT max(at) + make_interval(secs => ${seconds}) FROM tunnel_samples WHERE step = ${seconds}), '-infinity')`;
    return row?.at ? floorTo(row.at, seconds) : undefined;
  }

  override rollUp(step: Step, at: Date): Promise<boolean> {
    return this.database.transaction(async (tx) => {
      if (!(await this.#alone(tx))) return false;
      await this.#makePartition(tx, step, floorTo(at, step.partitionSeconds));
      await tx.$executeRaw`
        INSERT INTO tunnel_samples (step, at, tunnel_end_id, organization_id, bytes_in, bytes_out, packets_in, packets_out, errors_in,
          covered, counted_at, known, up, degraded, drops)
        SELECT ${step.seconds}::int, ${at}::timestamptz, tunnel_end_id, organization_id,
          least(sum(bytes_in), ${MAX}), least(sum(bytes_out), ${MAX}), least(sum(packets_in), ${MAX}), least(sum(packets_out), ${MAX}),
          least(sum(errors_in), ${MAX}), sum(covered), max(counted_at), sum(known), sum(up), sum(degraded), sum(drops)
        FROM tunnel_samples WHERE step = ${step.from} AND at >= ${at} AND at < ${later(at, step.seconds)}
        GROUP BY tunnel_end_id, organization_id
        ON CONFLICT DO NOTHING`;
      return true;
    });
  }

  async #alone(tx: Tx): Promise<boolean> {
    const [row] = await tx.$queryRaw<{ alone: boolean }[]>`
      SELECT pg_try_advisory_xact_lock(hashtextextended(${LOCK}, 0)) AS alone`;
    return row?.alone === true;
  }
}
