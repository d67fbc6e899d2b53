import { natDetectionHash } from "../crypto/index.js";
import { NOTIFY, notification } from "../wire/index.js";
import type { NotifyPayload, Payload } from "../wire/types.js";
import type { From, IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}

/** `spiR` is 0 in the request. A forced claim puts random octets where our address would be hashed. */
export function natNotifies(turn: Turn, sa: IkeSa, spiR: bigint, at: From = sa): NotifyPayload[] {
  const source = sa.nat.forced ? turn.core.rng.bytes(20) : natDetectionHash(sa.spiI, spiR, at.local);
  return [
    notification("NAT_DETECTION_SOURCE_IP", source),
    notification("NAT_DETECTION_DESTINATION_IP", natDetectionHash(sa.spiI, spiR, at.remote)),
  ];
}

/** Whether the peer takes part in NAT traversal. */
export function detectsNat(payloads: readonly Payload[]): boolean {
  return payloads.some((p) => p.kind === "N" && p.type === NOTIFY.NAT_DETECTION_DESTINATION_IP);
}

/** Who is behind a NAT, judged by the peer's notifications; nobody when it sent none. Several sources may be claimed. */
export function detectNat(
  sa: IkeSa,
  spiR: bigint,
  payloads: readonly Payload[],
): Pick<IkeSa["nat"], "local" | "remote"> {
  const sources: Uint8Array[] = [];
  let destination: Uint8Array | undefined;
  for (const p of payloads) {
    if (p.kind !== "N") continue;
    if (p.type === NOTIFY.NAT_DETECTION_SOURCE_IP) sources.push(p.data);
    else if (p.type === NOTIFY.NAT_DETECTION_DESTINATION_IP) destination = p.data;
  }
  if (sources.length === 0 || destination === undefined) return { local: false, remote: false };
  const remote = natDetectionHash(sa.spiI, spiR, sa.remote);
  return {
    local: !equal(destination, natDetectionHash(sa.spiI, spiR, sa.local)),
    remote: !sources.some((hash) => equal(hash, remote)),
  };
}

/** Whether ESP goes inside UDP (RFC 3948). */
export function encapsulates({ nat }: Pick<IkeSa, "nat">): boolean {
  return nat.local || nat.remote || nat.forced;
}
