import { createHash, type webcrypto } from "node:crypto";
import type { Extension, JsonGeneralNames } from "@peculiar/x509";
import { type Certificate, readCertificate } from "./certificate.js";
import { bitString, decode, sequence } from "./der.js";
import type { KeyKind } from "./keys.js";
import type { KeyHandle, KeyStore } from "./keystore.js";
import { hashFor } from "./signature.js";

/**
 * The library that builds certificates and requests. Loaded at first use: an agent builds one request in months, and would carry
 * 20 MB for it all the time.
 */
export async function x509() {
  // The library's container needs the polyfill to be there first.
  await import("reflect-metadata");
  return import("@peculiar/x509");
}

const WEB_HASH = { sha256: "SHA-256", sha384: "SHA-384", sha512: "SHA-512" } as const;

/** A kind of key in Web Cryptography's words. */
export function webAlgorithm(kind: KeyKind): { name: string; namedCurve?: string; hash?: string } {
  const hash = hashFor(kind);
  if (kind === "rsa") return { name: "RSASSA-PKCS1-v1_5", hash: WEB_HASH[hash ?? "sha256"] };
  if (kind === "ed25519") return { name: "Ed25519" };
  if (kind === "ed448") return { name: "EdDSA", namedCurve: "Ed448" };
  return { name: "ECDSA", namedCurve: `P-${kind.slice(-3)}`, hash: WEB_HASH[hash ?? "sha256"] };
}

/** Key identifier of RFC 7093 §2 method 1: the first 160 bits of SHA-256 over the key's bits. Lower-case hex. */
export function keyIdOf(spki: Uint8Array): string {
  const [, key] = sequence(decode(spki, "publicKey"), "publicKey");
  return createHash("sha256").update(bitString(key, "publicKey").octets).digest("hex").slice(0, 40);
}

/** A Name with one value per RDN, from the root down. Values need no escaping. */
export type Subject = readonly Readonly<Record<string, string>>[];

export function nameOf(lib: Awaited<ReturnType<typeof x509>>, subject: Subject) {
  const attributes = (rdn: Subject[number]) =>
    Object.entries(rdn).map(([type, value]) => [type, [{ utf8String: value }]]);
  return new lib.Name(subject.map((rdn) => Object.fromEntries(attributes(rdn))));
}

export interface Issuer {
  readonly key: KeyHandle;
  /** Absent when the certificate signs itself. */
  readonly certificate?: Certificate | undefined;
}

export interface Template {
  readonly subject: Subject;
  readonly spki: Uint8Array;
  /** Milliseconds since 1970. `notAfter` is cut to the issuer's. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly ca?: { readonly pathLength: number } | undefined;
  /** Bits of `KeyUsageFlags`. */
  readonly keyUsage: number;
  readonly extendedKeyUsage?: readonly string[];
  readonly names?: JsonGeneralNames;
}

/** 127 random bits with the top one of them set: positive, and always of one size. */
function randomSerial(): string {
  const octets = crypto.getRandomValues(new Uint8Array(16));
  octets[0] = ((octets[0] as number) & 0x7f) | 0x40;
  return Buffer.from(octets).toString("hex");
}

/** Builds and signs a certificate; the key store signs, so the issuer's key never comes here. */
export async function buildCertificate(store: KeyStore, issuer: Issuer, template: Template): Promise<Certificate> {
  const lib = await x509();
  const subject = nameOf(lib, template.subject);
  const authorityKeyId = issuer.certificate ? issuer.certificate.subjectKeyId : keyIdOf(issuer.key.spki);
  const extensions: Extension[] = [
    new lib.BasicConstraintsExtension(template.ca !== undefined, template.ca?.pathLength, true),
    new lib.KeyUsagesExtension(template.keyUsage, true),
    new lib.SubjectKeyIdentifierExtension(keyIdOf(template.spki)),
    new lib.AuthorityKeyIdentifierExtension(authorityKeyId ?? keyIdOf(issuer.key.spki)),
  ];
  if (template.extendedKeyUsage) extensions.push(new lib.ExtendedKeyUsageExtension([...template.extendedKeyUsage]));
  if (template.names) extensions.push(new lib.SubjectAlternativeNameExtension(template.names));
  const algorithm = webAlgorithm(issuer.key.kind);
  const certificate = await lib.X509CertificateGenerator.create(
    {
      serialNumber: randomSerial(),
      subject,
      issuer: issuer.certificate ? new lib.X509Certificate(ownBytes(issuer.certificate.der)).subjectName : subject,
      notBefore: new Date(template.notBefore),
      notAfter: new Date(Math.min(template.notAfter, issuer.certificate?.notAfter ?? template.notAfter)),
      publicKey: ownBytes(template.spki),
      signingKey: { algorithm } as unknown as webcrypto.CryptoKey,
      signingAlgorithm: algorithm,
      extensions,
    },
    signer(issuer.key.spki, (data) => store.sign(issuer.key, data)),
  );
  return readCertificate(new Uint8Array(certificate.rawData), "issued");
}

/** The part of Web Cryptography that the library calls: it asks for the public key, and for a signature over what it built. */
export function signer(spki: Uint8Array, sign: (data: Uint8Array) => Promise<Uint8Array>): webcrypto.Crypto {
  const subtle = {
    sign: async (_algorithm: unknown, _key: unknown, data: ArrayBuffer) =>
      ownBytes(await sign(new Uint8Array(data))).buffer,
    exportKey: async () => ownBytes(spki).buffer,
  };
  return { subtle, getRandomValues: crypto.getRandomValues.bind(crypto) } as unknown as webcrypto.Crypto;
}

/** The library takes octets of plain memory only. */
export const ownBytes = (octets: Uint8Array) => Uint8Array.from(octets);
