/** How long the event loop is held in one of its turns, by all who work in slices together. */
const SLICE_MS = 4;

let sliceEnds: number | undefined;
let spent = 0;

/** Milliseconds that all slices took together so far. */
export const timeInSlices = (): number => spent;

/** When the slice of this turn is over. */
function sliceEnd(): number {
  if (sliceEnds === undefined) {
    sliceEnds = performance.now() + SLICE_MS;
    setImmediate(() => {
      sliceEnds = undefined;
    });
  }
  return sliceEnds;
}

/**
 * Goes through work that knows where it can be interrupted, and lets everybody else have their turn in between. What was begun first
 * comes first; the others go on by one step in every turn.
 */
export async function inSlices<T>(work: Generator<undefined, T>): Promise<T> {
  for (;;) {
    const until = sliceEnd();
    const began = performance.now();
    try {
      do {
        const step = work.next();
        if (step.done) return step.value;
      } while (performance.now() < until);
    } finally {
      spent += performance.now() - began;
    }
    await new Promise(setImmediate);
  }
}

/** Goes through a list, with an interruption where one may be after every `count` of it. */
export function* eachOf<T, R>(list: Iterable<T>, count: number, of: (item: T) => R): Generator<undefined, R[]> {
  const out: R[] = [];
  for (const item of list) {
    out.push(of(item));
    if (out.length % count === 0) yield;
  }
  return out;
}
