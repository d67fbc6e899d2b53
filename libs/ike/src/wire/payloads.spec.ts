import { authorityHashes, decodeInner, encodeInner, type Payload, type Proposal, printable } from "./index.js";

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));

/** One payload of a type with a body, as it stands inside SK. */
function decode(type: number, body: string): Payload {
  const octets = hex(body);
  const [payload] = decodeInner(
    type,
    Uint8Array.of(0, 0, (4 + octets.length) >> 8, (4 + octets.length) & 255, ...octets),
  );
  return payload as Payload;
}

const refused = (type: number, body: string, field: string, offset: number) =>
  expect(() => decode(type, body)).toThrow(
    expect.objectContaining({ code: "ike/malformed-payload", field, offset: offset + 4 }),
  );

describe("SA", () => {
  const T = "0000000801000003"; // one transform: 3DES
  const P = `00000010 01010001 ${T}`;

  it("reads Key Length in its short form only, and once", () => {
    const transform = (attributes: string) => {
      const size = 8 + attributes.length / 2;
      const body = `0000${(8 + size).toString(16).padStart(4, "0")}01010001 0000${size.toString(16).padStart(4, "0")}0100000c`;
      const payload = decode(33, body + attributes);
      return payload.kind === "SA" ? payload.proposals[0]?.transforms[0] : undefined;
    };
    expect(transform("800e0100")).toEqual({ type: 1, id: 12, keyBits: 256 });
    const two = transform("800e0100800e0080");
    expect(two).toEqual({ type: 1, id: 12, keyBits: 256, unknownAttributes: [{ type: 14, value: hex("0080") }] });
    expect(transform("000e00020100")?.keyBits).toBeUndefined();
    expect(transform("80110001")?.unknownAttributes).toEqual([{ type: 17, value: hex("0001") }]);
    const again: Proposal = { number: 1, protocol: 1, spi: hex(""), transforms: two ? [two] : [] };
    const { firstPayload, plaintext } = encodeInner([{ kind: "SA", proposals: [again] }]);
    expect(decodeInner(firstPayload, plaintext)).toEqual([{ kind: "SA", proposals: [again] }]);
  });

  it("refuses lengths, flags, counts and SPI sizes that contradict each other", () => {
    refused(33, "", "SA.proposal.last", 0);
    refused(33, `01${P.slice(2)}`, "SA.proposal.last", 0);
    refused(33, `02${P.slice(2)}`, "SA.proposal.last", 16);
    refused(33, `${P} 00`, "SA.proposals", 16);
    refused(33, "00000003 01010001", "SA.proposal.length", 2);
    refused(33, "00000040 01010001", "SA.proposal", 4);
    refused(33, `00000010 01010002 ${T}`, "SA.transform.last", 8);
    refused(33, `00000010 01010000 ${T}`, "SA.proposal", 8);
    refused(33, "00000010 01010001 0300000801000003", "SA.transform.last", 8);
    refused(33, "00000010 01010001 0000000701000003", "SA.transform.id", 14);
    refused(33, "00000014 01010401 00000001 0000000801000003", "SA.proposal.spiSize", 6);
    refused(33, `00000010 01030001 ${T}`, "SA.proposal.spiSize", 6);
    refused(33, "00000014 01010001 0000000c01000003 000e00ff", "SA.attribute.value", 20);
  });

  it("wants proposals numbered one after the other", () => {
    const two = (second: string) => `02000010 01010001 ${T} 00000010 ${second}010001 ${T}`;
    expect(decode(33, two("02"))).toMatchObject({ proposals: [{ number: 1 }, { number: 2 }] });
    refused(33, two("01"), "SA.proposal.number", 16);
    refused(33, two("03"), "SA.proposal.number", 16);
  });
});

describe("identities", () => {
  it.each([
    ["an IPv4 address of 3 octets", "01000000 c00002", 4],
    ["an IPv6 address of 4 octets", "05000000 c0000201", 4],
    ["no data", "02000000", 4],
    ["a name that ends in NUL", "02000000 6100", 5],
    ["a name with an escape sequence", "03000000 611b5b", 5],
    ["a DN that is no SEQUENCE", "09000000 0c0161", 4],
    ["a DN that is longer than its data", "09000000 30020c", 4],
    ["a DN with octets behind", "09000000 300000", 4],
    ["a DN of indefinite length", "09000000 30800000", 4],
    ["a DN with a length that is not DER", "09000000 30810100", 4],
  ])("refuses %s", (_name, body, offset) => {
    refused(35, body, "IDi.data", offset);
    refused(36, body, "IDr.data", offset);
  });
});

