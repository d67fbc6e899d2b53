import { IpAddress } from "@sallyport/base";
import fc from "fast-check";
import { admitCongestion } from "./ecn.js";
import { AnswerBudget, packetTooBig } from "./icmp.js";
import { InnerPacket } from "./packet.js";
import { ipv4, ipv6, sum16, udp } from "./packets.fixture.js";
import { addressOf } from "./selector.js";

const v4 = IpAddress.parse;

function read(octets: Uint8Array, available = octets.length): InnerPacket | undefined {
  const packet = new InnerPacket();
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  return packet.read(view, 0, available) ? packet : undefined;
}

describe("InnerPacket", () => {
  it("reads addresses, protocol, ports, DF and TOS of IPv4", () => {
    const octets = udp({
      source: "10.1.2.3",
      destination: "10.4.5.6",
      ports: [1000, 53],
      octets: 5,
      dontFragment: true,
      tos: 0xb9,
    });
    const packet = read(octets) as InnerPacket;
    expect(packet).toMatchObject({
      family: 4,
      protocol: 17,
      sourcePort: 1000,
      destinationPort: 53,
      length: 33,
      tos: 0xb9,
      dontFragment: true,
    });
    expect(addressOf(4, packet.source).toString()).toBe("10.1.2.3");
    expect(addressOf(4, packet.destination).toString()).toBe("10.4.5.6");
  });

  it("finds the ports of IPv6 behind extension headers", () => {
    const ports = Uint8Array.of(0x12, 0x34, 0, 80, 0, 8, 0, 0);
    const hopByHop = Uint8Array.of(60, 0, 1, 4, 0, 0, 0, 0);
    const destination = Uint8Array.of(44, 1, 1, 12, ...Array(12).fill(0));
    const firstFragment = Uint8Array.of(17, 0, 0, 1, 0, 0, 0, 9);
    const octets = ipv6(
      "2001:db8::1",
      "2001:db8::2",
      0,
      Uint8Array.from([...hopByHop, ...destination, ...firstFragment, ...ports]),
      0x2e,
    );
    expect(read(octets)).toMatchObject({ family: 6, protocol: 17, sourcePort: 0x1234, destinationPort: 80, tos: 0x2e });
  });

  it("takes no ports from a later fragment of either family", () => {
    const payload = Uint8Array.of(0, 1, 0, 2, 0, 8, 0, 0);
    const four = ipv4({
      source: v4("10.0.0.1"),
      destination: v4("10.0.0.2"),
      protocol: 17,
      payload,
      fragmentOffset: 9,
    });
    const six = ipv6("2001:db8::1", "2001:db8::2", 44, Uint8Array.from([17, 0, 0, 0x48, 0, 0, 0, 9, ...payload]));
    for (const octets of [four, six]) {
      expect(read(octets)).toMatchObject({ protocol: 17, sourcePort: -1, destinationPort: -1 });
    }
  });

  it("believes its own length, and none that is longer than what came", () => {
    const octets = udp({ source: "10.0.0.1", destination: "10.0.0.2", ports: [1, 2], octets: 10 });
    const padded = Uint8Array.from([...octets, ...Array(50).fill(0)]);
    expect(read(padded)?.length).toBe(38);
    expect(read(octets, 37)).toBeUndefined();
  });

  it("takes any octets without throwing or reading outside", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.constantFrom(0x45, 0x46, 0x4f, 0x60, 0x50), (octets, first) => {
        if (octets.length > 0) octets[0] = first;
        const packet = read(octets);
        expect(packet === undefined || packet.length <= octets.length).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("packet too big", () => {
  it("answers IPv4 with type 3 code 4, the MTU and the start of the packet (RFC 1191)", () => {
    const original = udp({
      source: "10.1.0.1",
      destination: "10.2.0.1",
      ports: [1, 2],
      octets: 1400,
      dontFragment: true,
    });
    const answer = packetTooBig(read(original) as InnerPacket, original, 1300) as Uint8Array;
    expect(read(answer)).toMatchObject({ family: 4, protocol: 1, sourcePort: 3, destinationPort: 4, length: 576 });
    expect([answer.subarray(12, 16), answer.subarray(16, 20)]).toEqual([
      original.subarray(16, 20),
      original.subarray(12, 16),
    ]);
    expect(new DataView(answer.buffer).getUint16(26)).toBe(1300);
    expect([sum16(answer.subarray(0, 20)), sum16(answer.subarray(20))]).toEqual([0xffff, 0xffff]);
    expect(answer.subarray(28)).toEqual(original.subarray(0, 548));
  });

  it("answers IPv6 with type 2 (RFC 4443 §3.2)", () => {
    const original = udp({ source: "2001:db8:1::1", destination: "2001:db8:2::1", ports: [1, 2], octets: 1400 });
    const answer = packetTooBig(read(original) as InnerPacket, original, 1280) as Uint8Array;
    expect(read(answer)).toMatchObject({ family: 6, protocol: 58, sourcePort: 2, destinationPort: 0, length: 1280 });
    expect(new DataView(answer.buffer).getUint32(44)).toBe(1280);
    const pseudo = new Uint8Array(40);
    pseudo.set(answer.subarray(8, 40));
    new DataView(pseudo.buffer).setUint32(32, answer.length - 40);
    pseudo[39] = 58;
    expect(sum16(Uint8Array.from([...pseudo, ...answer.subarray(40)]))).toBe(0xffff);
  });

  it("keeps silent about ICMP errors and packets to groups", () => {
    const [source, group] = [v4("10.0.0.1"), v4("224.0.0.5")];
    const error = ipv4({ source, destination: v4("10.0.0.2"), protocol: 1, payload: Uint8Array.of(3, 1, 0, 0) });
    const toGroup = ipv4({ source, destination: group, protocol: 17, payload: new Uint8Array(8) });
    const error6 = ipv6("2001:db8::1", "2001:db8::2", 58, Uint8Array.of(1, 0, 0, 0));
    const toGroup6 = ipv6("2001:db8::1", "ff02::1", 17, new Uint8Array(8));
    for (const octets of [error, toGroup, error6, toGroup6]) {
      expect(packetTooBig(read(octets) as InnerPacket, octets, 1280)).toBeUndefined();
    }
  });

  it("is limited to so many a second", () => {
    const budget = new AnswerBudget(10);
    const given = (now: number) => Array.from({ length: 30 }, () => budget.take(now)).filter(Boolean).length;
    expect([given(0), given(500), given(10_000)]).toEqual([10, 5, 10]);
  });
});

describe("congestion marks (RFC 6040 §4.2)", () => {
  const cases = [
    { outer: 0, inner: 0, admitted: true, after: 0 },
    { outer: 1, inner: 2, admitted: true, after: 2 },
    { outer: 3, inner: 0, admitted: false, after: 0 },
    { outer: 3, inner: 1, admitted: true, after: 3 },
    { outer: 3, inner: 2, admitted: true, after: 3 },
    { outer: 3, inner: 3, admitted: true, after: 3 },
  ];
  it.each(cases)("outer $outer on inner $inner", ({ outer, inner, admitted, after }) => {
    for (const [source, destination] of [
      ["10.0.0.1", "10.0.0.2"],
      ["2001:db8::1", "2001:db8::2"],
    ] as const) {
      const octets = udp({ source, destination, ports: [1, 2], octets: 8, tos: 0xb8 | inner });
      const family = source.includes(":") ? 6 : 4;
      expect(admitCongestion(new DataView(octets.buffer), 0, family, outer)).toBe(admitted);
      expect(read(octets)?.tos).toBe(0xb8 | after);
      if (family === 4) expect(sum16(octets.subarray(0, 20))).toBe(0xffff);
    }
  });
});
