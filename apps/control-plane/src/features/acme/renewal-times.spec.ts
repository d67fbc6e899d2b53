import fc from "fast-check";
import { alertSeverity, alertTime, pressingTime, renewalTime, showTime, suggestedTime } from "./renewal-times.js";

const DAY = 86_400_000;
const START = Date.parse("2026-01-01T00:00:00Z");
const at = (days: number) => new Date(START + days * DAY);
const PRINT = fc.stringMatching(/^[0-9a-f]{64}$/);
const certificate = (fingerprint: string, days = 90) => ({ fingerprint, notBefore: at(0), notAfter: at(days) });

it("a certificate is renewed by two thirds of its life, up to a twentieth earlier by chance, always at the same moment", () => {
  fc.assert(
    fc.property(PRINT, fc.integer({ min: 1, max: 400 }), (print, days) => {
      const share = (renewalTime(certificate(print, days)).getTime() - START) / (days * DAY);
      expect(share).toBeLessThanOrEqual(2 / 3);
      expect(share).toBeGreaterThan(2 / 3 - 1 / 20 - 1e-6);
      expect(renewalTime(certificate(print, days))).toEqual(renewalTime(certificate(print, days)));
    }),
  );
});

it("certificates that were made together are renewed at times of their own", () => {
  const times = Array.from({ length: 100 }, (_, i) => renewalTime(certificate(String(i))).getTime());
  expect(new Set(times).size).toBe(100);
  // A twentieth of 90 days: about four and a half.
  expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(3 * DAY);
});

it("a directory's window is used up by chance, and a certificate is renewed before its last tenth all the same", () => {
  fc.assert(
    fc.property(PRINT, (print) => {
      const time = suggestedTime(certificate(print), { start: at(10), end: at(12) });
      expect(time >= at(10) && time < at(12)).toBe(true);
    }),
  );
  expect(suggestedTime(certificate("a"), { start: at(200), end: at(300) })).toEqual(at(81));
  expect(suggestedTime(certificate("a"), { start: at(-5), end: at(-5) })).toEqual(at(-5));
});

it("nothing else counts when a quarter of its life is left, and a new key is announced while a tenth is left", () => {
  const mine = certificate("a", 100);
  expect(pressingTime(mine)).toEqual(at(75));
  expect(showTime(mine, 48, at(60))).toEqual(at(62));
  expect(showTime(mine, 48, at(89))).toEqual(at(90));
  expect([showTime(mine, 48, at(90)), showTime(mine, 0, at(60)), showTime(mine, 48, at(101))]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

it("operators are told when a quarter of its life is left, a tenth, and at its end", () => {
  const mine = certificate("a", 100);
  expect([alertTime(mine, at(0)), alertTime(mine, at(75)), alertTime(mine, at(90)), alertTime(mine, at(100))]).toEqual([
    at(75),
    at(90),
    at(100),
    undefined,
  ]);
  expect([alertSeverity(mine, at(75)), alertSeverity(mine, at(90)), alertSeverity(mine, at(101))]).toEqual([
    "WARNING",
    "ERROR",
    "ERROR",
  ]);
});
