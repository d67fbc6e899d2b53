import { createHash } from "node:crypto";
import { EXCHANGE, encodeMessage, NOTIFY_DATA, type Payload } from "@sallyport/ike";
import { Thinning } from "./thinning.js";

const header = (more: { responderSpi?: bigint; exchange?: number; messageId?: number } = {}) => ({
  initiatorSpi: 7n,
  responderSpi: 0n,
  exchange: EXCHANGE.IKE_SA_INIT,
  initiator: true,
  response: false,
  messageId: 0,
  ...more,
});
const nonce: Payload = { kind: "Nonce", data: new Uint8Array(32) };
const WITH_COOKIE = encodeMessage(header(), [NOTIFY_DATA.COOKIE.build(new Uint8Array(20)), nonce]);
const LATER = encodeMessage(header({ responderSpi: 9n, exchange: EXCHANGE.INFORMATIONAL, messageId: 3 }), []);
/** The first message of the stranger `n`. */
const first = (n: number) => {
  const initiatorSpi = createHash("sha256").update(String(n)).digest().readBigUInt64BE();
  return encodeMessage({ ...header(), initiatorSpi }, [nonce]);
};
const lets = (thinning: Thinning, data: Uint8Array) => {
  const slab = Buffer.concat([new Uint8Array(64), data]);
  return thinning.lets(slab, 64, data.length);
};

/** With a socket whose buffer is that full. */
function at(fill: number): Thinning {
  const thinning = new Thinning(
    () => fill,
    () => 0,
  );
  for (let i = 0; i < 32; i++) lets(thinning, LATER);
  return thinning;
}

/** How many of a thousand pass. */
function passing(fill: number, data: (n: number) => Uint8Array): number {
  const thinning = at(fill);
  let passed = 0;
  for (let n = 0; n < 1_000; n++) if (lets(thinning, data(n))) passed++;
  return passed;
}

it("lets everything pass while little waits", () => {
  expect(passing(0, first)).toBe(1_000);
  expect(passing(1 / 16, first)).toBe(1_000);
});

it("lets fewer first messages pass the more waits, and in the end none", () => {
  expect([2, 3, 4].map((part) => passing(part / 16, first))).toEqual([667, 334, 0]);
  expect(passing(1, first)).toBe(0);
});

it.each([3 / 16, 1 / 2])(
  "lets a first message pass that comes again, once for each time that it fell (%d full)",
  (fill) => {
    const thinning = at(fill);
    const fell = Array.from({ length: 300 }, (_, n) => first(n)).filter((data) => !lets(thinning, data));
    expect(fell.length).toBeGreaterThan(150);
    expect(fell.filter((data) => lets(thinning, data))).toHaveLength(fell.length);
    expect(fell.filter((data) => lets(thinning, data)).length).toBeLessThan(fell.length / 2);
  },
);

it("lets none pass that comes again where nothing else helps", () => {
  const thinning = at(1);
  for (let i = 0; i < 5; i++) expect(lets(thinning, first(1))).toBe(false);
});

it("lets all pass that belongs to a conversation, however much waits", () => {
  expect(passing(1, () => WITH_COOKIE)).toBe(1_000);
  expect(passing(1, () => LATER)).toBe(1_000);
  expect(passing(1, () => new Uint8Array(3))).toBe(1_000);
});

it("forgets the flood when it is over: the next first message is not let fall", () => {
  let [fill, now] = [1, 0];
  const thinning = new Thinning(
    () => fill,
    () => now,
  );
  for (let n = 0; n < 100; n++) lets(thinning, first(n));
  expect(lets(thinning, first(1_000))).toBe(false);
  fill = 0;
  now += 10;
  expect(lets(thinning, first(1_000))).toBe(true);
  expect(lets(thinning, first(1_001))).toBe(true);
});

it("asks how full it is once in many datagrams of a flood", () => {
  let asked = 0;
  const thinning = new Thinning(
    () => ++asked && 1,
    () => 0,
  );
  for (let n = 0; n < 3_200; n++) lets(thinning, first(n));
  expect(asked).toBe(100);
});
