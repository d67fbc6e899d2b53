import fc from "fast-check";
import { decodeMessage, EXCHANGE, encodeMessage, NOTIFY_DATA, type Payload, peekCookie } from "./index.js";

const HEADER = {
  initiatorSpi: 1n,
  responderSpi: 0n,
  exchange: EXCHANGE.IKE_SA_INIT,
  initiator: true,
  response: false,
  messageId: 0,
};
const nonce = fc.uint8Array({ minLength: 16, maxLength: 256 });
const cookie = fc.option(fc.uint8Array({ minLength: 1, maxLength: 64 }), { nil: undefined });
const others = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((data): Payload => ({ kind: "V", data })),
    fc.uint8Array({ minLength: 1, maxLength: 40 }).map((data): Payload => ({ kind: "KE", group: 31, data })),
    fc.constant<Payload>({ kind: "N", protocol: 0, spi: new Uint8Array(0), type: 16_388, data: new Uint8Array(20) }),
  ),
  { maxLength: 6 },
);

it("finds what decoding finds, wherever it stands", () => {
  fc.assert(
    fc.property(others, nonce, others, cookie, others, (before, data, between, given, after) => {
      const demanded: Payload[] = given ? [NOTIFY_DATA.COOKIE.build(given)] : [];
      const bytes = encodeMessage(HEADER, [...before, { kind: "Nonce", data }, ...between, ...demanded, ...after]);
      const found = peekCookie(bytes);
      expect(found?.nonce).toEqual(data);
      expect(found?.cookie).toEqual(given);
    }),
  );
});

it("gives for any octets a view within them, or nothing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(255), (octets, first) => {
      const bytes = octets.slice();
      if (bytes.length > 16) bytes[16] = first;
      const found = peekCookie(bytes);
      if (!found) return;
      expect(found.nonce.buffer).toBe(bytes.buffer);
      expect(found.nonce.length).toBeGreaterThanOrEqual(16);
    }),
  );
});

it("takes no nonce of a size that decoding refuses", () => {
  const short = encodeMessage(HEADER, [
    { kind: "KE", group: 31, data: new Uint8Array(32) },
    { kind: "V", data: new Uint8Array(15) },
  ]);
  // The vendor ID becomes a nonce of 15 octets.
  short[28] = 40;
  expect(() => decodeMessage(short)).toThrow(expect.objectContaining({ code: "ike/malformed-payload" }));
  expect(peekCookie(short)).toBeUndefined();
});
