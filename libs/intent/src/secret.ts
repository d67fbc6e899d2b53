import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";

const MASK = "***";

/** A value that prints, serialises and inspects as `***`. Only `reveal` and `bytes` give it away. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  /** The octets that authentication uses: UTF-8 of the text, or the octets written as hex after `0x` (IDENT-11). */
  bytes(): Uint8Array {
    return /^0x([0-9a-f]{2})+$/i.test(this.#value)
      ? Uint8Array.from(Buffer.from(this.#value.slice(2), "hex"))
      : Uint8Array.from(Buffer.from(this.#value, "utf8"));
  }

  equals(other: Secret): boolean {
    const a = this.bytes();
    const b = other.bytes();
    return a.length === b.length && timingSafeEqual(a, b);
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Secret(${MASK})`;
  }
}
