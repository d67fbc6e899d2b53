import type { KeyHandle, KeyStore, KeyType } from "@sallyport/pki";
import { type HardwareKeys, isHardwareKey } from "./hardware-keys.js";

/** Where private keys of CAs are. */
export const KeyStoreName = { DATABASE: "DATABASE", PKCS11: "PKCS11" } as const;
export type KeyStoreName = keyof typeof KeyStoreName;

/** Where the key of this reference is; null: elsewhere. */
export const keyStoreOf = (ref: string | null): KeyStoreName | null =>
  ref === null ? null : isHardwareKey(ref) ? "PKCS11" : "DATABASE";

/** The keys of an organization's CAs, wherever each is. New ones go into the database. */
export class AuthorityKeys implements KeyStore {
  constructor(
    private readonly database: KeyStore,
    private readonly hardware: HardwareKeys,
  ) {}

  generate(type: KeyType): Promise<KeyHandle> {
    return this.database.generate(type);
  }

  import(pkcs8: Uint8Array): Promise<KeyHandle> {
    return this.database.import(pkcs8);
  }

  async sign(key: KeyHandle, data: Uint8Array): Promise<Uint8Array> {
    return (await this.#holding(key.ref)).sign(key, data);
  }

  async destroy(ref: string): Promise<void> {
    return (await this.#holding(ref)).destroy(ref);
  }

  async #holding(ref: string): Promise<KeyStore> {
    return isHardwareKey(ref) ? this.hardware.store() : this.database;
  }
}
