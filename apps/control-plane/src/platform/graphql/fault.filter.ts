import { type ArgumentsHost, Catch } from "@nestjs/common";
import { BaseExceptionFilter } from "@nestjs/core";

/** Leaves what resolvers throw to the error formatter, which knows what to log. Nest would log every refused input. */
@Catch()
export class FaultFilter extends BaseExceptionFilter {
  override catch(exception: unknown, host: ArgumentsHost): unknown {
    if (host.getType<string>() === "graphql") return exception;
    return super.catch(exception, host);
  }
}
