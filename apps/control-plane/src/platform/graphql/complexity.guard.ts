import { type CanActivate, type ExecutionContext, Injectable } from "@nestjs/common";
import { GqlExecutionContext } from "@nestjs/graphql";
import type { GraphQLResolveInfo } from "graphql";
import { refuseComplexRun } from "./limits.js";

/** Refuses subscriptions that are too expensive; queries and mutations were judged before. */
@Injectable()
export class ComplexityGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (context.getType<string>() !== "graphql") return true;
    const info = GqlExecutionContext.create(context).getInfo<GraphQLResolveInfo>();
    if (info.operation.operation === "subscription") refuseComplexRun(info);
    return true;
  }
}
