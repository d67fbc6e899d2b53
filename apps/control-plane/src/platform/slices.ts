import { setImmediate as breathe } from "node:timers/promises";

/** How long all that works in slices holds the event loop in one of its turns. */
const SLICE_MS = 10;

/** Milliseconds of CPU time: counted by the clock, work would hardly go on where others have the cores too. */
function spent(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

let sliceEnds: number | undefined;

/** When the slice of this turn of the event loop is over. */
function sliceEnd(): number {
  if (sliceEnds === undefined) {
    sliceEnds = spent() + SLICE_MS;
    setImmediate(() => {
      sliceEnds = undefined;
    });
  }
  return sliceEnds;
}

/** Counts what a long piece of work takes of the event loop, with all others that are counted so. Ask it after every step. */
export class Slice {
  constructor() {
    sliceEnd();
  }

  get isOver(): boolean {
    return spent() > sliceEnd();
  }

  /** Lets others have their turn; a new slice begins. */
  async next(): Promise<void> {
    await breathe();
    sliceEnd();
  }
}

/** Goes through work that can be interrupted wherever it yields. */
export async function inSlices<T>(work: Iterator<unknown, T>): Promise<T> {
  const slice = new Slice();
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    if (slice.isOver) await slice.next();
  }
}

/** As `list.map(of)`. */
export async function mapInSlices<T, R>(list: Iterable<T>, of: (item: T) => R): Promise<R[]> {
  const out: R[] = [];
  const slice = new Slice();
  for (const item of list) {
    out.push(of(item));
    if (slice.isOver) await slice.next();
  }
  return out;
}

/** Lets many who would go on at once, since they waited for the same thing, go on one after the other, in slices. */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #running = false;

  /** Resolves when it is the caller's turn. What the caller does then, without waiting for others, is part of the slice. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    const slice = new Slice();
    // Others may come meanwhile: they are at the end of the same list.
    for (const go of this.#waiting) {
      go();
      // A tick comes after all promises that can be settled: whoever went on is done.
      await new Promise<void>(process.nextTick);
      if (slice.isOver) await slice.next();
    }
    this.#waiting.length = 0;
    this.#running = false;
  }
}
