import { type Endpoint, IpAddress } from "@sallyport/base";
import type { Identity, IdentityMatch, LocalAuth, NameIdentity, RemoteAuth } from "../config.js";
import { ID, nameOf } from "../wire/registry.js";
import type { Identification } from "../wire/types.js";
import { credentialFor } from "./credentials.js";
import { dnText, matchesDn } from "./dn.js";
import { once } from "./memo.js";

const utf8 = new TextEncoder();

function addressIdentity(address: IpAddress): Identity {
  return { type: address.family === 4 ? "ipv4" : "ipv6", address };
}

/** A configured identity is that of many SAs. */
const made = new WeakMap<Identity, Identification>();

/** RFC 7296 §3.5. */
export function toIdentification(id: Identity): Identification {
  return once(made, id, () => encoded(id));
}

function encoded(id: Identity): Identification {
  switch (id.type) {
    case "ipv4":
    case "ipv6":
      return { idType: id.address.family === 4 ? ID.IPV4_ADDR : ID.IPV6_ADDR, data: id.address.bytes };
    case "fqdn":
      return { idType: ID.FQDN, data: utf8.encode(id.name) };
    case "email":
      return { idType: ID.RFC822_ADDR, data: utf8.encode(id.name) };
    case "dn":
      return { idType: ID.DER_ASN1_DN, data: id.data };
    case "key-id":
      return { idType: ID.KEY_ID, data: id.data };
  }
}

/** Undefined for types that this end has no use for, and for names with control characters (hostile input 26). */
export function toIdentity(id: Identification): Identity | undefined {
  switch (id.idType) {
    case ID.IPV4_ADDR:
      return id.data.length === 4 ? { type: "ipv4", address: IpAddress.from(id.data) } : undefined;
    case ID.IPV6_ADDR:
      return id.data.length === 16 ? { type: "ipv6", address: IpAddress.from(id.data) } : undefined;
    case ID.FQDN:
    case ID.RFC822_ADDR: {
      const name = printable(id.data);
      return name === undefined ? undefined : { type: id.idType === ID.FQDN ? "fqdn" : "email", name };
    }
    case ID.DER_ASN1_DN:
      return { type: "dn", data: id.data };
    case ID.KEY_ID:
      return { type: "key-id", data: id.data };
    default:
      return undefined;
  }
}

function printable(data: Uint8Array): string | undefined {
  let out = "";
  for (const b of data) {
    if (b < 0x21 || b > 0x7e) return undefined;
    out += String.fromCharCode(b);
  }
  return out === "" ? undefined : out;
}

/** For status and logs; never holds anything but printable ASCII. */
export function identificationText(id: Identification): string {
  const identity = toIdentity(id);
  if (identity !== undefined && "address" in identity) return identity.address.toString();
  if (identity !== undefined && "name" in identity) return identity.name;
  const name = id.idType === ID.DER_ASN1_DN ? dnText(id.data) : undefined;
  if (name !== undefined) return name;
  const kind = id.idType === ID.DER_ASN1_DN ? "dn" : id.idType === ID.KEY_ID ? "key-id" : nameOf(ID, id.idType);
  const text = id.idType === ID.KEY_ID ? printable(id.data) : undefined;
  return `${kind}:${text ?? hex(id.data)}`;
}

/** Who is at the other end, as EAP or a certificate says or else as he calls himself in IKE. */
export function whoIs({ user, remoteId }: Who): string {
  return user ?? (remoteId ? identificationText(remoteId) : "?");
}

interface Who {
  readonly user?: string | undefined;
  readonly remoteId?: Identification | undefined;
}

function hex(data: Uint8Array): string {
  return Array.from(data, (b) => b.toString(16).padStart(2, "0")).join("");
}

export function sameIdentification(a: Identification, b: Identification): boolean {
  if (a.idType !== b.idType) return false;
  if (a.idType === ID.DER_ASN1_DN && matchesDn(a.data, b.data, false)) return true;
  if (a.data.length !== b.data.length) return false;
  if (a.idType !== ID.FQDN && a.idType !== ID.RFC822_ADDR) return a.data.every((x, i) => x === b.data[i]);
  return a.data.every((x, i) => lower(x) === lower(b.data[i] as number));
}

function lower(b: number): number {
  return b >= 0x41 && b <= 0x5a ? b + 0x20 : b;
}

/** IDENT-08. */
export function localIdentification(
  auth: LocalAuth,
  local: Endpoint,
  authorities: readonly Uint8Array[],
): Identification {
  if (auth.identity !== "auto") return toIdentification(auth.identity);
  const proven = auth.method === "certificate" ? credentialFor(auth.credentials, authorities).subject : undefined;
  return toIdentification(proven ?? addressIdentity(local.address));
}

/**
 * Whether a peer at `endpoint` may call itself `id` (IDENT-09); the certificate is not looked at here. `auto` with a PSK and a
 * known endpoint asks for the endpoint's address.
 */
export function identityAllowed(
  match: IdentityMatch,
  method: RemoteAuth["method"],
  endpoint: Endpoint | undefined,
  id: Identification,
): boolean {
  if (match.match === "is") return sameIdentification(toIdentification(match.identity), id);
  if (match.match === "like") return isLike(match.pattern, id);
  if (match.match === "ignore") return true;
  if (toIdentity(id) === undefined) return false;
  if (match.match === "any" || method !== "psk" || endpoint === undefined) return true;
  return sameIdentification(toIdentification(addressIdentity(endpoint.address)), id);
}

function isLike(pattern: NameIdentity, id: Identification): boolean {
  const named = toIdentification(pattern);
  if (named.idType !== id.idType) return false;
  if (pattern.type === "dn") return matchesDn(pattern.data, id.data, true);
  const given = toIdentity(id);
  if (!given || !("name" in given)) return false;
  const [wanted, name] = [pattern.name.toLowerCase(), given.name.toLowerCase()];
  return wanted.startsWith("*") ? name.length >= wanted.length && name.endsWith(wanted.slice(1)) : name === wanted;
}

/** What this end expects, as text for messages about a mismatch. */
export function expectedText(match: IdentityMatch, endpoint: Endpoint | undefined): string {
  if (match.match === "is") return identificationText(toIdentification(match.identity));
  if (match.match === "like") return identificationText(toIdentification(match.pattern));
  if (match.match === "auto" && endpoint) return endpoint.address.toString();
  return match.match;
}
