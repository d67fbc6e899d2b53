import { inSlices, timeInSlices } from "./slices.js";

/** Work of `steps` steps that take `ms` each; notes in `log` whose turn it was. */
function* work(name: string, steps: number, ms: number, log: string[]): Generator<undefined, string> {
  for (let i = 0; i < steps; i++) {
    log.push(name);
    const until = performance.now() + ms;
    while (performance.now() < until);
    yield;
  }
  return name;
}

it("holds the event loop for one slice a turn, however much work there is", async () => {
  const log: string[] = [];
  const before = timeInSlices();
  let turns = 0;
  let ended = false;
  const count = () => {
    log.push("|");
    turns++;
    if (!ended) setImmediate(count);
  };
  setImmediate(count);
  const all = await Promise.all(["a", "b", "c"].map((name) => inSlices(work(name, 20, 1, log))));
  ended = true;
  expect(all).toEqual(["a", "b", "c"]);
  // 60 ms of work: each turn has a slice of 4 ms, and a step of each of the others.
  expect(turns).toBeGreaterThan(6);
  expect(
    Math.max(
      ...log
        .join("")
        .split("|")
        .map((turn) => turn.length),
    ),
  ).toBeLessThanOrEqual(12);
  expect(timeInSlices() - before).toBeGreaterThanOrEqual(59);
});

it("gives what the work throws to its caller alone", async () => {
  const fails = inSlices(
    (function* (): Generator<undefined, void> {
      yield;
      throw new Error("no");
    })(),
  );
  const other = inSlices(work("a", 3, 1, []));
  await expect(fails).rejects.toThrow("no");
  expect(await other).toBe("a");
});
