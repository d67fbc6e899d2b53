import { IpAddress, isFault, Prefix, rangeToPrefixes } from "@sallyport/base";
import type { TrafficRange } from "@sallyport/ike";
import { fault } from "./faults.js";

/** Names of IP protocols (POL-05); any number from 0 to 255 may be written too. */
const PROTOCOLS: Readonly<Record<string, number>> = {
  any: 0,
  icmp: 1,
  igmp: 2,
  ggp: 3,
  ipencap: 4,
  tcp: 6,
  egp: 8,
  udp: 17,
  dccp: 33,
  ipv6: 41,
  gre: 47,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  ospf: 89,
  ipip: 94,
  pim: 103,
  vrrp: 112,
  l2tp: 115,
  sctp: 132,
  udplite: 136,
};
const NAMES = new Map(Object.entries(PROTOCOLS).map(([name, number]) => [number, name]));
const WITH_PORTS = new Set(["tcp", "udp", "dccp", "sctp", "udplite"].map((name) => PROTOCOLS[name]));
const ANY_PORT = 65_535;
const EXAMPLE = "10.1.0.0/16, 10.1.0.5-10.1.0.9, 10.1.0.0/16[tcp/443], [udp/1024-2047], [icmp/8] or [icmp/3/4]";

const isIcmp = (protocol: number) => protocol === PROTOCOLS.icmp || protocol === PROTOCOLS.icmpv6;

/**
 * A traffic selector as text: a prefix or a range of addresses, then perhaps `[protocol]` or `[protocol/ports]`, where ports are one
 * port or a range, or for ICMP a type and perhaps a code. Faults: `intent/invalid-field`.
 */
export function parseSelector(text: string, field = "selector"): TrafficRange {
  const refuse = (expected: string, cause?: unknown) =>
    fault("intent/invalid-field", `${field}: "${text}" is no selector: ${expected}`, {
      field,
      value: text,
      expected,
      cause,
    });
  const [, addresses = "", inside] = /^([^[\]]*)(?:\[([^[\]]*)\])?$/.exec(text) ?? [];
  try {
    return { ...addressesOf(addresses, refuse), ...upperOf(inside, refuse) };
  } catch (error) {
    if (!isFault(error) || error.code === "intent/invalid-field") throw error;
    throw refuse(error.expected ?? EXAMPLE, error);
  }
}

type Refuse = (expected: string) => Error;

function addressesOf(text: string, refuse: Refuse): Pick<TrafficRange, "first" | "last"> {
  const [from, to, ...more] = text.split("-");
  if (from === undefined || more.length > 0) throw refuse(`for example ${EXAMPLE}`);
  if (to === undefined) {
    const { first, last } = Prefix.parse(from);
    return { first, last };
  }
  const [first, last] = [IpAddress.parse(from), IpAddress.parse(to)];
  if (first.family !== last.family) throw refuse("two addresses of one family");
  if (first.toBigInt() > last.toBigInt()) throw refuse("the lower address first");
  return { first, last };
}

function upperOf(text: string | undefined, refuse: Refuse): Pick<TrafficRange, "protocol" | "firstPort" | "lastPort"> {
  if (text === undefined) return { protocol: 0, firstPort: 0, lastPort: ANY_PORT };
  const [name = "", ...rest] = text.toLowerCase().split("/");
  const protocol = /^\d{1,3}$/.test(name) ? Number(name) : PROTOCOLS[name];
  if (protocol === undefined || protocol > 255) {
    throw refuse(`a number from 0 to 255 or one of ${Object.keys(PROTOCOLS).join(", ")}`);
  }
  if (rest.length === 0 || (rest.length === 1 && rest[0] === "any")) {
    return { protocol, firstPort: 0, lastPort: ANY_PORT };
  }
  if (isIcmp(protocol)) return { protocol, ...icmpOf(rest, refuse) };
  if (!WITH_PORTS.has(protocol)) throw refuse(`no ports: ${NAMES.get(protocol) ?? `protocol ${protocol}`} has none`);
  return { protocol, ...portsOf(rest, refuse) };
}

function number(text: string | undefined, most: number, refuse: Refuse, what: string): number {
  if (text === undefined || !/^\d{1,5}$/.test(text) || Number(text) > most) throw refuse(`${what} from 0 to ${most}`);
  return Number(text);
}

/** RFC 7296 §3.13.1: the type is the upper octet of the port fields, the code the lower one. */
function icmpOf([typeText, codeText, ...more]: readonly string[], refuse: Refuse) {
  if (more.length > 0) throw refuse("a type and perhaps a code, for example [icmp/3/4]");
  const type = number(typeText, 255, refuse, "an ICMP type");
  if (codeText === undefined) return { firstPort: type << 8, lastPort: (type << 8) | 0xff };
  const port = (type << 8) | number(codeText, 255, refuse, "an ICMP code");
  return { firstPort: port, lastPort: port };
}

function portsOf([text = "", ...more]: readonly string[], refuse: Refuse) {
  if (text === "opaque") throw refuse("ports: no data plane tells OPAQUE packets (RFC 7296 §3.13.1) apart");
  const [from, to, ...rest] = text.split("-");
  if (more.length + rest.length > 0) throw refuse("one port or one range, for example [tcp/443] or [udp/1024-2047]");
  const firstPort = number(from, ANY_PORT, refuse, "a port");
  const lastPort = to === undefined ? firstPort : number(to, ANY_PORT, refuse, "a port");
  if (firstPort > lastPort) throw refuse("the lower port first");
  return { firstPort, lastPort };
}

/** The canonical text, which `parseSelector` reads as the same range. */
export function selectorText({ first, last, protocol, firstPort, lastPort }: TrafficRange): string {
  const [prefix, ...more] = rangeToPrefixes(first, last);
  const addresses = prefix && more.length === 0 ? prefix.toString() : `${first}-${last}`;
  const name = NAMES.get(protocol) ?? String(protocol);
  if (firstPort === 0 && lastPort === ANY_PORT) return protocol === 0 ? addresses : `${addresses}[${name}]`;
  if (isIcmp(protocol)) {
    const type = firstPort >> 8;
    if (firstPort === lastPort) return `${addresses}[${name}/${type}/${firstPort & 0xff}]`;
    if (firstPort === type << 8 && lastPort === (type << 8) + 0xff) return `${addresses}[${name}/${type}]`;
  }
  return `${addresses}[${name}/${firstPort === lastPort ? firstPort : `${firstPort}-${lastPort}`}]`;
}
