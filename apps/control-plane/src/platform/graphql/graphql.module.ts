import { Module } from "@nestjs/common";
import { APP_FILTER, APP_GUARD, DiscoveryModule } from "@nestjs/core";
import { GraphQLModule } from "@nestjs/graphql";
import { MercuriusDriver, type MercuriusDriverConfig } from "@nestjs/mercurius";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type DocumentNode, type GraphQLSchema, validate } from "graphql";
import { AuthGuard } from "../auth/auth.guard.js";
import { Authenticator } from "../auth/authenticator.js";
import { LOG, type Log } from "../log/log.js";
import { ComplexityGuard } from "./complexity.guard.js";
import { requestContext } from "./context.js";
import { withDefaults } from "./defaults.js";
import { errorFormatter, shownError } from "./errors.js";
import { FaultFilter } from "./fault.filter.js";
import { MAX_DEPTH, MAX_TOKENS, refuseComplex, refuseLong } from "./limits.js";

interface InitMessage {
  readonly payload?: { readonly authorization?: unknown } | null;
}

/** What Mercurius adds to the context, as far as it is needed here. */
interface ExecutionContext {
  readonly reply?: { readonly request?: { readonly body?: { readonly operationName?: unknown } | null } };
}

const text = (value: unknown) => (typeof value === "string" ? value : undefined);

/**
 * A page of another origin can make a browser send GETs and forms without asking us, and neither needs our token once there are
 * cookies: only JSON by POST, and the WebSocket, whose token travels inside it, get further.
 */
async function refuseForgeable(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const refuse = (status: number, message: string) =>
    reply.code(status).send({ errors: [{ message, extensions: { code: "api/invalid-query", retry: false } }] });
  if (request.method === "GET") {
    if (request.headers.upgrade?.toLowerCase() === "websocket") return;
    await refuse(405, "operations are sent by POST");
  } else if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? "")) {
    await refuse(415, "operations are sent as application/json");
  }
}

export function graphqlOptions(authenticator: Authenticator, log: Log): MercuriusDriverConfig {
  return {
    driver: MercuriusDriver,
    autoSchemaFile: true,
    sortSchema: true,
    path: "/graphql",
    jit: 1,
    queryDepth: MAX_DEPTH,
    graphiql: false,
    additionalRouteOptions: { preValidation: refuseForgeable },
    context: (request: FastifyRequest) => requestContext(authenticator, request.headers.authorization, request.ip),
    errorFormatter: errorFormatter(log) as unknown as NonNullable<MercuriusDriverConfig["errorFormatter"]>,
    subscription: {
      fullWsTransport: false,
      wsDefaultSubprotocol: "graphql-transport-ws",
      keepAlive: 30_000,
      context: (_: unknown, request: FastifyRequest) => ({ origin: request.ip, request }),
      onConnect: async (message: InitMessage) =>
        requestContext(authenticator, text(message.payload?.authorization), undefined),
    },
    graphql: { parseOptions: { maxTokens: MAX_TOKENS } },
    hooks: {
      preExecution: (
        schema: GraphQLSchema,
        document: DocumentNode,
        { reply }: ExecutionContext,
        sent?: Record<string, unknown> | null,
      ) => {
        refuseComplex(schema, document, sent ?? {}, text(reply?.request?.body?.operationName));
        return sent ? { variables: withDefaults(schema, document, sent) } : undefined;
      },
      preSubscriptionExecution: (schema: GraphQLSchema, document: DocumentNode) => {
        try {
          refuseLong(document);
        } catch (error) {
          throw shownError(error as Error, log);
        }
        const [invalid] = validate(schema, document);
        if (invalid) throw invalid;
      },
    },
  } as unknown as MercuriusDriverConfig;
}

@Module({
  imports: [
    DiscoveryModule,
    GraphQLModule.forRootAsync<MercuriusDriverConfig>({
      driver: MercuriusDriver,
      inject: [Authenticator, LOG],
      useFactory: graphqlOptions,
    }),
  ],
  providers: [
    { provide: APP_GUARD, useClass: AuthGuard },
    { provide: APP_GUARD, useClass: ComplexityGuard },
    { provide: APP_FILTER, useClass: FaultFilter },
  ],
})
export class GraphqlModule {}
