import { jest } from "@jest/globals";
import { inSlices, mapInSlices, Slice, Turns } from "./slices.js";

/** Steps of work of so many milliseconds each; how many of them were done in each turn of the event loop. */
let now = 0;
let turn = 0;
const perTurn = new Map<number, number>();
let counting: NodeJS.Immediate | undefined;

function work(ms: number): void {
  now += ms;
  perTurn.set(turn, (perTurn.get(turn) ?? 0) + 1);
}

beforeEach(() => {
  jest.spyOn(process, "threadCpuUsage").mockImplementation(() => ({ user: now * 600, system: now * 400 }));
  [now, turn] = [0, 0];
  perTurn.clear();
  const count = () => {
    turn++;
    counting = setImmediate(count);
  };
  counting = setImmediate(count);
});
afterEach(async () => {
  clearImmediate(counting);
  // The slice of the last turn ends with it.
  await new Promise(setImmediate);
  jest.restoreAllMocks();
});

async function working(steps: number, ms: number): Promise<void> {
  const slice = new Slice();
  for (let i = 0; i < steps; i++) {
    work(ms);
    if (slice.isOver) await slice.next();
  }
}

describe("work in slices", () => {
  it("gives way by the time that it took, however many steps that were", async () => {
    await working(100, 1);
    const steps = [...perTurn.values()];
    expect(Math.max(...steps)).toBe(11);
    expect(steps).toHaveLength(10);
    perTurn.clear();
    await working(5, 30);
    expect([...perTurn.values()]).toEqual([1, 1, 1, 1, 1]);
  });

  it("shares a slice with other such work: each does one step at least", async () => {
    await Promise.all([working(30, 1), working(30, 1), working(30, 1)]);
    const steps = [...perTurn.values()];
    expect(steps.reduce((a, b) => a + b)).toBe(90);
    expect(Math.max(...steps)).toBeLessThanOrEqual(13);
  });
});

describe("a list, or a generator", () => {
  it("is gone through in slices, and gives what it gives in one", async () => {
    const doubled = await mapInSlices([1, 2, 3, 4, 5, 6], (n) => {
      work(6);
      return 2 * n;
    });
    expect(doubled).toEqual([2, 4, 6, 8, 10, 12]);
    expect([...perTurn.values()]).toEqual([2, 2, 2]);
    function* steps() {
      for (let i = 0; i < 4; i++) {
        work(11);
        yield;
      }
      return "done";
    }
    perTurn.clear();
    expect(await inSlices(steps())).toBe("done");
    expect([...perTurn.values()]).toEqual([1, 1, 1, 1]);
  });

  it("fails where a step of it fails", async () => {
    const failing = (n: number) => {
      if (n === 2) throw new Error("two");
      return n;
    };
    await expect(mapInSlices([1, 2, 3], failing)).rejects.toThrow("two");
  });
});

describe("turns", () => {
  it("come in order, and what each does counts, with what it waits for that is there already", async () => {
    const turns = new Turns();
    const went: number[] = [];
    const go = async (i: number) => {
      await turns.next();
      for (let n = 0; n < 20; n++) await undefined;
      went.push(i);
      work(2);
    };
    await Promise.all(Array.from({ length: 50 }, (_, i) => go(i)));
    expect(went).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(Math.max(...perTurn.values())).toBe(6);
    expect(perTurn.size).toBeGreaterThan(8);
  });

  it("come also to those who come while others go, and after", async () => {
    const turns = new Turns();
    await turns.next();
    await Promise.all([turns.next().then(() => turns.next()), turns.next()]);
    await turns.next();
    expect(perTurn.size).toBe(0);
  });
});
