import fc from "fast-check";
import { MAX_REPLAY_WINDOW, ReplayWindow, SequenceCounter } from "./index.js";

const TWO_32 = 2n ** 32n;
const halves = (n: bigint): [number, number] => [Number(n / TWO_32), Number(n % TWO_32)];

/** The definition, with sets instead of bitmaps. */
class NaiveWindow {
  readonly #seen = new Set<bigint>();
  top = 0n;
  constructor(readonly size: number) {}
  accept(n: bigint): string {
    if (n === 0n || n + BigInt(this.size) <= this.top) return "too-old";
    if (this.#seen.has(n)) return "replayed";
    this.#seen.add(n);
    if (n > this.top) this.top = n;
    return "fresh";
  }
}

const sizes = fc.oneof(
  fc.constantFrom(1, 31, 32, 33, 64, 128, 512, 1024, MAX_REPLAY_WINDOW),
  fc.integer({ min: 1, max: 300 }),
);
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -40, max: 40 }) },
    { weight: 2, arbitrary: fc.integer({ min: -400, max: 400 }) },
    { weight: 1, arbitrary: fc.integer({ min: -5000, max: 20000 }) },
  ),
  { maxLength: 300 },
);

describe("ReplayWindow", () => {
  it.each([
    ["from the start", 0n, false],
    ["near the end of 32 bits", TWO_32 - 3000n, false],
    ["from the start with ESN", 0n, true],
    ["across the turn of the lower half", TWO_32 - 300n, true],
    ["across a later turn", 7n * TWO_32 - 300n, true],
  ])("judges as the definition does %s", (_name, start, esn) => {
    fc.assert(
      fc.property(sizes, steps, (size, moves) => {
        const window = new ReplayWindow(size, esn);
        const naive = new NaiveWindow(size);
        if (start > 0n) {
          window.accept(...halves(start));
          naive.accept(start);
        }
        for (const move of moves) {
          const n = naive.top + BigInt(move);
          if (n < 0n || (!esn && n >= TWO_32)) continue;
          const [high, low] = halves(n);
          // Only the lower half is on the wire, so a number further back than the window looks like one to come.
          const visible = !esn || n + BigInt(size) > naive.top;
          if (visible) expect(window.high(low)).toBe(high);
          const before = window.check(high, low);
          expect(window.accept(high, low)).toBe(before);
          expect(before).toBe(naive.accept(n));
          expect(window.top).toBe(naive.top);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("takes a number from before the first turn as too old", () => {
    const window = new ReplayWindow(64, true);
    window.accept(0, 5);
    const high = window.high(0xffff_fff0);
    expect(high).toBe(-1);
    expect(window.check(high, 0xffff_fff0)).toBe("too-old");
  });

  it("changes nothing on a check", () => {
    const window = new ReplayWindow(64, false);
    expect([window.check(0, 9), window.check(0, 9), window.accept(0, 9), window.check(0, 9)]).toEqual([
      "fresh",
      "fresh",
      "fresh",
      "replayed",
    ]);
  });

  it("of size 0 lets everything pass and still follows the upper half", () => {
    const window = new ReplayWindow(0, true);
    for (const n of [TWO_32 - 2n, TWO_32 - 2n, TWO_32 + 1n, TWO_32 - 5n, TWO_32 + 2n]) {
      const [high, low] = halves(n);
      expect(window.high(low)).toBe(high);
      expect(window.accept(high, low)).toBe("fresh");
    }
    expect(window.top).toBe(TWO_32 + 2n);
  });

  it("goes on after a number, with everything before it taken as seen", () => {
    fc.assert(
      fc.property(sizes, fc.bigInt(1n, 2n ** 40n), fc.integer({ min: 0, max: 100 }), (size, top, back) => {
        const window = new ReplayWindow(size, true);
        window.resume(top);
        const old = top - BigInt(back);
        if (old > 0n) expect(window.check(...halves(old))).toBe(back < size ? "replayed" : "too-old");
        for (const next of [top + 2n, top + 1n]) {
          expect(window.accept(...halves(next))).toBe(size === 1 && next === top + 1n ? "too-old" : "fresh");
          expect(window.accept(...halves(next))).not.toBe("fresh");
        }
        expect(window.top).toBe(top + 2n);
      }),
    );
  });

  it.each([-1, 1.5, MAX_REPLAY_WINDOW + 1])("of size %d is refused", (size) => {
    expect(() => new ReplayWindow(size, false)).toThrow(expect.objectContaining({ code: "esp/bad-window" }));
  });
});

describe("SequenceCounter", () => {
  it("starts with 1", () => {
    const counter = new SequenceCounter(false);
    expect([counter.next(), counter.high, counter.low]).toEqual([true, 0, 1]);
  });

  it("stops before the number would come round (RFC 4303 §3.3.3)", () => {
    const counter = new SequenceCounter(false);
    counter.resume(TWO_32 - 2n);
    expect([counter.next(), counter.value]).toEqual([true, TWO_32 - 1n]);
    expect([counter.next(), counter.next(), counter.value]).toEqual([false, false, TWO_32 - 1n]);
  });

  it("with ESN goes on into the upper half and stops at 2⁶⁴ − 1", () => {
    const counter = new SequenceCounter(true);
    counter.resume(TWO_32 - 1n);
    expect([counter.next(), counter.value]).toEqual([true, TWO_32]);
    counter.resume(2n ** 64n - 2n);
    expect([counter.next(), counter.value, counter.next()]).toEqual([true, 2n ** 64n - 1n, false]);
  });
});
