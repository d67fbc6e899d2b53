import { createServer as createWebServer, type RequestListener } from "node:http";
import type { Server, Socket } from "node:net";
import { createServer as createTlsServer, type SecureContext } from "node:tls";
import { fault } from "./faults.js";

/** Authorities ask from several places at once; whoever else asks is told nothing. */
const MAX_CONNECTIONS = 64;
const REQUEST_MS = 5_000;
const ALPN = "acme-tls/1";

/** A port that is open. */
export interface Listener {
  close(): Promise<void>;
}

/** Web requests, each on a connection of its own. @throws certify/port-in-use */
export function listenForWeb(port: number, answer: RequestListener): Promise<Listener> {
  const limits = { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS, maxHeaderSize: 8_192 };
  const server = createWebServer(limits, answer);
  server.on("clientError", (_, socket) => socket.destroy());
  return open(server, port);
}

/** TLS with `acme-tls/1` (RFC 8737 §3), of which nothing but the handshake is wanted. @throws certify/port-in-use */
export function listenForTls(port: number, contextOf: (name: string) => SecureContext | undefined): Promise<Listener> {
  const server = createTlsServer(
    {
      handshakeTimeout: REQUEST_MS,
      ALPNCallback: ({ protocols }) => (protocols.includes(ALPN) ? ALPN : undefined),
      SNICallback: (name, done) => {
        const context = contextOf(name.toLowerCase());
        if (context) done(null, context);
        else done(new Error("no challenge of this name"));
      },
    },
    (socket) => socket.end(),
  );
  server.on("tlsClientError", (_, socket) => socket.destroy());
  return open(server, port);
}

/** @throws certify/port-in-use */
export async function open(server: Server, port: number): Promise<Listener> {
  server.maxConnections = MAX_CONNECTIONS;
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy()).on("close", () => sockets.delete(socket));
  });
  for (const host of ["::", "0.0.0.0"]) {
    const failed = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      server.once("error", resolve).listen({ port, host }, () => resolve(undefined));
    });
    server.removeAllListeners("error");
    // A connection that could not be accepted, for want of descriptors, say: whoever it was asks again.
    server.on("error", () => {});
    if (failed === undefined) {
      const closed = () => new Promise<void>((resolve) => void server.close(() => resolve()));
      return {
        close: () => {
          const done = closed();
          for (const socket of sockets) socket.destroy();
          return done;
        },
      };
    }
    // A machine without IPv6.
    if (failed.code !== "EAFNOSUPPORT" && failed.code !== "EADDRNOTAVAIL") throw portInUse(port, failed);
  }
  throw portInUse(port, undefined);
}

function portInUse(port: number, cause: Error | undefined) {
  return fault("certify/port-in-use", `TCP port ${port} cannot be opened, where the authority will ask`, {
    field: "port",
    value: String(port),
    expected: "a port that nobody else on this machine listens on",
    ...(cause && { cause }),
  });
}
