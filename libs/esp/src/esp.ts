import { timingSafeEqual } from "node:crypto";
import { ENCRYPTION, type EncryptionAlgorithm, INTEGRITY, type IntegrityAlgorithm } from "@sallyport/base";
import { type AeadCipher, createAeadCipher, createPlainCipher, type PlainCipher, putU32 } from "./cipher.js";
import { fault } from "./faults.js";
import { createMac, type Mac } from "./mac.js";

/** SPI and sequence number, RFC 4303 §2. */
export const ESP_HEADER_BYTES = 8;
/** Next header of a dummy packet, to be thrown away (RFC 4303 §2.6). */
export const NEXT_HEADER_DUMMY = 59;

/** Why `open` refused a packet; numbers below 0, so that one number can be either a length or a refusal. */
export const OpenRefusal = {
  /** Too short, or not a whole number of blocks: nothing was computed. */
  malformed: -1,
  /** The ICV is wrong: nothing was decrypted. */
  integrity: -2,
  /** The pad length reaches over the start of the payload, in an authenticated packet. */
  padding: -3,
} as const;

export interface EspParameters {
  /** 256 … 2³² − 1. */
  readonly spi: number;
  /** `key` is the cipher key followed by the salt, as KEYMAT gives it. */
  readonly encryption: { readonly algorithm: EncryptionAlgorithm; readonly key: Uint8Array };
  /** Required unless the encryption authenticates; forbidden when it does. */
  readonly integrity?: { readonly algorithm: IntegrityAlgorithm; readonly key: Uint8Array } | undefined;
  readonly esn: boolean;
}

/** The sizes that describe how a transform frames a payload. */
export interface EspFraming {
  readonly ivBytes: number;
  readonly icvBytes: number;
  /** Ciphertext (payload, padding, trailer) is a multiple of this. */
  readonly alignment: number;
}

/**
 * ESP under one SA's keys, RFC 4303. No sequence counter and no replay window inside: those are state, this is a function
 * of its inputs.
 */
export interface Esp extends EspFraming {
  /** Octets of the ESP packet that carries `payloadBytes`. */
  sealedBytes(payloadBytes: number): number;
  /**
   * Writes the ESP packet of `payload` at `target[at…]` (which may not overlap `payload`, except that the payload may
   * already stand at its place, `at + 8 + ivBytes`) and returns its size. `high` is 0 without ESN.
   */
  seal(target: Uint8Array, at: number, payload: Uint8Array, nextHeader: number, high: number, low: number): number;
  /**
   * Checks and decrypts in place. Returns the payload's size, which starts at `packet[8 + ivBytes]`, with the next header
   * left in `nextHeader`; or an `OpenRefusal`, with `packet` as it came (the padding refusal excepted).
   */
  open(packet: Uint8Array, high: number): number;
  /** Of the packet that `open` accepted last. */
  readonly nextHeader: number;
}

/** Names come from configuration and peers, whatever their type says. */
function known<Info>(table: Readonly<Record<string, Info>>, name: string, field: string): Info {
  if (Object.hasOwn(table, name)) return table[name] as Info;
  const expected = `one of ${Object.keys(table).join(", ")}`;
  throw fault("esp/unknown-algorithm", `${field}: there is no "${name}"`, { field, value: name, expected });
}

/**
 * How the packets of an SA are framed, without a cipher made for it. Faults: `esp/unknown-algorithm`, `esp/bad-key` for a wrong size,
 * `esp/bad-combination` for an SA that would not authenticate or would twice.
 */
export function framingOf({ encryption, integrity }: EspParameters): EspFraming {
  const info = known(ENCRYPTION, encryption.algorithm, "encryption.algorithm");
  const { ivBytes, icvBytes, saltBytes } = info;
  if (!info.keyBits.includes((encryption.key.length - saltBytes) * 8)) {
    throw fault("esp/bad-key", `${encryption.algorithm}: ${encryption.key.length} octets of key and salt`, {
      field: "encryption.key",
      value: String(encryption.key.length),
      expected: info.keyBits
        .map((bits) => bits / 8 + saltBytes)
        .join(" or ")
        .concat(" octets"),
    });
  }
  if (icvBytes > 0) {
    if (integrity === undefined) return { ivBytes, icvBytes, alignment: 4 };
    throw fault("esp/bad-combination", `${encryption.algorithm} authenticates by itself`, {
      field: "integrity",
      value: integrity.algorithm,
      expected: "no integrity algorithm beside an AEAD",
    });
  }
  if (integrity === undefined) {
    throw fault("esp/bad-combination", `${encryption.algorithm} needs an integrity algorithm`, {
      field: "integrity",
      expected: "an integrity algorithm (RFC 8221 §4)",
    });
  }
  const mac = known(INTEGRITY, integrity.algorithm, "integrity.algorithm");
  if (integrity.key.length !== mac.keyBytes) {
    throw fault("esp/bad-key", `${integrity.algorithm}: ${integrity.key.length} octets of key`, {
      field: "integrity.key",
      value: String(integrity.key.length),
      expected: `${mac.keyBytes} octets`,
    });
  }
  return { ivBytes, icvBytes: mac.icvBytes, alignment: Math.max(4, info.blockBytes) };
}

