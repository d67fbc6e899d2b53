import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { type Candidate, couplings, nextStage } from "./stages.js";

const sizes = { canary: 1, canaryGatewayIds: [], batchPercent: 50 };
const gateway = (gatewayId: string, change: Partial<Candidate> = {}): Candidate => ({
  ...{ gatewayId, siteId: `site of ${gatewayId}`, hubOf: [], coupling: gatewayId, isReady: true },
  ...change,
});
const [a, b, c, d] = ["a", "b", "c", "d"].map((id) => gateway(id)) as [Candidate, Candidate, Candidate, Candidate];

describe("a stage", () => {
  it("is the canary first, by number or by name, then a share of the whole", () => {
    expect(nextStage([a, b, c, d], sizes, 4, true)).toEqual(["a"]);
    expect(nextStage([a, b, c, d], { ...sizes, canary: 3 }, 4, true)).toEqual(["a", "b", "c"]);
    expect(nextStage([a, b, c, d], { ...sizes, canaryGatewayIds: ["c", "d", "elsewhere"] }, 4, true)).toEqual([
      "c",
      "d",
    ]);
    expect(nextStage([a, b, c, d], { ...sizes, canaryGatewayIds: ["elsewhere"] }, 4, true)).toEqual(["a"]);
    expect(nextStage([a, b, c, d], { ...sizes, canary: 0 }, 4, true)).toEqual(["a", "b"]);
    expect(nextStage([b, c, d], sizes, 4, false)).toEqual(["b", "c"]);
    expect(nextStage([b, c, d], { ...sizes, batchPercent: 1 }, 4, false)).toEqual(["b"]);
  });

  it("leaves out who is not ready, but does not go on without a canary that was named", () => {
    const away = gateway("b", { isReady: false });
    expect(nextStage([away, c, d], sizes, 4, false)).toEqual(["c", "d"]);
    expect(nextStage([away, c, d], { ...sizes, canaryGatewayIds: ["b"] }, 4, true)).toEqual([]);
    expect(nextStage([away], sizes, 4, false)).toEqual([]);
  });

  it("has one of a redundant pair, unless both have to go together, however many that are", () => {
    const all = { ...sizes, batchPercent: 100 };
    const twin = gateway("b", { siteId: a.siteId });
    expect(nextStage([a, twin, c], all, 3, false)).toEqual(["a", "c"]);
    const hubs = [gateway("h", { hubOf: ["n"] }), gateway("i", { hubOf: ["m", "n"] }), gateway("j", { hubOf: ["m"] })];
    expect(nextStage(hubs, all, 3, false)).toEqual(["h", "j"]);
    const bound = [a, twin, c].map((each) => ({ ...each, coupling: "x" }));
    expect(nextStage([...bound, d], sizes, 4, true)).toEqual(["a", "b", "c"]);
    const [first] = bound as [Candidate];
    expect(nextStage([{ ...first, isReady: false }, ...bound.slice(1), d], sizes, 4, true)).toEqual(["d"]);
  });

  it("groups all that is bound, directly or by others, and brings everybody there in the end", () => {
    expect([
      ...couplings(
        ["a", "b", "c", "d"],
        [
          { a: "a", b: "b" },
          { a: "b", b: "c" },
          { a: "d", b: "gone" },
        ],
      ),
    ]).toEqual([
      ["a", "c"],
      ["b", "c"],
      ["c", "c"],
      ["d", "d"],
    ]);
    const ids = Array.from({ length: 12 }, (_, i) => `g${i}`);
    const one = fc.constantFrom(...ids);
    const world = fc.record({
      bound: fc.array(fc.record({ a: one, b: one }), { maxLength: 6 }),
      sites: fc.array(fc.nat(5), { minLength: 12, maxLength: 12 }),
      canary: fc.nat(3),
      canaryGatewayIds: fc.array(one, { maxLength: 3 }),
      batchPercent: fc.integer({ min: 1, max: 100 }),
    });
    fc.assert(
      fc.property(world, ({ bound, sites, ...sizes }) => {
        const coupling = couplings(ids, bound);
        let left = ids.map((id, i) => gateway(id, { siteId: `${sites[i]}`, coupling: coupling.get(id) ?? id }));
        for (let stage = 0; left.length > 0; stage++) {
          const chosen = nextStage(left, sizes, ids.length, stage === 0);
          expect(chosen.length).toBeGreaterThan(0);
          const [inside, outside] = [
            left.filter((x) => chosen.includes(x.gatewayId)),
            left.filter((x) => !chosen.includes(x.gatewayId)),
          ];
          for (const x of inside) {
            expect(outside.some((y) => y.coupling === x.coupling)).toBe(false);
            expect(inside.some((y) => y.siteId === x.siteId && y.coupling !== x.coupling)).toBe(false);
          }
          left = outside;
        }
      }),
    );
  });
});
