import type { IncomingMessage, ServerResponse } from "node:http";
import { createSecureContext, type SecureContext } from "node:tls";
import { challengeCertificate } from "@sallyport/pki";
import type { Logger } from "pino";
import { type Listener, listenForTls, listenForWeb } from "./challenge-listeners.js";
import { fault } from "./faults.js";

/** What an authority asks, and the answer. */
export interface Challenge {
  /** `http-01` or `tls-alpn-01`. */
  readonly type: string;
  readonly name: string;
  readonly token: string;
  readonly keyAuthorization: string;
}

export interface ChallengePorts {
  readonly http: number;
  readonly tls: number;
}

export const CHALLENGE_PORTS: ChallengePorts = { http: 80, tls: 443 };

type Type = "http-01" | "tls-alpn-01";

const PATH = "/.well-known/acme-challenge/";
/** base64url (RFC 8555 §8.1). */
const TOKEN = /^[A-Za-z0-9_-]{16,256}$/;
const MAX_KEY_AUTHORIZATION = 512;
const MAX_CHALLENGES = 100;
/** A control plane that went away takes nothing back. */
const FORGET_MS = 3_600_000;

interface Presented extends Challenge {
  readonly timer: NodeJS.Timeout;
  /** Of tls-alpn-01. */
  readonly context?: SecureContext | undefined;
}

/** Answers authorities' challenges. A port is open only while there is one to answer at it. */
export class ChallengeResponder {
  /** By token. */
  readonly #presented = new Map<string, Presented>();
  readonly #listeners = new Map<Type, Listener>();
  #tail: Promise<void> = Promise.resolve();

  constructor(
    private readonly log: Logger,
    private readonly ports: ChallengePorts = CHALLENGE_PORTS,
  ) {}

  /** Resolves when the authority may ask. @throws certify/bad-challenge, certify/port-in-use */
  present(challenge: Challenge): Promise<void> {
    const type = check(challenge);
    return this.#inTurn(async () => {
      const { name, token, keyAuthorization } = challenge;
      if (this.#presented.size >= MAX_CHALLENGES && !this.#presented.has(token)) {
        throw fault("certify/bad-challenge", `${MAX_CHALLENGES} challenges are being answered already`, {
          value: name,
        });
      }
      const context = type === "http-01" ? undefined : await contextOf(name, keyAuthorization);
      if (!this.#listeners.has(type)) this.#listeners.set(type, await this.#listen(type));
      clearTimeout(this.#presented.get(token)?.timer);
      const timer = setTimeout(() => void this.withdraw(token), FORGET_MS).unref();
      this.#presented.set(token, { ...challenge, timer, context });
      this.log.info({ name, type }, "a challenge is answered from now on");
    });
  }

  withdraw(token: string): Promise<void> {
    return this.#inTurn(async () => {
      clearTimeout(this.#presented.get(token)?.timer);
      this.#presented.delete(token);
      await this.#shut();
    });
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      for (const { timer } of this.#presented.values()) clearTimeout(timer);
      this.#presented.clear();
      await this.#shut();
    });
  }

  #listen(type: Type): Promise<Listener> {
    if (type === "http-01")
      return listenForWeb(this.ports.http, (request, response) => this.#answer(request, response));
    return listenForTls(this.ports.tls, (name) => this.#shown(name));
  }

  /** Ports at which nothing is to be answered any more. */
  async #shut(): Promise<void> {
    const wanted = new Set([...this.#presented.values()].map((p) => p.type));
    for (const [type, listener] of [...this.#listeners]) {
      if (wanted.has(type)) continue;
      this.#listeners.delete(type);
      await listener.close();
    }
  }

  #shown(name: string): SecureContext | undefined {
    const found = [...this.#presented.values()].find((p) => p.context !== undefined && p.name === name);
    if (found) this.log.info({ name }, "an authority asked for a challenge's answer");
    return found?.context;
  }

  #answer({ method, url = "" }: IncomingMessage, response: ServerResponse): void {
    const token = url.startsWith(PATH) ? url.slice(PATH.length) : "";
    const presented = method === "GET" || method === "HEAD" ? this.#presented.get(token) : undefined;
    const found = presented?.type === "http-01" ? presented : undefined;
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

async function contextOf(name: string, keyAuthorization: string): Promise<SecureContext> {
  const { key, certificate } = await challengeCertificate(name, keyAuthorization, Date.now());
  return createSecureContext({ key, cert: certificate });
}

/** @throws certify/bad-challenge */
function check({ type, token, keyAuthorization }: Challenge): Type {
  const refuse = (field: string, value: string, expected: string) =>
    fault("certify/bad-challenge", `${field}: expected ${expected}`, { field, value: value.slice(0, 100), expected });
  if (type !== "http-01" && type !== "tls-alpn-01") throw refuse("type", type, "http-01 or tls-alpn-01");
  if (!TOKEN.test(token)) throw refuse("token", token, "16 to 256 characters of base64url");
  if (!keyAuthorization.startsWith(`${token}.`) || keyAuthorization.length > MAX_KEY_AUTHORIZATION) {
    throw refuse("keyAuthorization", keyAuthorization, "the token and an account key's thumbprint");
  }
  return type;
}
