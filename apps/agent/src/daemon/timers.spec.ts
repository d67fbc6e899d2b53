import { jest } from "@jest/globals";
import { Timers } from "./timers.js";

let now = 0;
const due: number[] = [];
let timers: Timers;

beforeEach(() => {
  jest.useFakeTimers();
  now = 0;
  due.length = 0;
  timers = new Timers(
    () => now,
    (timer) => due.push(timer),
  );
});
afterEach(() => {
  timers.clear();
  jest.useRealTimers();
});

function advance(ms: number): void {
  now += ms;
  jest.advanceTimersByTime(ms);
}

it("fires once, when it is time", () => {
  timers.arm(1, 100);
  advance(99);
  expect(due).toEqual([]);
  advance(1);
  advance(1000);
  expect(due).toEqual([1]);
});

it("replaces what was armed under the same id, and forgets what was disarmed", () => {
  timers.arm(1, 100);
  timers.arm(1, 300);
  timers.arm(2, 100);
  timers.disarm(2);
  advance(200);
  expect(due).toEqual([]);
  advance(100);
  expect(due).toEqual([1]);
});

it("waits again when the engine's clock is behind", () => {
  timers.arm(1, 100);
  jest.advanceTimersByTime(100);
  expect(due).toEqual([]);
  now = 100;
  jest.advanceTimersByTime(100);
  expect(due).toEqual([1]);
});

it("reaches further than setTimeout does", () => {
  const month = 30 * 24 * 3600 * 1000;
  timers.arm(1, month);
  advance(2 ** 31 - 1);
  expect(due).toEqual([]);
  advance(month - 2 ** 31 + 1);
  expect(due).toEqual([1]);
});