describe("traffic selectors", () => {
  const range = (ports: string, start: string, end: string) => `01000000 07000010 ${ports} ${start} ${end}`;

  it("refuses none, reversed ranges and wrong sizes", () => {
    refused(44, "00000000", "TSi.count", 0);
    refused(45, "00000000", "TSr.count", 0);
    refused(44, range("0000ffff", "0a000002", "0a000001"), "TSi.end", 16);
    refused(44, range("00020001", "0a000001", "0a000002"), "TSi.endPort", 10);
    refused(44, `01000000 08000010 0000ffff 0a000001 0a000002`, "TSi.length", 6);
    refused(44, "01000000 07000008 0000ffff 0a000001 0a000002", "TSi.length", 6);
    refused(44, `02${range("0000ffff", "0a000001", "0a000002").slice(2)}`, "TSi.type", 20);
    refused(44, `${range("0000ffff", "0a000001", "0a000002")} 00`, "TSi.selectors", 20);
    refused(44, "01000000 0a000003 ffffffff", "TSi.length", 6);
  });

  it("takes OPAQUE ports, one address, and types that it does not know", () => {
    expect(decode(44, range("ffff0000", "0a000001", "0a000001"))).toMatchObject({
      selectors: [{ kind: "range", startPort: 65535, endPort: 0 }],
    });
    expect(decode(44, "01000000 0a060006 abcd")).toEqual({
      kind: "TSi",
      selectors: [{ kind: "raw", type: 10, protocol: 6, data: hex("abcd") }],
    });
  });
});

describe("other payloads", () => {
  it("refuse what contradicts itself", () => {
    refused(34, "0013", "reserved", 2);
    refused(34, "00130000", "KE.data", 4);
    refused(40, "00".repeat(15), "Nonce.data", 0);
    refused(39, "0e000000", "AUTH.data", 4);
    refused(37, "04", "CERT.data", 1);
    refused(41, "0004 4000 00000000", "N.spiSize", 1);
    refused(41, "0308 4000 0000000000000000", "N.spiSize", 1);
    refused(41, "0304 4000 000000", "N.spi", 4);
    refused(42, "00000000", "D.protocol", 0);
    refused(42, "04040000", "D.protocol", 0);
    refused(42, "01080001 0000000000000000", "D.spiSize", 1);
    refused(42, "01000001", "D.spiCount", 2);
    refused(42, "03080001 0000000000000000", "D.spiSize", 1);
    refused(42, "03040002 00000001", "D.spis", 8);
    refused(42, "03040001 00000001 00", "D.spis", 8);
    refused(47, "01000000 00010003 010203", "CP.attribute.length", 6);
    refused(47, "01000000 00010004 0102", "CP.attribute.value", 8);
    refused(48, "00010005 01", "EAP.code", 0);
    refused(48, "05010005 01", "EAP.code", 0);
    refused(48, "01010006 01", "EAP.length", 2);
    refused(48, "01010004", "EAP.data", 4);
    refused(48, "03010005 01", "EAP.data", 4);
  });

  it("refuse what is longer than anybody needs", () => {
    expect(decode(34, `001f0000 ${"01".repeat(4096)}`).kind).toBe("KE");
    refused(34, `001f0000 ${"01".repeat(4097)}`, "KE.data", 4);
    expect(decode(35, `0b000000 ${"61".repeat(2048)}`).kind).toBe("IDi");
    refused(35, `0b000000 ${"61".repeat(2049)}`, "IDi.data", 4);
    refused(40, "00".repeat(257), "Nonce.data", 0);
  });

  it("ignore reserved bits, RFC 7296 §2.5", () => {
    expect(decode(34, "0013ffff 01")).toEqual({ kind: "KE", group: 19, data: hex("01") });
    expect(decode(47, "01ffffff 80010000")).toEqual({
      kind: "CP",
      cfgType: 1,
      attributes: [{ type: 1, value: hex("") }],
    });
  });
});

describe("CERTREQ", () => {
  it("names authorities by SHA-1 hashes, or nobody", () => {
    const request = (encoding: number, size: number) =>
      authorityHashes({ kind: "CERTREQ", encoding, data: new Uint8Array(size) });
    expect(request(4, 40)).toHaveLength(2);
    expect(request(4, 0)).toEqual([]);
    expect(request(4, 39)).toEqual([]);
    expect(request(7, 40)).toEqual([]);
    expect(request(4, 20 * 1000)).toHaveLength(256);
  });
});

describe("text of a peer", () => {
  it("cannot move a cursor, break a line, reverse it or hide", () => {
    expect(printable("a.example.org")).toBe("a.example.org");
    expect(printable("café – 東京")).toBe("café – 東京");
    expect(printable("\u001b[2J\r\nroot\u0000\u007f")).toBe("\\u{1b}[2J\\u{d}\\u{a}root\\u{0}\\u{7f}");
    expect(printable("a\u202eb\u2028c\u200dd\u0085\\")).toBe("a\\u{202e}b\\u{2028}c\\u{200d}d\\u{85}\\u{5c}");
    expect(printable(hex("ff61c3"))).toBe("\\u{fffd}a\\u{fffd}");
  });

  it("is cut", () => {
    expect(printable("abcdef", 3)).toBe("abc…");
    expect(printable("😀".repeat(5), 4)).toBe(`${"😀".repeat(4)}…`);
    expect(printable(new Uint8Array(100_000).fill(0x61), 10)).toBe("aaaaaaaaaa…");
  });
});
