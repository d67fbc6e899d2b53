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

it("fires many in their order, however they were armed, disarmed and armed again", () => {
  const at = (timer: number) => ((timer * 7919) % 1000) + 1;
  for (let timer = 0; timer < 3000; timer++) timers.arm(timer, 10);
  for (let timer = 0; timer < 3000; timer++) timers.arm(timer, at(timer));
  for (let timer = 0; timer < 3000; timer += 3) timers.disarm(timer);
  advance(500);
  expect(due.every((timer) => at(timer) <= 500)).toBe(true);
  advance(500);
  const expected = Array.from({ length: 3000 }, (_, timer) => timer).filter((timer) => timer % 3 !== 0);
  expect([...due].sort((a, b) => a - b)).toEqual(expected);
});

it("lets others have their turn when a timer is armed for now whenever it fires", () => {
  let fired = 0;
  timers = new Timers(
    () => now,
    (timer) => {
      fired++;
      timers.arm(timer, now);
    },
  );
  timers.arm(1, 0);
  advance(0);
  expect(fired).toBe(1);
});

it("lets others have their turn between timers that are due together, and fires them in their order", () => {
  for (let i = 0; i < 1000; i++) timers.arm(i, 100);
  timers.arm(1000, 101);
  now = 200;
  jest.advanceTimersToNextTimer();
  expect(due.length).toBe(256);
  jest.advanceTimersToNextTimer();
  expect(due.length).toBe(512);
  jest.runAllTimers();
  expect(due.length).toBe(1001);
  expect(due.at(-1)).toBe(1000);
});
