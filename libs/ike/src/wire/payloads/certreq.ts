import type { PayloadCodec } from "../codec.js";
import { LIMITS } from "../limits.js";
import { CERT_ENCODING, PAYLOAD } from "../registry.js";
import type { CertreqPayload } from "../types.js";

const HASH_BYTES = 20;

/** RFC 7296 §3.7. */
export const certreq: PayloadCodec<CertreqPayload> = {
  type: PAYLOAD.CERTREQ,
  kind: "CERTREQ",
  decode(r) {
    const encoding = r.u8("CERTREQ.encoding");
    return { kind: "CERTREQ", encoding, data: r.rest("CERTREQ.data", { max: LIMITS.messageBytes }) };
  },
  encode(w, p) {
    w.u8(p.encoding).bytes(p.data);
  },
};

/**
 * The trust anchors that a request names: SHA-1 of their SubjectPublicKeyInfo, 20 octets each, 256 at most. Empty for other
 * encodings and for data that is no list of hashes: such a request says nothing and is ignored, RFC 7296 §3.7.
 */
export function authorityHashes(p: CertreqPayload): Uint8Array[] {
  const hashed: readonly number[] = [
    CERT_ENCODING.X509_SIGNATURE,
    CERT_ENCODING.HASH_URL_X509,
    CERT_ENCODING.HASH_URL_BUNDLE,
  ];
  if (!hashed.includes(p.encoding) || p.data.length % HASH_BYTES !== 0) return [];
  const count = Math.min(p.data.length / HASH_BYTES, LIMITS.authorities);
  return Array.from({ length: count }, (_, i) => p.data.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
}
