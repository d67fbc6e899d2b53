import { ENCRYPTION, type EncryptionAlgorithm, INTEGRITY, type IntegrityAlgorithm } from "@sallyport/base";
import type { SaSpec } from "@sallyport/dataplane";
import type { NetlinkWriter } from "@sallyport/linux-io";
import { XFRMA } from "./constants.js";

/** Names in the kernel's crypto API (net/xfrm/xfrm_algo.c). */
export const KERNEL_ENCRYPTION: Readonly<Record<EncryptionAlgorithm, string>> = {
  null: "ecb(cipher_null)",
  "3des-cbc": "cbc(des3_ede)",
  "aes-cbc": "cbc(aes)",
  "aes-ctr": "rfc3686(ctr(aes))",
  "aes-gcm-8": "rfc4106(gcm(aes))",
  "aes-gcm-12": "rfc4106(gcm(aes))",
  "aes-gcm-16": "rfc4106(gcm(aes))",
  "chacha20-poly1305": "rfc7539esp(chacha20,poly1305)",
};

export const KERNEL_INTEGRITY: Readonly<Record<IntegrityAlgorithm, string>> = {
  "hmac-md5-96": "hmac(md5)",
  "hmac-sha1-96": "hmac(sha1)",
  "hmac-sha2-256-128": "hmac(sha256)",
  "hmac-sha2-384-192": "hmac(sha384)",
  "hmac-sha2-512-256": "hmac(sha512)",
  "aes-xcbc-96": "xcbc(aes)",
  "aes-cmac-96": "cmac(aes)",
};

/** Attributes with the keys of an SA: struct xfrm_algo, xfrm_algo_auth, xfrm_algo_aead. */
export function writeAlgorithms(
  writer: NetlinkWriter,
  sa: Pick<SaSpec, "protocol" | "encryption" | "integrity">,
): void {
  const { encryption, integrity } = sa;
  const info = ENCRYPTION[encryption.algorithm];
  if (sa.protocol === "esp") {
    writer.attribute(info.icvBytes > 0 ? XFRMA.algAead : XFRMA.algCrypt, (w) => {
      w.text(KERNEL_ENCRYPTION[encryption.algorithm], 64).u32(encryption.key.length * 8);
      if (info.icvBytes > 0) w.u32(info.icvBytes * 8);
      w.bytes(encryption.key);
    });
  }
  if (!integrity) return;
  writer.attribute(XFRMA.algAuthTrunc, (w) => {
    w.text(KERNEL_INTEGRITY[integrity.algorithm], 64).u32(integrity.key.length * 8);
    w.u32(INTEGRITY[integrity.algorithm].icvBytes * 8).bytes(integrity.key);
  });
}
