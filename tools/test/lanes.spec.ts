import fc from "fast-check";
import { inLanes, type Place, type Shared } from "./lanes.ts";

const never = new AbortController().signal;

/** Stages that last until they are ended by name; tells what started where. */
class Bench {
  readonly log: string[] = [];
  readonly lanes = new Map<string, number | undefined>();
  readonly #ends = new Map<string, PromiseWithResolvers<void>>();

  readonly run = (stage: Place, lane: number | undefined): Promise<void> => {
    const end = Promise.withResolvers<void>();
    this.#ends.set(stage.name, end);
    this.lanes.set(stage.name, lane);
    this.log.push(stage.name);
    return end.promise;
  };

  get running(): string[] {
    return [...this.#ends.keys()];
  }

  async end(name: string, error?: Error): Promise<void> {
    const end = this.#ends.get(name);
    this.#ends.delete(name);
    if (error) end?.reject(error);
    else end?.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

it("runs two at a time in the order of the list, each in a free lane", async () => {
  const bench = new Bench();
  const done = inLanes([{ name: "a" }, { name: "b" }, { name: "c" }, { name: "d" }], 2, never, bench.run);
  expect(bench.log).toEqual(["a", "b"]);
  await bench.end("b");
  expect(bench.log).toEqual(["a", "b", "c"]);
  await bench.end("a");
  expect(bench.running).toEqual(["c", "d"]);
  expect(Object.fromEntries(bench.lanes)).toEqual({ a: 0, b: 1, c: 1, d: 0 });
  await bench.end("c");
  await bench.end("d");
  await expect(done).resolves.toBeUndefined();
});

it("runs one after the other in one lane", async () => {
  const bench = new Bench();
  const done = inLanes([{ name: "a" }, { name: "b" }], 1, never, bench.run);
  expect(bench.running).toEqual(["a"]);
  await bench.end("a");
  expect(bench.running).toEqual(["b"]);
  await bench.end("b");
  await done;
});

it("keeps apart what uses the same, and lets others go ahead of it", async () => {
  const bench = new Bench();
  const uses: Shared[] = ["namespaces"];
  const done = inLanes([{ name: "a", uses }, { name: "b", uses }, { name: "c" }], 2, never, bench.run);
  expect(bench.running).toEqual(["a", "c"]);
  await bench.end("c");
  expect(bench.running).toEqual(["a"]);
  await bench.end("a");
  expect(bench.running).toEqual(["b"]);
  await bench.end("b");
  await done;
});

it("starts nothing beside what is to be alone", async () => {
  const bench = new Bench();
  const done = inLanes([{ name: "a" }, { name: "b", alone: true }, { name: "c" }, { name: "d" }], 2, never, bench.run);
  expect(bench.running).toEqual(["a", "c"]);
  await bench.end("c");
  expect(bench.running).toEqual(["a", "d"]);
  await bench.end("a");
  await bench.end("d");
  expect(bench.running).toEqual(["b"]);
  expect(bench.lanes.get("b")).toBeUndefined();
  await bench.end("b");
  await done;
});

it("waits for those that a stage comes after, as far as they run", async () => {
  const bench = new Bench();
  const stages = [{ name: "table", after: ["one", "other", "left out"] }, { name: "one" }, { name: "other" }];
  const done = inLanes(stages, 2, never, bench.run);
  expect(bench.running).toEqual(["one", "other"]);
  await bench.end("other");
  expect(bench.running).toEqual(["one"]);
  await bench.end("one");
  expect(bench.running).toEqual(["table"]);
  await bench.end("table");
  await done;
});

it("rejects when stages wait for one another", async () => {
  const stages = [
    { name: "a", after: ["b"] },
    { name: "b", after: ["a"] },
  ];
  await expect(inLanes(stages, 2, never, new Bench().run)).rejects.toThrow("wait for one another: a, b");
});

it("rejects when a run does", async () => {
  const bench = new Bench();
  const done = inLanes([{ name: "a" }, { name: "b" }], 2, never, bench.run);
  const rejected = expect(done).rejects.toThrow("no disk");
  await bench.end("b", new Error("no disk"));
  await rejected;
});

it("starts nothing more once it is stopped, and waits for what runs", async () => {
  const bench = new Bench();
  const stop = new AbortController();
  let ended = false;
  const done = inLanes([{ name: "a" }, { name: "b" }, { name: "c" }], 2, stop.signal, bench.run).then(() => {
    ended = true;
  });
  stop.abort();
  await bench.end("a");
  expect(bench.running).toEqual(["b"]);
  expect(ended).toBe(false);
  await bench.end("b");
  await done;
  expect(bench.log).toEqual(["a", "b"]);
});

it("whatever the stages: each runs once, never too many, never two that use the same, none beside one that is alone", async () => {
  const place = fc.record({
    alone: fc.boolean(),
    uses: fc.subarray<Shared>(["namespaces"]),
    back: fc.array(fc.nat({ max: 9 }), { maxLength: 3 }),
    ticks: fc.nat({ max: 5 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(place, { maxLength: 12 }), fc.integer({ min: 1, max: 3 }), async (places, lanes) => {
      const stages = places.map(({ back, ...rest }, i) => ({
        ...rest,
        name: `${i}`,
        after: back.filter((n) => n < i).map(String),
      }));
      const running = new Set<(typeof stages)[number]>();
      const ended = new Set<string>();
      const taken = new Set<number | undefined>();
      await inLanes(stages, lanes, never, async (stage, lane) => {
        for (const other of running) {
          expect(other.alone || stage.alone).toBe(false);
          expect(other.uses.filter((thing) => stage.uses.includes(thing))).toEqual([]);
        }
        expect(taken.has(lane)).toBe(false);
        expect(running.size).toBeLessThan(lanes);
        expect(stage.after.filter((name) => !ended.has(name))).toEqual([]);
        running.add(stage);
        taken.add(lane);
        for (let tick = 0; tick < stage.ticks; tick++) await new Promise((resolve) => setImmediate(resolve));
        running.delete(stage);
        taken.delete(lane);
        ended.add(stage.name);
      });
      expect(ended.size).toBe(stages.length);
    }),
    { numRuns: 200 },
  );
});