/** Faults as `framingOf`. */
export function createEsp(parameters: EspParameters): Esp {
  const { encryption, integrity } = parameters;
  const framing = framingOf(parameters);
  const saltAt = encryption.key.length - ENCRYPTION[encryption.algorithm].saltBytes;
  const [key, salt] = [encryption.key.subarray(0, saltAt), encryption.key.subarray(saltAt)];
  if (integrity === undefined) {
    return new AeadEsp(parameters, framing, createAeadCipher(encryption.algorithm, key, salt, framing.icvBytes));
  }
  const cipher = createPlainCipher(encryption.algorithm, key, salt);
  return new SeparateEsp(parameters, framing, cipher, createMac(integrity.algorithm, integrity.key));
}

/** Framing, which is the same whatever the algorithms are. */
abstract class FramedEsp implements Esp {
  readonly ivBytes: number;
  readonly icvBytes: number;
  readonly alignment: number;
  nextHeader = 0;
  protected readonly spi: number;
  protected readonly esn: boolean;
  readonly #overhead: number;

  constructor(parameters: EspParameters, framing: EspFraming) {
    this.spi = parameters.spi;
    this.esn = parameters.esn;
    this.ivBytes = framing.ivBytes;
    this.icvBytes = framing.icvBytes;
    this.alignment = framing.alignment;
    this.#overhead = ESP_HEADER_BYTES + framing.ivBytes + framing.icvBytes;
  }

  protected abstract protect(packet: Uint8Array, high: number, low: number): void;
  /** False when the ICV is wrong. */
  protected abstract unprotect(packet: Uint8Array, high: number): boolean;

  sealedBytes(payloadBytes: number): number {
    return this.#overhead + this.#textBytes(payloadBytes);
  }

  #textBytes(payloadBytes: number): number {
    return Math.ceil((payloadBytes + 2) / this.alignment) * this.alignment;
  }

  seal(target: Uint8Array, at: number, payload: Uint8Array, nextHeader: number, high: number, low: number): number {
    const textBytes = this.#textBytes(payload.length);
    const packet = target.subarray(at, at + this.#overhead + textBytes);
    putU32(packet, 0, this.spi);
    putU32(packet, 4, low);
    const start = ESP_HEADER_BYTES + this.ivBytes;
    packet.set(payload, start);
    const padBytes = textBytes - payload.length - 2;
    let end = start + payload.length;
    for (let i = 1; i <= padBytes; i++) packet[end++] = i; // §2.4
    packet[end] = padBytes;
    packet[end + 1] = nextHeader;
    this.protect(packet, high, low);
    return packet.length;
  }

  open(packet: Uint8Array, high: number): number {
    const textBytes = packet.length - this.#overhead;
    if (textBytes < this.alignment || textBytes % this.alignment !== 0) return OpenRefusal.malformed;
    if (!this.unprotect(packet, high)) return OpenRefusal.integrity;
    const end = packet.length - this.icvBytes;
    const payloadBytes = textBytes - 2 - (packet[end - 2] as number);
    if (payloadBytes < 0) return OpenRefusal.padding;
    this.nextHeader = packet[end - 1] as number;
    return payloadBytes;
  }
}

class AeadEsp extends FramedEsp {
  readonly #cipher: AeadCipher;
  /** SPI ‖ sequence number: 8 octets, 12 with ESN (RFC 4106 §5, RFC 7634 §2.1). */
  readonly #aad: Uint8Array;

  constructor(parameters: EspParameters, framing: EspFraming, cipher: AeadCipher) {
    super(parameters, framing);
    this.#cipher = cipher;
    this.#aad = new Uint8Array(parameters.esn ? 12 : 8);
    putU32(this.#aad, 0, parameters.spi);
  }

  #bind(packet: Uint8Array, high: number): Uint8Array {
    if (this.esn) putU32(this.#aad, 4, high);
    this.#aad.set(packet.subarray(4, 8), this.#aad.length - 4);
    return this.#aad;
  }

  protected override protect(packet: Uint8Array, high: number, low: number): void {
    this.#cipher.seal(packet.subarray(ESP_HEADER_BYTES), this.#bind(packet, high), high, low);
  }

  protected override unprotect(packet: Uint8Array, high: number): boolean {
    return this.#cipher.open(packet.subarray(ESP_HEADER_BYTES), this.#bind(packet, high));
  }
}

class SeparateEsp extends FramedEsp {
  readonly #cipher: PlainCipher | undefined;
  readonly #mac: Mac;
  /** The upper half of an ESN is authenticated though never sent (§2.2.1). */
  readonly #implicit: Uint8Array;

  constructor(parameters: EspParameters, framing: EspFraming, cipher: PlainCipher | undefined, mac: Mac) {
    super(parameters, framing);
    this.#cipher = cipher;
    this.#mac = mac;
    this.#implicit = new Uint8Array(parameters.esn ? 4 : 0);
  }

  #icv(packet: Uint8Array, high: number): Uint8Array {
    if (this.esn) putU32(this.#implicit, 0, high);
    return this.#mac(packet.subarray(0, packet.length - this.icvBytes), this.#implicit).subarray(0, this.icvBytes);
  }

  protected override protect(packet: Uint8Array, high: number, low: number): void {
    const end = packet.length - this.icvBytes;
    this.#cipher?.seal(packet.subarray(ESP_HEADER_BYTES, end), high, low);
    packet.set(this.#icv(packet, high), end);
  }

  protected override unprotect(packet: Uint8Array, high: number): boolean {
    const end = packet.length - this.icvBytes;
    if (!timingSafeEqual(this.#icv(packet, high), packet.subarray(end))) return false;
    this.#cipher?.open(packet.subarray(ESP_HEADER_BYTES, end));
    return true;
  }
}
