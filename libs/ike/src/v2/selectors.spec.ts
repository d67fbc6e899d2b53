import { IpAddress, Prefix } from "@sallyport/base";
import type { Selector } from "@sallyport/dataplane";
import fc from "fast-check";
import type { TrafficRange } from "../config.js";
import { MAX_SELECTORS, packetRanges, reversed, toSelectors } from "./selectors.js";

const NETWORK = Prefix.parse("10.0.0.0/8");
const any: TrafficRange = { first: NETWORK.first, last: NETWORK.last, protocol: 0, firstPort: 0, lastPort: 65_535 };
const ICMP = 1;
const UDP = 17;

interface Packet {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  /** For ICMP the type and the code. */
  readonly ports: readonly [number, number];
}

function portMatches(wanted: number | undefined, bits: number | undefined, port: number): boolean {
  return wanted === undefined || wanted >> (16 - (bits ?? 16)) === port >> (16 - (bits ?? 16));
}

/** As a kernel matches. */
function matches(s: Selector, p: Packet): boolean {
  return (
    s.source.contains(p.source) &&
    s.destination.contains(p.destination) &&
    (s.protocol === 0 || s.protocol === p.protocol) &&
    portMatches(s.sourcePort, s.sourcePortBits, p.ports[0]) &&
    portMatches(s.destinationPort, s.destinationPortBits, p.ports[1])
  );
}

/** As RFC 7296 §3.13.1 says. */
function holds(r: TrafficRange, address: IpAddress, protocol: number, port: number): boolean {
  const inside = r.first.toBigInt() <= address.toBigInt() && address.toBigInt() <= r.last.toBigInt();
  return inside && (r.protocol === 0 || r.protocol === protocol) && r.firstPort <= port && port <= r.lastPort;
}

function allowed(local: TrafficRange, remote: TrafficRange, p: Packet): boolean {
  const both = (p.ports[0] << 8) | p.ports[1];
  const [near, far] = p.protocol === ICMP ? [both, both] : p.ports;
  return holds(local, p.source, p.protocol, near) && holds(remote, p.destination, p.protocol, far);
}

const address = fc.nat(40).map((n) => IpAddress.parse(`10.0.0.${n}`));
const ports = fc.tuple(fc.nat(65_535), fc.nat(65_535)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
/** Ranges that some packet below is likely to meet at an edge. */
const range = (protocol: fc.Arbitrary<number>) =>
  fc.tuple(address, address, protocol, ports, fc.boolean()).map(([a, b, number, [firstPort, lastPort], all]) => {
    const [first, last] = a.toBigInt() <= b.toBigInt() ? [a, b] : [b, a];
    return { first, last, protocol: number, ...(all ? { firstPort: 0, lastPort: 65_535 } : { firstPort, lastPort }) };
  });

const edges = (r: TrafficRange) => [
  r.firstPort - 1,
  r.firstPort,
  r.firstPort + 1,
  r.lastPort - 1,
  r.lastPort,
  r.lastPort + 1,
];

test.each([UDP, ICMP])("selectors let through exactly the packets of both lists, protocol %i", (protocol) => {
  const number = fc.constantFrom(0, protocol);
  fc.assert(
    fc.property(range(number), range(number), address, address, fc.nat(65_535), (local, remote, from, to, other) => {
      const selectors = toSelectors([local], [remote]);
      const near = [...edges(local), other].filter((p) => p >= 0 && p <= 65_535);
      const far = [...edges(remote), other].filter((p) => p >= 0 && p <= 65_535);
      // A selector for any protocol has no ports to look at.
      if (local.protocol === 0 && remote.protocol === 0) return;
      // Too many, or ICMP ranges that do not meet, of which nothing gets through.
      const meet =
        Math.max(local.firstPort, remote.firstPort) <= Math.min(local.lastPort, remote.lastPort) || protocol !== ICMP;
      if (!selectors && meet) return;
      const wrong: string[] = [];
      for (const a of near) {
        for (const b of far) {
          const fields = protocol === ICMP ? ([a >> 8, a & 0xff] as const) : ([a, b] as const);
          const packet = { source: from, destination: to, protocol, ports: fields };
          const through = selectors?.some((s) => matches(s, packet)) ?? false;
          if (through !== allowed(local, remote, packet)) wrong.push(`${a} ${b}`);
        }
      }
      expect(wrong).toEqual([]);
      const [one] = selectors ?? [];
      if (one) expect(reversed(reversed(one))).toEqual(one);
    }),
    { numRuns: 50 },
  );
});

test("a range of ports becomes a few blocks", () => {
  const of = (firstPort: number, lastPort: number) =>
    toSelectors([any], [{ ...any, protocol: UDP, firstPort, lastPort }])?.map((s) => [
      s.destinationPort,
      s.destinationPortBits,
    ]);
  expect(of(53, 53)).toEqual([[53, undefined]]);
  expect(of(0, 65_535)).toEqual([[undefined, undefined]]);
  expect(of(1024, 65_535)).toEqual([
    [1024, 6],
    [2048, 5],
    [4096, 4],
    [8192, 3],
    [16_384, 2],
    [32_768, 1],
  ]);
  expect(of(1, 65_534)).toHaveLength(30);
});

test("what would be too many selectors is refused", () => {
  const wild = { ...any, protocol: UDP, firstPort: 1, lastPort: 65_534 };
  expect(toSelectors([wild], [{ ...any, protocol: UDP }])).toHaveLength(30);
  expect(toSelectors([wild], [wild])).toHaveLength(900);
  expect(toSelectors([wild], [wild, wild])).toBeUndefined();
  expect(MAX_SELECTORS).toBeLessThan(1800);
  const six = Prefix.any(6);
  expect(toSelectors([any], [{ ...any, first: six.first, last: six.last }])).toBeUndefined();
});

test("ICMP types and codes stand in both ends' port fields, and stay as they are on the way back", () => {
  const echo = { ...any, protocol: ICMP, firstPort: 8 << 8, lastPort: (8 << 8) | 0xff };
  const [type] = toSelectors([echo], [{ ...any, protocol: ICMP }]) ?? [];
  expect(type).toMatchObject({ protocol: ICMP, sourcePort: 8 });
  expect(type?.destinationPort).toBeUndefined();
  expect(type && reversed(type)).toMatchObject({ sourcePort: 8 });
  const unreachable = { ...any, protocol: ICMP, firstPort: (3 << 8) | 4, lastPort: (3 << 8) | 4 };
  expect(toSelectors([unreachable], [any])).toMatchObject([{ sourcePort: 3, destinationPort: 4 }]);
  expect(toSelectors([unreachable], [echo])).toBeUndefined();
  const host = Prefix.parse("10.0.0.1/32");
  const packet = packetRanges({ source: host, destination: host, protocol: ICMP, sourcePort: 8, destinationPort: 0 });
  expect([packet.local.firstPort, packet.remote.lastPort]).toEqual([2048, 2048]);
});
