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

interface Owned {
  readonly owner: PrefixOwner;
  readonly prefix: Prefix;
}

/** Every two prefixes of the fleet that overlap: among sites, external peers and address pools, or within one owner. */
export function findOverlaps(model: FleetModel): Overlap[] {
  const work = overlapsIn(model);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** As `findOverlaps`, owner by owner: the caller may do something else in between. */
export function* overlapsIn(model: FleetModel): Generator<undefined, Overlap[]> {
  const owned: Owned[] = [];
  for (const [i, { id, name, subnets }] of model.sites.entries()) {
    for (const [j, prefix] of subnets.entries()) {
      const field = `sites[${i}].subnets[${j}]`;
      owned.push({ owner: { kind: "site", id, name, prefix, field }, prefix: Prefix.parse(prefix, field) });
    }
    yield;
  }
  for (const [i, { id, name, remoteSubnets }] of model.externalPeers.entries()) {
    for (const [j, prefix] of remoteSubnets.entries()) {
      const field = `externalPeers[${i}].remoteSubnets[${j}]`;
      owned.push({ owner: { kind: "external", id, name, prefix, field }, prefix: Prefix.parse(prefix, field) });
    }
    yield;
  }
  for (const [i, { id, name, addresses }] of (model.pools ?? []).entries()) {
    for (const [j, text] of addresses.entries()) {
      const owner: PrefixOwner = { kind: "pool", id, name, prefix: text, field: `pools[${i}].addresses[${j}]` };
      const { first, last } = parseRange(text);
      for (const prefix of rangeToPrefixes(first, last)) owned.push({ owner, prefix });
    }
    yield;
  }
  owned.sort((x, y) => comparePrefixes(x.prefix, y.prefix));
  yield;
  return nested(owned);
}

/** Prefixes either nest or are disjoint, so those that hold the current one form a stack. */
function nested(owned: readonly Owned[]): Overlap[] {
  const around: Owned[] = [];
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
