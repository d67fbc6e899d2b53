import { fault } from "./faults.js";

/** The widest window that an SA may ask for, in packets. */
export const MAX_REPLAY_WINDOW = 4096;

/** What the window says about a sequence number before anything is spent on the packet. */
export type ReplayVerdict = "fresh" | "replayed" | "too-old";

const TWO_32 = 0x1_0000_0000;

/** `a − b` of two 64-bit numbers given as halves; exact up to 2⁵³, and far beyond any window above that. */
function distance(aHigh: number, aLow: number, bHigh: number, bLow: number): number {
  return (aHigh - bHigh) * TWO_32 + (aLow - bLow);
}

/**
 * The receiver's anti-replay window (RFC 4303 §3.4.3) and, with ESN, the reconstruction of the upper half of the sequence
 * number (Appendix A2). Any size from 0 (the check is off) to 4,096 packets.
 *
 * The order of use is WIRE-04's: `high` and `check` before the ICV, `accept` only after it was right.
 */
export class ReplayWindow {
  /** A ring of words; one more than the window needs, so that the word being entered can be cleared. */
  readonly #words: Uint32Array;
  readonly #mask: number;
  #topHigh = 0;
  #topLow = 0;

  constructor(
    readonly size: number,
    readonly esn: boolean,
  ) {
    if (!Number.isInteger(size) || size < 0 || size > MAX_REPLAY_WINDOW) {
      throw fault("esp/bad-window", `replay window: ${size} packets`, {
        field: "replayWindow",
        value: String(size),
        expected: `0 to ${MAX_REPLAY_WINDOW} packets`,
      });
    }
    let words = 2;
    while (words * 32 < size + 32) words *= 2;
    this.#words = new Uint32Array(words);
    this.#mask = words - 1;
  }

  /** The highest sequence number accepted so far, 0 before the first. */
  get top(): bigint {
    return (BigInt(this.#topHigh) << 32n) | BigInt(this.#topLow);
  }

  /**
   * The upper 32 bits that belong to a received lower half. −1 when the packet could only be one from before the first
   * (then `check` says too-old). Always 0 without ESN.
   */
  high(low: number): number {
    if (!this.esn) return 0;
    // With the check off there is no window to reason from: the nearest number to the top is meant.
    const reach = (this.size || TWO_32 / 2) - 1;
    const bottom = this.#topLow - reach;
    if (bottom >= 0) return low >= bottom ? this.#topHigh : this.#topHigh + 1;
    return low >= bottom + TWO_32 ? this.#topHigh - (this.size || this.#topHigh ? 1 : 0) : this.#topHigh;
  }

  check(high: number, low: number): ReplayVerdict {
    if (this.size === 0) return "fresh";
    if (high < 0 || high >= TWO_32 || (high === 0 && low === 0)) return "too-old";
    const back = distance(this.#topHigh, this.#topLow, high, low);
    if (back < 0) return "fresh";
    if (back >= this.size) return "too-old";
    return this.#seen(low) ? "replayed" : "fresh";
  }

  /** Marks an authenticated number. Judges once more, because two packets of one batch may carry the same number. */
  accept(high: number, low: number): ReplayVerdict {
    const verdict = this.check(high, low);
    if (verdict !== "fresh") return verdict;
    const ahead = distance(high, low, this.#topHigh, this.#topLow);
    if (ahead > 0) {
      if (this.size > 0) this.#clearBetween(ahead, low);
      this.#topHigh = high;
      this.#topLow = low;
    }
    if (this.size > 0) {
      const word = (low >>> 5) & this.#mask;
      this.#words[word] = (this.#words[word] as number) | (1 << (low & 31));
    }
    return "fresh";
  }

  /**
   * Goes on after `top`, as for an SA that was in use elsewhere. Which numbers before it were seen is not known, so all count
   * as seen.
   */
  resume(top: bigint): void {
    this.#topHigh = Number(top >> 32n);
    this.#topLow = Number(top & 0xffff_ffffn);
    if (top === 0n) return;
    this.#words.fill(0xffff_ffff);
    this.#words[(this.#topLow >>> 5) & this.#mask] = (2 << (this.#topLow & 31)) - 1;
  }

  #seen(low: number): boolean {
    return (((this.#words[(low >>> 5) & this.#mask] as number) >>> (low & 31)) & 1) === 1;
  }

  /** Empties the words that the window enters on its way to the new top. */
  #clearBetween(ahead: number, low: number): void {
    const entered = Math.floor(((this.#topLow & 31) + ahead) / 32);
    if (entered >= this.#words.length) {
      this.#words.fill(0);
      return;
    }
    const last = low >>> 5;
    for (let i = 0; i < entered; i++) this.#words[(last - i) & this.#mask] = 0;
  }
}

/** The sender's counter (WIRE-03): 1, 2, 3 … and an end, because a number used twice under one key would break the cipher. */
export class SequenceCounter {
  high = 0;
  low = 0;

  constructor(readonly esn: boolean) {}

  /** Moves to the next number, left in `high` and `low`; false when the SA is used up and may not send again. */
  next(): boolean {
    if (this.low < 0xffff_ffff) {
      this.low++;
      return true;
    }
    if (!this.esn || this.high === 0xffff_ffff) return false;
    this.high++;
    this.low = 0;
    return true;
  }

  get value(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low);
  }

  /** Goes on after `value`, as for an SA that was in use before. */
  resume(value: bigint): void {
    this.high = Number(value >> 32n);
    this.low = Number(value & 0xffff_ffffn);
  }
}
