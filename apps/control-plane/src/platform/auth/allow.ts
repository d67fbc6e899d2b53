import { createParamDecorator, type ExecutionContext, SetMetadata } from "@nestjs/common";
import { GqlExecutionContext } from "@nestjs/graphql";
import { apiFault } from "../faults.js";
import type { GraphQLRequestContext } from "../graphql/context.js";
import type { TenantContext } from "../tenancy.js";
import type { Permission } from "./permissions.js";

/** What a caller needs: all of some permissions, a valid token with whatever permissions, or nothing. */
export type Requirement = readonly Permission[] | "authenticated" | "nobody";

export const REQUIREMENT = "sallyport:requirement";

/** Who may call a query, mutation or subscription. The start fails when one has neither this nor `@Public`. */
export const Allow = (...permissions: readonly [Permission, ...Permission[]]) => SetMetadata(REQUIREMENT, permissions);

/** Every caller with a valid token, whatever it permits. */
export const Authenticated = () => SetMetadata(REQUIREMENT, "authenticated");

/** Everybody, without a token. */
export const Public = () => SetMetadata(REQUIREMENT, "nobody");

/** The tenant's context of a request that passed `@Allow` or `@Authenticated`. */
export const Tenant = createParamDecorator((_: unknown, execution: ExecutionContext): TenantContext => {
  const { tenant } = GqlExecutionContext.create(execution).getContext<GraphQLRequestContext>();
  if (!tenant) throw apiFault("api/unauthenticated", "this needs a token", { field: "authorization" });
  return tenant;
});

/** The request's own context, for loaders and for who asks before anybody signed in. */
export const Request = createParamDecorator(
  (_: unknown, execution: ExecutionContext): GraphQLRequestContext =>
    GqlExecutionContext.create(execution).getContext<GraphQLRequestContext>(),
);
