import { createHmac } from "node:crypto";
import { lookup } from "node:dns/promises";
import http from "node:http";
import https from "node:https";
import { networkInterfaces } from "node:os";
import { IpAddress, isInside, isPrivate, type Prefix } from "@sallyport/base";
import { apiFault } from "../../platform/faults.js";
import { fault } from "./faults.js";

/** Names what a webhook's URL and key are sealed for. */
export const webhookPlace = (id: string) => `alert-webhook/${id}`;

/** What is sealed of a webhook. */
export interface WebhookAccess {
  readonly url: string;
  /** Signs what is told, hexadecimal. */
  readonly key: string;
}

const MAX_URL = 2_000;
const TIMEOUT_MS = 10_000;
/** Of an answer's head; its body is not read. */
const MAX_HEAD = 8_192;

/** @throws api/bad-input */
export function checkWebhookUrl(text: string, field: string): URL {
  const url = text.length <= MAX_URL ? URL.parse(text) : null;
  const plain = url && url.username === "" && url.password === "" && url.hash === "";
  if (url && plain && (url.protocol === "https:" || url.protocol === "http:")) return url;
  throw apiFault("api/bad-input", `${field}: not the URL of a webhook`, {
    field,
    value: "***",
    expected: `an https URL of at most ${MAX_URL} characters, without a name, a password or a fragment`,
  });
}

/** The signature of a body at a time, seconds since 1970: `t=…,v1=` and HMAC-SHA256 of `time.body` in hexadecimal. */
export function signature(key: string, time: number, body: string): string {
  const v1 = createHmac("sha256", Buffer.from(key, "hex")).update(`${time}.${body}`).digest("hex");
  return `t=${time},v1=${v1}`;
}

/** Why nothing may be sent there; undefined when it may. */
function obstacle(url: URL, text: string, permitted: readonly Prefix[]): string | undefined {
  const address = IpAddress.parse(text);
  if (permitted.some((prefix) => prefix.contains(address))) return undefined;
  const own = Object.values(networkInterfaces()).flatMap((list) => list?.map((a) => a.address) ?? []);
  if (own.includes(text) || isInside(address)) return "it is on this machine or its link";
  if (isPrivate(address)) return "it is in a private network";
  return url.protocol === "https:" ? undefined : "outside of private networks it has to be https";
}

/** Refuses addresses inside, unless they are in `permitted`. Redirects are not followed. Throws alert/webhook-failed. */
export async function postWebhook(
  { url: text, key }: WebhookAccess,
  { id, body, now }: { readonly id: string; readonly body: string; readonly now: Date },
  permitted: readonly Prefix[],
): Promise<void> {
  const url = new URL(text);
  const failed = (why: string) => fault("alert/webhook-failed", `${url.origin}: ${why}`, { value: url.origin });
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(failed(`no answer within ${TIMEOUT_MS / 1000} s`)), { once: true });
  });
  late.catch(() => {});
  const look = lookup(url.hostname.replace(/^\[|\]$/g, "")).catch(() => {
    throw failed("the name stands for no address");
  });
  const address = await Promise.race([look, late]);
  const why = obstacle(url, address.address, permitted);
  if (why !== undefined) throw failed(`nothing is sent there: ${why}`);
  const time = Math.floor(now.getTime() / 1000);
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "sallyport-delivery": id,
    "sallyport-signature": signature(key, time, body),
  };
  const status = new Promise<number>((resolve, reject) => {
    const { request } = url.protocol === "https:" ? https : http;
    const outgoing = request(
      url,
      {
        ...{ method: "POST", agent: false, signal, headers, maxHeaderSize: MAX_HEAD },
        // The address that was judged is the one that is spoken to: a second look-up could give another.
        lookup: (_, options, done) => {
          if (options.all) done(null, [address]);
          else done(null, address.address, address.family);
        },
      },
      (response) => {
        response.destroy();
        resolve(response.statusCode ?? 0);
      },
    );
    outgoing.on("error", (error) => reject(failed(error.message)));
    outgoing.end(body);
  });
  const code = await Promise.race([status, late]);
  if (code < 200 || code > 299) throw failed(`HTTP status ${code}`);
}
