import { createCipheriv, createHmac } from "node:crypto";
import { isFault } from "@sallyport/base";

/** AlertDescription (RFC 8446 §6, RFC 5246 §7.2). */
const DESCRIPTION = {
  bad_certificate: 42,
  unsupported_certificate: 43,
  certificate_revoked: 44,
  certificate_expired: 45,
  certificate_unknown: 46,
  unknown_ca: 48,
  access_denied: 49,
} as const;

/** By what our verifier refused; all else is no business of the other end. */
const DESCRIPTIONS: Readonly<Record<string, keyof typeof DESCRIPTION>> = {
  "pki/bad-signature": "bad_certificate",
  "pki/malformed": "bad_certificate",
  "pki/forbidden-use": "unsupported_certificate",
  "pki/bad-algorithm": "unsupported_certificate",
  "pki/weak-key": "unsupported_certificate",
  "pki/revoked": "certificate_revoked",
  "pki/revocation-unknown": "certificate_unknown",
  "pki/expired": "certificate_expired",
  "pki/not-yet-valid": "certificate_expired",
  "pki/untrusted": "unknown_ca",
};

const FATAL = 2;
const ALERT = 21;
const APPLICATION_DATA = 23;
const TAG_BYTES = 16;

/** The cipher suites of TLS 1.3 that Node offers. */
const SUITES = {
  TLS_AES_128_GCM_SHA256: { cipher: "aes-128-gcm", keyBytes: 16, hash: "sha256" },
  TLS_AES_256_GCM_SHA384: { cipher: "aes-256-gcm", keyBytes: 32, hash: "sha384" },
  TLS_CHACHA20_POLY1305_SHA256: { cipher: "chacha20-poly1305", keyBytes: 32, hash: "sha256" },
} as const;

const isSuite = (name: string): name is keyof typeof SUITES => Object.hasOwn(SUITES, name);

/**
 * The fatal alert that tells the other end why its certificate is refused. Node lets nobody refuse one before OpenSSL has gone on,
 * so what OpenSSL has written since is not sent, and this takes its place: the first record under the keys that are in use
 * towards the other end. Those are none in TLS 1.2, whose ChangeCipherSpec has not been sent; in TLS 1.3 they are those of `secret`.
 * Undefined for a cipher suite that Node does not offer.
 */
export function certificateAlert(
  cause: unknown,
  tls: { readonly version: "1.2" } | { readonly version: "1.3"; readonly suite: string; readonly secret: Uint8Array },
): Uint8Array | undefined {
  const name = (isFault(cause) && DESCRIPTIONS[cause.code]) || "access_denied";
  const alert = Uint8Array.of(FATAL, DESCRIPTION[name]);
  if (tls.version === "1.2") return Buffer.concat([header(ALERT, alert.length), alert]);
  if (!isSuite(tls.suite)) return undefined;
  const { cipher, keyBytes, hash } = SUITES[tls.suite];
  const inner = Uint8Array.of(...alert, ALERT);
  const about = header(APPLICATION_DATA, inner.length + TAG_BYTES);
  // The record's number is 0: the nonce is the IV itself (RFC 8446 §5.3).
  const sealer = createCipheriv(
    cipher as "aes-128-gcm",
    expandLabel(tls.secret, "key", keyBytes, hash),
    expandLabel(tls.secret, "iv", 12, hash),
    { authTagLength: TAG_BYTES },
  );
  sealer.setAAD(about);
  return Buffer.concat([about, sealer.update(inner), sealer.final(), sealer.getAuthTag()]);
}

/** RFC 8446 §5.1, §5.2. */
function header(type: number, length: number): Uint8Array {
  return Uint8Array.of(type, 3, 3, length >> 8, length & 0xff);
}

/** HKDF-Expand-Label without context, of at most one block (RFC 8446 §7.1). */
function expandLabel(secret: Uint8Array, label: string, bytes: number, hash: string): Uint8Array {
  const full = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Uint8Array.of(bytes >> 8, bytes & 0xff, full.length), full, Uint8Array.of(0, 1)]);
  return createHmac(hash, secret).update(info).digest().subarray(0, bytes);
}
