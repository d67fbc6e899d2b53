import { createCipheriv, createHash, createHmac, pbkdf2, randomBytes } from "node:crypto";
import type { Certificate } from "./certificate.js";
import { CMS_DATA } from "./cms.js";
import {
  bmpDer,
  constructedTag,
  type Der,
  encode,
  nullDer,
  numberDer,
  octetsDer,
  oidDer,
  primitiveTag,
  sequenceOf,
  setOf,
} from "./der-writer.js";
import { fault } from "./faults.js";
import { readPrivateKey } from "./keys.js";

/**
 * How a PKCS#12 container is encrypted: `modern` is PBES2 with AES-256-CBC and PBKDF2 on HMAC-SHA-256, and a MAC of HMAC-SHA-256;
 * `legacy` is 3DES by the KDF of RFC 7292 appendix B with SHA-1, and a MAC of HMAC-SHA-1, which is all that some devices read.
 */
export type Pkcs12Encryption = "modern" | "legacy";

export interface Pkcs12Content {
  /** What the device shows for the key. */
  readonly friendlyName: string;
  /** PKCS#8, DER. */
  readonly privateKey: Uint8Array;
  readonly certificate: Certificate;
  /** CAs that lead from the certificate to the root. */
  readonly above: readonly Certificate[];
}

const OID = {
  encryptedData: "1.2.840.113549.1.7.6",
  shroudedKeyBag: "1.2.840.113549.1.12.10.1.2",
  certBag: "1.2.840.113549.1.12.10.1.3",
  x509Certificate: "1.2.840.113549.1.9.22.1",
  friendlyName: "1.2.840.113549.1.9.20",
  localKeyId: "1.2.840.113549.1.9.21",
  pbes2: "1.2.840.113549.1.5.13",
  pbkdf2: "1.2.840.113549.1.5.12",
  hmacSha256: "1.2.840.113549.2.9",
  aes256Cbc: "2.16.840.1.101.3.4.1.42",
  pbeSha1TripleDes: "1.2.840.113549.1.12.1.3",
  sha1: "1.3.14.3.2.26",
  sha256: "2.16.840.1.101.3.4.2.1",
} as const;

/** The passphrase is random, so that iterations add little; these are what importers take without complaint. */
const PBKDF2_ITERATIONS = 10_000;
const KDF_ITERATIONS = 2048;
const SALT_BYTES = 16;
/** What a KDF of appendix B makes (§B.3). */
const ID = { key: 1, iv: 2, mac: 3 } as const;
/** Octets of a block of SHA-1 and SHA-256. */
const BLOCK = 64;

type Digest = "sha1" | "sha256";

/** UTF-16, big end first. */
function utf16(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "utf16le").swap16());
}

function repeat(octets: Uint8Array): Uint8Array {
  const length = BLOCK * Math.ceil(octets.length / BLOCK);
  return Uint8Array.from({ length }, (_, i) => octets[i % octets.length] as number);
}

/** RFC 7292 appendix B.2; the passphrase with its two zero octets (§B.1). */
function derive(hash: Digest, passphrase: Uint8Array, salt: Uint8Array, id: number, length: number): Uint8Array {
  const diversifier = new Uint8Array(BLOCK).fill(id);
  const input = Buffer.concat([repeat(salt), repeat(passphrase)]);
  const out: Buffer[] = [];
  for (let made = 0; made < length; ) {
    let a = createHash(hash).update(diversifier).update(input).digest();
    for (let i = 1; i < KDF_ITERATIONS; i++) a = createHash(hash).update(a).digest();
    out.push(a);
    made += a.length;
    const b = Array.from({ length: BLOCK }, (_, i) => a[i % a.length] as number);
    for (let block = 0; block < input.length; block += BLOCK) {
      let carry = 1;
      for (let i = BLOCK - 1; i >= 0; i--) {
        carry += (input[block + i] as number) + (b[i] as number);
        input[block + i] = carry & 0xff;
        carry >>= 8;
      }
    }
  }
  return Uint8Array.from(Buffer.concat(out).subarray(0, length));
}

interface Sealed {
  readonly algorithm: Der;
  readonly octets: Uint8Array;
}

function cipher(name: string, key: Uint8Array, iv: Uint8Array, plain: Uint8Array): Uint8Array {
  const c = createCipheriv(name, key, iv);
  return Buffer.concat([c.update(plain), c.final()]);
}

