/** How long the event loop is held at a time. */
const SLICE_MS = 5;

/** Goes through work that knows where it can be interrupted, and lets everybody else have their turn in between. */
export async function inSlices<T>(work: Generator<undefined, T>): Promise<T> {
  for (;;) {
    const until = performance.now() + SLICE_MS;
    do {
      const step = work.next();
      if (step.done) return step.value;
    } while (performance.now() < until);
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
