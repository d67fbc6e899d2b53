import { IpAddress } from "@sallyport/base";
import fc from "fast-check";
import { clampMss } from "./mss.js";
import { InnerPacket } from "./packet.js";
import { ipv4, ipv6, sum16 } from "./packets.fixture.js";

const SOURCE = { 4: "10.1.0.1", 6: "fd01::1" } as const;
const DESTINATION = { 4: "10.2.0.1", 6: "fd02::1" } as const;

/** The sum over pseudo header and segment, which is 0xffff when the checksum is right (RFC 9293 §3.1). */
function sumOf(family: 4 | 6, segment: Uint8Array): number {
  const [from, to] = [IpAddress.parse(SOURCE[family]), IpAddress.parse(DESTINATION[family])];
  const length = [0, 0, segment.length >>> 8, segment.length & 0xff];
  return sum16(Uint8Array.from([...from.bytes, ...to.bytes, ...length, 0, 0, 0, 6, ...segment]));
}

function segment(family: 4 | 6, flags: number, options: readonly number[]): Uint8Array {
  const padded = [...options, ...new Array((4 - (options.length % 4)) % 4).fill(0)];
  const tcp = new Uint8Array(20 + padded.length);
  const view = new DataView(tcp.buffer);
  view.setUint16(0, 40_000);
  view.setUint16(2, 80);
  view.setUint32(4, 0x1234_5678);
  tcp.set([(tcp.length / 4) << 4, flags], 12);
  view.setUint16(14, 64_240);
  tcp.set(padded, 20);
  view.setUint16(16, ~sumOf(family, tcp) & 0xffff);
  return tcp;
}

const packetOf = (family: 4 | 6, tcp: Uint8Array) =>
  family === 4
    ? ipv4({
        source: IpAddress.parse(SOURCE[4]),
        destination: IpAddress.parse(DESTINATION[4]),
        protocol: 6,
        payload: tcp,
      })
    : ipv6(SOURCE[6], DESTINATION[6], 6, tcp);

/** The segment afterwards. */
function clamped(family: 4 | 6, tcp: Uint8Array, mtu: number): Uint8Array {
  const octets = packetOf(family, tcp);
  // Elsewhere than at the beginning, as in a slab.
  const slab = new Uint8Array(7 + octets.length);
  slab.set(octets, 7);
  const view = new DataView(slab.buffer);
  const packet = new InnerPacket();
  expect(packet.read(view, 7, octets.length)).toBe(true);
  clampMss(view, 7, packet, mtu);
  const headers = family === 4 ? 20 : 40;
  expect(slab.subarray(7, 7 + headers)).toEqual(octets.subarray(0, headers));
  return slab.subarray(7 + headers);
}

const mssOption = (value: number) => [2, 4, value >>> 8, value & 0xff];
const NOP = 1;
const SACK = [4, 2];

describe.each([4, 6] as const)("over IPv%i", (family) => {
  const room = (mtu: number) => mtu - (family === 4 ? 40 : 60);

  it.each([
    ["alone", []],
    ["behind another option", SACK],
    ["at an odd place", [NOP]],
  ])("lowers the MSS of SYN and SYN with ACK, %s", (_, before) => {
    for (const flags of [0x02, 0x12]) {
      const tcp = segment(family, flags, [...before, ...mssOption(1460)]);
      const after = clamped(family, tcp, 1300);
      const at = 20 + before.length + 2;
      expect(new DataView(after.buffer, after.byteOffset).getUint16(at)).toBe(room(1300));
      expect(sumOf(family, after)).toBe(0xffff);
    }
  });

  it.each([
    ["is small enough", segment(family, 0x02, mssOption(1000))],
    ["is no SYN", segment(family, 0x10, mssOption(1460))],
    ["says nothing of it", segment(family, 0x02, SACK)],
    ["ends its options before", segment(family, 0x02, [0, ...mssOption(1460)])],
    ["has an option of no length", segment(family, 0x02, [8, 0, ...mssOption(1460)])],
    ["has an option that goes on behind the header", segment(family, 0x02, [8, 40, ...mssOption(1460)])],
  ])("leaves a segment that %s", (_, tcp) => {
    expect(clamped(family, tcp, 1300)).toEqual(tcp);
  });
});

it("whatever the octets: nothing but the MSS and the checksum changes, and nothing throws", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 0, maxLength: 80 }), fc.integer({ min: 0, max: 2000 }), (tcp, mtu) => {
      const before = Uint8Array.from(tcp);
      const after = clamped(4, tcp, mtu);
      const changed = [...after.keys()].filter((i) => after[i] !== before[i]);
      expect(changed.filter((i) => i < 16 || i === 18 || i === 19)).toEqual([]);
    }),
  );
});
