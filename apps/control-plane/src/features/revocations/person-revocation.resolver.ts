import { Args, Mutation, Resolver } from "@nestjs/graphql";
import { Allow, Tenant } from "../../platform/auth/allow.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { shownCertificate } from "../certificates/holder.resolver.js";
import { RoadWarriorType } from "../road-warriors/road-warrior.types.js";
import { PersonRevocation } from "./person-revocation.service.js";
import { RevokeRoadWarriorInput, RevokeRoadWarriorPayload } from "./person-revocation.types.js";

@Resolver(() => RoadWarriorType)
export class PersonRevocationResolver {
  constructor(private readonly people: PersonRevocation) {}

  @Mutation(() => RevokeRoadWarriorPayload, {
    description:
      "Disables a person and revokes the person's certificates for good: what rests on them ends at every gateway, and nobody gets in by them.",
  })
  @Allow("road-warrior:write", "certificate:write")
  async revokeRoadWarrior(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Person and reason." }) input: RevokeRoadWarriorInput,
  ) {
    const { roadWarrior, certificates } = await this.people.revoke(context, input.id, input.reason);
    return { roadWarrior, certificates: certificates.map(shownCertificate) };
  }
}
