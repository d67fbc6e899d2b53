import fc from "fast-check";
import { Repeats } from "./repeats.js";

const LIMITS = { windowMs: 1_000, kinds: 3, subjects: 2 };

describe("what repeats itself", () => {
  it("is told the first time, then the tenth, the hundredth, with how often it was", () => {
    const repeats = new Repeats(LIMITS);
    const told = Array.from({ length: 250 }, () => repeats.add("a", "x", 7)).filter((r) => r !== undefined);
    expect(told.map(({ times, fresh }) => [times, fresh])).toEqual([
      [1, 1],
      [10, 9],
      [100, 90],
    ]);
    expect(told[2]).toMatchObject({ kind: "a", subject: "x", since: 7 });
  });

  it("counts what somebody else has counted before", () => {
    const repeats = new Repeats(LIMITS);
    expect(repeats.add("a", "x", 0, 40)).toMatchObject({ times: 40, fresh: 40 });
    expect(repeats.add("a", "x", 0, 50)).toBeUndefined();
    expect(repeats.add("a", "x", 0, 50)).toMatchObject({ times: 140, fresh: 100 });
  });

  it("is news again in the next window", () => {
    const repeats = new Repeats(LIMITS);
    repeats.add("a", "x", 0);
    expect(repeats.add("a", "x", 999)).toBeUndefined();
    expect(repeats.add("a", "x", 1_000)).toMatchObject({ times: 1, since: 1_000 });
  });

  it("is told apart up to its limits, and the rest together; a flood of one kind hides no other kind", () => {
    const repeats = new Repeats(LIMITS);
    const flood = Array.from({ length: 500 }, (_, i) => repeats.add("a", `x${i}`, 0)).filter((r) => r !== undefined);
    expect(flood.map((r) => `${r.subject} ${r.times}`)).toEqual([
      ...["x0 1", "x1 1", "undefined 1", "undefined 10", "undefined 100"],
    ]);
    expect(repeats.add("b", "x", 0)).toMatchObject({ kind: "b", subject: "x" });
    expect(repeats.add("c", "x", 0)).toMatchObject({ kind: "c" });
    expect(repeats.add("d", "x", 0)).toMatchObject({ kind: undefined, subject: undefined, times: 1 });
    expect(repeats.add("e", "y", 0)).toBeUndefined();
  });

  it("is told a bounded number of times, whatever comes", () => {
    const one = fc.record({ kind: fc.string({ maxLength: 2 }), subject: fc.string({ maxLength: 2 }) });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 2_000 }), (list) => {
        const repeats = new Repeats(LIMITS);
        const told = list.filter(({ kind, subject }) => repeats.add(kind, subject, 5) !== undefined).length;
        // 3 kinds of 2 subjects and the rest of each, and the rest of kinds: 10 counts of at most four orders of magnitude.
        expect(told).toBeLessThanOrEqual(40);
      }),
    );
  });
});
