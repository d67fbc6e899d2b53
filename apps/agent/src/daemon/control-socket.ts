import { once } from "node:events";
import { rm } from "node:fs/promises";
import net from "node:net";
import { isFault } from "@sallyport/base";
import { fault } from "../faults.js";
import { jsonPieces } from "./json-pieces.js";
import type { Logger } from "./log.js";

/** One request a line, one answer a line; a streaming command answers with lines until the client goes. */
export type ControlHandler = (
  args: Readonly<Record<string, unknown>>,
  stream: { line(text: string): void; closed(then: () => void): void },
) => Promise<unknown>;

/** What may be told of an error to whoever asks. */
export function tellable(error: unknown): { readonly code: string; readonly message: string } {
  return isFault(error)
    ? { code: error.code, message: error.message }
    : { code: "agent/internal", message: "internal error, see the log" };
}

const MAX_REQUEST = 64 * 1024;
const MAX_CLIENTS = 32;
const IDLE_MS = 10_000;
/** A client that follows the log and does not read is let go. */
const MAX_UNREAD = 4 * 1024 * 1024;

export interface ControlRequest {
  readonly command: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** Reads a line of a client. @throws agent/bad-request */
export function readRequest(text: string): ControlRequest {
  let request: unknown;
  try {
    request = JSON.parse(text);
  } catch (cause) {
    throw fault("agent/bad-request", "a request is one line of JSON", { cause });
  }
  const { command, ...args } = (typeof request === "object" && request !== null ? request : {}) as Record<
    string,
    unknown
  >;
  if (typeof command === "string") return { command, args };
  throw fault("agent/bad-request", "a request names its command", { field: "command", expected: "a text" });
}

/** The local control socket: root's alone, by file mode; size, number and idle time of requests are bounded. */
export class ControlSocket {
  readonly #server: net.Server;
  readonly #clients = new Set<net.Socket>();

  constructor(
    private readonly path: string,
    private readonly handlers: Readonly<Record<string, ControlHandler>>,
    private readonly log: Logger,
  ) {
    // A client may end its side when it has asked: the answer still reaches it.
    this.#server = net.createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
    this.#server.maxConnections = MAX_CLIENTS;
  }

  async open(): Promise<void> {
    await rm(this.path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      // Made root's alone, not made so afterwards: somebody could be quicker. `listen` binds before it returns.
      const before = process.umask(0o177);
      this.#server.listen(this.path, resolve);
      process.umask(before);
    });
    this.#server
      .removeAllListeners("error")
      .on("error", (err) => this.log.warn({ err }, "the control socket is in trouble"));
  }

  /** Clients are let go, those that follow the log too. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => {
      this.#server.close(resolve);
    });
    for (const client of this.#clients) client.destroy();
    await closed;
    await rm(this.path, { force: true });
  }

  #serve(socket: net.Socket): void {
    let pending = "";
    this.#clients.add(socket);
    socket.once("close", () => this.#clients.delete(socket));
    socket.setEncoding("utf8").setTimeout(IDLE_MS, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    const unasked = () => socket.end();
    socket.once("end", unasked);
    socket.on("data", (chunk) => {
      pending += chunk;
      if (pending.length > MAX_REQUEST) {
        socket.destroy();
        return;
      }
      const end = pending.indexOf("\n");
      if (end < 0) return;
      socket.setTimeout(0).removeAllListeners("data").off("end", unasked).resume();
      void this.#answer(socket, pending.slice(0, end));
    });
  }

  async #answer(socket: net.Socket, text: string): Promise<void> {
    const send = (value: object) => {
      if (socket.writableLength > MAX_UNREAD) socket.destroy();
      if (!socket.destroyed) socket.write(`${JSON.stringify(value)}\n`);
    };
    try {
      const { command, args } = readRequest(text);
      const handler = Object.hasOwn(this.handlers, command) ? this.handlers[command] : undefined;
      if (!handler) {
        throw fault("agent/unknown-command", `unknown command "${command}"`, {
          field: "command",
          value: command,
          expected: Object.keys(this.handlers).join(", "),
        });
      }
      const result = await handler(args, {
        line: (line) => send({ line }),
        closed: (then) => socket.once("close", then),
      });
      if (result === undefined) {
        if (socket.readableEnded) socket.end();
        else socket.once("end", () => socket.end());
        return;
      }
      await sendPieces(socket, jsonPieces({ ok: true, result }));
      socket.end("\n");
    } catch (error) {
      send({ ok: false, ...tellable(error) });
      socket.end();
    }
  }
}

/** Others have their turn between two pieces, and a client that reads slowly is waited for. */
async function sendPieces(socket: net.Socket, pieces: Iterable<string>): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    if (socket.write(piece)) await new Promise(setImmediate);
    else await drained(socket);
  }
}

async function drained(socket: net.Socket): Promise<void> {
  const done = new AbortController();
  try {
    await Promise.race(["drain", "close"].map((event) => once(socket, event, { signal: done.signal })));
  } finally {
    done.abort();
  }
}

/** Asks a running agent; `onLine` gets the lines of a streaming command, which may take any time. */
export function ask(path: string, request: object, onLine?: (line: string) => void): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const lost = (cause?: unknown) =>
      reject(
        fault("agent/not-running", `no agent answers at ${path}`, {
          field: "socket",
          value: path,
          expected: "a running agent",
          cause,
        }),
      );
    const socket = net.connect(path, () => socket.write(`${JSON.stringify(request)}\n`));
    if (!onLine) socket.setTimeout(IDLE_MS, () => socket.destroy());
    // A line may be tens of megabytes in small chunks: no chunk is looked at twice.
    let pending: string[] = [];
    socket.setEncoding("utf8");
    socket.on("error", lost);
    socket.on("data", (chunk: string) => {
      const [first = "", ...others] = chunk.split("\n");
      pending.push(first);
      for (const next of others) {
        const message = JSON.parse(pending.join(""));
        pending = [next];
        if (typeof message.line === "string") onLine?.(message.line);
        else if (message.ok) resolve(message.result);
        else reject(fault("agent/refused", message.message, { value: message.code }));
      }
    });
    // A log that was followed ends with its agent; an answer that never came is a failure.
    socket.on("close", () => (onLine ? resolve(undefined) : lost()));
  });
}
