import { BARS, type FloodReport, shortfalls, underFlood } from "./flood.js";

const RATE = 20_000;
const SECONDS = 12;
let report: FloodReport;

beforeAll(async () => {
  report = await underFlood("sp-flood", { port: 500, rate: RATE, seconds: SECONDS });
}, 120_000);

it("20,000 spoofed IKE_SA_INITs a second reach the gateway, which answers with cookies and holds nothing for them", () => {
  expect(report.perSecond).toBeGreaterThan(0.9 * RATE);
  expect(report.cookies).toBeGreaterThan(0.3 * report.sent);
  expect(report.seen + report.dropped).toBeGreaterThan(0.9 * report.sent);
  expect(report.overflown).toBe(0);
  expect(report.halfOpen).toBeLessThanOrEqual(BARS.halfOpen);
});

it("meanwhile a tunnel carries packets and is rekeyed by either end, and another peer connects within two seconds", () => {
  expect(report.rekeys.length).toBeGreaterThanOrEqual(4);
  expect(shortfalls(report)).toEqual([]);
});
