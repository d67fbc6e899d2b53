import fc from "fast-check";
import { addFragment, LIMITS, type Reassembled, type Reassembly } from "./index.js";

const part = (number: number, total: number, firstPayload = 0) => ({ firstPayload, fragment: { number, total } });
const bytes = (...values: number[]) => Uint8Array.from(values);
const bad = expect.objectContaining({ code: "ike/bad-fragment" });

function addAll(steps: readonly (readonly [number, number, Uint8Array])[]): Reassembled | undefined {
  let state: Reassembly | undefined;
  let last: Reassembled | undefined;
  for (const [number, total, data] of steps) {
    last = addFragment(state, part(number, total, number === 1 ? 35 : 0), data);
    if (last.complete) break;
    state = last.reassembly;
  }
  return last;
}

it("puts fragments together in any order, however often each comes", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 12 }),
      fc.infiniteStream(fc.nat()),
      (parts, random) => {
        const total = parts.length;
        const pending = parts.map((data, i) => [i + 1, total, data] as const);
        const order: (typeof pending)[number][] = [];
        while (pending.length > 0) {
          const at = random.next().value % pending.length;
          order.push(pending[at] as (typeof pending)[number]);
          if (pending.length > 1 && random.next().value % 3 === 0) continue; // comes again later
          pending.splice(at, 1);
        }
        const whole = { firstPayload: 35, plaintext: Uint8Array.from(Buffer.concat(parts)) };
        expect(addAll(order)?.complete).toEqual(whole);
      },
    ),
  );
});

it("starts over for a larger cut and ignores a smaller one (RFC 7383 §2.6)", () => {
  expect(
    addAll([
      [1, 3, bytes(1)],
      [2, 2, bytes(9)],
      [2, 3, bytes(2)],
      [3, 3, bytes(3)],
    ])?.complete?.plaintext,
  ).toEqual(bytes(1, 2, 3));
  expect(
    addAll([
      [1, 2, bytes(1)],
      [2, 3, bytes(2)],
      [3, 3, bytes(3)],
      [1, 3, bytes(1)],
    ])?.complete?.plaintext,
  ).toEqual(bytes(1, 2, 3));
  expect(
    addAll([
      [1, 2, bytes(1)],
      [2, 3, bytes(2)],
      [3, 3, bytes(3)],
    ])?.complete,
  ).toBeUndefined();
});

it("keeps the first of two that differ", () => {
  expect(
    addAll([
      [1, 2, bytes(1)],
      [1, 2, bytes(7)],
      [2, 2, bytes(2)],
    ])?.complete?.plaintext,
  ).toEqual(bytes(1, 2));
});

it("refuses empty fragments, numbers past the total and too many octets (CVE-2013-6076, CVE-2016-1287)", () => {
  expect(() => addAll([[1, 2, bytes()]])).toThrow(bad);
  expect(() => addAll([[3, 2, bytes(1)]])).toThrow(bad);
  expect(() => addAll([[0, 2, bytes(1)]])).toThrow(bad);
  expect(() => addAll([[1, LIMITS.fragments + 1, bytes(1)]])).toThrow(bad);
  const large = new Uint8Array(LIMITS.reassembledBytes / 2 + 1);
  expect(() =>
    addAll([
      [1, 3, large],
      [2, 3, large],
    ]),
  ).toThrow(bad);
});

it("leaves the earlier state as it was", () => {
  const { reassembly } = addFragment(undefined, part(1, 3, 35), bytes(1));
  addFragment(reassembly, part(2, 3), bytes(2));
  expect([...reassembly.parts.keys()]).toEqual([1]);
});
