import type { FastifyInstance } from "fastify";

/** Not written out in the import: the package's types would bring the browser's globals into the server's. */
const PACKAGE: string = "@graphql-yoga/render-graphiql";

interface Renderer {
  renderGraphiQL(options: Readonly<Record<string, string>>): string;
}

/**
 * GraphiQL for development, whole in one page: nothing is fetched from elsewhere. The package is a development dependency and is
 * loaded when the page is first asked for.
 */
export function serveGraphiql(server: FastifyInstance): void {
  server.get("/graphiql", async (_request, reply) => {
    const { renderGraphiQL } = (await import(PACKAGE)) as Renderer;
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
