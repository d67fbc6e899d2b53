import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { IpAddress } from "@sallyport/base";
import type { EapSecret, EapServerConfig, Identity } from "../config.js";
import { identificationText, toIdentification } from "../v2/identity.js";
import { printable } from "../wire/text.js";
import { fault } from "./faults.js";
import { type EapMethod, methodText } from "./methods.js";
import { ntHash } from "./mschap-keys.js";
import type { ClaimedIdentity, EapContext } from "./types.js";

const MAX_IDENTITY_OCTETS = 1024;
const SEQUENCE = 0x30;
const OBJECT_IDENTIFIER = 0x06;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Who IDi says that the peer is, as the name of a user. */
export function claimedBy(identity: Identity): ClaimedIdentity {
  return { text: identificationText(toIdentification(identity)), typed: identity };
}

/**
 * The answer to an EAP-Identity request (RFC 3748 §5.1): UTF-8, up to a NUL octet; or the DER of a Name, which some peers send for
 * EAP-TLS. What a certificate has to prove follows from its form: mailbox, address or DNS name.
 */
export function claimedIn(data: Uint8Array): ClaimedIdentity {
  const refuse = (value: string, expected: string) =>
    fault("ike/eap-malformed", `EAP-Identity: ${value}`, { field: "EAP.identity", value, expected });
  if (data.length > MAX_IDENTITY_OCTETS) throw refuse(`${data.length} octets`, `at most ${MAX_IDENTITY_OCTETS}`);
  const end = data.indexOf(0);
  if (isName(data)) return claimedBy({ type: "dn", data: Uint8Array.from(data) });
  const octets = end === -1 ? data : data.subarray(0, end);
  let text: string;
  try {
    text = utf8.decode(octets);
  } catch {
    throw refuse(printable(octets), "UTF-8");
  }
  if (text === "" || printable(text, MAX_IDENTITY_OCTETS) !== text.replaceAll("\\", "\\u{5c}")) {
    throw refuse(printable(text), "a name without control characters");
  }
  return { text, typed: typedName(text) };
}

/** Octets of a DER Name rather than text: its attributes' tag is a control character. */
function isName(data: Uint8Array): boolean {
  const [tag, length = 0] = data;
  const header = length < 0x80 ? 2 : 2 + (length & 0x7f);
  const body = length < 0x80 ? length : data.subarray(2, header).reduce((n, b) => n * 256 + b, 0);
  return tag === SEQUENCE && data.length === header + body && data.includes(OBJECT_IDENTIFIER);
}

function typedName(text: string): Identity {
  if (text.includes("@")) return { type: "email", name: text };
  try {
    const address = IpAddress.parse(text);
    return { type: address.family === 4 ? "ipv4" : "ipv6", address };
  } catch {
    return { type: "fqdn", name: text };
  }
}

/** A user's name without the domain that Windows puts before it. */
export function withoutDomain(name: string): string {
  return name.slice(name.lastIndexOf("\\") + 1);
}

/** What a method of the server sees besides its own state. */
export interface ServerTurn {
  readonly config: EapServerConfig;
  readonly ctx: EapContext;
  readonly claimed: ClaimedIdentity;
  /** Of the request that was answered. */
  readonly identifier: number;
}

export interface StoredPassword {
  readonly octets: Uint8Array;
  readonly known: boolean;
}

function storedFor({ config, ctx, claimed }: ServerTurn): EapSecret | undefined {
  return config.users === undefined ? undefined : ctx.users.get(config.users)?.get(claimed.text);
}

/** The password of whom the peer claims to be. For a stranger random octets, so that he takes the same path as everyone. */
export function passwordOf(turn: ServerTurn): StoredPassword {
  const stored = storedFor(turn);
  if (stored instanceof Uint8Array && stored.length > 0) return { octets: stored, known: true };
  return { octets: createHash("sha256").update(turn.ctx.rng.bytes(16)).digest(), known: false };
}

/** The same for EAP-MSCHAPv2, for which the hash of the password is enough; `stored` is what it was taken from. */
export function ntHashOf(turn: ServerTurn): {
  readonly hash: Uint8Array;
  readonly stored: EapSecret;
  readonly known: boolean;
} {
  const stored = storedFor(turn);
  if (stored && "ntHash" in stored) return { hash: stored.ntHash, stored, known: true };
  const { octets, known } = passwordOf(turn);
  return { hash: ntHash(octets), stored: octets, known };
}

/** One text for the log; the peer hears nothing but failure. */
export function wrongCredentials({ config, claimed }: ServerTurn, method: EapMethod, known: boolean) {
  const who = printable(claimed.text);
  const why = known ? `wrong password for "${who}"` : `no user "${who}"`;
  return fault("ike/eap-credentials", `${methodText(method)}: ${why}`, {
    field: "EAP",
    facts: { ours: `users ${config.users ?? "none"}`, theirs: `${methodText(method)} as ${who}` },
  });
}

/** Compares octets of any lengths in constant time. */
export function sameSecret(a: Uint8Array, b: Uint8Array, ctx: EapContext): boolean {
  const key = ctx.rng.bytes(32);
  const mac = (data: Uint8Array) => createHmac("sha256", key).update(data).digest();
  return timingSafeEqual(mac(a), mac(b));
}
