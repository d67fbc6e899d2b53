import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Logger } from "pino";
import { fault } from "./faults.js";

/** What an authority asks, and the answer. */
export interface Challenge {
  /** `http-01`. */
  readonly type: string;
  readonly name: string;
  readonly token: string;
  readonly keyAuthorization: string;
}

export interface ChallengePorts {
  readonly http: number;
}

export const CHALLENGE_PORTS: ChallengePorts = { http: 80 };

const PATH = "/.well-known/acme-challenge/";
/** base64url (RFC 8555 §8.1). */
const TOKEN = /^[A-Za-z0-9_-]{16,256}$/;
const MAX_KEY_AUTHORIZATION = 512;
const MAX_CHALLENGES = 100;
/** Authorities ask from several places at once; whoever else asks is told nothing. */
const MAX_CONNECTIONS = 64;
const REQUEST_MS = 5_000;
/** A control plane that went away takes nothing back. */
const FORGET_MS = 3_600_000;

interface Presented extends Challenge {
  readonly timer: NodeJS.Timeout;
}

/** Answers authorities' challenges. Its port is open only while there is one to answer. */
export class ChallengeResponder {
  /** By token. */
  readonly #presented = new Map<string, Presented>();
  #server: Server | undefined;
  #tail: Promise<void> = Promise.resolve();

  constructor(
    private readonly log: Logger,
    private readonly ports: ChallengePorts = CHALLENGE_PORTS,
  ) {}

  /** Resolves when the authority may ask. @throws certify/bad-challenge, certify/port-in-use */
  present(challenge: Challenge): Promise<void> {
    check(challenge);
    return this.#inTurn(async () => {
      const { name, type, token } = challenge;
      if (this.#presented.size >= MAX_CHALLENGES && !this.#presented.has(token)) {
        throw fault("certify/bad-challenge", `${MAX_CHALLENGES} challenges are being answered already`, {
          value: name,
        });
      }
      this.#server ??= await listen(this.ports.http, (request, response) => this.#answer(request, response));
      clearTimeout(this.#presented.get(token)?.timer);
      const timer = setTimeout(() => void this.withdraw(token), FORGET_MS).unref();
      this.#presented.set(token, { ...challenge, timer });
      this.log.info({ name, type }, "a challenge is answered from now on");
    });
  }

  withdraw(token: string): Promise<void> {
    return this.#inTurn(async () => {
      clearTimeout(this.#presented.get(token)?.timer);
      this.#presented.delete(token);
      if (this.#presented.size === 0) await this.#shut();
    });
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      for (const { timer } of this.#presented.values()) clearTimeout(timer);
      this.#presented.clear();
      await this.#shut();
    });
  }

  async #shut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  #answer({ method, url = "" }: IncomingMessage, response: ServerResponse): void {
    const token = url.startsWith(PATH) ? url.slice(PATH.length) : "";
    const found = method === "GET" || method === "HEAD" ? this.#presented.get(token) : undefined;
    response.setHeader("connection", "close");
    if (found === undefined) {
      response.writeHead(404).end();
      return;
    }
    this.log.info({ name: found.name }, "an authority asked for a challenge's answer");
    response.writeHead(200, { "content-type": "application/octet-stream" }).end(found.keyAuthorization);
  }

  /** One after the other: a port that is being closed is not one that is open. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#tail.then(work);
    this.#tail = mine.catch(() => {});
    return mine;
  }
}

function check({ type, token, keyAuthorization }: Challenge): void {
  const refuse = (field: string, value: string, expected: string) =>
    fault("certify/bad-challenge", `${field}: expected ${expected}`, { field, value: value.slice(0, 100), expected });
  if (type !== "http-01") throw refuse("type", type, "http-01");
  if (!TOKEN.test(token)) throw refuse("token", token, "16 to 256 characters of base64url");
  if (!keyAuthorization.startsWith(`${token}.`) || keyAuthorization.length > MAX_KEY_AUTHORIZATION) {
    throw refuse("keyAuthorization", keyAuthorization, "the token and an account key's thumbprint");
  }
}

async function listen(port: number, answer: (q: IncomingMessage, a: ServerResponse) => void): Promise<Server> {
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS, maxHeaderSize: 8_192 }, answer);
  server.maxConnections = MAX_CONNECTIONS;
  server.on("clientError", (_, socket) => socket.destroy());
  for (const host of ["::", "0.0.0.0"]) {
    const failed = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      server.once("error", resolve).listen({ port, host }, () => resolve(undefined));
    });
    server.removeAllListeners("error");
    if (failed === undefined) return server;
    // A machine without IPv6.
    if (failed.code === "EAFNOSUPPORT" || failed.code === "EADDRNOTAVAIL") continue;
    throw portInUse(port, failed);
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
