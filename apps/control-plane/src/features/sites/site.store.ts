import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { Site } from "../../platform/prisma/generated/client.js";
import type { Window } from "../maintenance/window.js";

type Hours = Omit<Window, "zone">;

export abstract class SiteStore {
  abstract create(tx: Tx, organizationId: string, name: string, subnets: readonly string[]): Promise<Site>;
  abstract find(tx: Tx, organizationId: string, id: string): Promise<Site | null>;
  /** In the place of those it has. */
  abstract setWindows(tx: Tx, site: Site, timeZone: string, hours: readonly Hours[]): Promise<Site>;
  abstract nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean>;
  abstract byIds(organizationId: string, ids: readonly string[]): Promise<Site[]>;
  /** Prefixes in the order in which they were entered. */
  abstract subnets(organizationId: string, siteIds: readonly string[]): Promise<{ siteId: string; prefix: string }[]>;
  abstract page(organizationId: string, request: PageRequest): Promise<Site[]>;
}

@Injectable()
export class PrismaSiteStore extends SiteStore {
  constructor(private readonly database: Database) {
    super();
  }

  override create(tx: Tx, organizationId: string, name: string, subnets: readonly string[]): Promise<Site> {
    const create = subnets.map((prefix) => ({ organizationId, prefix }));
    return tx.site.create({ data: { organizationId, name, subnets: { create } } });
  }

  override find(tx: Tx, organizationId: string, id: string): Promise<Site | null> {
    return tx.site.findUnique({ where: { organizationId, id } });
  }

  override async setWindows(
    tx: Tx,
    { organizationId, id }: Site,
    timeZone: string,
    hours: readonly Hours[],
  ): Promise<Site> {
    await tx.siteWindow.deleteMany({ where: { organizationId, siteId: id } });
    const data = hours.map(({ days, from, minutes }) => ({
      organizationId,
      siteId: id,
      days: [...days],
      from,
      minutes,
    }));
    if (data.length > 0) await tx.siteWindow.createMany({ data });
    return tx.site.update({ where: { organizationId, id }, data: { timeZone } });
  }

  override async nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean> {
    return (await tx.site.count({ where: { organizationId, name: { equals: name, mode: "insensitive" } } })) > 0;
  }

  override byIds(organizationId: string, ids: readonly string[]): Promise<Site[]> {
    return this.database.client.site.findMany({ where: { organizationId, id: { in: [...ids] } } });
  }

  override async subnets(organizationId: string, siteIds: readonly string[]) {
    const rows = await this.database.client.subnet.findMany({
      where: { organizationId, siteId: { in: [...siteIds] } },
      orderBy: { id: "asc" },
      select: { siteId: true, prefix: true },
    });
    return rows.map(({ siteId, prefix }) => ({ siteId: siteId ?? "", prefix }));
  }

  override page(organizationId: string, request: PageRequest): Promise<Site[]> {
    const { where, ...rest } = pageQuery(request, "asc");
    return this.database.client.site.findMany({ where: { organizationId, ...where }, ...rest });
  }
}
