import fc from "fast-check";
import { dnFromText, dnText, matchesDn, readDn } from "./dn.js";

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
/** `openssl asn1parse -genstr` would write the same: C=AT as PrintableString, O=Acme and CN=gw as UTF8String. */
const ACME = hex("3029 310b3009060355040613024154 310d300b060355040a0c0441636d65 310b300906035504030c026777");
/** The same with CN=GW as PrintableString. */
const PRINTABLE = hex("3029 310b3009060355040613024154 310d300b060355040a0c0441636d65 310b3009060355040313024757");

test("a Name is read, shown and written", () => {
  expect(dnText(ACME)).toBe("C=AT, O=Acme, CN=gw");
  expect(dnFromText("C=AT, O=Acme,CN=gw")).toEqual(ACME);
  expect(
    readDn(ACME)
      ?.flat()
      .map((a) => a.text),
  ).toEqual(["AT", "Acme", "gw"]);
});

test("names are the same without regard to case and kind of string, and in no other way", () => {
  expect(matchesDn(ACME, PRINTABLE, false)).toBe(true);
  const other = dnFromText("C=AT, O=Acme, CN=other") as Uint8Array;
  expect(matchesDn(ACME, other, false)).toBe(false);
  const star = dnFromText("C=AT, O=Acme, CN=*") as Uint8Array;
  expect(matchesDn(star, other, true)).toBe(true);
  expect(matchesDn(star, other, false)).toBe(false);
  expect(matchesDn(dnFromText("C=AT, O=*, CN=gw") as Uint8Array, other, true)).toBe(false);
  expect(matchesDn(dnFromText("C=AT, CN=*, O=Acme") as Uint8Array, other, true)).toBe(false);
});

test.each(["", "CN", "CN=", "XY=a", "CN=a, ", "CN=a=b", "dGVzdA=="])("%j is no name", (text) => {
  expect(dnFromText(text)).toBeUndefined();
});

test("a text with separators and controls cannot be taken for another one (hostile input 26)", () => {
  const value = new TextEncoder().encode("a, O=x\n\u202eb");
  const evil = Uint8Array.of(0x30, 22, 0x31, 20, 0x30, 18, 0x06, 3, 0x55, 4, 3, 0x0c, value.length, ...value);
  expect(dnText(evil)).toBe("CN=a\\, O\\=x\\0a\\e2\\80\\aeb");
});

test("any octets give a name or nothing, and shown ones are printable ASCII (hostile input 8)", () => {
  const bent = fc.tuple(fc.nat(ACME.length - 1), fc.nat(255)).map(([at, to]) => ACME.with(at, to));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), bent), (der) => {
      expect(dnText(der) ?? "").toMatch(/^[\x20-\x7e]*$/);
      expect(matchesDn(der, der, false)).toBe(readDn(der) !== undefined);
    }),
    { numRuns: 2000 },
  );
});

test("names of ordinary words come back", () => {
  const word = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9 .*-]{0,20}[A-Za-z0-9]$/);
  const pairs = fc.array(fc.tuple(fc.constantFrom("CN", "O", "OU", "C", "DC", "E"), word), {
    minLength: 1,
    maxLength: 9,
  });
  fc.assert(
    fc.property(pairs, (list) => {
      const text = list.map(([k, v]) => `${k}=${v}`).join(", ");
      expect(dnText(dnFromText(text) as Uint8Array)).toBe(text);
    }),
  );
});

test("a Name with lengths past its end, or with too many attributes, is none", () => {
  expect(readDn(ACME.with(1, 0x2a))).toBeUndefined();
  // The last attribute says that its text has an octet more than there is.
  expect(readDn(ACME.with(ACME.length - 3, 3))).toBeUndefined();
  const named = (count: number) => dnFromText(Array.from({ length: count }, (_, i) => `OU=${i}`).join(", "));
  expect(readDn(named(64) as Uint8Array)).toHaveLength(64);
  expect(readDn(named(65) as Uint8Array)).toBeUndefined();
});
