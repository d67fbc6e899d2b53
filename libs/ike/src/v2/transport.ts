import type { IpAddress } from "@sallyport/base";
import type { TrafficRange } from "../config.js";
import { fault } from "./faults.js";
import { type Ends, rangesText } from "./narrow.js";
import type { IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

function placed(range: TrafficRange, address: IpAddress): TrafficRange {
  const single = range.first.equals(range.last) && range.first.family === address.family;
  return single ? { ...range, first: address, last: address } : range;
}

/**
 * The peer's selectors for transport mode with the addresses that this end sees (RFC 7296 §2.23.1): it names an end behind a
 * NAT by another address. Only single addresses are exchanged.
 */
export function seenThroughNat({ nat, local, remote }: Pick<IkeSa, "nat" | "local" | "remote">, said: Ends): Ends {
  return {
    local: nat.local ? said.local.map((r) => placed(r, local.address)) : said.local,
    remote: nat.remote ? said.remote.map((r) => placed(r, remote.address)) : said.remote,
  };
}

/**
 * Two peers behind one NAT look alike: packets for both would be one flow, and the later would get those of the earlier
 * (TUN-07). Faults `ike/ts-unacceptable` when another identity has this flow already.
 */
export function refuseSecondOwner(turn: Turn, sa: IkeSa, reqid: number, { local, remote }: Ends): void {
  for (const serial of turn.core.table.ofReqid(reqid)) {
    const other = serial === sa.serial ? undefined : turn.look(serial);
    if (!other || other.identity === sa.identity || other.phase !== "established") continue;
    if (!other.children.some((c) => c.reqid === reqid && c.mode === "transport")) continue;
    const facts = { ours: "in use by another peer", theirs: `${rangesText(local)} === ${rangesText(remote)}` };
    throw fault("ike/ts-unacceptable", "another peer behind the same NAT has these traffic selectors", { facts });
  }
}
