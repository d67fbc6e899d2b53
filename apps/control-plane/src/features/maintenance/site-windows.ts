import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import type { Places, Window } from "./window.js";

/** When work may begin at sites, by what their operators have said. */
@Injectable()
export class SiteWindows {
  constructor(private readonly database: Database) {}

  /** By site id; sites without windows are absent. */
  async ofSites(
    organizationId: string,
    siteIds: readonly string[],
    tx: Tx = this.database.client,
  ): Promise<ReadonlyMap<string, Window[]>> {
    const rows = await tx.siteWindow.findMany({
      where: { organizationId, siteId: { in: [...siteIds] } },
      orderBy: { id: "asc" },
      include: { site: { select: { timeZone: true } } },
    });
    return grouped(rows.map(({ siteId, site, ...hours }) => [siteId, { ...windowOf(hours), zone: site.timeZone }]));
  }

  /** Of all gateways at whose sites work may not begin at any time, by gateway id. */
  async ofGateways(organizationId: string, tx: Tx = this.database.client): Promise<ReadonlyMap<string, Window[]>> {
    const rows = await tx.siteWindow.findMany({
      where: { organizationId },
      orderBy: { id: "asc" },
      include: { site: { select: { timeZone: true, gateways: { select: { id: true } } } } },
    });
    return grouped(
      rows.flatMap(({ site, ...hours }) =>
        site.gateways.map(({ id }) => [id, { ...windowOf(hours), zone: site.timeZone }] as const),
      ),
    );
  }

  /** What work on one gateway waits for. */
  async placesOf(organizationId: string, gatewayId: string, tx: Tx = this.database.client): Promise<Places> {
    const gateway = await tx.gateway.findUnique({ where: { organizationId, id: gatewayId }, select: { siteId: true } });
    return gateway ? [...(await this.ofSites(organizationId, [gateway.siteId], tx)).values()] : [];
  }
}

const windowOf = ({ days, from, minutes }: Omit<Window, "zone">) => ({ days, from, minutes });

function grouped(entries: readonly (readonly [string, Window])[]): ReadonlyMap<string, Window[]> {
  const found = new Map<string, Window[]>();
  for (const [id, window] of entries) {
    const list = found.get(id) ?? [];
    found.set(id, list);
    list.push(window);
  }
  return found;
}
