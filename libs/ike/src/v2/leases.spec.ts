import { IpAddress } from "@sallyport/base";
import fc from "fast-check";
import type { AddressPool } from "../config.js";
import { Leases } from "./leases.js";
import { Occupancy } from "./occupancy.js";

const ip = (text: string) => IpAddress.parse(text);
const pool = (id: string, ...ranges: (readonly [string, string])[]): AddressPool => ({
  id,
  ranges: ranges.map(([first, last]) => ({ first: ip(first), last: ip(last) })),
});
const asking = { family: 4, identity: "p a", pools: ["p"], fixed: undefined, wanted: undefined, again: true } as const;

function leases(pools: readonly AddressPool[], reserved: readonly string[] = []): Leases {
  const out = new Leases();
  out.configure(pools, reserved.map(ip));
  return out;
}

describe("a set that finds gaps", () => {
  it("does what a plain set does", () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 2500 })
          .chain((size) =>
            fc.tuple(
              fc.constant(size),
              fc.array(fc.tuple(fc.boolean(), fc.nat(size - 1), fc.nat(40)), { maxLength: 300 }),
            ),
          ),
        ([size, steps]) => {
          const [set, model] = [new Occupancy(size), new Set<number>()];
          const gap = (from: number) => {
            for (let i = from; i < size; i++) if (!model.has(i)) return i;
            return undefined;
          };
          for (const [add, from, run] of steps) {
            for (let n = from; n < Math.min(size, from + run * 3); n++) {
              if (add) set.add(n);
              else set.delete(n);
              if (add) model.add(n);
              else model.delete(n);
            }
            expect([set.firstFree(0), set.firstFree(from), set.has(from)]).toEqual([
              gap(0),
              gap(from),
              model.has(from),
            ]);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("is as fast in a space of 2^32 as in a small one", () => {
    const set = new Occupancy(2 ** 32);
    for (let n = 0; n < 20_000; n++) set.add(2 ** 31 + n);
    set.add(2 ** 32 - 1);
    expect(set.firstFree(2 ** 31)).toBe(2 ** 31 + 20_000);
    expect(set.firstFree(2 ** 32 - 1)).toBeUndefined();
  });
});

describe("leases", () => {
  it("gives an identity its own address, before and after a restart", () => {
    const twelve = [pool("p", ["10.16.0.1", "10.31.255.254"])];
    const [a, b] = [leases(twelve), leases(twelve)];
    for (const identity of ["p alice", "p bob", "p carol"]) {
      const address = a.choose({ ...asking, identity });
      expect(b.choose({ ...asking, identity })).toEqual(address);
    }
  });

  it("keeps a lease while one of its holders is left, then gives it to the same identity again", () => {
    const table = leases([pool("p", ["10.0.0.1", "10.0.0.9"])]);
    const address = ip("10.0.0.7");
    const held = { identity: "p a", addresses: [address] };
    table.moved(1, undefined, held);
    table.moved(2, undefined, held);
    table.moved(1, held, undefined);
    expect(table.choose({ ...asking, identity: "p b", wanted: address })).not.toEqual(address);
    expect(table.choose(asking)).toEqual(address);
    expect(table.choose({ ...asking, again: false })).not.toEqual(address);
    table.moved(2, held, undefined);
    expect(table.size).toBe(0);
    expect(table.choose({ ...asking, again: false })).toEqual(address);
  });

  it("gives a user's own address to nobody else", () => {
    const table = leases([pool("p", ["10.0.0.1", "10.0.0.2"])], ["10.0.0.1"]);
    expect(table.choose({ ...asking, identity: "p b", wanted: ip("10.0.0.1") })).toEqual(ip("10.0.0.2"));
    expect(table.choose({ ...asking, fixed: ip("10.0.0.1") })).toEqual(ip("10.0.0.1"));
    table.moved(1, undefined, { identity: "p b", addresses: [ip("10.0.0.2")] });
    expect(table.choose({ ...asking, identity: "p c" })).toBeUndefined();
  });

  it("keeps leases over another configuration of the pools", () => {
    const table = leases([pool("p", ["10.0.0.1", "10.0.0.2"])]);
    table.moved(1, undefined, { identity: "p a", addresses: [ip("10.0.0.2")] });
    table.configure([pool("p", ["10.0.0.2", "10.0.0.3"])], []);
    expect(table.choose({ ...asking, identity: "p b" })).toEqual(ip("10.0.0.3"));
    expect(table.status()).toEqual([{ pool: "p", size: 2, taken: 1 }]);
  });

  it("serves a whole IPv6 prefix", () => {
    const table = leases([pool("six", ["2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"])]);
    const about = { ...asking, family: 6, pools: ["six"] } as const;
    const [a, b] = [table.choose(about), table.choose({ ...about, identity: "p b" })];
    expect(a?.family).toBe(6);
    expect(a).not.toEqual(b);
  });

  it("never gives one address to two identities, nor refuses one while any is free", () => {
    const size = 6;
    const step = fc.record({ who: fc.nat(9), leaves: fc.boolean(), wanted: fc.option(fc.integer({ min: 1, max: 8 })) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const table = leases([pool("p", ["10.0.0.1", "10.0.0.2"], ["10.0.0.5", "10.0.0.8"])]);
        const model = new Map<number, string>();
        for (const { who, leaves, wanted } of steps) {
          const identity = `p ${who}`;
          const held = model.get(who);
          if (leaves) {
            if (held) table.moved(who, { identity, addresses: [ip(held)] }, undefined);
            model.delete(who);
            continue;
          }
          const given = table.choose({ ...asking, identity, wanted: wanted ? ip(`10.0.0.${wanted}`) : undefined });
          const others = [...model].filter(([other]) => other !== who).map(([, address]) => address);
          if (given === undefined) {
            expect(others.length).toBe(size);
            continue;
          }
          expect(others).not.toContain(given.toString());
          if (wanted && wanted !== 3 && wanted !== 4 && !others.includes(`10.0.0.${wanted}`)) {
            expect(given.toString()).toBe(`10.0.0.${wanted}`);
          } else if (held) expect(given.toString()).toBe(held);
          const before = held ? { identity, addresses: [ip(held)] } : undefined;
          table.moved(who, before, { identity, addresses: [given] });
          model.set(who, given.toString());
        }
        expect(table.status()).toEqual([{ pool: "p", size, taken: model.size }]);
      }),
      { numRuns: 500 },
    );
  });
});
