import { IpAddress, Prefix } from "@sallyport/base";
import fc from "fast-check";
import { acknowledge, type Inform, parseInform } from "./dhcp-message.js";

const ip = (text: string) => IpAddress.parse(text);
const TOLD = { server: ip("192.0.2.1"), dns: [ip("10.2.0.53"), ip("2001:db8::53")], domain: "corp.example" };

/** As Windows sends it: type, client id, vendor class, what it wants. */
function request(options: readonly number[] = [53, 1, 8, 61, 2, 8, 0, 55, 5, 6, 15, 249, 121, 43, 255]): Uint8Array {
  const head = new Uint8Array(236);
  head.set([1, 8, 6, 0, 0xaa, 0xbb, 0xcc, 0xdd]);
  head.set([10, 9, 0, 7], 12);
  head.set([2, 0, 0, 0, 0, 9], 28);
  return Uint8Array.from([...head, 99, 130, 83, 99, ...options]);
}

/** Options by code, parts of one code joined (RFC 3396). */
function optionsOf(reply: Uint8Array): Map<number, number[]> {
  const out = new Map<number, number[]>();
  for (let at = 240; reply[at] !== 255; ) {
    const [code = 0, size = 0] = reply.subarray(at, at + 2);
    out.set(code, [...(out.get(code) ?? []), ...reply.subarray(at + 2, at + 2 + size)]);
    at += 2 + size;
  }
  return out;
}

describe("DHCPINFORM", () => {
  it("is read", () => {
    expect(parseInform(request())).toMatchObject({ wanted: [6, 15, 249, 121, 43], hardware: { type: 8, length: 6 } });
    expect(String(parseInform(request())?.client)).toBe("10.9.0.7");
  });

  it.each<[string, Uint8Array]>([
    ["nothing", new Uint8Array(0)],
    ["a header alone", request().subarray(0, 239)],
    ["another magic", request().map((octet, i) => (i === 236 ? 0 : octet))],
    ["a reply", request().map((octet, i) => (i === 0 ? 2 : octet))],
    ["a DISCOVER", request([53, 1, 1, 255])],
    ["no type", request([55, 1, 6, 255])],
    ["an option beyond the end", request([53, 1, 8, 55, 9, 6])],
    ["an option without a length", request([53, 1, 8, 55])],
    ["a hardware address of 17 octets", request().map((octet, i) => (i === 2 ? 17 : octet))],
    ["more than a datagram takes", Uint8Array.from([...request(), ...new Uint8Array(2_000)])],
  ])("is not %s", (_, data) => {
    expect(parseInform(data)).toBeUndefined();
  });

  it("is total over any octets", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(330), fc.nat(255), (tail, at, octet) => {
        const data = Uint8Array.from([...request(), ...tail]);
        data[at] = octet;
        const inform = parseInform(data);
        if (inform) expect(acknowledge(inform, { ...TOLD, routes: [] }).length).toBeLessThan(500);
      }),
    );
  });

  it("is answered with networks in both forms, name servers and the domain", () => {
    const routes = ["10.2.0.0/16", "172.16.0.0/12", "192.168.7.128/25", "2001:db8::/32", "0.0.0.0/0"].map((t) =>
      Prefix.parse(t),
    );
    const reply = acknowledge(parseInform(request()) as Inform, { ...TOLD, routes });
    expect([...reply.subarray(0, 8)]).toEqual([2, 8, 6, 0, 0xaa, 0xbb, 0xcc, 0xdd]);
    expect([...reply.subarray(12, 20)]).toEqual([10, 9, 0, 7, 0, 0, 0, 0]);
    expect([...reply.subarray(28, 34)]).toEqual([2, 0, 0, 0, 0, 9]);
    const options = optionsOf(reply);
    // RFC 3442: the length, as many octets as count, the router.
    const classless = [
      ...[16, 10, 2, 0, 0, 0, 0],
      ...[12, 172, 16, 0, 0, 0, 0],
      ...[25, 192, 168, 7, 128, 0, 0, 0, 0],
      ...[0, 0, 0, 0, 0],
    ];
    expect(options.get(249)).toEqual(classless);
    expect(options.get(121)).toEqual(classless);
    expect(options.get(53)).toEqual([5]);
    expect(options.get(54)).toEqual([192, 0, 2, 1]);
    expect(options.get(6)).toEqual([10, 2, 0, 53]);
    expect(Buffer.from(options.get(15) ?? []).toString()).toBe("corp.example");
  });

  it("tells what was asked for, and as many networks as fit", () => {
    const routes = Array.from({ length: 500 }, (_, n) => Prefix.of(IpAddress.fromBigInt(4, BigInt(n) << 8n), 24));
    const asked = parseInform(request([53, 1, 8, 55, 1, 249, 255])) as Inform;
    const reply = acknowledge(asked, { ...TOLD, routes });
    expect(reply.length).toBeLessThanOrEqual(1_200);
    expect(reply.length).toBeGreaterThan(1_100);
    const options = optionsOf(reply);
    expect([...options.keys()]).toEqual([53, 54, 1, 249]);
    expect((options.get(249)?.length ?? 0) % 8).toBe(0);
  });
});
