import { hash, randomFillSync } from "node:crypto";
import { KEY_USAGE } from "./certificate.js";
import { malformed } from "./der.js";
import {
  bitsDer,
  constructedTag,
  type Der,
  encode,
  integerDer,
  nullDer,
  numberDer,
  oidDer,
  printableDer,
  type SubjectName,
  sequenceOf,
  setOf,
  timeDer,
  utf8Der,
} from "./der-writer.js";
import {
  acmeIdentifier,
  authorityInformationAccess,
  authorityKeyIdentifier,
  basicConstraints,
  crlDistributionPoint,
  extendedKeyUsage,
  keyUsageOf,
  type NameRules,
  nameConstraintsOf,
  ocspNoCheck,
  subjectAltName,
  subjectKeyIdentifier,
} from "./extensions.js";
import type { KeyKind } from "./keys.js";
import type { KeyHandle, KeyStore } from "./keystore.js";
import { elementAt, elementsIn } from "./tlv.js";

const ATTRIBUTES = {
  CN: "2.5.4.3",
  serialNumber: "2.5.4.5",
  C: "2.5.4.6",
  L: "2.5.4.7",
  ST: "2.5.4.8",
  O: "2.5.4.10",
  OU: "2.5.4.11",
  emailAddress: "1.2.840.113549.1.9.1",
} as const;

/** A Name with one value per RDN, from the root down. Values need no escaping. */
export type Subject = readonly (readonly [keyof typeof ATTRIBUTES, string])[];

export function nameDer(subject: Subject): Der {
  return sequenceOf(
    ...subject.map(([type, text]) =>
      setOf(sequenceOf(oidDer(ATTRIBUTES[type]), type === "C" ? printableDer(text) : utf8Der(text))),
    ),
  );
}

const ALGORITHMS: Readonly<Record<KeyKind, Uint8Array>> = {
  rsa: encode(sequenceOf(oidDer("1.2.840.113549.1.1.11"), nullDer)),
  "ecdsa-p256": encode(sequenceOf(oidDer("1.2.840.10045.4.3.2"))),
  "ecdsa-p384": encode(sequenceOf(oidDer("1.2.840.10045.4.3.3"))),
  "ecdsa-p521": encode(sequenceOf(oidDer("1.2.840.10045.4.3.4"))),
  ed25519: encode(sequenceOf(oidDer("1.3.101.112"))),
  ed448: encode(sequenceOf(oidDer("1.3.101.113"))),
};

/** AlgorithmIdentifier of what a key store's `sign` makes with a key of this kind. */
export const algorithmDer = (kind: KeyKind): Uint8Array => ALGORITHMS[kind];

/** What RFC 5280 calls SIGNED: the part that is signed, the algorithm, the signature. */
export function signedDer(kind: KeyKind, tbs: Uint8Array, signature: Uint8Array): Uint8Array {
  return encode(sequenceOf(tbs, algorithmDer(kind), bitsDer(signature)));
}

/** Key identifier of RFC 7093 §2 method 1: the first 160 bits of SHA-256 over the key's bits. Lower-case hex. */
export function keyIdOf(spki: Uint8Array): string {
  const field = "publicKey";
  const [, key] = elementsIn(spki, elementAt(spki, 0, spki.length, field), field);
  if (key === undefined) throw malformed(field, "no key");
  // The first content octet of a BIT STRING says how many bits of the last one are unused.
  const bits = spki.subarray(key.content + 1, key.end);
  return hash("sha256", bits, "hex").slice(0, 40);
}

/** Where an issuer's list, responder and own certificate are to be had. */
export interface IssuerPlaces {
  readonly crl: string;
  readonly ocsp: string;
  readonly issuer: string;
}

/** Who signs: the key, and what of its certificate goes into everything that it signs. */
export interface Issuer {
  readonly key: KeyHandle;
  /** DER of its name. */
  readonly name: Der;
  readonly keyId: string;
}

