import { AsyncLocalStorage } from "node:async_hooks";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import type { axios } from "acme-client";
import { fault } from "./faults.js";
import { PROBLEM, problemFact, readProblem } from "./problem.js";

/** What the directory's TLS certificate leads to, PEM; absent: the public authorities. */
export interface DirectoryTrust {
  readonly roots?: string | undefined;
}

/** Of the call under way: the library's requests know nothing of whose they are. */
export const trustOfCall = new AsyncLocalStorage<DirectoryTrust>();

type Adapter = Extract<NonNullable<typeof axios.defaults.adapter>, (...args: never[]) => unknown>;

const TIMEOUT_MS = 15_000;
const MAX_BYTES = 1024 * 1024;
/** Longer than this nobody is asked to wait at once; the job comes back. */
const MAX_RETRY_AFTER_S = 86_400;

/**
 * Sends the library's requests: over TLS to what this call trusts, bounded in time and size, and with what goes wrong as faults that
 * carry the directory's problem document. A nonce that was refused is passed on: the library fetches another one.
 */
export const adapter: Adapter = async (config) => {
  const url = URL.parse(config.url ?? "");
  if (url?.protocol !== "https:") {
    throw fault("acme/bad-answer", "the directory names a place that is not reached by https", {
      value: config.url ?? "",
    });
  }
  const body = config.data === undefined ? undefined : String(config.data);
  const answer = await ask(url, (config.method ?? "get").toUpperCase(), plainHeaders(config.headers), body);
  const { statusCode: status = 0, statusMessage: statusText = "", headers } = answer.message;
  const problem = status >= 400 ? readProblem(parse(answer.body)) : undefined;
  if (status >= 400 && problem?.type !== `${PROBLEM}badNonce`) {
    const { detail = answer.body.slice(0, 200), type = "" } = problem ?? {};
    const retryAfter = Number(headers["retry-after"]);
    const facts = {
      status: String(status),
      ...(problem && problemFact({ ...problem, status })),
      ...(retryAfter > 0 ? { retryAfter: String(Math.min(retryAfter, MAX_RETRY_AFTER_S)) } : {}),
    };
    const code =
      status === 429 || type === `${PROBLEM}rateLimited`
        ? "acme/rate-limited"
        : status >= 500
          ? "acme/unreachable"
          : "acme/refused";
    throw fault(code, `${url.host} answered ${status}: ${detail}`, { value: type, facts });
  }
  const plain = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
  return { data: answer.body, status, statusText, headers: plain, config };
};

function plainHeaders(headers: object): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter((h): h is [string, string] => typeof h[1] === "string"));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function ask(url: URL, method: string, headers: Record<string, string>, body: string | undefined) {
  const { roots } = trustOfCall.getStore() ?? {};
  const options = {
    method,
    headers,
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(roots === undefined ? {} : { ca: roots }),
  };
  return new Promise<{ message: IncomingMessage; body: string }>((resolve, reject) => {
    const unreachable = (cause: Error) =>
      reject(fault("acme/unreachable", `${url.host} cannot be asked: ${cause.message}`, { value: url.host, cause }));
    const sent = request(url, options, (message) => {
      const chunks: Buffer[] = [];
      let size = 0;
      message.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_BYTES) message.destroy(new Error("the answer is too long"));
        else chunks.push(chunk);
      });
      message.on("end", () => resolve({ message, body: Buffer.concat(chunks).toString("utf8") }));
      message.on("error", unreachable);
    });
    sent.on("error", unreachable);
    sent.end(body);
  });
}
