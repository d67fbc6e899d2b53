import { rangeToPrefixes } from "@sallyport/base";
import type { Selector } from "@sallyport/dataplane";
import type { TrafficRange } from "../config.js";
import { once } from "./memo.js";

/** Policies that one CHILD SA may need in each direction; more are refused. */
export const MAX_SELECTORS = 1024;
const ANY_PORT = 65_535;
const PORT_BITS = 16;

/** ICMP and ICMPv6: the port fields of a traffic selector are the type and the code, of either end (RFC 7296 §3.13.1). */
export function isIcmp(protocol: number): boolean {
  return protocol === 1 || protocol === 58;
}

/** Ports whose first `bits` bits are those of `port`. */
interface PortBlock {
  readonly port: number;
  readonly bits: number;
}

type Ports = Pick<TrafficRange, "firstPort" | "lastPort">;

/** The fewest aligned blocks that make up the range, at most 30. */
function portBlocks({ firstPort, lastPort }: Ports): PortBlock[] {
  const out: PortBlock[] = [];
  for (let at = firstPort; at <= lastPort; ) {
    let free = 0;
    while (free < PORT_BITS && (at & ((1 << (free + 1)) - 1)) === 0 && at + (1 << (free + 1)) - 1 <= lastPort) free++;
    out.push({ port: at, bits: PORT_BITS - free });
    at += 1 << free;
  }
  return out;
}

type PortFields = Pick<Selector, "sourcePort" | "sourcePortBits" | "destinationPort" | "destinationPortBits">;

const partial = (bits: number) => (bits === PORT_BITS ? undefined : bits);

function source({ port, bits }: PortBlock): PortFields {
  if (bits === 0) return { sourcePort: undefined };
  const sourcePortBits = partial(bits);
  return { sourcePort: port, ...(sourcePortBits && { sourcePortBits }) };
}

function destination({ port, bits }: PortBlock): PortFields {
  if (bits === 0) return { destinationPort: undefined };
  const destinationPortBits = partial(bits);
  return { destinationPort: port, ...(destinationPortBits && { destinationPortBits }) };
}

/** The type is matched where the source port would be and the code where the destination port would be, as kernels do it. */
function icmp({ port, bits }: PortBlock): PortFields {
  const [type, code] = [port >> 8, port & 0xff];
  if (bits === 0) return { sourcePort: undefined, destinationPort: undefined };
  if (bits <= 8) return { ...source({ port: type, bits: 8 + bits }), destinationPort: undefined };
  return { ...source({ port: type, bits: PORT_BITS }), ...destination({ port: code, bits }) };
}

function portFields(protocol: number, local: Ports, remote: Ports): PortFields[] {
  if (isIcmp(protocol)) {
    const firstPort = Math.max(local.firstPort, remote.firstPort);
    const lastPort = Math.min(local.lastPort, remote.lastPort);
    return portBlocks({ firstPort, lastPort }).map(icmp);
  }
  const far = portBlocks(remote).map(destination);
  return portBlocks(local).flatMap((block) => far.map((to) => ({ ...source(block), ...to })));
}

/** Selectors of lists that many SAs share are made once. */
const made = new WeakMap<readonly TrafficRange[], WeakMap<readonly TrafficRange[], readonly Selector[] | "none">>();

/** Outbound data plane selectors, the product of both lists; undefined when there are none or more than `MAX_SELECTORS`. */
export function toSelectors(
  local: readonly TrafficRange[],
  remote: readonly TrafficRange[],
): readonly Selector[] | undefined {
  const byRemote = once(made, local, () => new WeakMap());
  const selectors = once(byRemote, remote, () => product(local, remote) ?? "none");
  return selectors === "none" ? undefined : selectors;
}

function product(local: readonly TrafficRange[], remote: readonly TrafficRange[]): Selector[] | undefined {
  const out: Selector[] = [];
  for (const l of local) {
    for (const r of remote) {
      if (l.first.family !== r.first.family) continue;
      if (l.protocol !== 0 && r.protocol !== 0 && l.protocol !== r.protocol) continue;
      const protocol = l.protocol || r.protocol;
      const ports = portFields(protocol, l, r);
      for (const source of rangeToPrefixes(l.first, l.last)) {
        for (const destination of rangeToPrefixes(r.first, r.last)) {
          if (out.length + ports.length > MAX_SELECTORS) return undefined;
          for (const fields of ports) out.push({ source, destination, protocol, ...fields });
        }
      }
    }
  }
  return out.length > 0 ? out : undefined;
}

const backward = new WeakMap<Selector, Selector>();
const allBackward = new WeakMap<readonly Selector[], readonly Selector[]>();

/** The same packets on their way back; the same object for the same selector, as many SAs share it. */
export function reversed(s: Selector): Selector {
  return once(backward, s, () => turnedRound(s));
}

export function allReversed(selectors: readonly Selector[]): readonly Selector[] {
  return once(allBackward, selectors, () => selectors.map(reversed));
}

/** An ICMP type is the same in both directions. */
function turnedRound(s: Selector): Selector {
  const { source, destination, sourcePort, destinationPort, sourcePortBits, destinationPortBits } = s;
  if (isIcmp(s.protocol)) return { ...s, source: destination, destination: source };
  return {
    source: destination,
    destination: source,
    protocol: s.protocol,
    sourcePort: destinationPort,
    destinationPort: sourcePort,
    ...(destinationPortBits && { sourcePortBits: destinationPortBits }),
    ...(sourcePortBits && { destinationPortBits: sourcePortBits }),
  };
}

/** The packet that raised an acquire, as ranges of one address and, where it shows them, one port or ICMP type and code. */
export function packetRanges(s: Selector): { readonly local: TrafficRange; readonly remote: TrafficRange } {
  const { sourcePort, destinationPort } = s;
  const shows = sourcePort !== undefined && destinationPort !== undefined;
  const both = isIcmp(s.protocol) && shows ? (sourcePort << 8) | destinationPort : undefined;
  return {
    local: rangeOf(s.source, s.protocol, both ?? sourcePort),
    remote: rangeOf(s.destination, s.protocol, both ?? destinationPort),
  };
}

function rangeOf(
  { first, last }: Pick<TrafficRange, "first" | "last">,
  protocol: number,
  port: number | undefined,
): TrafficRange {
  return { first, last, protocol, firstPort: port ?? 0, lastPort: port ?? ANY_PORT };
}
