import { createHash, createPrivateKey, randomUUID } from "node:crypto";
import { isFault } from "@sallyport/base";
import {
  ecdsaSignature,
  hashFor,
  type KeyHandle,
  type KeyKind,
  type KeyStore,
  type KeyType,
  kindOf,
  readPrivateKey,
} from "@sallyport/pki";
import { CKA, CKM, CKO, CKR, nameOf } from "./constants.js";
import { Cryptoki } from "./cryptoki.js";
import { fault } from "./faults.js";
import { attribute, generation, isRsa, NO, privateAttributes, publicAttributes, spkiFrom, YES } from "./key-types.js";
import { type Arena, type Attribute, wordIn } from "./memory.js";
import { Token } from "./token.js";

export interface Pkcs11Options {
  /** Path of the module, e.g. /usr/lib/softhsm/libsofthsm2.so. */
  readonly module: string;
  /** CKA label of the token. */
  readonly token: string;
  /** The user's PIN. */
  readonly pin: string;
}

/** Octets of the longest signature, and of the longest value that is read: both of RSA with 8192 bits. */
const MAX_VALUE = 1024;
/** DigestInfo of SHA-256 up to the digest (RFC 8017 §9.2, note 1). */
const DIGEST_INFO = Buffer.from("3031300d060960864801650304020105000420", "hex");
const REFERENCE = /^pkcs11:token=([^;]+);id=((?:%[0-9a-f]{2}){16})$/;
const UNSUPPORTED: ReadonlySet<string> = new Set(
  (
    [
      "MECHANISM_INVALID",
      "MECHANISM_PARAM_INVALID",
      "CURVE_NOT_SUPPORTED",
      "KEY_SIZE_RANGE",
      "ATTRIBUTE_VALUE_INVALID",
      "TEMPLATE_INCONSISTENT",
    ] as const
  ).map((name) => nameOf(CKR[name])),
);

/**
 * Private keys that live in a PKCS#11 token (an HSM) and never leave it: they are made there, or taken in, as CKA_SENSITIVE and
 * not CKA_EXTRACTABLE. `ref` is a PKCS#11 URI (RFC 7512) of the token's label and the key's CKA_ID.
 */
export class Pkcs11KeyStore implements KeyStore {
  private constructor(
    private readonly cryptoki: Cryptoki,
    private readonly token: Token,
  ) {}

  /** @throws pkcs11/bad-module, pkcs11/no-token, pkcs11/wrong-pin, pkcs11/failed */
  static async open({ module, token, pin }: Pkcs11Options): Promise<Pkcs11KeyStore> {
    const cryptoki = await Cryptoki.load(module);
    const store = new Pkcs11KeyStore(cryptoki, new Token(cryptoki, token, pin));
    await store.token.check();
    return store;
  }

  /** Whether `ref` is of the kind that such a store gives. */
  static owns(ref: string): boolean {
    return REFERENCE.test(ref);
  }

