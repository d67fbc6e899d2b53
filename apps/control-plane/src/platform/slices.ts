import { setImmediate as breathe } from "node:timers/promises";

/** How long one piece of work holds the event loop before others have their turn. */
const SLICE_MS = 10;

/** Counts what a long piece of work takes of the event loop. Ask it after every step. */
export class Slice {
  #until = performance.now() + SLICE_MS;

  get isOver(): boolean {
    return performance.now() > this.#until;
  }

  /** Lets others have their turn; a new slice begins. */
  async next(): Promise<void> {
    await breathe();
    this.#until = performance.now() + SLICE_MS;
  }
}
