import { randomBytes } from "node:crypto";
import { newPassphrase } from "./index.js";

it("is four groups of five letters that nobody confuses, another one each time", () => {
  const made = Array.from({ length: 200 }, () => newPassphrase({ bytes: randomBytes }));
  for (const passphrase of made) expect(passphrase).toMatch(/^([a-hjkmnp-z2-9]{5}-){3}[a-hjkmnp-z2-9]{5}$/);
  expect(new Set(made).size).toBe(200);
});

it("takes every letter equally often: octets that would favour some are thrown away", () => {
  let next = 0;
  const counting = { bytes: (n: number) => Uint8Array.from({ length: n }, () => next++ & 0xff) };
  const letters = Array.from({ length: 310 }, () => newPassphrase(counting).replaceAll("-", "")).join("");
  const counts = new Map<string, number>();
  for (const letter of letters) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  expect(counts.size).toBe(31);
  const all = [...counts.values()];
  expect(Math.max(...all) - Math.min(...all)).toBeLessThan(letters.length / 31 / 10);
});
