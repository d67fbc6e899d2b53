import fc from "fast-check";
import { Reader, Writer } from "./index.js";

describe("cursors", () => {
  it("read back what was written", () => {
    fc.assert(
      fc.property(
        fc.nat(0xff),
        fc.nat(0xffff),
        fc.nat(0xffffffff),
        fc.bigInt(0n, 2n ** 64n - 1n),
        fc.uint8Array(),
        (a, b, c, d, e) => {
          const r = new Reader(new Writer(1).u8(a).u16(b).u32(c).u64(d).zero(3).bytes(e).done());
          expect([r.u8("a"), r.u16("b"), r.u32("c"), r.u64("d")]).toEqual([a, b, c, d]);
          r.skip(3);
          expect(r.rest("e")).toEqual(e);
        },
      ),
    );
  });

  it("names the field and the absolute offset of what is missing", () => {
    const r = new Reader(new Uint8Array(6));
    r.skip(2);
    const inner = r.sub(3, "inner");
    inner.u8("x");
    expect(() => inner.u32("spi")).toThrow(
      expect.objectContaining({ code: "base/truncated", field: "spi", offset: 3 }),
    );
    expect(() => r.end("message")).toThrow(expect.objectContaining({ code: "base/trailing", offset: 5 }));
    expect(() => r.rest("data", { min: 2 })).toThrow(expect.objectContaining({ code: "base/bad-length" }));
  });
});
