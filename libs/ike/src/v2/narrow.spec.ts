import { IpAddress, Prefix } from "@sallyport/base";
import fc from "fast-check";
import type { TrafficRange } from "../config.js";
import { narrow, rangesText, sameRanges, toRanges, toSelector, within } from "./narrow.js";

function anyRange(family: 4 | 6): TrafficRange {
  const { first, last } = Prefix.any(family);
  return { first, last, protocol: 0, firstPort: 0, lastPort: 65_535 };
}

/** A small world in which every packet can be tried: addresses 10.0.0.0–15, protocols 6 and 17, ports 0–7. */
const ADDRESSES = Array.from({ length: 16 }, (_, i) => IpAddress.parse(`10.0.0.${i}`));
const range = fc
  .record({ a: fc.nat(15), b: fc.nat(15), protocol: fc.constantFrom(0, 6, 17), p: fc.nat(7), q: fc.nat(7) })
  .map(
    ({ a, b, protocol, p, q }): TrafficRange => ({
      first: ADDRESSES[Math.min(a, b)] as IpAddress,
      last: ADDRESSES[Math.max(a, b)] as IpAddress,
      protocol,
      firstPort: Math.min(p, q),
      lastPort: Math.max(p, q),
    }),
  );
const ranges = fc.array(range, { minLength: 1, maxLength: 4 });

interface Point {
  readonly address: number;
  readonly protocol: number;
  readonly port: number;
}
const WORLD: Point[] = ADDRESSES.flatMap((_, address) =>
  [6, 17].flatMap((protocol) => Array.from({ length: 8 }, (_, port) => ({ address, protocol, port }))),
);

function holds(list: readonly TrafficRange[], { address, protocol, port }: Point): boolean {
  return list.some(
    (r) =>
      (r.first.bytes[3] as number) <= address &&
      address <= (r.last.bytes[3] as number) &&
      (r.protocol === 0 || r.protocol === protocol) &&
      r.firstPort <= port &&
      port <= r.lastPort,
  );
}

test("what is left after narrowing is exactly what both allow", () => {
  fc.assert(
    fc.property(ranges, ranges, (theirs, ours) => {
      const both = narrow(theirs, ours);
      for (const point of WORLD) expect(holds(both, point)).toBe(holds(theirs, point) && holds(ours, point));
    }),
  );
});

test("an answer is within the offer when it is a narrowing of it, and not when it is wider", () => {
  fc.assert(
    fc.property(ranges, ranges, (offer, ours) => {
      const answer = narrow(offer, ours);
      if (answer.length > 0) expect(within(answer, offer)).toBe(true);
      expect(within([anyRange(4)], offer)).toBe(false);
    }),
  );
  expect(within([], [anyRange(4)])).toBe(false);
});

test("the piece that holds the packet's selector comes first", () => {
  const packet: TrafficRange = { ...anyRange(4), first: ADDRESSES[9] as IpAddress, last: ADDRESSES[9] as IpAddress };
  const own = (a: number, b: number): TrafficRange => ({
    ...anyRange(4),
    first: ADDRESSES[a] as IpAddress,
    last: ADDRESSES[b] as IpAddress,
  });
  expect(narrow([packet, own(0, 15)], [own(0, 3), own(8, 11)])).toEqual([own(0, 3), own(8, 11)]);
  expect(narrow([packet], [own(0, 3), own(8, 11)])).toEqual([packet]);
});

test("reversed ranges, foreign kinds and OPAQUE of a TS payload stand for nothing (hostile input 9)", () => {
  const good = toSelector(anyRange(4));
  const [low, high] = [ADDRESSES[1] as IpAddress, ADDRESSES[5] as IpAddress];
  expect(
    toRanges([
      { ...good, start: high, end: low },
      { ...good, start: low, end: IpAddress.any(6) },
      { ...good, startPort: 65_535, endPort: 0 },
      { kind: "raw", type: 9, protocol: 0, data: new Uint8Array(4) },
      good,
    ]),
  ).toEqual([anyRange(4)]);
});

test("texts say prefixes where they can", () => {
  const text = (r: Partial<TrafficRange>) => rangesText([{ ...anyRange(4), ...r }]);
  expect(text({})).toBe("0.0.0.0/0");
  expect(text({ last: IpAddress.parse("0.0.0.2"), protocol: 6, firstPort: 80, lastPort: 80 })).toBe(
    "0.0.0.0-0.0.0.2[6/80]",
  );
  expect(rangesText([])).toBe("none");
  expect(sameRanges([anyRange(4)], [anyRange(6)])).toBe(false);
});

test("ranges of two families have nothing in common (hostile input 9)", () => {
  const low = { ...anyRange(6), first: IpAddress.parse("::"), last: IpAddress.parse("::ffff:ffff") };
  expect(narrow([anyRange(4)], [low])).toEqual([]);
  expect(narrow([low], [anyRange(4)])).toEqual([]);
  expect(within([low], [anyRange(4)])).toBe(false);
});
