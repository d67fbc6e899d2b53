import type { Header, Payload } from "../wire/types.js";
import { fault } from "./faults.js";
import { octetsOf } from "./partials.js";
import type { IkeSa, Partial, Sealed } from "./sa.js";
import type { Turn } from "./turn.js";

/** Octets that every path carries in one packet: RFC 1122 §3.3.3, RFC 8200 §5. */
const EVERYWHERE = { 4: 576, 6: 1280 } as const;
const IP_HEADER = { 4: 20, 6: 40 } as const;
const UDP_HEADER = 8;
const NON_ESP_MARKER = 4;
/** Unanswered so often, a message may be too big for the path rather than lost. */
const TRIES_BEFORE_SMALLER = 2;

/** Octets of the IP packets that messages are cut to. */
function packetBytes(sa: IkeSa): number {
  return Math.min(sa.peer?.fragmentSize ?? 0, sa.packetBytes);
}

function messageBytes(sa: IkeSa, packet: number): number {
  return packet - IP_HEADER[sa.remote.address.family] - UDP_HEADER - NON_ESP_MARKER;
}

/** Encrypts a message, in fragments where it is too long and the peer takes them (RFC 7383 §2.5). */
export function seal(turn: Turn, sa: IkeSa, header: Header, payloads: readonly Payload[]): Sealed {
  turn.trace(sa, "out", header, payloads);
  if (!sa.protector) throw fault("ike/unexpected", "no keys yet");
  if (!sa.fragments || !sa.peer?.fragmentation)
    return { datagrams: [sa.protector.seal(header, payloads, turn.core.rng)] };
  const packet = packetBytes(sa);
  const datagrams = sa.protector.sealFragments(header, payloads, turn.core.rng, messageBytes(sa, packet));
  const least = EVERYWHERE[sa.remote.address.family];
  const fits = datagrams.every((d) => d.length <= messageBytes(sa, least));
  return fits ? { datagrams } : { datagrams, whole: { header, payloads } };
}

/**
 * The same message in fragments that pass everywhere, when it has been sent `tries` times again in vain; so are later ones then
 * (RFC 7383 §2.5.2). Undefined when there is nothing to gain.
 */
export function cutSmaller(turn: Turn, sa: IkeSa, { whole }: Sealed, tries: number): Sealed | undefined {
  if (!whole || tries < TRIES_BEFORE_SMALLER) return undefined;
  sa.packetBytes = EVERYWHERE[sa.remote.address.family];
  turn.count("fragments-made-smaller");
  return { ...seal(turn, sa, whole.header, whole.payloads), whole: undefined };
}

/**
 * Lets the partial messages of an IKE SA become others, in the room that there is for all: the oldest give way, and nobody whom the
 * engine knows does to a stranger. False when there is no room (hostile input 7, 21).
 */
export function keepPartials(turn: Turn, sa: IkeSa, partials: readonly Partial[], half: boolean): boolean {
  const { table, config } = turn.core;
  let octets = table.partials.octets - octetsOf(table.get(sa.serial)?.partials ?? []) + octetsOf(partials);
  for (const serial of octets > config.limits.partialBytes ? table.partials.oldest(half) : []) {
    const other = serial === sa.serial ? undefined : turn.edit(serial);
    if (!other) continue;
    octets -= octetsOf(other.partials);
    other.partials = [];
    turn.count("partial-message-dropped");
    if (octets <= config.limits.partialBytes) break;
  }
  if (octets > config.limits.partialBytes) return false;
  sa.partials = partials;
  return true;
}
