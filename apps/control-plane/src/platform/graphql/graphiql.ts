import type { FastifyInstance } from "fastify";

/**
 * GraphiQL for development, whole in one page: nothing is fetched from elsewhere. The package is a development dependency and is
 * loaded when the page is first asked for.
 */
export function serveGraphiql(server: FastifyInstance): void {
  server.get("/graphiql", async (_request, reply) => {
    const { renderGraphiQL } = await import("@graphql-yoga/render-graphiql");
    const page = renderGraphiQL({
      title: "Sallyport",
      endpoint: "/graphql",
      subscriptionsProtocol: "WS",
      headers: '{ "authorization": "Bearer sp_…" }',
      defaultQuery: "{\n  fleetHealth {\n    gateways\n    gatewaysConnected\n    tunnels\n    tunnelsUp\n  }\n}\n",
    });
    return reply.type("text/html; charset=utf-8").header("x-frame-options", "DENY").send(page);
  });
}
