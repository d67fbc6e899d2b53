const FAN = 32;
const FULL = 0xffff_ffff;

/**
 * A set of numbers below `size` that finds the next number not in it in steps that grow with the logarithm of `size`, in
 * memory that grows with the number of members: words of 32 bits, and above them words that say which of those are full.
 */
export class Occupancy {
  /** Words by index; level 0 has one bit a number, each bit above stands for a full word below. */
  readonly #levels: Map<number, number>[] = [];
  /** How many bits a level has. */
  readonly #sizes: number[] = [];

  constructor(size: number) {
    for (let bits = size; ; bits = Math.ceil(bits / FAN)) {
      this.#levels.push(new Map());
      this.#sizes.push(bits);
      if (bits <= FAN) break;
    }
  }

  has(number: number): boolean {
    return (this.#word(0, Math.floor(number / FAN)) & (1 << (number % FAN))) !== 0;
  }

  add(number: number): void {
    for (let level = 0, at = number; level < this.#levels.length; level++) {
      const index = Math.floor(at / FAN);
      const word = (this.#word(level, index) | (1 << (at % FAN))) >>> 0;
      this.#level(level).set(index, word);
      if (word !== this.#full(level, index)) return;
      at = index;
    }
  }

  delete(number: number): void {
    for (let level = 0, at = number; level < this.#levels.length; level++) {
      const index = Math.floor(at / FAN);
      const before = this.#word(level, index);
      const word = (before & ~(1 << (at % FAN))) >>> 0;
      if (word === 0) this.#level(level).delete(index);
      else this.#level(level).set(index, word);
      if (before !== this.#full(level, index)) return;
      at = index;
    }
  }

  /** The least number from `from` on that is not in the set. */
  firstFree(from: number): number | undefined {
    return this.#firstClear(0, from);
  }

  #firstClear(level: number, from: number): number | undefined {
    const size = this.#sizes[level] ?? 0;
    if (from >= size) return undefined;
    const index = Math.floor(from / FAN);
    const here = lowest(~this.#word(level, index) & (FULL << (from % FAN)));
    if (here !== undefined && index * FAN + here < size) return index * FAN + here;
    const next = level + 1 < this.#levels.length ? this.#firstClear(level + 1, index + 1) : undefined;
    const there = next === undefined ? undefined : lowest(~this.#word(level, next));
    return next === undefined || there === undefined ? undefined : next * FAN + there;
  }

  #level(level: number): Map<number, number> {
    return this.#levels[level] as Map<number, number>;
  }

  #word(level: number, index: number): number {
    return this.#levels[level]?.get(index) ?? 0;
  }

  /** What a word looks like when all of its numbers are in the set; the last one of a level may be shorter. */
  #full(level: number, index: number): number {
    const bits = Math.min(FAN, (this.#sizes[level] ?? 0) - index * FAN);
    return bits === FAN ? FULL : 2 ** bits - 1;
  }
}

/** Number of the lowest bit that is set. */
function lowest(word: number): number | undefined {
  return word === 0 ? undefined : 31 - Math.clz32(word & -word);
}
