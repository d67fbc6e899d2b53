import { Injectable } from "@nestjs/common";
import { poolSize } from "@sallyport/intent";
import { apiFault } from "../../platform/faults.js";
import type { Gateway } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { TunnelService } from "../tunnels/tunnel.service.js";
import { FleetHealthStore, type Traffic } from "./fleet-health.store.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_LIST = 50;
const MAX_DAYS = 4_000;
/** Share of a pool's addresses. */
const NEARLY_FULL = 0.9;

function checkCount(value: number, field: string, max: number): number {
  if (value >= 1 && value <= max) return value;
  const expected = `1 to ${max}`;
  throw apiFault("api/bad-input", `${field}: expected ${expected}`, { field, value: String(value), expected });
}

/** What is to be seen of all tunnels and gateways at once. */
@Injectable()
export class FleetHealthService {
  constructor(
    private readonly store: FleetHealthStore,
    private readonly tunnels: TunnelService,
  ) {}

  async totals({ organizationId }: TenantContext) {
    const [gateways, tunnels, tunnelsStale] = await Promise.all([
      this.store.gateways(organizationId),
      this.store.tunnels(organizationId),
      this.store.stale(organizationId),
    ]);
    return {
      ...gateways,
      tunnelsStale,
      tunnels: [...tunnels.values()].reduce((sum, n) => sum + n, 0),
      tunnelsUp: tunnels.get("UP") ?? 0,
      tunnelsDegraded: tunnels.get("DEGRADED") ?? 0,
      tunnelsConnecting: tunnels.get("CONNECTING") ?? 0,
      tunnelsDown: tunnels.get("DOWN") ?? 0,
      tunnelsPending: tunnels.get("PENDING") ?? 0,
    };
  }

  traffic({ organizationId }: TenantContext): Promise<Traffic> {
    return this.store.traffic(organizationId);
  }

  reasons({ organizationId }: TenantContext, first: number) {
    return this.store.reasons(organizationId, checkCount(first, "first", MAX_LIST));
  }

  async flapping(context: TenantContext, first: number) {
    const since = new Date(Date.now() - HOUR_MS);
    const found = await this.store.flapping(context.organizationId, since, checkCount(first, "first", MAX_LIST));
    const ids = found.map((f) => f.tunnelId);
    const tunnels = new Map((await this.tunnels.byIds(context, ids)).map((tunnel) => [tunnel.id, tunnel]));
    return found.flatMap(({ tunnelId, drops }) => {
      const tunnel = tunnels.get(tunnelId);
      return tunnel ? [{ tunnel, drops }] : [];
    });
  }

  offline({ organizationId }: TenantContext, first: number): Promise<Gateway[]> {
    return this.store.offline(organizationId, checkCount(first, "first", MAX_LIST));
  }

  expiring({ organizationId }: TenantContext, days: number): Promise<number> {
    return this.store.expiring(organizationId, new Date(Date.now() + checkCount(days, "days", MAX_DAYS) * DAY_MS));
  }

  /** Fullest first. */
  async nearlyFull({ organizationId }: TenantContext) {
    const pools = (await this.store.poolsInUse(organizationId)).map(({ pool, held }) => {
      const size = poolSize({ addresses: pool.addresses, except: pool.exclusions });
      return { pool, held, share: size === 0n ? 1 : Math.min(held / Number(size), 1) };
    });
    return pools.filter((p) => p.share >= NEARLY_FULL).sort((a, b) => b.share - a.share);
  }
}
