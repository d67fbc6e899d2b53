import { IpAddress } from "@sallyport/base";
import fc from "fast-check";
import { jsonPieces, Lines } from "./json-pieces.js";

describe("an answer in pieces", () => {
  it("is the same text as in one", () => {
    fc.assert(
      fc.property(fc.object({ withNullPrototype: true, withUnicodeString: true, maxDepth: 7 }), (value) => {
        expect([...jsonPieces(value)].join("")).toBe(JSON.stringify(value));
      }),
    );
  });

  it("leaves to what knows how it is written, and leaves out what is not there", () => {
    const value = { at: IpAddress.parse("2001:db8::1"), gone: undefined, list: [undefined, null, 1], none: {} };
    expect([...jsonPieces(value)].join("")).toBe(JSON.stringify(value));
  });

  it("tells lines as one text", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" })), (lines) => {
        const text = [...jsonPieces({ ok: true, result: new Lines(lines) })].join("");
        expect(text).toBe(JSON.stringify({ ok: true, result: lines.join("\n") }));
      }),
    );
  });

  it("of 20,000 SAs has no long piece", () => {
    const sas = Array.from({ length: 20_000 }, (_, i) => ({ spi: i, text: "x".repeat(300) }));
    const pieces = [...jsonPieces({ ok: true, result: { peers: [{ sas }] } })];
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(64 * 1024);
    expect(pieces.length).toBeGreaterThan(100);
    const text = [...jsonPieces({ result: new Lines(sas.map((sa) => sa.text)) })];
    expect(Math.max(...text.map((piece) => piece.length))).toBeLessThan(64 * 1024);
  });
});
