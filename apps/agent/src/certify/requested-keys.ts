import { createHash, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import path from "node:path";
import { isHostName } from "@sallyport/intent";
import { createRequest, generateKeys, type KeyType, spkiOf } from "@sallyport/pki";
import { z } from "zod";
import { makeStateDirectory, readIfThere, replaceFile } from "../store/atomic-file.js";
import { fault as stateFault } from "../store/faults.js";
import { fault } from "./faults.js";

/** What a certificate is wanted for. */
export interface CertificateWish {
  /** The same id gives the same key. */
  readonly id: string;
  /** DNS names; the first one is the common name too. */
  readonly names: readonly string[];
  readonly keyType: string;
}

const KEY_TYPES: readonly KeyType[] = ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096"];
const MAX_NAMES = 100;
const MAX_ID = 64;
/** Keys that no certificate in use belongs to; older ones are forgotten. */
const MAX_SPARE = 8;
/** A certificate's common name is no longer (RFC 5280, ub-common-name). */
const MAX_COMMON_NAME = 64;

const stored = z.object({
  format: z.literal(1),
  /** Oldest first. */
  keys: z.array(
    z.object({
      id: z.string(),
      keyType: z.string(),
      /** PKCS#8, PEM. */
      privateKey: z.string().startsWith("-----BEGIN"),
    }),
  ),
});

interface Kept {
  readonly id: string;
  readonly keyType: string;
  readonly key: KeyObject;
  /** SHA-256 over the SubjectPublicKeyInfo, hex. */
  readonly name: string;
}

/** SHA-256 over the SubjectPublicKeyInfo, by which a certificate finds its key. */
export const keyName = (spki: Uint8Array) => createHash("sha256").update(spki).digest("hex");

/** Private keys that were made here for certificate requests, and never leave. */
export class RequestedKeys {
  readonly #file: string;
  #kept: readonly Kept[] = [];
  #tail: Promise<unknown> = Promise.resolve();

  constructor(private readonly directory: string) {
    this.#file = path.join(directory, "requested-keys.json");
  }

  /** @throws state/damaged */
  async load(): Promise<void> {
    const content = await readIfThere(this.#file);
    if (content === undefined) return;
    try {
      const { keys } = stored.parse(JSON.parse(content.toString("utf8")));
      this.#kept = keys.map(({ id, keyType, privateKey }) => keptOf(id, keyType, createPrivateKey(privateKey)));
    } catch {
      // What went wrong may quote the file, which holds keys.
      throw stateFault("state/damaged", `${this.#file} cannot be read`, { field: this.#file });
    }
  }

  /** The key of a certificate with this public key. */
  find(spki: Uint8Array): KeyObject | undefined {
    const name = keyName(spki);
    return this.#kept.find((k) => k.name === name)?.key;
  }

  /**
   * A request (PKCS#10, DER) with a key of its own. Keys whose public half is in `inUse` (`keyName`) are never forgotten.
   * @throws certify/bad-request, state/unwritable
   */
  request(wish: CertificateWish, inUse: ReadonlySet<string>): Promise<Uint8Array> {
    const type = checkWish(wish);
    const made = this.#tail.then(() => this.#request(wish, type, inUse));
    this.#tail = made.catch(() => {});
    return made;
  }

  async #request({ id, names }: CertificateWish, type: KeyType, inUse: ReadonlySet<string>): Promise<Uint8Array> {
    let kept = this.#kept.find((k) => k.id === id && k.keyType === type);
    if (kept === undefined) {
      kept = keptOf(id, type, (await generateKeys(type)).privateKey);
      const spare = this.#kept.filter((k) => k.id !== id && !inUse.has(k.name)).slice(1 - MAX_SPARE);
      const next = [...this.#kept.filter((k) => inUse.has(k.name) || spare.includes(k)), kept];
      await this.#save(next);
      this.#kept = next;
    }
    const privateKey = kept.key;
    const [first = ""] = names;
    const wishes = names.map((value) => ({ type: "dns" as const, value }));
    // A longer name is certified as subjectAltName alone.
    const common = first.length <= MAX_COMMON_NAME ? first : undefined;
    return createRequest({ privateKey, publicKey: createPublicKey(privateKey) }, common, wishes);
  }

  async #save(kept: readonly Kept[]): Promise<void> {
    await makeStateDirectory(this.directory);
    const keys = kept.map(({ id, keyType, key }) => ({
      id,
      keyType,
      privateKey: key.export({ format: "pem", type: "pkcs8" }) as string,
    }));
    await replaceFile(this.#file, `${JSON.stringify({ format: 1, keys } satisfies z.infer<typeof stored>, null, 2)}\n`);
  }
}

function keptOf(id: string, keyType: string, key: KeyObject): Kept {
  return { id, keyType, key, name: keyName(spkiOf(createPublicKey(key))) };
}

function checkWish({ id, names, keyType }: CertificateWish): KeyType {
  const refuse = (field: string, value: string, expected: string) =>
    fault("certify/bad-request", `${field}: expected ${expected}`, { field, value: value.slice(0, 100), expected });
  if (id.length === 0 || id.length > MAX_ID) throw refuse("id", id, `1 to ${MAX_ID} characters`);
  if (names.length === 0 || names.length > MAX_NAMES)
    throw refuse("names", `${names.length}`, `1 to ${MAX_NAMES} names`);
  const bad = names.find((name) => !isHostName(name.replace(/^\*\./, "")));
  if (bad !== undefined) throw refuse("names", bad, "DNS names");
  const type = KEY_TYPES.find((t) => t === keyType);
  if (type === undefined) throw refuse("keyType", keyType, KEY_TYPES.join(", "));
  return type;
}
