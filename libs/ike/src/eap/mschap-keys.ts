import { createCipheriv, createHash } from "node:crypto";
import md4 from "js-md4";
import { concat } from "../crypto/bytes.js";

const ascii = (text: string) => new TextEncoder().encode(text);
const sha1 = (...parts: readonly Uint8Array[]) => {
  const hash = createHash("sha1");
  for (const part of parts) hash.update(part);
  return Uint8Array.from(hash.digest());
};

/** NtPasswordHash of a password in UTF-8: MD4 of its UTF-16LE, RFC 2759 §8.3. */
export function ntHash(password: Uint8Array): Uint8Array {
  const text = new TextDecoder().decode(password);
  const wide = new Uint8Array(2 * text.length);
  const view = new DataView(wide.buffer);
  for (let i = 0; i < text.length; i++) view.setUint16(2 * i, text.charCodeAt(i), true);
  return md4Of(wide);
}

function md4Of(data: Uint8Array): Uint8Array {
  return new Uint8Array(md4.create().update(data).arrayBuffer());
}

/** RFC 2759 §8.2; `name` is the user's without a domain. */
export function challengeHash(peerChallenge: Uint8Array, serverChallenge: Uint8Array, name: string): Uint8Array {
  return sha1(peerChallenge, serverChallenge, ascii(name)).subarray(0, 8);
}

/** 24 octets: three DES encryptions of the challenge under thirds of the hash padded to 21 octets, RFC 2759 §8.5. */
export function ntResponse(challenge: Uint8Array, hash: Uint8Array): Uint8Array {
  const keys = concat(hash, new Uint8Array(21 - hash.length));
  return concat(...[0, 7, 14].map((at) => des(keys.subarray(at, at + 7), challenge)));
}

/** DES is triple DES with one key three times; OpenSSL 3 has only the latter. */
function des(key56: Uint8Array, block: Uint8Array): Uint8Array {
  const key = Uint8Array.from({ length: 8 }, (_, i) => {
    const [high, low] = [key56[i - 1] ?? 0, key56[i] ?? 0];
    // Seven bits each; the eighth is parity, which the cipher ignores.
    return ((((high << 8) | low) >> (i + 1)) & 0x7f) << 1;
  });
  const cipher = createCipheriv("des-ede3-ecb", concat(key, key, key), null).setAutoPadding(false);
  return Uint8Array.from(cipher.update(block));
}

const SIGNING = ascii("Magic server to client signing constant");
const ONE_MORE_ITERATION = ascii("Pad to make it do more than one iteration");

/** 20 octets by which the server proves that it knows the password, RFC 2759 §8.7. */
export function serverProof(hash: Uint8Array, response: Uint8Array, challenge: Uint8Array): Uint8Array {
  return sha1(sha1(md4Of(hash), response, SIGNING), challenge, ONE_MORE_ITERATION);
}

const MASTER = ascii("This is the MPPE Master Key");
const TO_SERVER = ascii("On the client side, this is the send key; on the server side, it is the receive key.");
const TO_PEER = ascii("On the client side, this is the receive key; on the server side, it is the send key.");
const PAD_1 = new Uint8Array(40);
const PAD_2 = new Uint8Array(40).fill(0xf2);

/** 16 octets, RFC 3079 §3.4 GetMasterKey. */
export function masterKey(hash: Uint8Array, response: Uint8Array): Uint8Array {
  return sha1(md4Of(hash), response, MASTER).subarray(0, 16);
}

/** The start keys of 16 octets for what the peer sends and for what it receives, RFC 3079 §3.4 GetAsymmetricStartKey. */
export function startKeys(master: Uint8Array): { readonly toServer: Uint8Array; readonly toPeer: Uint8Array } {
  const key = (magic: Uint8Array) => sha1(master, PAD_1, magic, PAD_2).subarray(0, 16);
  return { toServer: key(TO_SERVER), toPeer: key(TO_PEER) };
}

/** 64 octets: both start keys, the server's receiving one first, and zeroes. */
export function mschapMsk(hash: Uint8Array, response: Uint8Array): Uint8Array {
  const { toServer, toPeer } = startKeys(masterKey(hash, response));
  return concat(toServer, toPeer, new Uint8Array(32));
}
