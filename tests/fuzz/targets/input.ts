import { isFault } from "@sallyport/base";

/** Takes what a target needs from the octets of one input; when they are used up, zeros follow. */
export class FuzzInput {
  #at = 0;

  readonly #octets: Uint8Array;

  constructor(octets: Uint8Array) {
    this.#octets = Uint8Array.from(octets);
  }

  get left(): number {
    return this.#octets.length - this.#at;
  }

  u8(): number {
    return this.#octets[this.#at++] ?? 0;
  }

  u16(): number {
    return (this.u8() << 8) | this.u8();
  }

  take(length: number): Uint8Array {
    const out = this.#octets.slice(this.#at, this.#at + length);
    this.#at += out.length;
    return out;
  }

  rest(): Uint8Array {
    return this.take(this.left);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.u8() % from.length] as T;
  }
}

/** What `read` gives, or undefined when it refuses with a `Fault`; every other exception is a finding. */
export function total<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isFault(error)) return undefined;
    throw error;
  }
}

/** A finding, unless it holds. */
export function holds(condition: boolean, what: () => string): void {
  if (!condition) throw new Error(what());
}
