import { type ArgumentsHost, Catch, Inject } from "@nestjs/common";
import { BaseExceptionFilter } from "@nestjs/core";
import { GqlArgumentsHost } from "@nestjs/graphql";
import type { GraphQLResolveInfo } from "graphql";
import { LOG, type Log } from "../log/log.js";
import { shownError } from "./errors.js";

/** Leaves what resolvers throw to the error formatter, which knows what to log. Nest would log every refused input. */
@Catch()
export class FaultFilter extends BaseExceptionFilter {
  constructor(@Inject(LOG) private readonly log: Log) {
    super();
  }

  override catch(exception: Error, host: ArgumentsHost): unknown {
    if (host.getType<string>() !== "graphql") return super.catch(exception, host);
    const info = GqlArgumentsHost.create(host).getInfo<GraphQLResolveInfo | undefined>();
    // Mercurius sends what refuses a subscription as it is.
    return info?.operation.operation === "subscription" ? shownError(exception, this.log) : exception;
  }
}
