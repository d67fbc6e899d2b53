import { Pace } from "./pace.js";

function lab() {
  let now = 1_000;
  const pace = new Pace(20, () => now);
  const work = (ms: number) => () => {
    now += ms;
    return ms;
  };
  return { pace, work };
}

it("work that takes no time rests as little as it may", async () => {
  const { pace, work } = lab();
  expect([pace.pause, await pace.do(work(0.5)), pace.pause]).toEqual([20, 0.5, 20]);
});

it("work that takes long takes a twentieth of the time and no more, however often it is asked for", async () => {
  const { pace, work } = lab();
  await pace.do(work(300));
  expect(300 / (300 + pace.pause)).toBeCloseTo(1 / 20);
  await pace.do(work(0));
  expect(pace.pause).toBe(20);
});

it("work that waits rests by the time until it was done", async () => {
  const { pace, work } = lab();
  await pace.do(async () => void work(10)());
  expect(pace.pause).toBe(190);
});

it("work that fails rests as well", async () => {
  const { pace, work } = lab();
  const fail = () => {
    work(100)();
    throw new Error("no");
  };
  await expect(pace.do(fail)).rejects.toThrow("no");
  expect(pace.pause).toBe(1_900);
});
