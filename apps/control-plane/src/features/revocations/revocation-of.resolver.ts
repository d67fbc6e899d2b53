import { Parent, ResolveField, Resolver } from "@nestjs/graphql";
import { Request, Tenant } from "../../platform/auth/allow.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { CertificateType } from "../certificates/holder.types.js";
import { GatewayService } from "../gateways/gateway.service.js";
import { GatewayType } from "../gateways/gateway.types.js";
import { RoadWarriorType } from "../road-warriors/road-warrior.types.js";
import { RevocationService } from "./revocation.service.js";
import { RevocationConfirmationType, RevocationType } from "./revocation.types.js";

const load = (
  service: RevocationService,
  context: TenantContext,
  { loaders }: GraphQLRequestContext,
  { id }: { readonly id: string },
) => loaders.load(service, "ofSubjects", id, (ids: readonly string[]) => service.ofSubjects(context, ids));

@Resolver(() => CertificateType)
export class CertificateRevocationResolver {
  constructor(private readonly service: RevocationService) {}

  @ResolveField(() => RevocationType, {
    nullable: true,
    description: "What gateways were told of it last, with their confirmations; null: nothing.",
  })
  revocation(
    @Tenant() context: TenantContext,
    @Request() request: GraphQLRequestContext,
    @Parent() certificate: CertificateType,
  ) {
    return load(this.service, context, request, certificate);
  }
}

@Resolver(() => RoadWarriorType)
export class RoadWarriorRevocationResolver {
  constructor(private readonly service: RevocationService) {}

  @ResolveField(() => RevocationType, {
    nullable: true,
    description: "What gateways were told of the person last, with their confirmations; null: nothing.",
  })
  revocation(
    @Tenant() context: TenantContext,
    @Request() request: GraphQLRequestContext,
    @Parent() person: RoadWarriorType,
  ) {
    return load(this.service, context, request, person);
  }
}

@Resolver(() => RevocationConfirmationType)
export class ConfirmationResolver {
  constructor(private readonly gateways: GatewayService) {}

  @ResolveField(() => GatewayType, { description: "Which gateway." })
  gateway(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() { gatewayId }: RevocationConfirmationType,
  ) {
    return loaders.load(this.gateways, "byIds", gatewayId, (ids: readonly string[]) =>
      this.gateways.byIds(context, ids),
    );
  }
}
