import { ENCRYPTION, type EncryptionAlgorithm } from "@sallyport/base";
import { type AeadHandle, addon, type ExchangeHandle, type PrfHandle } from "./addon.js";
import { cipherName } from "./esp.js";

/**
 * What goes to native code and comes from it. Node moves a small Uint8Array out of V8's heap the first time that native code looks at it,
 * which costs more than to copy it here. Zeros between calls.
 */
const ROOM = new Uint8Array(4096);
const roomOf = (octets: number) => (octets <= ROOM.length ? ROOM : new Uint8Array(octets));

/** OpenSSL's name and the size of its output in octets. */
const DIGESTS: Readonly<Record<string, readonly [name: string, octets: number]>> = {
  md5: ["MD5", 16],
  sha1: ["SHA1", 20],
  sha256: ["SHA256", 32],
  sha384: ["SHA384", 48],
  sha512: ["SHA512", 64],
};

class Prf {
  readonly #handle: PrfHandle;
  readonly #octets: number;

  constructor(handle: PrfHandle, octets: number) {
    this.#handle = handle;
    this.#octets = octets;
  }

  compute(key: Uint8Array, data: readonly Uint8Array[]): Uint8Array {
    let dataOctets = 0;
    for (const part of data) dataOctets += part.length;
    const used = Math.max(key.length + dataOctets, this.#octets);
    const room = roomOf(used);
    room.set(key);
    let at = key.length;
    for (const part of data) {
      room.set(part, at);
      at += part.length;
    }
    addon().prfCompute(this.#handle, room, key.length, dataOctets);
    const out = room.slice(0, this.#octets);
    room.fill(0, 0, used);
    return out;
  }

  expand(key: Uint8Array, seed: Uint8Array, bytes: number): Uint8Array {
    const rounds = Math.ceil(bytes / this.#octets);
    const before = key.length + seed.length;
    const used = before + rounds * this.#octets;
    const room = roomOf(used);
    room.set(key);
    room.set(seed, key.length);
    addon().prfExpand(this.#handle, room, key.length, seed.length, rounds);
    const out = room.slice(before, before + bytes);
    room.fill(0, 0, used);
    return out;
  }
}

interface Group {
  readonly kind: "modp" | "ecp" | "montgomery";
  /** OpenSSL's name. */
  readonly native: string;
  readonly publicBytes: number;
  readonly secretBytes: number;
}

/** First octet of an uncompressed point, SEC 1 §2.3.3. */
const UNCOMPRESSED = 4;

class Exchange {
  readonly #handle: ExchangeHandle;
  /** The peer's value, ours, the shared secret; points with their first octet. */
  readonly #room: Uint8Array;
  readonly #prefix: number;
  readonly #publicOctets: number;

  constructor(handle: ExchangeHandle, prefix: number, publicOctets: number, secretOctets: number) {
    this.#handle = handle;
    this.#prefix = prefix;
    this.#publicOctets = publicOctets;
    this.#room = new Uint8Array(2 * publicOctets + secretOctets);
  }

  respond(peerValue: Uint8Array): { publicValue: Uint8Array; shared: Uint8Array } | undefined {
    const room = this.#room;
    const octets = this.#publicOctets;
    room.fill(UNCOMPRESSED, 0, this.#prefix);
    room.set(peerValue, this.#prefix);
    const agreed = addon().exchangeRespond(this.#handle, room) === 1;
    const answer = { publicValue: room.slice(octets + this.#prefix, 2 * octets), shared: room.slice(2 * octets) };
    room.fill(0);
    return agreed ? answer : undefined;
  }
}

class Aead {
  readonly #handle: AeadHandle;
  readonly #key: Uint8Array;
  readonly #around: number;

  constructor(handle: AeadHandle, keyOctets: number, around: number) {
    this.#handle = handle;
    this.#key = new Uint8Array(keyOctets);
    this.#around = around;
  }

  seal(key: Uint8Array, message: Uint8Array, bodyOffset: number): void {
    this.#key.set(key);
    addon().aeadSeal(this.#handle, this.#key, message, bodyOffset);
    this.#key.fill(0);
  }

  open(key: Uint8Array, message: Uint8Array, bodyOffset: number): Uint8Array | undefined {
    const plaintext = new Uint8Array(message.length - bodyOffset - this.#around);
    this.#key.set(key);
    const opened = addon().aeadOpen(this.#handle, this.#key, message, bodyOffset, plaintext) === 1;
    this.#key.fill(0);
    return opened ? plaintext : undefined;
  }
}

/**
 * The cryptography of IKE in native code, as `Primitives` of @sallyport/ike has it: each by OpenSSL's name or an algorithm's, undefined when
 * the process' OpenSSL has not got it. For one thread.
 */
export class IkePrimitives {
  prf(hash: string): Prf | undefined {
    const [name = "", octets = 0] = DIGESTS[hash] ?? [];
    const handle = name ? addon().prfCreate(name) : undefined;
    return handle && new Prf(handle, octets);
  }

  /** Not modp, where OpenSSL's exponentiation is all that costs. */
  exchange({ kind, native, publicBytes, secretBytes }: Group): Exchange | undefined {
    if (kind === "modp") return undefined;
    const point = kind === "ecp";
    const prefix = point ? 1 : 0;
    const [type, group] = point ? ["EC", native] : [native.toUpperCase(), ""];
    const handle = addon().exchangeCreate(type, group, prefix + publicBytes, secretBytes);
    return handle && new Exchange(handle, prefix, prefix + publicBytes, secretBytes);
  }

  aead(encryption: EncryptionAlgorithm, keyBits: number): Aead | undefined {
    const { saltBytes, ivBytes, icvBytes } = ENCRYPTION[encryption];
    if (icvBytes === 0) return undefined;
    const keyOctets = keyBits / 8;
    const handle = addon().aeadCreate(
      cipherName(encryption, keyBits),
      keyOctets,
      saltBytes + ivBytes,
      ivBytes,
      icvBytes,
    );
    return handle && new Aead(handle, keyOctets + saltBytes, ivBytes + icvBytes);
  }
}
