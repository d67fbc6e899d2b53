import { createHmac, createSecretKey } from "node:crypto";
import { INTEGRITY, type IntegrityAlgorithm } from "@sallyport/base";
import { aesCmac, aesXcbc } from "./aes-mac.js";

const HMAC_HASH: Partial<Record<IntegrityAlgorithm, string>> = {
  "hmac-md5-96": "md5",
  "hmac-sha1-96": "sha1",
  "hmac-sha2-256-128": "sha256",
  "hmac-sha2-384-192": "sha384",
  "hmac-sha2-512-256": "sha512",
};

/** An integrity algorithm with its key: data to ICV, already truncated (RFC 2403, 2404, 3566, 4494, 4868). */
export type Mac = (data: Uint8Array) => Uint8Array;

export function mac(algorithm: IntegrityAlgorithm, key: Uint8Array): Mac {
  const { icvBytes } = INTEGRITY[algorithm];
  const hash = HMAC_HASH[algorithm];
  if (hash) {
    const secret = createSecretKey(key);
    return (data) => createHmac(hash, secret).update(data).digest().subarray(0, icvBytes);
  }
  const f = algorithm === "aes-xcbc-96" ? aesXcbc : aesCmac;
  return (data) => f(key, data).subarray(0, icvBytes);
}
