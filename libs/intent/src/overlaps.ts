import { type Fault, Prefix, rangeToPrefixes } from "@sallyport/base";
import { fault } from "./faults.js";
import { comparePrefixes } from "./fleet.js";
import type { FleetModel } from "./fleet-model.js";
import { parseRange } from "./ranges.js";

/** Whose a prefix is, e.g. `site "Vienna"`. `index` is the owner's place in its list of the model. */
export interface PrefixOwner {
  readonly kind: "site" | "external" | "pool";
  readonly id: string;
  readonly name: string;
  /** As it was entered: of a pool it may be a range. */
  readonly prefix: string;
  /** `sites[2].subnets[0]`, `externalPeers[0].remoteSubnets[1]` or `pools[0].addresses[0]`. */
  readonly field: string;
}

/** `b` is the narrower one, or the later one of two equals. */
export interface Overlap {
  readonly a: PrefixOwner;
  readonly b: PrefixOwner;
}

/** Every two prefixes of the fleet that overlap: among sites, external peers and address pools, or within one owner. */
export function findOverlaps(model: FleetModel): Overlap[] {
  const owned = [
    ...model.sites.flatMap((s, i) =>
      s.subnets.map(
        (prefix, j): PrefixOwner => ({
          kind: "site",
          id: s.id,
          name: s.name,
          prefix,
          field: `sites[${i}].subnets[${j}]`,
        }),
      ),
    ),
    ...model.externalPeers.flatMap((p, i) =>
      p.remoteSubnets.map(
        (prefix, j): PrefixOwner => ({
          kind: "external",
          id: p.id,
          name: p.name,
          prefix,
          field: `externalPeers[${i}].remoteSubnets[${j}]`,
        }),
      ),
    ),
  ].map((owner) => ({ owner, prefix: Prefix.parse(owner.prefix, owner.field) }));
  const given = (model.pools ?? []).flatMap((p, i) =>
    p.addresses.flatMap((text, j) => {
      const owner: PrefixOwner = {
        kind: "pool",
        id: p.id,
        name: p.name,
        prefix: text,
        field: `pools[${i}].addresses[${j}]`,
      };
      const { first, last } = parseRange(text);
      return rangeToPrefixes(first, last).map((prefix) => ({ owner, prefix }));
    }),
  );
  owned.push(...given);
  owned.sort((x, y) => comparePrefixes(x.prefix, y.prefix));
  // Prefixes either nest or are disjoint, so those that hold the current one form a stack.
  const around: typeof owned = [];
  const found: Overlap[] = [];
  for (const next of owned) {
    while (around.length > 0 && !around.at(-1)?.prefix.contains(next.prefix)) around.pop();
    for (const outer of around) found.push({ a: outer.owner, b: next.owner });
    around.push(next);
  }
  return found;
}

const KINDS = { site: "site", external: "external peer", pool: "address pool" } as const;
const ownerText = (o: PrefixOwner) => `${KINDS[o.kind]} "${o.name}" (${o.prefix})`;

/** The fault to refuse an overlap with, seen from the prefix that was just entered. */
export function overlapFault({ a, b }: Overlap, entered: "a" | "b" = "b"): Fault<"intent/overlap"> {
  const [mine, other] = entered === "a" ? [a, b] : [b, a];
  return fault("intent/overlap", `${ownerText(mine)} overlaps ${ownerText(other)}`, {
    field: mine.field,
    value: mine.prefix,
    expected: `addresses that do not overlap ${other.prefix} of ${KINDS[other.kind]} "${other.name}"`,
    facts: { mine: ownerText(mine), other: ownerText(other), mineId: mine.id, otherId: other.id },
  });
}
