import "reflect-metadata";
import { createHash, type webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

export type CertificateKind = "rsa" | "ecdsa";

/** A certificate with its key, as files would hold them. */
export interface Credential {
  readonly kind: CertificateKind;
  /** PEM. */
  readonly certificate: string;
  readonly der: Buffer;
  /** SHA-256 of the DER, lower-case hexadecimal. */
  readonly fingerprint: string;
  /** PKCS#8, PEM. */
  readonly privateKey: string;
}

export interface Authority extends Credential {
  /** An end entity with its names as subjectAltNames: rfc822Name for a mailbox, else dNSName. */
  issue(names: string | readonly string[], kind: CertificateKind): Promise<Credential>;
  /** A CA below this one. */
  subordinate(name: string, kind: CertificateKind): Promise<Authority>;
}

const ALGORITHM = {
  rsa: {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
  ecdsa: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
} as const;
const DAY_MS = 86_400_000;

const keyPair = (kind: CertificateKind): Promise<webcrypto.CryptoKeyPair> =>
  kind === "rsa"
    ? crypto.subtle.generateKey(ALGORITHM.rsa, true, ["sign", "verify"])
    : crypto.subtle.generateKey(ALGORITHM.ecdsa, true, ["sign", "verify"]);

async function credential(
  kind: CertificateKind,
  certificate: x509.X509Certificate,
  key: webcrypto.CryptoKey,
): Promise<Credential> {
  const der = Buffer.from(certificate.rawData);
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", key));
  const lines = pkcs8.toString("base64").match(/.{1,64}/g) ?? [];
  return {
    kind,
    certificate: certificate.toString("pem"),
    der,
    fingerprint: createHash("sha256").update(der).digest("hex"),
    privateKey: `-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}\n-----END PRIVATE KEY-----\n`,
  };
}

let serial = 0x10;
const validity = () => ({
  serialNumber: (serial++).toString(16),
  notBefore: new Date(Date.now() - DAY_MS),
  notAfter: new Date(Date.now() + 30 * DAY_MS),
});

/** A throw-away root for tests. */
export function createAuthority(name: string, kind: CertificateKind): Promise<Authority> {
  return authority(name, kind, undefined);
}

interface Issuer {
  readonly subject: string;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly kind: CertificateKind;
}

async function authority(name: string, kind: CertificateKind, above: Issuer | undefined): Promise<Authority> {
  const keys = await keyPair(kind);
  const subject = `CN=${name}`;
  const own: Issuer = { subject, keys, kind };
  const by = above ?? own;
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(),
    subject,
    issuer: by.subject,
    publicKey: keys.publicKey,
    signingKey: by.keys.privateKey,
    signingAlgorithm: ALGORITHM[by.kind],
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ...(above ? [await x509.AuthorityKeyIdentifierExtension.create(above.keys.publicKey)] : []),
    ],
  });
  return {
    ...(await credential(kind, certificate, keys.privateKey)),
    subordinate: (below, belowKind) => authority(below, belowKind, own),
    issue: (leaf, leafKind) => issue(leaf, leafKind, own),
  };
}

async function issue(wanted: string | readonly string[], kind: CertificateKind, issuer: Issuer): Promise<Credential> {
  const names = [wanted].flat();
  const keys = await keyPair(kind);
  const leaf = await x509.X509CertificateGenerator.create({
    ...validity(),
    subject: `CN=${names[0]}`,
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: ALGORITHM[issuer.kind],
    extensions: [
      new x509.BasicConstraintsExtension(false),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.SubjectAlternativeNameExtension(
        names.map((name) => ({ type: name.includes("@") ? "email" : "dns", value: name })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return credential(kind, leaf, keys.privateKey);
}
