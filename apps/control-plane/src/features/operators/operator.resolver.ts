import { Args, ID, Mutation, Query, Resolver } from "@nestjs/graphql";
import { Allow, Authenticated, Public, Request, Tenant } from "../../platform/auth/allow.js";
import { PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { OrganizationService } from "../organizations/organization.service.js";
import { OperatorService } from "./operator.service.js";
import {
  ApiTokenConnection,
  ApiTokenType,
  CreateApiTokenInput,
  CreateApiTokenPayload,
  CreateOperatorInput,
  CreateOperatorPayload,
  Me,
  OperatorConnection,
  OperatorType,
  SignInPayload,
} from "./operator.types.js";

@Resolver(() => OperatorType)
export class OperatorResolver {
  constructor(
    private readonly service: OperatorService,
    private readonly organizations: OrganizationService,
  ) {}

  @Query(() => Me, { description: "Who is asking, and what this token allows." })
  @Authenticated()
  async me(@Tenant() context: TenantContext) {
    const [operator, organization] = await Promise.all([
      this.service.me(context),
      this.organizations.get(context.organizationId),
    ]);
    return { operator, organization, permissions: [...context.permissions].sort() };
  }

  @Query(() => OperatorConnection, {
    complexity: pageComplexity,
    description: "The organization's operators, oldest first.",
  })
  @Allow("operator:write")
  operators(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return this.service.list(context, args);
  }

  @Query(() => ApiTokenConnection, {
    complexity: pageComplexity,
    description: "API tokens that are valid, newest first: the caller's own, or everybody's for who manages operators.",
  })
  @Allow("token:write")
  apiTokens(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return this.service.tokens(context, args);
  }

  @Mutation(() => SignInPayload, { description: "Starts a session with e-mail address and password." })
  @Public()
  signIn(
    @Request() { origin }: GraphQLRequestContext,
    @Args("email", { description: "The operator's." }) email: string,
    @Args("password", { description: "The operator's, or the one-time password." }) password: string,
  ) {
    return this.service.signIn(email, password, origin);
  }

  @Mutation(() => OperatorType, { description: "Chooses another password and ends all of the caller's sessions." })
  @Authenticated()
  changePassword(
    @Tenant() context: TenantContext,
    @Args("current", { description: "The password so far." }) current: string,
    @Args("next", { description: "12 to 200 characters." }) next: string,
  ) {
    return this.service.changePassword(context, current, next);
  }

  @Mutation(() => CreateOperatorPayload, { description: "Lets a person in." })
  @Allow("operator:write")
  createOperator(@Tenant() context: TenantContext, @Args("input", { description: "Who." }) input: CreateOperatorInput) {
    return this.service.create(context, input);
  }

  @Mutation(() => CreateApiTokenPayload, { description: "Makes an API token for the caller." })
  @Allow("token:write")
  createApiToken(
    @Tenant() context: TenantContext,
    @Args("input", { description: "What for." }) input: CreateApiTokenInput,
  ) {
    return this.service.createToken(context, input);
  }

  @Mutation(() => ApiTokenType, { description: "Makes a token worthless at once. Revoking it twice changes nothing." })
  @Allow("token:write")
  revokeApiToken(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "The token's id, not its text." }) id: string,
  ) {
    return this.service.revokeToken(context, id);
  }
}
