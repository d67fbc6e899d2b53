import { IpAddress, Prefix } from "@sallyport/base";
import type { PolicySpec, Selector } from "@sallyport/dataplane";
import fc from "fast-check";
import { FlowCache } from "./flows.js";
import { InnerPacket } from "./packet.js";
import { ipv4, udp } from "./packets.fixture.js";
import { selectorKey, selectorOf } from "./selector.js";
import { PolicyDatabase } from "./spd.js";

function read(octets: Uint8Array): InnerPacket {
  const packet = new InnerPacket();
  expect(packet.read(new DataView(octets.buffer), 0, octets.length)).toBe(true);
  return packet;
}

const policy = (selector: Selector, priority: number): PolicySpec => ({
  direction: "out",
  selector,
  action: "discard",
  priority,
});

/** Few addresses, so that prefixes overlap and packets hit them. */
const address = fc.nat(0xff).map((n) => IpAddress.from(Uint8Array.of(10, n >> 6, (n >> 3) & 7, n & 7)));
const prefix = fc
  .tuple(address, fc.constantFrom(0, 8, 14, 16, 24, 30, 32))
  .map(([base, length]) => Prefix.of(base, length));
const selector = fc.record({
  source: prefix,
  destination: prefix,
  protocol: fc.constantFrom(0, 6, 17),
  sourcePort: fc.constantFrom(undefined, undefined, 1, 2),
  destinationPort: fc.constantFrom(undefined, undefined, 1, 2),
});
const packets = fc.record({
  source: address,
  destination: address,
  protocol: fc.constantFrom(1, 6, 17, 47),
  ports: fc.tuple(fc.constantFrom(1, 2, 3), fc.constantFrom(1, 2, 3)),
});

function matches(s: Selector, packet: InnerPacket): boolean {
  const own = selectorOf(packet);
  return (
    s.source.contains(own.source) &&
    s.destination.contains(own.destination) &&
    (s.protocol === 0 || s.protocol === own.protocol) &&
    (s.sourcePort === undefined || s.sourcePort === own.sourcePort) &&
    (s.destinationPort === undefined || s.destinationPort === own.destinationPort)
  );
}

describe("PolicyDatabase", () => {
  it("finds what a walk through an ordered list finds, also after removals and replacements", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(selector, fc.nat(5)), { maxLength: 40 }),
        fc.array(fc.nat(39), { maxLength: 10 }),
        fc.array(packets, { minLength: 1, maxLength: 20 }),
        (entries, removals, sent) => {
          const database = new PolicyDatabase();
          const list = new Map<string, PolicySpec>();
          const remove = (s: Selector) => {
            database.remove("out", s);
            list.delete(selectorKey(s));
          };
          for (const [s, priority] of entries) {
            database.install(policy(s, priority));
            list.set(selectorKey(s), policy(s, priority));
          }
          for (const index of removals) if (entries[index]) remove(entries[index][0]);
          expect(database.size).toBe(list.size);
          for (const { source, destination, protocol, ports } of sent) {
            const packet = read(
              ipv4({ source, destination, protocol, payload: Uint8Array.of(0, ports[0], 0, ports[1]) }),
            );
            const hits = [...list.values()].filter((p) => matches(p.selector, packet));
            const best = hits.sort((a, b) => a.priority - b.priority)[0];
            expect(database.find("out", packet)?.spec).toEqual(best);
            expect(database.find("in", packet)).toBeUndefined();
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it("looks up among 20,000 policies in a few microseconds", () => {
    const database = new PolicyDatabase();
    const site = (n: number) => Prefix.of(IpAddress.from(Uint8Array.of(10, n >> 8, n & 0xff, 0)), 24);
    for (let n = 0; n < 20_000; n++) {
      database.install(policy({ source: site(0), destination: site(n), protocol: 0 }, 100));
    }
    const packet = read(udp({ source: "10.0.0.1", destination: "10.77.7.9", ports: [1, 2], octets: 10 }));
    let found = 0;
    const before = process.cpuUsage();
    for (let round = 0; round < 10_000; round++) if (database.find("out", packet)) found++;
    // The processor's time: that of the wall is others' too.
    const { user, system } = process.cpuUsage(before);
    expect(found).toBe(10_000);
    expect((user + system) / 10_000).toBeLessThan(100);
  });
});

describe("FlowCache", () => {
  it("never gives one flow what was decided for another, and forgets when the epoch changes", () => {
    const epoch = { number: 0 };
    const flows = new FlowCache<string>(4, epoch);
    const name = (packet: InnerPacket) => `${epoch.number} ${selectorKey(selectorOf(packet))}`;
    let decisions = 0;
    const verdict = (packet: InnerPacket) =>
      flows.verdict(packet, (fresh) => {
        decisions++;
        return name(fresh);
      });
    fc.assert(
      fc.property(packets, fc.nat(9), ({ source, destination, protocol, ports }, change) => {
        const packet = read(ipv4({ source, destination, protocol, payload: Uint8Array.of(0, ports[0], 0, ports[1]) }));
        if (change === 0) epoch.number++;
        expect(verdict(packet)).toBe(name(packet));
        const before = decisions;
        expect(verdict(packet)).toBe(name(packet));
        expect(decisions).toBe(before);
      }),
      { numRuns: 500 },
    );
  });
});
