import { jest } from "@jest/globals";
import { Stopwatch } from "./stopwatch.js";

describe("a stopwatch", () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it("counts what takes time, and not the time in which the machine stood still", () => {
    let now = 0;
    const watch = new Stopwatch(() => now);
    for (; now < 700; now += 20) jest.advanceTimersByTime(20);
    now += 3_000;
    jest.advanceTimersByTime(20);
    now += 100;
    expect(watch.stop()).toBe(800);
  });

  it("knows of one that lasts until it is stopped", () => {
    let now = 0;
    const watch = new Stopwatch(() => now);
    now = 5_000;
    expect(watch.stop()).toBe(20);
  });

  it("counts the delays of a busy machine", () => {
    let now = 0;
    const watch = new Stopwatch(() => now);
    for (; now < 2_000; now += 400) jest.advanceTimersByTime(20);
    expect(watch.stop()).toBe(2_000);
  });
});
