import { IpAddress } from "@sallyport/base";
import fc from "fast-check";
import { givenRanges, isGiven, parseRange, poolSize, rangesOverlap, rangeText, shareOf } from "./ranges.js";

const four = (n: number) => IpAddress.fromBigInt(4, BigInt(n >>> 0));
const range = fc
  .tuple(fc.integer({ min: 0x0a000000, max: 0x0aff0000 }), fc.nat(2_000))
  .map(([first, more]) => `${four(first)}-${four(first + more)}`);
const prefix = fc.tuple(fc.nat(0xffff), fc.integer({ min: 22, max: 32 })).map(([n, length]) => {
  const mask = length === 32 ? 0xffffffff : ~(0xffffffff >>> length);
  return `${four((0x0a000000 + n * 256) & mask)}/${length}`;
});

test.each([
  ["10.9.0.0/24", 254n],
  ["10.9.0.0/31", 2n],
  ["10.9.0.7", 1n],
  ["10.9.0.0-10.9.0.255", 256n],
  ["2001:db8::/120", 255n],
])("of %s, %d addresses are given", (text, size) => {
  expect(poolSize({ addresses: [text] })).toBe(size);
});

test("what is excepted is not given", () => {
  const pool = { addresses: ["10.9.0.0/29"], except: ["10.9.0.2-10.9.0.3", "10.9.0.6"] };
  const ranges = givenRanges(pool);
  const given = [0, 1, 2, 3, 4, 5, 6, 7].filter((n) => isGiven(ranges, IpAddress.parse(`10.9.0.${n}`)));
  expect(given).toEqual([1, 4, 5]);
  expect(poolSize(pool)).toBe(3n);
});

test.each([
  ["2001:DB8:0::1-2001:db8::2", "2001:db8::1-2001:db8::2"],
  ["10.0.0.1", "10.0.0.1/32"],
])("the canonical text of %s is %s", (text, canonical) => {
  expect(rangeText(text)).toBe(canonical);
});

test.each(["10.0.0.9-10.0.0.1", "10.0.0.1-2001:db8::1", "10.0.0.1-10.0.0.2-10.0.0.3", "x"])(
  "%s is no range",
  (text) => {
    expect(() => parseRange(text)).toThrow();
  },
);

describe("shares of a pool", () => {
  test("give each of its addresses once", () => {
    fc.assert(
      fc.property(fc.oneof(range, prefix), fc.integer({ min: 1, max: 16 }), (text, shares) => {
        const parts = Array.from({ length: shares }, (_, i) => shareOf([text], shares, i).map(parseRange)).flat();
        for (const [i, a] of parts.entries()) {
          expect(parts.slice(i + 1).some((b) => rangesOverlap(a, b))).toBe(false);
        }
        const total = parts.reduce((n, r) => n + r.last.toBigInt() - r.first.toBigInt() + 1n, 0n);
        expect(total).toBe(poolSize({ addresses: [text] }));
        const all = givenRanges({ addresses: [text] });
        expect(parts.every((r) => isGiven(all, r.first) && isGiven(all, r.last))).toBe(true);
      }),
    );
  });

  test("keep their borders when the pool grows by another range", () => {
    const before = shareOf(["10.9.0.0/24"], 4, 2);
    expect(shareOf(["10.9.0.0/24", "10.10.0.0/24"], 4, 2).slice(0, before.length)).toEqual(before);
  });
});
