import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { chapResponse } from "./md5.js";
import { sameSecret } from "./user.js";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const utf8 = (text: string) => new TextEncoder().encode(text);

describe("the parts", () => {
  it("EAP-MD5 hashes identifier, password and challenge (RFC 1994 §4.1)", () => {
    // printf '\x2a%s%s' secret 0123456789abcdef | md5sum
    expect(hex(chapResponse(0x2a, utf8("secret"), utf8("0123456789abcdef")))).toBe("a57ec369f8c605afba4ed52346fc0a4a");
  });

  it("compares secrets of any lengths", () => {
    const ctx = { rng: { bytes: (n: number) => Uint8Array.from(randomBytes(n)) }, users: new Map() };
    expect(sameSecret(utf8("abc"), utf8("abc"), ctx)).toBe(true);
    expect(sameSecret(utf8("abc"), utf8("abcd"), ctx)).toBe(false);
    expect(sameSecret(utf8(""), utf8("a"), ctx)).toBe(false);
  });
});
