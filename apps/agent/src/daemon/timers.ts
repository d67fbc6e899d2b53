import type { Millis, TimerId } from "@sallyport/ike";

/** setTimeout's limit; a timer further off is waited for in steps. */
const MAX_DELAY = 2 ** 31 - 1;
/** Entries that were disarmed or armed anew stay in the heap until there are as many as live ones, and this many more. */
const STALE = 64;
/** Timers that fire before others have their turn: those of tens of thousands of SAs may be due together. */
const AT_ONCE = 256;

interface Entry {
  readonly timer: TimerId;
  readonly at: Millis;
}

/**
 * The engine's timers: one each id, fires once. All wait in one heap behind one timeout of Node, which would keep a list of its own
 * for every timer of another duration: tens of thousands of SAs have as many.
 */
export class Timers {
  readonly #armed = new Map<TimerId, Entry>();
  /** Binary heap by `at`; an entry counts only while it is the one in `#armed`. */
  #heap: Entry[] = [];
  #timeout: NodeJS.Timeout | undefined;
  #wakesAt = Number.POSITIVE_INFINITY;

  constructor(
    private readonly now: () => Millis,
    private readonly due: (timer: TimerId) => void,
  ) {}

  arm(timer: TimerId, at: Millis): void {
    const entry = { timer, at };
    this.#armed.set(timer, entry);
    if (this.#heap.length > 2 * this.#armed.size + STALE) this.#sweep();
    else push(this.#heap, entry);
    if (at < this.#wakesAt) this.#wait(at);
  }

  disarm(timer: TimerId): void {
    this.#armed.delete(timer);
  }

  clear(): void {
    clearTimeout(this.#timeout);
    this.#timeout = undefined;
    this.#wakesAt = Number.POSITIVE_INFINITY;
    this.#armed.clear();
    this.#heap = [];
  }

  #sweep(): void {
    // A sorted array is a heap.
    this.#heap = [...this.#armed.values()].sort((a, b) => a.at - b.at);
  }

  #wait(at: Millis): void {
    clearTimeout(this.#timeout);
    this.#wakesAt = at;
    const delay = Math.max(0, Math.ceil(at - this.now()));
    this.#timeout = setTimeout(() => this.#fire(), Math.min(delay, MAX_DELAY));
  }

  #fire(): void {
    this.#wakesAt = Number.POSITIVE_INFINITY;
    // What is armed meanwhile, even for now, is not for this time: it could go on for ever.
    const ripe = this.#ripe(this.now());
    for (const entry of ripe) {
      if (this.#armed.get(entry.timer) !== entry) continue;
      this.#armed.delete(entry.timer);
      this.due(entry.timer);
    }
    const [next] = this.#heap;
    if (next && next.at < this.#wakesAt) this.#wait(next.at);
  }

  #ripe(now: Millis): Entry[] {
    const ripe: Entry[] = [];
    for (let [first] = this.#heap; first && ripe.length < AT_ONCE; [first] = this.#heap) {
      const live = this.#armed.get(first.timer) === first;
      if (live && first.at > now) break;
      pop(this.#heap);
      if (live) ripe.push(first);
    }
    return ripe;
  }
}

function push(heap: Entry[], entry: Entry): void {
  let at = heap.length;
  heap.push(entry);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent] as Entry;
    if (above.at <= entry.at) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = entry;
}

/** Removes the earliest. */
function pop(heap: Entry[]): void {
  const last = heap.pop() as Entry;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] as Entry).at < (heap[child] as Entry).at) child++;
    const below = heap[child] as Entry;
    if (below.at >= last.at) break;
    heap[at] = below;
    at = child;
  }
  heap[at] = last;
}
