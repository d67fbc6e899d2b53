import { createCipheriv } from "node:crypto";

/** MACs over AES-128 that OpenSSL does not give through Node: XCBC (RFC 3566) and CMAC (RFC 4493). */

const BLOCK = 16;
const ZERO = new Uint8Array(BLOCK);

function encryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  return createCipheriv("aes-128-ecb", key, null).setAutoPadding(false).update(block);
}

/** CBC-MAC whose last block is padded with 10* when short, and XORed with one of two keys: the frame of both MACs. */
function cbcMac(key: Uint8Array, data: Uint8Array, whole: Uint8Array, padded: Uint8Array): Uint8Array {
  const blocks = Math.max(1, Math.ceil(data.length / BLOCK));
  const input = new Uint8Array(blocks * BLOCK);
  input.set(data);
  const complete = data.length === input.length;
  if (!complete) input[data.length] = 0x80;
  const last = input.subarray(-BLOCK);
  const mask = complete ? whole : padded;
  for (let i = 0; i < BLOCK; i++) last[i] = (last[i] ?? 0) ^ (mask[i] ?? 0);
  const out = createCipheriv("aes-128-cbc", key, ZERO).setAutoPadding(false).update(input);
  return Uint8Array.from(out.subarray(-BLOCK));
}

/** RFC 3566 §4: 16 octets of key, 16 of MAC. */
export function aesXcbc(key: Uint8Array, data: Uint8Array): Uint8Array {
  const [k1, k2, k3] = [1, 2, 3].map((n) => encryptBlock(key, new Uint8Array(BLOCK).fill(n))) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  return cbcMac(k1, data, k2, k3);
}

/** Multiplication by x in GF(2^128), RFC 4493 §2.3. */
function double(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(BLOCK);
  for (let i = 0; i < BLOCK; i++) out[i] = ((block[i] ?? 0) << 1) | ((block[i + 1] ?? 0) >> 7);
  if ((block[0] ?? 0) & 0x80) out[BLOCK - 1] = (out[BLOCK - 1] ?? 0) ^ 0x87;
  return out;
}

/** RFC 4493 §2.4: 16 octets of key, 16 of MAC. */
export function aesCmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  const k1 = double(encryptBlock(key, ZERO));
  return cbcMac(key, data, k1, double(k1));
}
