import { type KeyObject, randomUUID } from "node:crypto";
import { fault } from "./faults.js";
import { generateKeys, type KeyKind, type KeyType, kindOf, readPrivateKey, spkiOf } from "./keys.js";
import { signWith } from "./signature.js";

/** A private key that stays in its store, by what it may be known by. */
export interface KeyHandle {
  /** Names the key in its store; means nothing elsewhere. */
  readonly ref: string;
  readonly kind: KeyKind;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
}

/**
 * Where the private keys of CAs are. An implementation owes:
 * - `generate` makes the key inside; no method gives a private key out;
 * - a key that `generate` returned survives a restart, unless the implementation says that it is for tests;
 * - `import` takes a private key in (PKCS#8, DER) and is done with the octets when it resolves;
 * - `sign` signs with the scheme of the key's kind: RSA as PKCS#1 v1.5 with SHA-256; ECDSA as the DER of r and s (RFC 3279 §2.2.3) with
 *   the hash of the curve's size (SHA-256, SHA-384, SHA-512); EdDSA pure. An unknown `ref` is `pki/unknown-key`;
 * - calls may run at the same time; `destroy` of an unknown key does nothing.
 */
export interface KeyStore {
  generate(type: KeyType): Promise<KeyHandle>;
  /** @throws pki/malformed, pki/weak-key, pki/bad-algorithm */
  import(pkcs8: Uint8Array): Promise<KeyHandle>;
  sign(key: KeyHandle, data: Uint8Array): Promise<Uint8Array>;
  destroy(ref: string): Promise<void>;
}

/** Keeps keys in this process's memory and forgets them with it: for tests, and for keys that need not outlive the process. */
export class MemoryKeyStore implements KeyStore {
  readonly #keys = new Map<string, KeyObject>();

  async generate(type: KeyType): Promise<KeyHandle> {
    const { publicKey, privateKey } = await generateKeys(type);
    return this.#keep(privateKey, kindOf(type), spkiOf(publicKey));
  }

  async import(pkcs8: Uint8Array): Promise<KeyHandle> {
    const { privateKey, kind, spki } = readPrivateKey(pkcs8);
    return this.#keep(privateKey, kind, spki);
  }

  #keep(privateKey: KeyObject, kind: KeyKind, spki: Uint8Array): KeyHandle {
    const ref = randomUUID();
    this.#keys.set(ref, privateKey);
    return { ref, kind, spki };
  }

  async sign(key: KeyHandle, data: Uint8Array): Promise<Uint8Array> {
    const privateKey = this.#keys.get(key.ref);
    if (privateKey === undefined) throw fault("pki/unknown-key", `no key ${key.ref} in this store`);
    return signWith(privateKey, key.kind, data);
  }

  async destroy(ref: string): Promise<void> {
    this.#keys.delete(ref);
  }
}
