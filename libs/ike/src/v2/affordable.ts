import type { IpAddress } from "@sallyport/base";
import type { Selector } from "@sallyport/dataplane";
import type { Child } from "./child-sa.js";
import { fault } from "./faults.js";
import { configured, endsOf, rangesText, sameRanges } from "./narrow.js";
import type { IkeSa } from "./sa.js";
import { MAX_SELECTORS, toSelectors } from "./selectors.js";
import { childAhead } from "./table.js";
import { packetsOf } from "./templates.js";
import type { Turn } from "./turn.js";

type Packets = Pick<Child, "config" | "local" | "remote">;
type Wanted = Packets & Pick<Child, "reqid" | "spiOut">;

/** Selectors of the packets that go into a CHILD SA; undefined when they are too many. */
export function selectorsOf(of: Packets): readonly Selector[] | undefined {
  const { local, remote } = packetsOf(of.config, of);
  return toSelectors(local, remote);
}

function isAsConfigured(sa: IkeSa, { config, local, remote }: Packets): boolean {
  const have = configured(config, endsOf(sa));
  return sameRanges(local, have.local) && sameRanges(remote, have.remote);
}

/** How many selectors the peer has made by narrowing, but for those of `reqid`, which share their policies. */
function selectorsMade(sa: IkeSa, reqid: number): number {
  const counted = new Set([reqid]);
  let count = 0;
  for (const child of sa.children) {
    if (counted.has(child.reqid) || isAsConfigured(sa, child)) continue;
    counted.add(child.reqid);
    count += selectorsOf(child)?.length ?? 0;
  }
  return count;
}

function requireFew(turn: Turn, sa: IkeSa, wanted: Wanted): void {
  const own = isAsConfigured(sa, wanted);
  const most = own ? MAX_SELECTORS : turn.core.config.limits.selectorsPerSa - selectorsMade(sa, wanted.reqid);
  const selectors = selectorsOf(wanted);
  if (selectors && selectors.length <= most) return;
  const ours = `at most ${most} pairs of prefixes and blocks of ports`;
  const theirs = `${rangesText(wanted.local)} === ${rangesText(wanted.remote)}`;
  throw fault("ike/ts-unacceptable", "the traffic selectors are too fine", { facts: { ours, theirs } });
}

/**
 * Whether a CHILD SA other than `except` sends to `destination` on this SPI. Two cannot: the data plane knows SAs by both, so that the
 * end of one would be that of the other, which may be another peer's behind the same NAT.
 */
export function isTaken(turn: Turn, destination: IpAddress, spiOut: number, except?: number): boolean {
  for (const serial of turn.core.table.ofSpiOut(spiOut)) {
    const sa = turn.look(serial);
    if (!sa) continue;
    const stands = (c: Child) =>
      c.spiOut === spiOut && c.serial !== except && c.path.remote.address.equals(destination);
    if (sa.children.some(stands)) return true;
    const ahead = sa.waits.some((wait) => childAhead(wait)?.spiOut === spiOut);
    if (ahead && sa.remote.address.equals(destination)) return true;
  }
  return false;
}

/**
 * Whether there is room for a CHILD SA.
 * @throws ike/ts-unacceptable when its selectors are too fine, ike/data-plane when its SPI is another's
 */
export function requireAffordable(turn: Turn, sa: IkeSa, wanted: Wanted): void {
  requireFew(turn, sa, wanted);
  if (!isTaken(turn, sa.remote.address, wanted.spiOut)) return;
  throw fault("ike/data-plane", `SPI ${wanted.spiOut} to ${sa.remote.address} is in use`, {
    value: String(wanted.spiOut),
  });
}
