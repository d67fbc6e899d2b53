import { IpAddress } from "@sallyport/base";
import type { AddressPool } from "../config.js";
import { Occupancy } from "./occupancy.js";

const MOST = 2 ** 32;

interface Piece {
  readonly first: bigint;
  /** Number of its first address. */
  readonly from: number;
  readonly count: number;
}

/** Which addresses of a pool are taken. Addresses have numbers, in the order of the ranges. */
export class Pool {
  readonly size: number;
  readonly family: 4 | 6 | undefined;
  readonly #pieces: readonly Piece[];
  readonly #taken: Occupancy;
  #count = 0;

  constructor(readonly config: AddressPool) {
    const pieces: Piece[] = [];
    let from = 0;
    for (const range of config.ranges) {
      const first = range.first.toBigInt();
      const count = Number(min(range.last.toBigInt() - first + 1n, BigInt(MOST - from)));
      if (count <= 0) continue;
      pieces.push({ first, from, count });
      from += count;
    }
    this.#pieces = pieces;
    this.size = from;
    this.family = config.ranges[0]?.first.family;
    this.#taken = new Occupancy(from);
  }

  /** Addresses that are taken. */
  get taken(): number {
    return this.#count;
  }

  /** Undefined for addresses of other pools. */
  #numberOf(address: IpAddress): number | undefined {
    if (address.family !== this.family) return undefined;
    const value = address.toBigInt();
    for (const { first, from, count } of this.#pieces) {
      if (value >= first && value < first + BigInt(count)) return from + Number(value - first);
    }
    return undefined;
  }

  has(address: IpAddress): boolean {
    return this.#numberOf(address) !== undefined;
  }

  isFree(address: IpAddress): boolean {
    const number = this.#numberOf(address);
    return number !== undefined && !this.#taken.has(number);
  }

  take(address: IpAddress): void {
    const number = this.#numberOf(address);
    if (number === undefined || this.#taken.has(number)) return;
    this.#taken.add(number);
    this.#count++;
  }

  free(address: IpAddress): void {
    const number = this.#numberOf(address);
    if (number === undefined || !this.#taken.has(number)) return;
    this.#taken.delete(number);
    this.#count--;
  }

  /** A free address that is the same each time as long as the same ones are taken, and mostly even when others are. */
  freeFor(name: string): IpAddress | undefined {
    if (this.size === 0 || this.family === undefined) return undefined;
    const home = hash(name) % this.size;
    const number = this.#taken.firstFree(home) ?? this.#taken.firstFree(0);
    const piece = number === undefined ? undefined : this.#pieces.findLast((p) => p.from <= number);
    if (number === undefined || !piece) return undefined;
    return IpAddress.fromBigInt(this.family, piece.first + BigInt(number - piece.from));
  }
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

/** FNV-1a with the last steps of MurmurHash3, so that similar names spread: 32 bits. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
