import { Module } from "@nestjs/common";
import { APP_FILTER, APP_GUARD, DiscoveryModule } from "@nestjs/core";
import { GraphQLModule } from "@nestjs/graphql";
import { MercuriusDriver, type MercuriusDriverConfig } from "@nestjs/mercurius";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type DocumentNode, type GraphQLSchema, validate } from "graphql";
import { AuthGuard } from "../auth/auth.guard.js";
import { Authenticator } from "../auth/authenticator.js";
import { CONFIG, type Config } from "../config/config.js";
import { LOG, type Log } from "../log/log.js";
import { requestContext } from "./context.js";
import { withDefaults } from "./defaults.js";
import { errorFormatter } from "./errors.js";
import { FaultFilter } from "./fault.filter.js";
import { MAX_DEPTH, MAX_TOKENS, refuseComplex } from "./limits.js";

interface InitMessage {
  readonly payload?: { readonly authorization?: unknown } | null;
}

const text = (value: unknown) => (typeof value === "string" ? value : undefined);

export function graphqlOptions(config: Config, authenticator: Authenticator, log: Log): MercuriusDriverConfig {
  return {
    driver: MercuriusDriver,
    autoSchemaFile: true,
    sortSchema: true,
    path: "/graphql",
    jit: 1,
    queryDepth: MAX_DEPTH,
    graphiql: config.development,
    // A page of another origin can send neither this content type nor these headers without the browser asking us first.
    csrfPrevention: { allowedContentTypes: ["application/json"], requiredHeaders: ["x-sallyport-request"] },
    additionalRouteOptions: {
      preValidation: async (request: FastifyRequest, reply: FastifyReply) => {
        const upgrade = request.headers.upgrade?.toLowerCase() === "websocket";
        if (request.method === "GET" && !upgrade) {
          const errors = [{ message: "operations are sent by POST", extensions: { code: "api/invalid-query" } }];
          await reply.code(405).header("allow", "POST").send({ errors });
        }
      },
    },
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
        _: unknown,
        sent?: Record<string, unknown> | null,
      ) => {
        refuseComplex(schema, document, sent ?? {});
        return sent ? { variables: withDefaults(schema, document, sent) } : undefined;
      },
      preSubscriptionExecution: (schema: GraphQLSchema, document: DocumentNode) => {
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
      inject: [CONFIG, Authenticator, LOG],
      useFactory: graphqlOptions,
    }),
  ],
  providers: [
    { provide: APP_GUARD, useClass: AuthGuard },
    { provide: APP_FILTER, useClass: FaultFilter },
  ],
})
export class GraphqlModule {}
