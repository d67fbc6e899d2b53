import { type Rng, Writer } from "@sallyport/base";
import { fault as wireFault } from "../wire/faults.js";
import { encodeEncryptedHeader } from "../wire/framer.js";
import { LIMITS } from "../wire/limits.js";
import { encodeHeader, encodeInner, HEADER_BYTES } from "../wire/message.js";
import { PAYLOAD } from "../wire/registry.js";
import type { FragmentInfo, Header, Message, Payload } from "../wire/types.js";
import { concat } from "./bytes.js";
import { type BodyCipher, bodyCipher, type DirectionKeys } from "./cipher.js";
import { fault } from "./faults.js";
import type { IkeKeys, IkeSuite, SkProtector } from "./types.js";

const GENERIC_HEADER = 4;
const FRAGMENT_HEADER = 4;
const PAD_LENGTH = 1;

/** The SK and SKF payloads of one IKE SA (RFC 7296 §3.14, RFC 5282, RFC 7383), for its original initiator or responder. */
export function protector(suite: IkeSuite, keys: IkeKeys, initiator: boolean): SkProtector {
  const { ai, ar, ei, er } = keys;
  const material = initiator ? concat(ei, ai, er, ar) : concat(er, ar, ei, ai);
  return new Protector(bodyCipher(suite.encryption, suite.keyBits, suite.integrity), material, ei.length);
}

/** There may be tens of thousands: it holds the octets of its keys and nothing made from them. */
class Protector implements SkProtector {
  readonly #cipher: BodyCipher;
  /** Keys of what goes out, then of what comes in: for each cipher key and salt, then integrity key. */
  readonly #material: Uint8Array;
  readonly #encryptionBytes: number;
  #counter: bigint | undefined;

  constructor(cipher: BodyCipher, material: Uint8Array, encryptionBytes: number) {
    this.#cipher = cipher;
    this.#material = material;
    this.#encryptionBytes = encryptionBytes;
  }

  get overhead(): number {
    const { ivBytes, icvBytes, blockBytes } = this.#cipher;
    return GENERIC_HEADER + FRAGMENT_HEADER + ivBytes + icvBytes + blockBytes;
  }

  wipe(): void {
    this.#material.fill(0);
  }

  #keys(direction: "out" | "in"): DirectionKeys {
    const half = this.#material.length / 2;
    const at = direction === "out" ? 0 : half;
    return {
      encryption: this.#material.subarray(at, at + this.#encryptionBytes),
      integrity: this.#material.subarray(at + this.#encryptionBytes, at + half),
    };
  }

  seal(header: Header, payloads: readonly Payload[], rng: Rng): Uint8Array {
    const { firstPayload, plaintext } = encodeInner(payloads);
    return this.#seal(header, firstPayload, plaintext, rng);
  }

  sealFragments(header: Header, payloads: readonly Payload[], rng: Rng, maxBytes: number): Uint8Array[] {
    const { firstPayload, plaintext } = encodeInner(payloads);
    if (HEADER_BYTES + GENERIC_HEADER + this.#bodyBytes(plaintext.length) <= maxBytes) {
      return [this.#seal(header, firstPayload, plaintext, rng)];
    }
    const { ivBytes, icvBytes, blockBytes } = this.#cipher;
    const room = maxBytes - HEADER_BYTES - GENERIC_HEADER - FRAGMENT_HEADER - ivBytes - icvBytes;
    const perFragment = room - (room % blockBytes) - PAD_LENGTH;
    const total = perFragment > 0 ? Math.ceil(plaintext.length / perFragment) : Number.POSITIVE_INFINITY;
    if (total > LIMITS.fragments) {
      throw wireFault("ike/too-large", `${plaintext.length} octets in messages of ${maxBytes}`, {
        field: "SKF",
        value: String(plaintext.length),
        expected: `at most ${LIMITS.fragments} fragments`,
      });
    }
    return Array.from({ length: total }, (_, i) => {
      const part = plaintext.subarray(i * perFragment, (i + 1) * perFragment);
      return this.#seal(header, i === 0 ? firstPayload : PAYLOAD.NONE, part, rng, { number: i + 1, total });
    });
  }

  #bodyBytes(plaintextBytes: number): number {
    const { ivBytes, icvBytes, blockBytes } = this.#cipher;
    return ivBytes + Math.ceil((plaintextBytes + PAD_LENGTH) / blockBytes) * blockBytes + icvBytes;
  }

  #seal(header: Header, firstPayload: number, plaintext: Uint8Array, rng: Rng, fragment?: FragmentInfo): Uint8Array {
    const cipher = this.#cipher;
    const body = this.#bodyBytes(plaintext.length);
    const bodyOffset = HEADER_BYTES + GENERIC_HEADER + (fragment ? FRAGMENT_HEADER : 0);
    const w = new Writer(bodyOffset + body);
    encodeHeader(w, header, fragment ? PAYLOAD.SKF : PAYLOAD.SK, bodyOffset + body);
    encodeEncryptedHeader(w, firstPayload, body, fragment);
    w.bytes(this.#iv(rng)).bytes(plaintext);
    const padding = body - cipher.ivBytes - plaintext.length - PAD_LENGTH - cipher.icvBytes;
    const message = w.zero(padding).u8(padding).zero(cipher.icvBytes).done();
    cipher.seal(this.#keys("out"), message, bodyOffset);
    return message;
  }

  /** CBC wants unpredictable IVs. Counters must never repeat under one key: counted on from a random start. */
  #iv(rng: Rng): Uint8Array {
    const { ivBytes, randomIv } = this.#cipher;
    const iv = new Uint8Array(ivBytes);
    if (randomIv) {
      iv.set(rng.bytes(ivBytes));
      return iv;
    }
    const view = new DataView(iv.buffer);
    if (this.#counter === undefined) {
      iv.set(rng.bytes(ivBytes));
      this.#counter = view.getBigUint64(0);
    } else {
      this.#counter = BigInt.asUintN(64, this.#counter + 1n);
      view.setBigUint64(0, this.#counter);
    }
    return iv;
  }

  open(message: Message): Uint8Array {
    const { bytes, encrypted } = message;
    const { ivBytes, icvBytes, blockBytes } = this.#cipher;
    if (!encrypted) throw refused();
    const sealed = bytes.length - encrypted.bodyOffset - ivBytes - icvBytes;
    if (sealed < PAD_LENGTH || sealed % blockBytes !== 0) throw refused();
    const padded = this.#cipher.open(this.#keys("in"), bytes, encrypted.bodyOffset);
    if (!padded) throw refused();
    const end = padded.length - PAD_LENGTH - (padded[padded.length - 1] ?? 0);
    if (end < 0) throw refused();
    return padded.subarray(0, end);
  }
}

/** One fault for every cause, so that a peer learns nothing from it. */
function refused() {
  return fault("ike/integrity", "the encrypted payload does not verify", { field: "SK" });
}
