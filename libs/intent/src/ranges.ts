import { IpAddress, Prefix } from "@sallyport/base";

/** Addresses `first`…`last`, both inclusive, of one family. */
export interface Range {
  readonly first: IpAddress;
  readonly last: IpAddress;
}

/** What of a pool says which addresses it gives: see `PoolIntent`. */
export interface PoolRanges {
  readonly addresses: readonly string[];
  readonly except?: readonly string[] | undefined;
}

/** `10.9.0.0/24`, `10.9.0.5`, `10.9.0.5-10.9.0.9`. Throws a `base/…` fault or an error that says what would be right. */
export function parseRange(text: string): Range {
  const [from = "", to, ...more] = text.split("-");
  if (to === undefined) {
    const { first, last } = Prefix.parse(from);
    return { first, last };
  }
  const [first, last] = [IpAddress.parse(from.trim()), IpAddress.parse(to.trim())];
  if (more.length > 0 || first.family !== last.family || first.toBigInt() > last.toBigInt()) {
    throw new Error("a range such as 10.9.0.5-10.9.0.9, the lower address first");
  }
  return { first, last };
}

/** The canonical text of what `parseRange` reads. Throws as that does. */
export function rangeText(text: string): string {
  const { first, last } = parseRange(text);
  return text.includes("-") ? `${first}-${last}` : Prefix.parse(text).toString();
}

export const rangesOverlap = (a: Range, b: Range) =>
  a.first.family === b.first.family &&
  a.first.toBigInt() <= b.last.toBigInt() &&
  b.first.toBigInt() <= a.last.toBigInt();

const rangeSize = ({ first, last }: Range) => last.toBigInt() - first.toBigInt() + 1n;

/** A network's own address and its broadcast address are nobody's. */
function usable(text: string): Range {
  const range = parseRange(text);
  const { first, last } = range;
  if (text.includes("-") || rangeSize(range) < 4n) return range;
  const end = first.family === 4 ? last.toBigInt() - 1n : last.toBigInt();
  return {
    first: IpAddress.fromBigInt(first.family, first.toBigInt() + 1n),
    last: IpAddress.fromBigInt(first.family, end),
  };
}

function without(range: Range, hole: Range): Range[] {
  const { family } = range.first;
  const [low, high] = [range.first.toBigInt(), range.last.toBigInt()];
  const [from, to] = [hole.first.toBigInt(), hole.last.toBigInt()];
  if (family !== hole.first.family || to < low || from > high) return [range];
  const piece = (a: bigint, b: bigint) =>
    a > b ? [] : [{ first: IpAddress.fromBigInt(family, a), last: IpAddress.fromBigInt(family, b) }];
  return [...piece(low, from - 1n), ...piece(to + 1n, high)];
}

/** What a pool gives: its addresses but for those that are nobody's, those that are excepted, and `own`. */
export function givenRanges({ addresses, except = [] }: PoolRanges, own: readonly IpAddress[] = []): Range[] {
  const holes = [...except.map(parseRange), ...own.map((a) => ({ first: a, last: a }))];
  return holes.reduce<Range[]>(
    (ranges, hole) => ranges.flatMap((range) => without(range, hole)),
    addresses.map(usable),
  );
}

/** How many addresses a pool gives. */
export function poolSize(pool: PoolRanges): bigint {
  return givenRanges(pool).reduce((n, range) => n + rangeSize(range), 0n);
}

/** Whether `address` is one that a pool of these ranges gives. */
export function isGiven(ranges: readonly Range[], address: IpAddress): boolean {
  return ranges.some((range) => rangesOverlap(range, { first: address, last: address }));
}

/**
 * The part of a pool that the holder of share `share` (0 to `shares` − 1) gives: every range cut into `shares` blocks of the same size, as
 * far as that goes, so that a range that is added moves no border of another. What is excepted is left in.
 */
export function shareOf(addresses: readonly string[], shares: number, share: number): string[] {
  return addresses.flatMap((text) => {
    const range = usable(text);
    const [low, size] = [range.first.toBigInt(), rangeSize(range)];
    const border = (n: number) => low + (size * BigInt(n)) / BigInt(shares);
    const [first, end] = [border(share), border(share + 1)];
    const at = (value: bigint) => IpAddress.fromBigInt(range.first.family, value);
    return first === end ? [] : [`${at(first)}-${at(end - 1n)}`];
  });
}
