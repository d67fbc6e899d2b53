import { Args, ID, Mutation, Resolver } from "@nestjs/graphql";
import { Allow, Tenant } from "../../platform/auth/allow.js";
import { checkUuid } from "../../platform/input.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { EnrolmentService } from "./enrolment.service.js";
import { EnrolmentType } from "./enrolment.types.js";

@Resolver(() => EnrolmentType)
export class EnrolmentResolver {
  constructor(private readonly enrolments: EnrolmentService) {}

  @Mutation(() => EnrolmentType, {
    description:
      "A new one-off token for a gateway: the first one expired or was lost, or the machine is replaced. Earlier unused tokens of the gateway are worthless from now on, and its present certificates from when the new one is used.",
  })
  @Allow("enrolment:write")
  reissueEnrolment(
    @Tenant() tenant: TenantContext,
    @Args("gatewayId", { type: () => ID, description: "Which gateway." }) gatewayId: string,
  ): Promise<EnrolmentType> {
    return this.enrolments.reissue(tenant, checkUuid(gatewayId, "gatewayId"));
  }
}
