import { Prefix } from "@sallyport/base";
import fc from "fast-check";
import { fleet, PARTNER, site } from "../testing/fleets.js";
import { findOverlaps, overlapFault } from "./overlaps.js";

describe("findOverlaps", () => {
  test("names both owners", () => {
    const model = fleet({
      sites: [site(0), site(1, "10.2.0.0/24")],
      externalPeers: [{ ...PARTNER, remoteSubnets: ["10.2.0.0/16"] }],
    });
    const [overlap, ...more] = findOverlaps(model);
    expect(more).toEqual([]);
    if (!overlap) throw new Error("no overlap found");
    expect(overlapFault(overlap)).toMatchObject({
      code: "intent/overlap",
      field: "sites[1].subnets[0]",
      value: "10.2.0.0/24",
      message: 'site "branch" (10.2.0.0/24) overlaps external peer "Partner" (10.2.0.0/16)',
      facts: { mineId: "site-branch", otherId: "partner" },
    });
    expect(overlapFault(overlap, "a")).toMatchObject({
      field: "externalPeers[0].remoteSubnets[0]",
      facts: { mineId: "partner" },
    });
  });

  test("finds a range of an address pool that reaches into a site, another pool or an external peer", () => {
    const pools = [
      { id: "p0", name: "people", addresses: ["10.3.255.250-10.4.0.9"] },
      { id: "p1", name: "guests", addresses: ["10.9.0.0/24"] },
      { id: "p2", name: "more guests", addresses: ["10.8.255.0-10.9.0.0"] },
    ];
    const found = findOverlaps(fleet({ sites: [site(0), site(1), site(2, "10.3.0.0/16")], pools }));
    const owners = found.map(({ a, b }) => [a.id, b.id].sort().join());
    expect([...new Set(owners)].sort()).toEqual(["p0,site-depot", "p1,p2"]);
    const [first] = found;
    if (!first) throw new Error("no overlap found");
    const fault = overlapFault(first, first.a.id === "p0" ? "a" : "b");
    expect(fault).toMatchObject({ field: "pools[0].addresses[0]", value: "10.3.255.250-10.4.0.9" });
    expect(fault.message).toContain('address pool "people"');
  });

  const prefix = fc.oneof(
    fc
      .tuple(fc.nat(255), fc.integer({ min: 0, max: 32 }))
      .map(([n, length]) => `${Prefix.of(Prefix.parse(`10.0.${n}.0`).address, length)}`),
    fc
      .tuple(fc.nat(15), fc.integer({ min: 0, max: 128 }))
      .map(([n, length]) => `${Prefix.of(Prefix.parse(`fd0${n.toString(16)}::`).address, length)}`),
  );

  test("finds exactly the pairs that a comparison of each with each finds", () => {
    fc.assert(
      fc.property(fc.array(fc.array(prefix, { maxLength: 4 }), { maxLength: 6 }), (lists) => {
        const model = fleet({ sites: lists.map((subnets, i) => ({ id: `s${i}`, name: `s${i}`, subnets })) });
        const all = lists.flatMap((subnets, i) =>
          subnets.map((p, j) => ({ p: Prefix.parse(p), field: `sites[${i}].subnets[${j}]` })),
        );
        const expected = all.flatMap((x, i) =>
          all.slice(i + 1).flatMap((y) => (x.p.overlaps(y.p) ? [[x.field, y.field].sort().join()] : [])),
        );
        const found = findOverlaps(model).map(({ a, b }) => [a.field, b.field].sort().join());
        expect(found.sort()).toEqual(expected.sort());
      }),
    );
  });
});