/** RFC 8018 §6.2. The passphrase is taken as UTF-8. */
async function sealModern(passphrase: string, plain: Uint8Array): Promise<Sealed> {
  const salt = randomBytes(SALT_BYTES);
  const iv = randomBytes(16);
  const key = await new Promise<Uint8Array>((resolve, reject) =>
    pbkdf2(passphrase, salt, PBKDF2_ITERATIONS, 32, "sha256", (error, made) => (error ? reject(error) : resolve(made))),
  );
  const prf = sequenceOf(oidDer(OID.hmacSha256), nullDer);
  const algorithm = sequenceOf(
    oidDer(OID.pbes2),
    sequenceOf(
      sequenceOf(oidDer(OID.pbkdf2), sequenceOf(octetsDer(salt), numberDer(PBKDF2_ITERATIONS), prf)),
      sequenceOf(oidDer(OID.aes256Cbc), octetsDer(iv)),
    ),
  );
  return { algorithm, octets: cipher("aes-256-cbc", key, iv, plain) };
}

/** pbeWithSHAAnd3-KeyTripleDES-CBC, RFC 7292 appendix C. */
async function sealLegacy(passphrase: string, plain: Uint8Array): Promise<Sealed> {
  const salt = randomBytes(SALT_BYTES);
  const secret = utf16(`${passphrase}\0`);
  const key = derive("sha1", secret, salt, ID.key, 24);
  const iv = derive("sha1", secret, salt, ID.iv, 8);
  const parameters = sequenceOf(octetsDer(salt), numberDer(KDF_ITERATIONS));
  const algorithm = sequenceOf(oidDer(OID.pbeSha1TripleDes), parameters);
  return { algorithm, octets: cipher("des-ede3-cbc", key, iv, plain) };
}

const attribute = (type: string, value: Der) => sequenceOf(oidDer(type), setOf(value));

function bag(type: string, value: Der, attributes: readonly Der[]): Der {
  const sorted = attributes.map(encode).toSorted((a, b) => Buffer.compare(a, b));
  return sequenceOf(oidDer(type), constructedTag(0, value), ...(sorted.length > 0 ? [setOf(...sorted)] : []));
}

function certBag(certificate: Certificate, attributes: readonly Der[]): Der {
  const value = sequenceOf(oidDer(OID.x509Certificate), constructedTag(0, octetsDer(certificate.der)));
  return bag(OID.certBag, value, attributes);
}

const contentInfo = (octets: Uint8Array) => sequenceOf(oidDer(CMS_DATA), constructedTag(0, octetsDer(octets)));

function encryptedInfo({ algorithm, octets }: Sealed): Der {
  const content = sequenceOf(oidDer(CMS_DATA), algorithm, primitiveTag(0, octets));
  return sequenceOf(oidDer(OID.encryptedData), constructedTag(0, sequenceOf(numberDer(0), content)));
}

function macOf(hash: Digest, passphrase: string, content: Uint8Array): Der {
  const salt = randomBytes(SALT_BYTES);
  const length = hash === "sha1" ? 20 : 32;
  const key = derive(hash, utf16(`${passphrase}\0`), salt, ID.mac, length);
  const mac = createHmac(hash, key).update(content).digest();
  const info = sequenceOf(sequenceOf(oidDer(OID[hash]), nullDer), octetsDer(mac));
  return sequenceOf(info, octetsDer(salt), numberDer(KDF_ITERATIONS));
}

/**
 * A PKCS#12 container (RFC 7292), DER: key and certificates under one passphrase, with salts made here.
 * @throws pki/malformed for a key that does not belong to the certificate; pki/weak-key, pki/bad-algorithm
 */
export async function buildPkcs12(
  { friendlyName, privateKey, certificate, above }: Pkcs12Content,
  passphrase: string,
  encryption: Pkcs12Encryption,
): Promise<Uint8Array> {
  const { spki } = readPrivateKey(privateKey);
  if (Buffer.compare(spki, certificate.spki) !== 0) {
    throw fault("pki/malformed", "privateKey: not the certificate's", { field: "privateKey" });
  }
  const seal = encryption === "modern" ? sealModern : sealLegacy;
  const attributes = [
    attribute(OID.friendlyName, bmpDer(utf16(friendlyName))),
    attribute(OID.localKeyId, octetsDer(Buffer.from(certificate.fingerprint, "hex").subarray(0, 20))),
  ];
  const key = await seal(passphrase, privateKey);
  const keyBag = bag(OID.shroudedKeyBag, sequenceOf(key.algorithm, octetsDer(key.octets)), attributes);
  const certificates = sequenceOf(certBag(certificate, attributes), ...above.map((c) => certBag(c, [])));
  const content = encode(
    sequenceOf(encryptedInfo(await seal(passphrase, encode(certificates))), contentInfo(encode(sequenceOf(keyBag)))),
  );
  const mac = macOf(encryption === "modern" ? "sha256" : "sha1", passphrase, content);
  return encode(sequenceOf(numberDer(3), contentInfo(content), mac));
}
