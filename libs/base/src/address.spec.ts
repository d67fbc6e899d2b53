import fc from "fast-check";
import { IpAddress, Prefix, rangeToPrefixes } from "./index.js";

describe("IpAddress", () => {
  it.each(["192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "::1"])("round-trips %s", (text) => {
    expect(IpAddress.parse(text).toString()).toBe(text);
  });

  it.each(["", "1.2.3", "010.1.1.1", "1.2.3.256", "fe80::1%eth0", ":::", "0x7f000001", "1.2.3.4/8"])(
    "refuses %j with field and value",
    (text) => {
      expect(() => IpAddress.parse(text, "peer.address")).toThrow(
        expect.objectContaining({ code: "base/bad-address", field: "peer.address", value: text }),
      );
    },
  );

  it("keeps any 4 or 16 octets through text and bigint", () => {
    const octets = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    );
    fc.assert(
      fc.property(octets, (bytes) => {
        const a = IpAddress.from(bytes);
        expect(IpAddress.parse(a.toString()).bytes).toEqual(bytes);
        expect(IpAddress.fromBigInt(a.family, a.toBigInt()).equals(a)).toBe(true);
      }),
    );
  });
});

describe("Prefix", () => {
  it("refuses host bits and says which prefix was meant", () => {
    expect(() => Prefix.parse("10.1.2.3/16")).toThrow(
      expect.objectContaining({ code: "base/bad-prefix", expected: "10.1.0.0/16 (no host bits set)" }),
    );
  });

  it.each(["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "::/129", "x/8", "10.0.0.0/-1"])("refuses %s", (text) => {
    expect(() => Prefix.parse(text)).toThrow(expect.objectContaining({ code: "base/bad-prefix", value: text }));
  });

  it("knows containment and overlap", () => {
    const p = Prefix.parse;
    expect(p("10.0.0.0/8").contains(p("10.1.0.0/16"))).toBe(true);
    expect(p("10.1.0.0/16").contains(p("10.0.0.0/8"))).toBe(false);
    expect(p("10.1.0.0/16").overlaps(p("10.0.0.0/8"))).toBe(true);
    expect(p("10.1.0.0/16").overlaps(p("10.2.0.0/16"))).toBe(false);
    expect(p("0.0.0.0/0").overlaps(p("::/0"))).toBe(false);
    expect(p("192.0.2.7").toString()).toBe("192.0.2.7/32");
  });

  it("covers any range exactly, without overlap", () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff), (a, b) => {
        const [lo, hi] = a < b ? [a, b] : [b, a];
        const prefixes = rangeToPrefixes(IpAddress.fromBigInt(4, BigInt(lo)), IpAddress.fromBigInt(4, BigInt(hi)));
        let next = BigInt(lo);
        for (const p of prefixes) {
          expect(p.first.toBigInt()).toBe(next);
          next = p.last.toBigInt() + 1n;
        }
        expect(next).toBe(BigInt(hi) + 1n);
      }),
    );
  });
});
