import { Injectable } from "@nestjs/common";
import { isFault } from "@sallyport/base";
import { Database } from "../../platform/database/database.js";
import { type Connection, type PageArgs, page, pageQuery } from "../../platform/graphql/connection.js";
import type { HandoverProfile, Prisma } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { type Access, AccessService } from "./access.service.js";

/** What of the gateway is no longer as the profile says. */
export type StaleReason = "SERVICE" | "AUTHENTICATION" | "GATEWAY" | "AUTHORITIES" | "PROPOSALS";

export interface StaleProfile extends HandoverProfile {
  readonly changed: readonly StaleReason[];
}

type Group = Pick<HandoverProfile, "remoteAccessId" | "gatewayId" | "authentication">;
type Prints = Pick<HandoverProfile, "gatewayPrint" | "authorityPrint" | "proposalPrint">;

/** Profiles that say of a gateway what is so no more. */
@Injectable()
export class StaleProfilesService {
  constructor(
    private readonly database: Database,
    private readonly access: AccessService,
  ) {}

  /** Oldest first. */
  async list({ organizationId }: TenantContext, args: PageArgs): Promise<Connection<StaleProfile>> {
    const groups = await this.database.client.handoverProfile.groupBy({
      by: ["remoteAccessId", "gatewayId", "authentication"],
      where: { organizationId, supersededAt: null },
    });
    const now = await this.#now(organizationId, groups);
    const stale = groups.map((group): Prisma.HandoverProfileWhereInput => {
      const { remoteAccessId, gatewayId, authentication } = group;
      const same = { remoteAccessId, gatewayId, authentication };
      const access = now.get(keyOf(group));
      return access && isServed(access, group) ? { ...same, NOT: printsOf(access) } : same;
    });
    return page(args, async (request) => {
      const { where, ...rest } = pageQuery(request, "asc");
      const all = { organizationId, supersededAt: null, OR: stale, ...where };
      const rows = await this.database.client.handoverProfile.findMany({ where: all, ...rest });
      return rows.map((row) => ({ ...row, changed: changes(row, now.get(keyOf(row))) }));
    });
  }

  #now(organizationId: string, groups: readonly Group[]): Promise<Map<string, Access>> {
    return this.database.transaction(async (tx) => {
      const found = new Map<string, Access>();
      if (groups.length === 0) return found;
      const fleet = await this.access.fleet(tx, organizationId);
      for (const [key, group] of new Map(groups.map((g) => [keyOf(g), g]))) {
        const access = await this.access.find(tx, organizationId, fleet, group).catch((error: unknown) => {
          // Whatever it is, nobody gets in as the profile says.
          if (isFault(error, "handover/gateway-not-ready") || isFault(error, "handover/other-ports")) return undefined;
          throw error;
        });
        if (access) found.set(key, access);
      }
      return found;
    });
  }
}

const keyOf = ({ remoteAccessId, gatewayId }: Pick<Group, "remoteAccessId" | "gatewayId">) =>
  `${remoteAccessId} ${gatewayId}`;

const isServed = ({ methods }: Access, { authentication }: Pick<Group, "authentication">) =>
  methods.some((m) => m === authentication);

const printsOf = ({ fingerprint: { gateway, authorities, proposals } }: Access): Prints => ({
  ...{ gatewayPrint: gateway, authorityPrint: authorities, proposalPrint: proposals },
});

function changes(row: HandoverProfile, access: Access | undefined): StaleReason[] {
  if (!access) return ["SERVICE"];
  const now = printsOf(access);
  return [
    ...(isServed(access, row) ? [] : (["AUTHENTICATION"] as const)),
    ...(row.gatewayPrint === now.gatewayPrint ? [] : (["GATEWAY"] as const)),
    ...(row.authorityPrint === now.authorityPrint ? [] : (["AUTHORITIES"] as const)),
    ...(row.proposalPrint === now.proposalPrint ? [] : (["PROPOSALS"] as const)),
  ];
}
