import { createHash, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fault } from "../faults.js";
import { seal, unseal } from "./envelope.js";

export interface Sealed {
  readonly sealed: Uint8Array<ArrayBuffer>;
  /** Of the master key. */
  readonly keyId: string;
}

interface MasterKey {
  readonly id: string;
  readonly key: Buffer;
}

function parseKeys(text: string, field: string): MasterKey[] {
  const keys = text.split(/[\s,]+/).filter((word) => word !== "");
  if (keys.length === 0) {
    throw fault("platform/bad-configuration", `${field} holds no key`, { field, expected: "32 octets in base64" });
  }
  return keys.map((word) => {
    const key = Buffer.from(word, "base64");
    if (key.length !== 32 || key.toString("base64") !== word) {
      throw fault("platform/bad-configuration", `${field}: a master key is 32 octets in base64`, {
        field,
        value: "***",
        expected: "what `openssl rand -base64 32` prints",
      });
    }
    return { id: createHash("sha256").update(key).digest("hex").slice(0, 16), key };
  });
}

/**
 * Seals what must not be readable in the database. The first master key seals; those after it open what earlier ones sealed.
 * `context` names the place, e.g. `secret/<id>`; a value opens nowhere else.
 */
export class Vault {
  readonly #keys: ReadonlyMap<string, MasterKey>;
  readonly #current: MasterKey;
  readonly #hashKey: Uint8Array;

  constructor(text: string, field = "SALLYPORT_MASTER_KEY") {
    const keys = parseKeys(text, field);
    this.#current = keys[0] as MasterKey;
    this.#keys = new Map(keys.map((key) => [key.id, key]));
    this.#hashKey = new Uint8Array(hkdfSync("sha256", this.#current.key, "", "sallyport/hash", 32));
  }

  /** From the text, else from the file, else from `<home>/master.key`, which is made when it is not there. */
  static async open(from: {
    masterKey: string | undefined;
    masterKeyFile: string | undefined;
    home: string;
  }): Promise<Vault> {
    if (from.masterKey !== undefined) return new Vault(from.masterKey);
    if (from.masterKeyFile !== undefined) {
      const text = await readFile(from.masterKeyFile, "utf8").catch((cause: unknown) => {
        throw fault("platform/bad-configuration", `the master key cannot be read: ${cause}`, {
          field: "SALLYPORT_MASTER_KEY_FILE",
          value: from.masterKeyFile ?? "",
          expected: "a readable file",
          cause,
        });
      });
      return new Vault(text, "SALLYPORT_MASTER_KEY_FILE");
    }
    const file = path.join(from.home, "master.key");
    await mkdir(from.home, { recursive: true });
    // Of two first starts at once, one wins and both read the same.
    await writeFile(file, `${randomBytes(32).toString("base64")}\n`, { flag: "wx", mode: 0o600 }).catch(
      (error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      },
    );
    return new Vault(await readFile(file, "utf8"), file);
  }

  /** Of the master key that seals now. */
  get keyId(): string {
    return this.#current.id;
  }

  seal(context: string, plain: Uint8Array | string): Sealed {
    const octets = typeof plain === "string" ? Buffer.from(plain) : plain;
    return { sealed: seal(this.#current.key, context, octets), keyId: this.#current.id };
  }

  /** @throws platform/unsealable */
  unseal(context: string, { sealed, keyId }: { readonly sealed: Uint8Array; readonly keyId: string }): Buffer {
    return unseal(this.#key(keyId, context).key, context, sealed);
  }

  /** A hash that nobody without the master key can check guesses against, 64 hexadecimal digits. */
  hash(text: string): string {
    return createHmac("sha256", this.#hashKey).update(text).digest("hex");
  }

  #key(id: string, context: string): MasterKey {
    const key = this.#keys.get(id);
    if (!key) throw fault("platform/unsealable", `${context}: sealed with master key ${id}, which is not configured`);
    return key;
  }
}
