import { IpAddress, Prefix } from "@sallyport/base";
import { sameValue } from "./equal.js";

const octets = (...all: number[]) => Uint8Array.from(all);
const user = (password: number) => ({ password: octets(password) });

test.each([
  ["addresses", IpAddress.parse("10.0.0.1"), IpAddress.parse("10.0.0.1"), IpAddress.parse("10.0.0.2")],
  ["prefixes", Prefix.parse("10.0.0.0/8"), Prefix.parse("10.0.0.0/8"), Prefix.parse("10.0.0.0/9")],
  ["octets", octets(1, 2), octets(1, 2), octets(1, 3)],
  ["lists", [1, { a: 2 }], [1, { a: 2 }], [1, { a: 3 }]],
  ["what is absent", { a: 1, b: undefined }, { a: 1 }, { a: 1, b: 0 }],
  ["maps by their values", new Map([["ada", user(1)]]), new Map([["ada", user(1)]]), new Map([["ada", user(2)]])],
  ["maps by their keys", new Map([["ada", 1]]), new Map([["ada", 1]]), new Map([["eve", 1]])],
  [
    "maps by what they lack",
    new Map([["ada", undefined]]),
    new Map([["ada", undefined]]),
    new Map([["eve", undefined]]),
  ],
  [
    "maps by their size",
    new Map([["ada", 1]]),
    new Map([["ada", 1]]),
    new Map([
      ["ada", 1],
      ["eve", 2],
    ]),
  ],
])("compares %s by content", (_, a, same, other) => {
  expect(sameValue(a, same)).toBe(true);
  expect(sameValue(a, other)).toBe(false);
  expect(sameValue(other, a)).toBe(false);
});

test.each([
  ["a map", new Map()],
  ["a list", []],
  ["octets", octets()],
])("an object is not %s", (_, other) => {
  expect(sameValue({}, other)).toBe(false);
  expect(sameValue(other, {})).toBe(false);
});
