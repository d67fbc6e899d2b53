import { Prefix } from "@sallyport/base";
import {
  booleanDer,
  constructedTag,
  type Der,
  generalNameDer,
  namedBitsDer,
  numberDer,
  octetsDer,
  oidDer,
  primitiveTag,
  type SubjectName,
  sequenceOf,
} from "./der-writer.js";

/** Extensions of certificates and lists as DER (RFC 5280 §4.2, §5.2). */

export const EXTENDED_KEY_USAGE = {
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  emailProtection: "1.3.6.1.5.5.7.3.4",
  ocspSigning: "1.3.6.1.5.5.7.3.9",
  /** id-kp-ipsecIKE, RFC 4945 §5.1.3.12. */
  ipsecIke: "1.3.6.1.5.5.7.3.17",
  /** iKEIntermediate, which older implementations ask for. */
  ikeIntermediate: "1.3.6.1.5.5.8.2.2",
} as const;

const AD_OCSP = "1.3.6.1.5.5.7.48.1";
const AD_CA_ISSUERS = "1.3.6.1.5.5.7.48.2";
const ACME_IDENTIFIER = "1.3.6.1.5.5.7.1.31";
const OCSP_NOCHECK = "1.3.6.1.5.5.7.48.1.5";

export function extensionDer(oid: string, value: Der, critical = false): Der {
  return critical
    ? sequenceOf(oidDer(oid), booleanDer(true), octetsDer(value))
    : sequenceOf(oidDer(oid), octetsDer(value));
}

/** Critical in every certificate: what is no CA says so. `pathLength` undefined: any number of CAs may follow. */
export function basicConstraints(ca: { readonly pathLength?: number | undefined } | undefined): Der {
  const parts = ca ? [booleanDer(true), ...(ca.pathLength === undefined ? [] : [numberDer(ca.pathLength)])] : [];
  return extensionDer("2.5.29.19", sequenceOf(...parts), true);
}

/** Bits by number, RFC 5280 §4.2.1.3. */
export const keyUsageOf = (...bits: readonly number[]): Der => extensionDer("2.5.29.15", namedBitsDer(bits), true);

const idOctets = (hex: string) => Buffer.from(hex, "hex");
export const subjectKeyIdentifier = (keyId: string): Der => extensionDer("2.5.29.14", octetsDer(idOctets(keyId)));
export const authorityKeyIdentifier = (keyId: string): Der =>
  extensionDer("2.5.29.35", sequenceOf(primitiveTag(0, idOctets(keyId))));

export const extendedKeyUsage = (oids: readonly string[]): Der =>
  extensionDer("2.5.29.37", sequenceOf(...oids.map(oidDer)));

export const subjectAltName = (names: readonly SubjectName[]): Der =>
  extensionDer("2.5.29.17", sequenceOf(...names.map(generalNameDer)));

const pointsAt = (uri: string) =>
  sequenceOf(sequenceOf(constructedTag(0, constructedTag(0, generalNameDer({ type: "uri", value: uri })))));

/** Where the issuer's list is. */
export const crlDistributionPoint = (uri: string): Der => extensionDer("2.5.29.31", pointsAt(uri));
/** In a complete list: where its delta is (RFC 5280 §5.2.6). */
export const freshestCrl = (uri: string): Der => extensionDer("2.5.29.46", pointsAt(uri));

/** Where the issuer's OCSP responder and its certificate are. */
export function authorityInformationAccess(places: { readonly ocsp: string; readonly issuer: string }): Der {
  const access = (method: string, uri: string) =>
    sequenceOf(oidDer(method), generalNameDer({ type: "uri", value: uri }));
  return extensionDer(
    "1.3.6.1.5.5.7.1.1",
    sequenceOf(access(AD_OCSP, places.ocsp), access(AD_CA_ISSUERS, places.issuer)),
  );
}

/** Nobody asks whether the responder's own certificate is revoked (RFC 6960 §4.2.2.2.1): it lives shortly. */
/** acmeIdentifier (RFC 8737 §3); `digest` is SHA-256 over the key authorization. Critical, so that nobody takes it for anything else. */
export const acmeIdentifier = (digest: Uint8Array): Der => extensionDer(ACME_IDENTIFIER, octetsDer(digest), true);

export const ocspNoCheck = (): Der => extensionDer(OCSP_NOCHECK, Uint8Array.of(0x05, 0));

/** A subtree of names: a DNS name and all below it, a mail host, an address prefix. */
export interface NameSubtree {
  readonly type: "dns" | "email" | "ip";
  readonly value: string;
}

export interface NameRules {
  readonly permitted: readonly NameSubtree[];
  readonly excluded: readonly NameSubtree[];
}

/** Critical, as RFC 5280 §4.2.1.10 demands it. @throws base/bad-prefix */
export function nameConstraintsOf({ permitted, excluded }: NameRules): Der {
  const list = (tag: number, trees: readonly NameSubtree[]) =>
    trees.length === 0 ? [] : [constructedTag(tag, ...trees.map((t) => sequenceOf(subtreeDer(t))))];
  return extensionDer("2.5.29.30", sequenceOf(...list(0, permitted), ...list(1, excluded)), true);
}

function subtreeDer({ type, value }: NameSubtree): Der {
  if (type !== "ip") return generalNameDer({ type, value });
  const prefix = Prefix.parse(value, "nameConstraints");
  const address = prefix.address.bytes;
  const mask = address.map((_, i) => 0xff & (0xff00 >> Math.min(8, Math.max(0, prefix.length - 8 * i))));
  return primitiveTag(7, Uint8Array.of(...address, ...mask));
}

export const crlNumber = (n: bigint): Der => extensionDer("2.5.29.20", numberDer(n));
export const deltaCrlIndicator = (base: bigint): Der => extensionDer("2.5.29.27", numberDer(base), true);
