import { Module } from "@nestjs/common";
import { APP_GUARD, DiscoveryModule } from "@nestjs/core";
import { GraphQLModule } from "@nestjs/graphql";
import { MercuriusDriver, type MercuriusDriverConfig } from "@nestjs/mercurius";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type DocumentNode, type GraphQLSchema, validate } from "graphql";
import { AuthGuard } from "../auth/auth.guard.js";
import { Authenticator } from "../auth/authenticator.js";
import { CONFIG, type Config } from "../config/config.js";
import { LOG, type Log } from "../log/log.js";
import { requestContext } from "./context.js";
import { errorFormatter } from "./errors.js";
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
          const message = "queries are sent by POST";
          await reply
            .code(405)
            .header("allow", "POST")
            .send({ errors: [{ message, extensions: { code: "api/invalid-query" } }] });
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
      preExecution: (schema: GraphQLSchema, document: DocumentNode, _: unknown, variables: Record<string, unknown>) =>
        refuseComplex(schema, document, variables),
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
  providers: [{ provide: APP_GUARD, useClass: AuthGuard }],
})
export class GraphqlModule {}
