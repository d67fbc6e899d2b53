import { addon } from "./addon.js";

const bytes = (size: number) => new Uint8Array(size);
const wrong = expect.objectContaining({ code: "ERR_INVALID_ARG_TYPE" });

/** Sizes that do not fit are refused before any memory is touched, whoever calls. */
describe("native IKE cryptography", () => {
  it("makes no PRF of what is no hash", () => {
    expect(addon().prfCreate("no such hash")).toBeUndefined();
    expect(() => addon().prfCreate("x".repeat(100))).toThrow(wrong);
  });

  it.each([
    ["a key beyond the room", 64, 65, 0],
    ["data beyond the room", 64, 32, 33],
    ["a room without space for the output", 31, 0, 0],
  ])("computes no PRF with %s", (_name, room, key, data) => {
    const prf = addon().prfCreate("SHA256");
    if (!prf) throw new Error("no SHA-256");
    expect(() => addon().prfCompute(prf, bytes(room), key, data)).toThrow(wrong);
    expect(() => addon().prfCompute(prf, bytes(room), -1, data)).toThrow(wrong);
  });

  it.each([
    ["more outputs than there is room for", 32 + 16 + 63, 32, 16, 2],
    ["more outputs than RFC 7296 §2.13 allows", 20_000, 32, 16, 256],
    ["a seed beyond the room", 64, 32, 33, 0],
  ])("expands no key to %s", (_name, room, key, seed, rounds) => {
    const prf = addon().prfCreate("SHA256");
    if (!prf) throw new Error("no SHA-256");
    expect(() => addon().prfExpand(prf, bytes(room), key, seed, rounds)).toThrow(wrong);
  });

  it("exchanges no values of another size", () => {
    const exchange = addon().exchangeCreate("X25519", "", 32, 32);
    if (!exchange) throw new Error("no X25519");
    for (const size of [0, 95, 97]) expect(() => addon().exchangeRespond(exchange, bytes(size))).toThrow(wrong);
    expect(() => addon().exchangeCreate("X25519", "", 134, 32)).toThrow(wrong);
    expect(addon().exchangeCreate("X25519", "prime256v1", 32, 32)).toBeUndefined();
    // A group whose values have another size than told exchanges nothing.
    const short = addon().exchangeCreate("X25519", "", 31, 31);
    if (!short) throw new Error("no X25519");
    expect(addon().exchangeRespond(short, bytes(93))).toBe(0);
  });

  it.each([
    ["a key that is too short", 35, 52, 28, 0],
    ["a key that is too long", 37, 52, 28, 0],
    ["a message without space for IV and ICV", 36, 51, 28, 0],
    ["a body beyond the message", 36, 52, 53, 0],
  ])("seals and opens nothing with %s", (_name, key, message, bodyOffset, text) => {
    const aead = addon().aeadCreate("AES-256-GCM", 32, 12, 8, 16);
    if (!aead) throw new Error("no AES-256-GCM");
    expect(() => addon().aeadSeal(aead, bytes(key), bytes(message), bodyOffset)).toThrow(wrong);
    expect(() => addon().aeadOpen(aead, bytes(key), bytes(message), bodyOffset, bytes(text))).toThrow(wrong);
  });

  it("opens into a plaintext of the right size only, and leaves zeros when the ICV is wrong", () => {
    const aead = addon().aeadCreate("AES-256-GCM", 32, 12, 8, 16);
    if (!aead) throw new Error("no AES-256-GCM");
    for (const size of [9, 11]) {
      expect(() => addon().aeadOpen(aead, bytes(36), bytes(62), 28, bytes(size))).toThrow(wrong);
    }
    const plaintext = bytes(10).fill(1);
    expect(addon().aeadOpen(aead, bytes(36), bytes(62), 28, plaintext)).toBe(0);
    expect(plaintext).toEqual(bytes(10));
  });
});
