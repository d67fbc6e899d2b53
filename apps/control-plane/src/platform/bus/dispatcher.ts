import type { Log } from "../log/log.js";
import { CHANNELS, type Channel, type Listener } from "./bus.js";

/** What both adapters share: who listens to what, and handing a message's text to them. */
export class Dispatcher {
  readonly #listeners = new Map<Channel, Set<(message: never) => void>>();
  readonly #reconnected = new Set<() => void>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  add<C extends Channel>(channel: C, listener: Listener<C>): () => void {
    const set = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, set);
    set.add(listener);
    return () => void set.delete(listener);
  }

  onReconnect(listener: () => void): () => void {
    this.#reconnected.add(listener);
    return () => void this.#reconnected.delete(listener);
  }

  reconnected(): void {
    for (const listener of this.#reconnected) listener();
  }

  /** Text as another replica, perhaps of another version, sent it: what does not fit is logged and dropped. */
  dispatch(channel: string, text: string): void {
    if (!(channel in CHANNELS)) return;
    const known = channel as Channel;
    let message: unknown;
    try {
      message = CHANNELS[known].parse(JSON.parse(text));
    } catch (err) {
      this.#log.warn({ err, channel }, "a wake-up cannot be read");
      return;
    }
    for (const listener of this.#listeners.get(known) ?? []) listener(message as never);
  }
}
