import { createHash } from "node:crypto";
import { algorithmDer } from "./builder.js";
import type { Certificate } from "./certificate.js";
import {
  constructedTag,
  type Der,
  encode,
  nullDer,
  numberDer,
  octetsDer,
  oidDer,
  sequenceOf,
  setOf,
  timeDer,
} from "./der-writer.js";
import { fault } from "./faults.js";
import type { KeyHandle, KeyStore } from "./keystore.js";
import { type Hash, hashFor } from "./signature.js";
import { elementAt, elementsIn, octetsOf } from "./tlv.js";

export const CMS_DATA = "1.2.840.113549.1.7.1";
const SIGNED_DATA = "1.2.840.113549.1.7.2";
const CONTENT_TYPE = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
const SIGNING_TIME = "1.2.840.113549.1.9.5";
const RSA_ENCRYPTION = "1.2.840.113549.1.1.1";

const DIGESTS: Readonly<Record<Hash, string>> = {
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
};

/** Whose signature a CMS message carries. */
export interface CmsSigner {
  readonly key: KeyHandle;
  readonly certificate: Certificate;
  /** Certificates that lead from the signer's to a root, without its own. */
  readonly above: readonly Certificate[];
}

/** Issuer and serial number as they stand in the certificate, RFC 5652 §10.2.4. */
function issuerAndSerial({ tbs }: Certificate): Der {
  const field = "signer";
  const parts = elementsIn(tbs, elementAt(tbs, 0, tbs.length, field), field);
  // A version under [0] stands first in all but certificates of version 1.
  const from = parts[0]?.tag === 0xa0 ? 1 : 0;
  const [serial, , issuer] = parts.slice(from);
  if (serial === undefined || issuer === undefined) throw fault("pki/malformed", "signer: no issuer", { field });
  return sequenceOf(octetsOf(tbs, issuer), octetsOf(tbs, serial));
}

/**
 * SignedData (RFC 5652 §5) with `content` inside and one signer, whose key stays in the store. DER.
 * @throws pki/bad-algorithm for keys of EdDSA, which no receiver of signed profiles takes; pki/unknown-key
 */
export async function signCms(
  store: KeyStore,
  { key, certificate, above }: CmsSigner,
  content: Uint8Array,
  now: number,
): Promise<Uint8Array> {
  const hash = hashFor(key.kind);
  if (hash === undefined) {
    throw fault("pki/bad-algorithm", `signer: ${key.kind} signs no CMS here`, {
      field: "signer.key",
      value: key.kind,
      expected: "RSA or ECDSA",
    });
  }
  const digest = sequenceOf(oidDer(DIGESTS[hash]), nullDer);
  const attribute = (type: string, value: Der) => encode(sequenceOf(oidDer(type), setOf(value)));
  // DER: the members of a SET OF stand in the order of their octets (X.690 §11.6).
  const attributes = [
    attribute(CONTENT_TYPE, oidDer(CMS_DATA)),
    attribute(SIGNING_TIME, timeDer(now)),
    attribute(MESSAGE_DIGEST, octetsDer(createHash(hash).update(content).digest())),
  ].toSorted((a, b) => Buffer.compare(a, b));
  // What is signed has the tag of a SET; in the message it stands under [0] (§5.4).
  const signature = await store.sign(key, encode(setOf(...attributes)));
  const algorithm = key.kind === "rsa" ? sequenceOf(oidDer(RSA_ENCRYPTION), nullDer) : algorithmDer(key.kind);
  const signer = sequenceOf(
    numberDer(1),
    issuerAndSerial(certificate),
    digest,
    constructedTag(0, ...attributes),
    algorithm,
    octetsDer(signature),
  );
  const signed = sequenceOf(
    numberDer(1),
    setOf(digest),
    sequenceOf(oidDer(CMS_DATA), constructedTag(0, octetsDer(content))),
    constructedTag(0, ...[certificate, ...above].map((c) => c.der)),
    setOf(signer),
  );
  return encode(sequenceOf(oidDer(SIGNED_DATA), constructedTag(0, signed)));
}
