import type { Certificate } from "@sallyport/pki";
import { z } from "zod";
import { type DirectoryTrust, trustOfCall } from "./directory-request.js";
import { acmeLibrary } from "./library.js";
import type { SuggestedWindow } from "./renewal-times.js";

export interface RenewalInfo {
  readonly window: SuggestedWindow;
  /** When to ask again, milliseconds from now. */
  readonly askAgainMs: number;
}

const DIRECTORY = z.object({ renewalInfo: z.url({ protocol: /^https$/ }).optional() });
const INFO = z.object({
  suggestedWindow: z.object({ start: z.coerce.date(), end: z.coerce.date() }).refine((w) => w.end >= w.start),
});
/** RFC 9773 §4.3: what a directory says about asking again is bounded. */
const ASK_AGAIN_MS = { least: 60_000, usual: 6 * 3_600_000, most: 24 * 3_600_000 } as const;

/** What a directory calls a certificate (RFC 9773 §4.1); undefined: it names no key of its issuer. */
export function renewalName({
  authorityKeyId,
  serial,
}: Pick<Certificate, "authorityKeyId" | "serial">): string | undefined {
  if (authorityKeyId === undefined) return undefined;
  const base64url = (hex: string) => Buffer.from(hex, "hex").toString("base64url");
  // The octets of the INTEGER: one whose first bit is set would be negative without a zero before it.
  const integer = Number.parseInt(serial.slice(0, 2), 16) >= 0x80 ? `00${serial}` : serial;
  return `${base64url(authorityKeyId)}.${base64url(integer)}`;
}

/**
 * Asks when the directory wants a certificate renewed; undefined where directories do not say such things, or not about this certificate.
 * @throws acme/unreachable, acme/rate-limited, acme/refused, acme/bad-answer
 */
export function renewalInfo(
  { directoryUrl, roots }: DirectoryTrust & { readonly directoryUrl: string },
  certificate: Pick<Certificate, "authorityKeyId" | "serial">,
): Promise<RenewalInfo | undefined> {
  return trustOfCall.run({ roots }, async () => {
    const { axios } = await acmeLibrary();
    const { renewalInfo: place } = DIRECTORY.parse((await axios.get(directoryUrl)).data);
    const name = renewalName(certificate);
    if (place === undefined || name === undefined) return undefined;
    const { data, headers } = await axios.get(`${place.replace(/\/$/, "")}/${name}`);
    const { suggestedWindow } = INFO.parse(data);
    const seconds = Number(headers["retry-after"]);
    const wished = seconds > 0 ? seconds * 1000 : ASK_AGAIN_MS.usual;
    const askAgainMs = Math.min(Math.max(wished, ASK_AGAIN_MS.least), ASK_AGAIN_MS.most);
    return { window: suggestedWindow, askAgainMs };
  });
}
