import { type CanActivate, type ExecutionContext, Injectable, type OnModuleInit } from "@nestjs/common";
import { DiscoveryService, MetadataScanner, Reflector } from "@nestjs/core";
import { GqlExecutionContext } from "@nestjs/graphql";
import { apiFault, fault } from "../faults.js";
import type { GraphQLRequestContext } from "../graphql/context.js";
import { REQUIREMENT, type Requirement } from "./allow.js";
import { RefusalAudit } from "./refusal-audit.js";

/** Nest's own mark on a method that is a query, a mutation or a subscription. */
const RESOLVER_TYPE = "graphql:resolver_type";
const ENTRIES = new Set(["Query", "Mutation", "Subscription"]);

/** Refuses every GraphQL operation that the caller's token does not allow. */
@Injectable()
export class AuthGuard implements CanActivate, OnModuleInit {
  constructor(
    private readonly reflector: Reflector,
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly audit: RefusalAudit,
  ) {}

  /** @throws platform/unguarded-resolver */
  onModuleInit(): void {
    for (const { instance, metatype } of this.discovery.getProviders()) {
      const prototype = instance ? Object.getPrototypeOf(instance) : undefined;
      if (!prototype || !metatype) continue;
      for (const name of this.scanner.getAllMethodNames(prototype)) {
        const method = prototype[name] as object;
        if (!ENTRIES.has(Reflect.getMetadata(RESOLVER_TYPE, method))) continue;
        if (Reflect.getMetadata(REQUIREMENT, method) !== undefined) continue;
        const field = `${metatype.name}.${name}`;
        throw fault("platform/unguarded-resolver", `${field} does not say who may call it`, {
          field,
          expected: "@Allow",
        });
      }
    }
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (context.getType<string>() !== "graphql") return true; // health end points, which tell nothing
    const requirement = this.reflector.get<Requirement | undefined>(REQUIREMENT, context.getHandler());
    if (requirement === "nobody") return true;
    const { tenant, refusal } = GqlExecutionContext.create(context).getContext<GraphQLRequestContext>();
    if (!tenant) {
      throw (
        refusal ??
        apiFault("api/unauthenticated", "this needs a token", {
          field: "authorization",
          expected: "Bearer, followed by an API token",
        })
      );
    }
    if (requirement === "authenticated") return true;
    const lacking = requirement?.filter((permission) => !tenant.permissions.has(permission));
    if (lacking?.length === 0) return true;
    const forbidden = apiFault("api/forbidden", `this token does not permit ${lacking?.join(", ")}`, {
      field: "authorization",
      value: tenant.actor.name,
      expected: `a token with the permission ${requirement?.join(", ")}`,
    });
    await this.audit.refused(context, forbidden);
    throw forbidden;
  }
}
