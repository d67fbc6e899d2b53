import { Args, ID, Mutation, Parent, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { readCertificate, toPem } from "@sallyport/pki";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import type { CertificateAuthority } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { shownPage } from "./certificates.resolver.js";
import { shownCertificate } from "./holder.resolver.js";
import { CertificateType } from "./holder.types.js";
import { type InventoryRow, InventoryService } from "./inventory.service.js";
import {
  CertificateConnection,
  CertificateFilterInput,
  CertificateSightingType,
  RecordCertificateInput,
} from "./inventory.types.js";
import { CertificateSightings } from "./sightings.service.js";

const DAY_MS = 86_400_000;

function shownAuthority(row: CertificateAuthority): CertificateType {
  const { serial, issuer } = readCertificate(row.certificate);
  const { id, name, fingerprint, purpose, notBefore, notAfter, parentId } = row;
  const daysLeft = Math.floor((notAfter.getTime() - Date.now()) / DAY_MS);
  return {
    ...{ id, fingerprint, purpose, notBefore, notAfter, serial, daysLeft },
    ...{ kind: "AUTHORITY", state: daysLeft < 0 ? "EXPIRED" : "VALID", authorityId: parentId, holder: name },
    ...{ subject: name, issuer: issuer.text, names: [], pem: toPem("CERTIFICATE", row.certificate) },
    ...{ profileId: null, gatewayId: null, replacesId: null, supersededAt: null },
    ...{ revokedAt: null, revocationReason: null },
  };
}

const shown = (row: InventoryRow): CertificateType =>
  "certificate" in row ? shownCertificate(row.certificate) : shownAuthority(row.authority);

@Resolver(() => CertificateType)
export class InventoryResolver {
  constructor(
    private readonly inventory: InventoryService,
    private readonly sightings: CertificateSightings,
  ) {}

  @Query(() => CertificateConnection, {
    complexity: pageComplexity,
    description:
      "Every certificate of the fleet, those of authorities and foreign ones too; what expires first comes first.",
  })
  @Allow("fleet:read")
  async certificates(
    @Tenant() context: TenantContext,
    @Args() args: PageArgs,
    @Args("filter", { type: () => CertificateFilterInput, nullable: true, description: "Which ones; absent: all." })
    filter?: CertificateFilterInput | null,
  ) {
    return shownPage(await this.inventory.list(context, args, filter ?? {}), shown);
  }

  @Mutation(() => CertificateType, {
    description: "Keeps a certificate that somebody else's authority issued, so that it is seen to expire.",
  })
  @Allow("certificate:write")
  async recordCertificate(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The certificate." }) input: RecordCertificateInput,
  ) {
    return shownCertificate(await this.inventory.record(context, input));
  }

  @Mutation(() => CertificateType, { description: "Forgets a foreign certificate." })
  @Allow("certificate:write")
  async forgetCertificate(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which certificate." }) id: string,
  ) {
    return shownCertificate(await this.inventory.forget(context, id));
  }

  @ResolveField(() => String, {
    nullable: true,
    description: "Name of the gateway that it is deployed at; null: at none of ours.",
  })
  async deployedAt(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() { gatewayId }: CertificateType,
  ) {
    if (gatewayId === null) return null;
    return loaders.load(this, "gateways", gatewayId, (ids: readonly string[]) => this.inventory.gateways(context, ids));
  }

  @ResolveField(() => [String], {
    description:
      "Names of the tunnels that a gateway's certificate authenticates, as long as it is the one that is shown.",
  })
  async usedBy(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() { gatewayId, purpose, supersededAt, revokedAt }: CertificateType,
  ) {
    if (gatewayId === null || purpose !== "GATEWAY_IDENTITY" || supersededAt !== null || revokedAt !== null) return [];
    return loaders.loadMany(this, "tunnels", gatewayId, (ids: readonly string[]) =>
      this.inventory.tunnels(context, ids),
    );
  }

  @ResolveField(() => [CertificateSightingType], {
    description: "Where gateways have seen it, or show it: what was seen last first, 32 at most.",
  })
  async seenAt(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() { id, kind }: CertificateType,
  ) {
    if (kind === "AUTHORITY") return [];
    return loaders.loadMany(this, "seenAt", id, (ids: readonly string[]) => this.sightings.of(context, ids));
  }
}
