import { readFileSync } from "node:fs";
import fc from "fast-check";
import {
  checkAnswer,
  decodeMessage,
  encodeMessage,
  isWithin,
  labelsOf,
  type Message,
  signMessage,
  type TextChange,
  type TsigAlgorithm,
  type TsigKey,
  textQuery,
  textsOf,
  updateOf,
  verifyAnswer,
} from "./index.js";

interface Vector {
  readonly algorithm: TsigAlgorithm;
  readonly secret: string;
  readonly key: string;
  readonly zone: string;
  readonly id: number;
  readonly now: number;
  readonly changes: readonly TextChange[];
  readonly request: string;
  readonly mac: string;
  readonly answer: string;
}
const file = new URL("../vectors/tsig-dnspython.json", import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, "utf8")) as { vectors: Vector[] };
const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");
const octets = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));
const keyOf = ({ key, algorithm, secret }: Vector): TsigKey => ({ name: key, algorithm, secret: octets(secret) });

const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join("."));
const key: fc.Arbitrary<TsigKey> = fc.record({
  name,
  algorithm: fc.constantFrom("hmac-sha256" as const, "hmac-sha512" as const),
  secret: fc.uint8Array({ minLength: 16, maxLength: 64 }),
});
const record = fc.record({
  name,
  type: fc.constantFrom(1, 6, 16, 28),
  class: fc.constantFrom(1, 254, 255),
  ttl: fc.nat(2 ** 31 - 1),
  data: fc.uint8Array({ maxLength: 60 }),
});
const section = fc.array(record, { maxLength: 3 });
const message: fc.Arbitrary<Message> = fc.record({
  id: fc.nat(0xffff),
  response: fc.boolean(),
  opcode: fc.constantFrom(0, 5),
  authoritative: fc.boolean(),
  rcode: fc.nat(15),
  questions: fc.array(fc.record({ name, type: fc.nat(0xffff), class: fc.nat(0xffff) }), { maxLength: 2 }),
  answers: section,
  authorities: section,
  additionals: section,
});
const NOW = 1_767_225_600;

describe("against another implementation", () => {
  it.each(vectors)("an UPDATE is the same, octet by octet, and so is its signature (%#)", (vector) => {
    const request = encodeMessage(updateOf(vector.id, vector.zone, vector.changes));
    const signed = signMessage(request, keyOf(vector), vector.now);
    expect(hex(signed.mac)).toBe(vector.mac);
    // The canonical form of the key's name goes into the digest only.
    expect(hex(signed.message)).toBe(vector.request);
  });

  it.each(vectors)(
    "an answer is taken, and not with an octet changed, another key, another request or at another time (%#)",
    (vector) => {
      const [answer, mac] = [octets(vector.answer), octets(vector.mac)];
      const request = updateOf(vector.id, vector.zone, vector.changes);
      const take =
        (...args: Parameters<typeof verifyAnswer>) =>
        () =>
          checkAnswer(request, verifyAnswer(...args));
      expect(take(answer, keyOf(vector), vector.now + 299, mac)).not.toThrow();
      for (let i = 0; i < answer.length; i++) {
        const changed = answer.slice();
        changed[i] = (changed[i] as number) ^ 0x81;
        expect(take(changed, keyOf(vector), vector.now, mac)).toThrow(
          expect.objectContaining({
            code: expect.stringMatching(/^dns\/(malformed|bad-signature|bad-time|wrong-answer)$/),
          }),
        );
      }
      const other = { ...keyOf(vector), secret: octets("00".repeat(32)) };
      expect(take(answer, other, vector.now, mac)).toThrow(expect.objectContaining({ code: "dns/bad-signature" }));
      expect(take(answer, keyOf(vector), vector.now, mac.slice(1))).toThrow(
        expect.objectContaining({ code: "dns/bad-signature" }),
      );
      expect(take(answer, keyOf(vector), vector.now + 301, mac)).toThrow(
        expect.objectContaining({ code: "dns/bad-time" }),
      );
    },
  );
});

