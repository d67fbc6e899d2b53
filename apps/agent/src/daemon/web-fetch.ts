import { lookup } from "node:dns/promises";
import http from "node:http";
import { networkInterfaces } from "node:os";
import { IpAddress, isInside } from "@sallyport/base";
import { fault } from "../faults.js";

/** What a fetch may cost (hostile input 13): octets of the body, milliseconds in all, redirects. */
export interface FetchLimits {
  readonly bytes: number;
  readonly milliseconds: number;
  readonly redirects: number;
}

export interface WebRequest {
  readonly uri: string;
  readonly limits: FetchLimits;
  /** Sent by POST when there is one. */
  readonly body?: { readonly type: string; readonly octets: Uint8Array };
}

/** Gives the body of the answer. Throws `agent/fetch-failed` with the reason in `value`. */
export type Fetch = (request: WebRequest) => Promise<Uint8Array>;

const failed = (uri: string, value: string) =>
  fault("agent/fetch-failed", `${uri}: ${value}`, { field: "uri", value, expected: "an answer within the limits" });

function isElsewhere(text: string): boolean {
  const own = Object.values(networkInterfaces()).flatMap((list) => list?.map((a) => a.address) ?? []);
  return !own.includes(text) && !isInside(IpAddress.parse(text));
}

type LookUp = (host: string) => Promise<{ readonly address: string; readonly family: number }>;

/** The system's look-up cannot be called off, but need not be waited for. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}

type Answer = { readonly body: Uint8Array } | { readonly location: string };

function ask(url: URL, address: { address: string; family: number }, request: WebRequest, signal: AbortSignal) {
  const { body, limits } = request;
  return new Promise<Answer>((resolve, reject) => {
    const outgoing = http.request(
      url,
      {
        method: body ? "POST" : "GET",
        // The address that was looked at is the one that is asked: a second look-up could give another.
        lookup: (_, options, done) => {
          if (options.all) done(null, [address]);
          else done(null, address.address, address.family);
        },
        agent: false,
        signal,
        maxHeaderSize: 8192,
        headers: body ? { "content-type": body.type, "content-length": body.octets.length } : {},
      },
      (response) => {
        const { statusCode = 0, headers } = response;
        if (statusCode >= 300 && statusCode < 400 && headers.location) {
          response.destroy();
          resolve({ location: headers.location });
          return;
        }
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > limits.bytes) response.destroy(new Error(`more than ${limits.bytes} octets`));
          else chunks.push(chunk);
        });
        response.on("error", reject);
        response.on("end", () => {
          if (statusCode === 200) resolve({ body: Buffer.concat(chunks) });
          else reject(new Error(`HTTP status ${statusCode}`));
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body?.octets);
  });
}

/** Over plain HTTP, as such places are: what they give is signed, and asking for it by TLS would ask for another revocation list. */
export const webFetch: Fetch = (request) => fetchFrom(request, isElsewhere);

/** `mayReach` judges the address that a name, of the first URI or of a redirect, stands for. */
export async function fetchFrom(
  request: WebRequest,
  mayReach: (address: string) => boolean,
  look: LookUp = lookup,
): Promise<Uint8Array> {
  const { limits } = request;
  const signal = AbortSignal.timeout(limits.milliseconds);
  let uri = request.uri;
  try {
    for (let left = limits.redirects; ; left--) {
      const url = new URL(uri);
      if (url.protocol !== "http:" || url.username !== "") throw new Error("not a plain http URI");
      const address = await unlessAborted(look(url.hostname.replace(/^\[|\]$/g, "")), signal);
      if (!mayReach(address.address)) throw new Error(`${address.address} is an address of this machine or its link`);
      const answer = await ask(url, address, { ...request, uri }, signal);
      if ("body" in answer) return answer.body;
      if (left === 0) throw new Error(`more than ${limits.redirects} redirects`);
      uri = new URL(answer.location, url).href;
    }
  } catch (error) {
    throw failed(request.uri, signal.aborted ? `no answer in ${limits.milliseconds} ms` : (error as Error).message);
  }
}
