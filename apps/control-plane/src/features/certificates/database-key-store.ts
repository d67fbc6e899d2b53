import { createPrivateKey, type KeyObject } from "node:crypto";
import {
  generateKeys,
  type KeyHandle,
  type KeyKind,
  type KeyStore,
  type KeyType,
  kindOf,
  readPrivateKey,
  signWith,
  spkiOf,
} from "@sallyport/pki";
import type { Tx } from "../../platform/database/database.js";
import type { Vault } from "../../platform/vault/vault.js";
import { fault } from "./faults.js";

/** Names what a CA's private key is sealed for. */
export const authorityKeyPlace = (ref: string) => `authority-key/${ref}`;

/**
 * Keys of CAs as rows of the database, each in an envelope of its own. A key is in this process's memory in the clear only while
 * it signs. `organizationId` null: the installation's keys.
 */
export class DatabaseKeyStore implements KeyStore {
  constructor(
    private readonly tx: Tx,
    private readonly vault: Vault,
    private readonly organizationId: string | null,
  ) {}

  async generate(type: KeyType): Promise<KeyHandle> {
    const { publicKey, privateKey } = await generateKeys(type);
    return this.#keep(privateKey, kindOf(type), Uint8Array.from(spkiOf(publicKey)));
  }

  async import(pkcs8: Uint8Array): Promise<KeyHandle> {
    const { privateKey, kind, spki } = readPrivateKey(pkcs8);
    return this.#keep(privateKey, kind, Uint8Array.from(spki));
  }

  async #keep(privateKey: KeyObject, kind: KeyKind, spki: Uint8Array<ArrayBuffer>): Promise<KeyHandle> {
    const ref = crypto.randomUUID();
    const plain = privateKey.export({ format: "der", type: "pkcs8" });
    const { sealed, keyId } = this.vault.seal(authorityKeyPlace(ref), plain);
    plain.fill(0);
    await this.tx.authorityKey.create({
      data: { id: ref, organizationId: this.organizationId, kind, spki, sealed, keyId },
    });
    return { ref, kind, spki };
  }

  async sign(key: KeyHandle, data: Uint8Array): Promise<Uint8Array> {
    const row = await this.tx.authorityKey.findFirst({ where: { id: key.ref, organizationId: this.organizationId } });
    if (row === null) throw fault("certificates/unknown-key", `no key ${key.ref} in the key store`);
    const plain = this.vault.unseal(authorityKeyPlace(key.ref), row);
    try {
      return signWith(createPrivateKey({ key: plain, format: "der", type: "pkcs8" }), key.kind, data);
    } finally {
      plain.fill(0);
    }
  }

  async destroy(ref: string): Promise<void> {
    await this.tx.authorityKey.deleteMany({ where: { id: ref, organizationId: this.organizationId } });
  }
}
