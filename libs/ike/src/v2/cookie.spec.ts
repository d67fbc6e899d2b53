import { IpAddress } from "@sallyport/base";
import { CookieJar } from "./cookie.js";

let next = 1;
const rng = { bytes: (n: number) => new Uint8Array(n).fill(next++) };
const [here, there] = [IpAddress.parse("192.0.2.1"), IpAddress.parse("192.0.2.2")];
const nonce = new Uint8Array(32).fill(5);

test("a cookie is good for its nonce, address and SPI alone", () => {
  const jar = new CookieJar(rng);
  const cookie = jar.make(0, nonce, here, 7n);
  expect(cookie.length).toBeLessThanOrEqual(64);
  expect(jar.check(1, cookie, nonce, here, 7n)).toBe(true);
  expect(jar.check(1, cookie, nonce, there, 7n)).toBe(false);
  expect(jar.check(1, cookie, nonce, here, 8n)).toBe(false);
  expect(
    jar.check(
      1,
      cookie,
      nonce.map((b) => b ^ 1),
      here,
      7n,
    ),
  ).toBe(false);
  for (let i = 0; i < cookie.length; i++) {
    expect(
      jar.check(
        1,
        cookie.map((b, j) => (i === j ? b ^ 1 : b)),
        nonce,
        here,
        7n,
      ),
    ).toBe(false);
  }
  expect(jar.check(1, cookie.subarray(1), nonce, here, 7n)).toBe(false);
  expect(jar.check(1, new Uint8Array(0), nonce, here, 7n)).toBe(false);
});

test("a cookie lives through one change of the secret and not through two", () => {
  const jar = new CookieJar(rng);
  const cookie = jar.make(59_000, nonce, here, 7n);
  expect(jar.check(61_000, cookie, nonce, here, 7n)).toBe(true);
  expect(jar.check(119_000, cookie, nonce, here, 7n)).toBe(true);
  expect(jar.check(122_000, cookie, nonce, here, 7n)).toBe(false);
});

test("after a long silence nothing old is taken", () => {
  const jar = new CookieJar(rng);
  const cookie = jar.make(0, nonce, here, 7n);
  expect(jar.check(1_000_000, cookie, nonce, here, 7n)).toBe(false);
});