describe("messages", () => {
  it("are read as they were written", () => {
    fc.assert(
      fc.property(message, (made) => {
        const { lastRecordAt, ...read } = decodeMessage(encodeMessage(made));
        expect(read).toEqual(made);
        const records = made.answers.length + made.authorities.length + made.additionals.length;
        expect(lastRecordAt === undefined).toBe(records === 0);
      }),
    );
  });

  it("of any octets give a message or a fault, also with lengths, counts and pointers that lie", () => {
    const damaged = fc
      .tuple(message, fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 12 }), fc.nat(400))
      .map(([made, changes, cut]) => {
        const written = encodeMessage(made);
        for (const [at, value] of changes) written[at % written.length] = value;
        return cut % 2 === 0 ? written : written.slice(0, cut);
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), (any) => {
        try {
          decodeMessage(any);
        } catch (error) {
          expect(error).toMatchObject({ code: "dns/malformed" });
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("refuse pointers in circles, pointers into the header and names that grow beyond their size", () => {
    const head = "000080000001000000000000";
    const malformed = expect.objectContaining({ code: "dns/malformed" });
    expect(() => decodeMessage(octets(`${head}c00c00100001`))).toThrow(malformed);
    expect(() => decodeMessage(octets(`${head}c00100100001`))).toThrow(malformed);
    expect(() => decodeMessage(octets(`${head}0161c00c00100001`))).toThrow(malformed);
    expect(() => decodeMessage(octets(`${head}${`3f${"61".repeat(63)}`.repeat(4)}0000100001`))).toThrow(malformed);
    expect(() => decodeMessage(octets(`0000800000010000ffff0000${"00".repeat(40)}`))).toThrow(malformed);
  });

  it("that are signed are verified by who has the key, whatever they are", () => {
    fc.assert(
      fc.property(message, key, fc.uint8Array({ minLength: 32, maxLength: 64 }), (made, shared, requestMac) => {
        const { message: signed } = signMessage(encodeMessage(made), shared, NOW, requestMac);
        const { additionals, ...rest } = verifyAnswer(signed, shared, NOW, requestMac);
        expect(additionals.slice(0, -1)).toEqual(made.additionals);
        expect(rest.id).toBe(made.id);
      }),
    );
  });

  it("that are not signed are not taken for signed ones, and say what the server said", () => {
    const refused = encodeMessage({ ...updateOf(7, "example.org", []), response: true, rcode: 5 });
    const shared = keyOf(vectors[0] as Vector);
    expect(() => verifyAnswer(refused, shared, NOW, new Uint8Array(32))).toThrow(
      expect.objectContaining({ code: "dns/bad-signature", value: "REFUSED" }),
    );
  });
});

describe("questions for texts", () => {
  it("take only the answer to themselves, and only that name's texts", () => {
    const asked = textQuery(9, "_acme-challenge.example.org");
    const data = Uint8Array.from(Buffer.from("\x03abc\x02de", "latin1"));
    const of = (name: string, more: object = {}) => ({ name, type: 16, class: 1, ttl: 1, data, ...more });
    const answer = {
      ...asked,
      response: true,
      answers: [of("_ACME-challenge.example.org"), of("example.org"), of("_acme-challenge.example.org", { type: 1 })],
    };
    const read = decodeMessage(encodeMessage(answer));
    checkAnswer(asked, read);
    expect(textsOf(read, "_acme-challenge.example.org")).toEqual(["abcde"]);
    const wrong = expect.objectContaining({ code: "dns/wrong-answer" });
    expect(() => checkAnswer(textQuery(8, "_acme-challenge.example.org"), read)).toThrow(wrong);
    expect(() => checkAnswer(textQuery(9, "_acme-challenge.example.net"), read)).toThrow(wrong);
    expect(() => checkAnswer(asked, decodeMessage(encodeMessage(asked)))).toThrow(wrong);
  });
});

describe("names", () => {
  it("are within their zones", () => {
    expect(isWithin("_acme-challenge.VPN.example.org.", "example.org")).toBe(true);
    expect(isWithin("example.org", "example.org.")).toBe(true);
    expect(isWithin("badexample.org", "example.org")).toBe(false);
  });

  it.each(["a..b", "a b", "a\\046b", "x".repeat(64), `${"a.".repeat(130)}b`, "é.org"])("are not %p", (text) => {
    expect(() => labelsOf(text)).toThrow(expect.objectContaining({ code: "dns/bad-name" }));
  });
});
