import { LogBudget } from "./log-budget.js";

let now = 0;
const budget = () => new LogBudget(() => now);
const lines = (b: LogBudget, peer: string | undefined, count: number) =>
  Array.from({ length: count }, () => b.take(peer)).filter((left) => left !== undefined).length;

beforeEach(() => {
  now = 0;
});

it("lets a peer fill so many lines at once and then a few a second, and says how many are missing", () => {
  const b = budget();
  expect(lines(b, "a", 1000)).toBe(200);
  now = 1000;
  expect(b.take("a")).toBe(800);
  expect(lines(b, "a", 100)).toBe(9);
});

it("keeps a peer's lines for it while strangers shout", () => {
  const b = budget();
  expect(lines(b, undefined, 100_000)).toBe(200);
  expect(lines(b, "a", 10)).toBe(10);
});

it("bounds all together", () => {
  const b = budget();
  let written = 0;
  for (let peer = 0; peer < 100; peer++) written += lines(b, `p${peer}`, 100);
  expect(written).toBe(1_000);
  now = 10_000;
  for (let peer = 0; peer < 100; peer++) written += lines(b, `p${peer}`, 100);
  expect(written).toBe(1_500);
});
