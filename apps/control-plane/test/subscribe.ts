import { createClient } from "graphql-ws";
import { WebSocket } from "ws";
import type { TestControlPlane } from "./control-plane.js";

/** Subscribes over a connection of its own; without a token as nobody. */
export function subscribe(cp: Pick<TestControlPlane, "application">, token: string | undefined, source: string) {
  const client = createClient({
    url: `${cp.application.url.replace("http", "ws")}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
  const news = client.iterate({ query: source });
  return { next: () => news.next(), end: () => client.dispose() };
}
