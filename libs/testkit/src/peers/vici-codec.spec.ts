import { Buffer } from "node:buffer";
import fc from "fast-check";
import { decodeMessage, encodeMessage, type ViciSection } from "./vici-codec.js";

/** The example of strongSwan's src/libcharon/plugins/vici/README.md, "Message encoding". */
const example = {
  section: { key1: "value1", "sub-section": { key2: "value2" }, list1: ["item1", "item2"] },
};

describe("VICI messages", () => {
  it("encodes the documented elements", () => {
    expect(encodeMessage({ section: { key1: "value1" } }).toString("latin1")).toBe(
      "\x01\x07section\x03\x04key1\x00\x06value1\x02",
    );
    expect(encodeMessage({ list1: ["item1"] }).toString("latin1")).toBe("\x04\x05list1\x05\x00\x05item1\x06");
  });

  it("reads back what it wrote", () => {
    expect(decodeMessage(encodeMessage(example))).toEqual(example);
    const key = fc
      .string({ minLength: 1, maxLength: 20, unit: "grapheme-ascii" })
      .filter((k) => !/^(__proto__|\d+)$/.test(k));
    const text = fc.string({ unit: "grapheme-ascii" });
    const { section } = fc.letrec<{ section: ViciSection }>((tie) => ({
      section: fc.dictionary(key, fc.oneof({ depthSize: "small" }, text, fc.array(text), tie("section")), {
        noNullPrototype: true,
      }),
    }));
    fc.assert(fc.property(section, (message) => expect(decodeMessage(encodeMessage(message))).toEqual(message)));
  });

  it("refuses every cut-off message and any octets either decode or throw RangeError", () => {
    const whole = encodeMessage(example);
    for (let length = 1; length < whole.length; length++) {
      expect(() => decodeMessage(whole.subarray(0, length))).toThrow(RangeError);
    }
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          expect(decodeMessage(Buffer.from(bytes))).toBeDefined();
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});