  /** @throws pkcs11/unsupported, pkcs11/failed */
  async generate(type: KeyType): Promise<KeyHandle> {
    const { mechanism, attributes } = generation(type);
    const kind = kindOf(type);
    const id = newId();
    const spki = await supported(type, () =>
      this.token.run(async (session, arena) => {
        const open = this.#template(arena, [...common(id, CKO.PUBLIC_KEY), attribute(CKA.VERIFY, YES), ...attributes]);
        const secret = this.#template(arena, [...common(id, CKO.PRIVATE_KEY), ...SECRET]);
        const [of, publicKey, privateKey] = [arena.words(mechanism, 0, 0), arena.words(0), arena.words(0)];
        const halves = [...open, ...secret, publicKey.address, privateKey.address] as const;
        await this.cryptoki.call("C_GenerateKeyPair", session, of.address, ...halves);
        const values = await this.#values(session, arena, wordIn(publicKey.octets, 0), publicAttributes(kind));
        return spkiFrom(kind, values);
      }),
    );
    return { ref: this.#reference(id), kind, spki };
  }

  /** @throws pki/malformed, pki/weak-key, pki/bad-algorithm, pkcs11/unsupported, pkcs11/failed */
  async import(pkcs8: Uint8Array): Promise<KeyHandle> {
    const { kind, spki } = readPrivateKey(pkcs8);
    const id = newId();
    const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
    const template = [...common(id, CKO.PRIVATE_KEY), ...SECRET, ...privateAttributes(kind, key)];
    await supported(kind, () =>
      this.token.run(async (session, arena) => {
        const made = arena.words(0);
        await this.cryptoki.call("C_CreateObject", session, ...this.#template(arena, template), made.address);
      }),
    );
    return { ref: this.#reference(id), kind, spki };
  }

  /** @throws pkcs11/unknown-key, pkcs11/failed */
  async sign({ ref, kind }: KeyHandle, data: Uint8Array): Promise<Uint8Array> {
    const id = this.#idOf(ref);
    const [mechanism, input] = toSign(kind, data);
    const signature = await this.token.run(async (session, arena) => {
      const [key, ...others] = await this.#find(session, arena, id, CKO.PRIVATE_KEY);
      if (key === undefined || others.length > 0) throw unknown(ref, others.length > 0 ? "there are several" : "none");
      await this.cryptoki.call("C_SignInit", session, arena.words(mechanism, 0, 0).address, key);
      const octets = arena.put(input);
      const [out, length] = [arena.alloc(MAX_VALUE), arena.words(MAX_VALUE)];
      await this.cryptoki.call("C_Sign", session, octets.address, input.length, out.address, length.address);
      return out.octets.slice(0, Number(wordIn(length.octets, 0)));
    });
    return kind.startsWith("ecdsa") ? ecdsaSignature(signature) : signature;
  }

  /** @throws pkcs11/failed */
  async destroy(ref: string): Promise<void> {
    const id = this.#idOf(ref);
    await this.token.run(async (session, arena) => {
      for (const kind of [CKO.PRIVATE_KEY, CKO.PUBLIC_KEY]) {
        for (const object of await this.#find(session, arena, id, kind)) {
          await this.cryptoki.call("C_DestroyObject", session, object);
        }
      }
    });
  }

  #template(arena: Arena, attributes: readonly Attribute[]): [bigint, number] {
    return [arena.template(attributes).address, attributes.length];
  }

  async #find(session: number | bigint, arena: Arena, id: Uint8Array, kind: number) {
    const wanted = [attribute(CKA.CLASS, kind), attribute(CKA.TOKEN, YES), attribute(CKA.ID, id)];
    await this.cryptoki.call("C_FindObjectsInit", session, ...this.#template(arena, wanted));
    try {
      const [found, count] = [arena.words(0, 0), arena.words(0)];
      await this.cryptoki.call("C_FindObjects", session, found.address, 2, count.address);
      return [0, 1].slice(0, Number(wordIn(count.octets, 0))).map((i) => wordIn(found.octets, i));
    } finally {
      await this.cryptoki.value("C_FindObjectsFinal", session);
    }
  }

  async #values(session: number | bigint, arena: Arena, object: number | bigint, types: readonly number[]) {
    const places = types.map(() => arena.alloc(MAX_VALUE));
    const words = types.flatMap((type, i) => [type, (places[i] as { address: bigint }).address, MAX_VALUE]);
    const template = arena.words(...words);
    await this.cryptoki.call("C_GetAttributeValue", session, object, template.address, types.length);
    return places.map(({ octets }, i) => octets.slice(0, Number(wordIn(template.octets, 3 * i + 2))));
  }

  #reference(id: Uint8Array): string {
    const octets = Buffer.from(id).toString("hex").replace(/../g, "%$&");
    return `pkcs11:token=${encodeURIComponent(this.token.label)};id=${octets}`;
  }

  #idOf(ref: string): Uint8Array {
    const [, label, id] = REFERENCE.exec(ref) ?? [];
    if (label === undefined || id === undefined) throw unknown(ref, "not a PKCS#11 URI of ours");
    if (decodeURIComponent(label) !== this.token.label) throw unknown(ref, `the token here is ${this.token.label}`);
    return Uint8Array.from(Buffer.from(id.replaceAll("%", ""), "hex"));
  }
}

const newId = () => Uint8Array.from(Buffer.from(randomUUID().replaceAll("-", ""), "hex"));

const common = (id: Uint8Array, kind: number): readonly Attribute[] => [
  attribute(CKA.CLASS, kind),
  attribute(CKA.TOKEN, YES),
  attribute(CKA.ID, id),
  attribute(CKA.LABEL, new TextEncoder().encode("sallyport")),
];

const SECRET: readonly Attribute[] = [
  attribute(CKA.PRIVATE, YES),
  attribute(CKA.SENSITIVE, YES),
  attribute(CKA.EXTRACTABLE, NO),
  attribute(CKA.SIGN, YES),
];

/** CKM to sign with, and what it is given: hashing is done here, so that a long list need not go through the token. */
function toSign(kind: KeyKind, data: Uint8Array): [number, Uint8Array] {
  const hash = hashFor(kind);
  if (hash === undefined) return [CKM.EDDSA, data];
  const digest = createHash(hash).update(data).digest();
  return isRsa(kind) ? [CKM.RSA_PKCS, Buffer.concat([DIGEST_INFO, digest])] : [CKM.ECDSA, digest];
}

async function supported<T>(type: KeyType, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isFault(cause, "pkcs11/failed") || !UNSUPPORTED.has(String(cause.value))) throw cause;
    throw fault("pkcs11/unsupported", `this token makes and takes no ${type} keys`, {
      field: "keyType",
      value: type,
      expected: "another type of key, or another key store",
      cause,
    });
  }
}

function unknown(ref: string, why: string) {
  return fault("pkcs11/unknown-key", `no key ${ref} in the token: ${why}`, { field: "keyRef", value: ref });
}
