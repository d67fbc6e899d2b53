import { type CryptoJob, generate } from "@sallyport/ike";
import { CryptoPool } from "./crypto-pool.js";

const KEYS = {
  privateKey() {
    throw new Error("no key in this test");
  },
};
const respond = (group: "x25519" | "modp8192"): CryptoJob => ({
  kind: "dh-respond",
  group,
  peerValue: new Uint8Array(1024).fill(7),
});

let pool: CryptoPool;
beforeEach(() => {
  pool = new CryptoPool(KEYS);
});
afterEach(() => pool.close());

it("keeps light work here, and what would hold the event loop away from it (hostile input 6, 29)", async () => {
  const { publicValue } = generate("x25519");
  expect(pool.run({ kind: "dh-respond", group: "x25519", peerValue: publicValue })).toMatchObject({ ok: true });
  expect(pool.run(respond("modp8192"))).toBeInstanceOf(Promise);
});

it("refuses heavy work beyond what may wait (hostile input 6, 21)", () => {
  const answers = Array.from({ length: 1030 }, () => pool.run(respond("modp8192")));
  expect(answers.slice(0, 1024).every((a) => a instanceof Promise)).toBe(true);
  expect(answers.slice(1024)).toEqual(
    Array.from({ length: 6 }, () => ({ ok: false, failure: expect.objectContaining({ code: "agent/overloaded" }) })),
  );
});

it("gives what refuses a value as the answer, never as an exception", () => {
  expect(pool.run(respond("x25519"))).toMatchObject({ ok: false, failure: { code: "ike/bad-key-exchange" } });
});
