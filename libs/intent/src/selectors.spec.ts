import { rangesText } from "@sallyport/ike";
import fc from "fast-check";
import { parseSelector, selectorText } from "./selectors.js";

const canonical = (text: string) => selectorText(parseSelector(text));

test.each([
  ["10.1.0.0/16", "10.1.0.0/16"],
  ["10.1.0.7", "10.1.0.7/32"],
  ["10.1.0.0-10.1.0.255", "10.1.0.0/24"],
  ["10.1.0.5-10.1.0.9", "10.1.0.5-10.1.0.9"],
  ["10.1.0.0/16[any]", "10.1.0.0/16"],
  ["10.1.0.0/16[TCP/443]", "10.1.0.0/16[tcp/443]"],
  ["10.1.0.0/16[6/443-443]", "10.1.0.0/16[tcp/443]"],
  ["2001:DB8::/32[udp/1024-2047]", "2001:db8::/32[udp/1024-2047]"],
  ["0.0.0.0/0[47]", "0.0.0.0/0[gre]"],
  ["0.0.0.0/0[255]", "0.0.0.0/0[255]"],
  ["0.0.0.0/0[udp/any]", "0.0.0.0/0[udp]"],
  ["0.0.0.0/0[udp/0-65535]", "0.0.0.0/0[udp]"],
  ["0.0.0.0/0[icmp/8]", "0.0.0.0/0[icmp/8]"],
  ["0.0.0.0/0[1/3/4]", "0.0.0.0/0[icmp/3/4]"],
  ["::/0[icmpv6/128/0]", "::/0[icmpv6/128/0]"],
])("%s is %s", (text, wanted) => {
  expect(canonical(text)).toBe(wanted);
  expect(parseSelector(wanted)).toEqual(parseSelector(text));
});

test("ICMP types stand in the upper octet of the port fields", () => {
  expect(parseSelector("0.0.0.0/0[icmp/8]")).toMatchObject({ protocol: 1, firstPort: 2048, lastPort: 2303 });
  expect(parseSelector("0.0.0.0/0[icmp/3/4]")).toMatchObject({ protocol: 1, firstPort: 772, lastPort: 772 });
});

test.each([
  ["10.1.0.1/16", /10\.1\.0\.0\/16/],
  ["10.1.0.9-10.1.0.5", /lower address first/],
  ["10.1.0.9-2001:db8::1", /one family/],
  ["1-2-3", /for example/],
  ["10.0.0.0/8[", /prefix/],
  ["10.0.0.0/8[tcp/80", /prefix/],
  ["10.0.0.0/8[carrier-pigeon]", /one of any, icmp/],
  ["10.0.0.0/8[256]", /0 to 255/],
  ["10.0.0.0/8[tcp/65536]", /a port from 0 to 65535/],
  ["10.0.0.0/8[tcp/80-79]", /lower port first/],
  ["10.0.0.0/8[tcp/80/81]", /one port or one range/],
  ["10.0.0.0/8[tcp/opaque]", /OPAQUE/],
  ["10.0.0.0/8[gre/80]", /no ports: gre has none/],
  ["10.0.0.0/8[any/80]", /no ports/],
  ["10.0.0.0/8[icmp/256]", /ICMP type/],
  ["10.0.0.0/8[icmp/8/0/0]", /a type and perhaps a code/],
])("%s is refused", (text, expected) => {
  expect(() => parseSelector(text, "here")).toThrow(
    expect.objectContaining({
      code: "intent/invalid-field",
      field: "here",
      value: text,
      expected: expect.stringMatching(expected),
    }),
  );
});

test("any text gives a range or a fault, and what is read is written and read again as the same", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.stringMatching(/^10\.[0-9]\.0\.0\/16\[(tcp|udp|icmp|\d)(\/\d+(-\d+)?)?\]$/)),
      (text) => {
        let range: ReturnType<typeof parseSelector>;
        try {
          range = parseSelector(text);
        } catch (error) {
          expect(error).toMatchObject({ code: "intent/invalid-field" });
          return;
        }
        expect(rangesText([parseSelector(selectorText(range))])).toBe(rangesText([range]));
      },
    ),
  );
});