export interface Template {
  readonly subject: Subject;
  readonly spki: Uint8Array;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly ca?: { readonly pathLength?: number | undefined; readonly names?: NameRules | undefined } | undefined;
  /** Bits by number (RFC 5280 §4.2.1.3); absent: what a CA needs, or signing alone. */
  readonly keyUsage?: readonly number[];
  readonly extendedKeyUsage?: readonly string[] | undefined;
  readonly names?: readonly SubjectName[] | undefined;
  readonly places?: IssuerPlaces | undefined;
  /** For a delegated OCSP responder. */
  readonly noCheck?: boolean;
  /** SHA-256 of a key authorization, for the answer to a challenge (RFC 8737). */
  readonly acmeIdentifier?: Uint8Array | undefined;
}

/** A certificate as it was made. */
export interface Built {
  readonly der: Uint8Array;
  /** As `Certificate.serial` writes it. */
  readonly serial: string;
}

const SERIAL_OCTETS = 16;
const VERSION_3 = encode(constructedTag(0, numberDer(2)));

/** Random octets are fetched for many serial numbers at once: asking the generator costs as much as half a signature. */
const POOL = new Uint8Array(256 * SERIAL_OCTETS);
let used = POOL.length;

/** 127 random bits with the top one of them set: positive, and always of one size. */
function randomSerial(): Uint8Array {
  if (used === POOL.length) {
    randomFillSync(POOL);
    used = 0;
  }
  const octets = POOL.slice(used, used + SERIAL_OCTETS);
  used += SERIAL_OCTETS;
  octets[0] = ((octets[0] as number) & 0x7f) | 0x40;
  return octets;
}

const PLACES = new WeakMap<IssuerPlaces, Uint8Array>();

/** Two extensions, one after the other. */
function placesDer(places: IssuerPlaces): Uint8Array {
  const known = PLACES.get(places);
  if (known !== undefined) return known;
  const der = Buffer.concat([encode(crlDistributionPoint(places.crl)), encode(authorityInformationAccess(places))]);
  PLACES.set(places, der);
  return der;
}

const NO_CA = encode(basicConstraints(undefined));
const LEAF_USAGE = encode(keyUsageOf(KEY_USAGE.digitalSignature));
const CA_USAGE = encode(keyUsageOf(KEY_USAGE.keyCertSign, KEY_USAGE.crlSign));

function extensionsOf(template: Template, keyId: string, issuerKeyId: string): Der[] {
  const { ca, places, names, keyUsage } = template;
  const list: Der[] = [
    ca ? basicConstraints(ca) : NO_CA,
    keyUsage ? keyUsageOf(...keyUsage) : ca ? CA_USAGE : LEAF_USAGE,
    subjectKeyIdentifier(keyId),
    authorityKeyIdentifier(issuerKeyId),
  ];
  if (template.extendedKeyUsage?.length) list.push(extendedKeyUsage(template.extendedKeyUsage));
  if (names?.length) list.push(subjectAltName(names));
  if (ca?.names && ca.names.permitted.length + ca.names.excluded.length > 0) list.push(nameConstraintsOf(ca.names));
  if (places) list.push(placesDer(places));
  if (template.noCheck) list.push(ocspNoCheck());
  if (template.acmeIdentifier) list.push(acmeIdentifier(template.acmeIdentifier));
  return list;
}

/** Builds and signs a certificate; the key store signs, so the issuer's key never comes here. With a bare key it signs itself. */
export async function buildCertificate(store: KeyStore, by: Issuer | KeyHandle, template: Template): Promise<Built> {
  const subject = nameDer(template.subject);
  const keyId = keyIdOf(template.spki);
  const issuer: Issuer = "key" in by ? by : { key: by, name: subject, keyId };
  const serial = randomSerial();
  const { kind } = issuer.key;
  const tbs = encode(
    sequenceOf(
      VERSION_3,
      integerDer(serial),
      algorithmDer(kind),
      issuer.name,
      sequenceOf(timeDer(template.notBefore), timeDer(template.notAfter)),
      subject,
      template.spki,
      constructedTag(3, sequenceOf(...extensionsOf(template, keyId, issuer.keyId))),
    ),
  );
  const der = signedDer(kind, tbs, await store.sign(issuer.key, tbs));
  return { der, serial: Buffer.from(serial).toString("hex") };
}
