import type { Channel, Listener, Message, WakeUpBus } from "./bus.js";

const MAX_WAITING = 1_000;

/**
 * The wake-ups of one channel that `wanted` picks, one after the other, until `return` is called (GraphQL does when a subscriber
 * goes). Equal ones that wait are told once: who is woken reads the database. `undefined` comes when some may have been missed.
 */
export function wakeUps<C extends Channel>(
  bus: WakeUpBus,
  channel: C,
  wanted: (message: Message<C>) => boolean,
): AsyncGenerator<Message<C> | undefined, void, undefined> {
  const waiting = new Map<string, Message<C> | undefined>();
  let wake: (() => void) | undefined;
  let ended = false;
  const put = (key: string, message: Message<C> | undefined) => {
    if (waiting.size < MAX_WAITING) waiting.set(key, message);
    else {
      // Too slow a subscriber: it reads everything anew instead.
      waiting.clear();
      waiting.set("", undefined);
    }
    wake?.();
  };
  const listener: Listener<C> = (message) => {
    if (wanted(message)) put(JSON.stringify(message), message);
  };
  const ends = [bus.subscribe(channel, listener), bus.onReconnect(() => put("", undefined))];
  const end = () => {
    ended = true;
    for (const stop of ends.splice(0)) stop();
    wake?.();
  };

  async function* run(): AsyncGenerator<Message<C> | undefined, void, undefined> {
    try {
      while (!ended) {
        for (const [key, message] of waiting) {
          waiting.delete(key);
          yield message;
          if (ended) return;
        }
        if (waiting.size > 0) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = undefined;
      }
    } finally {
      end();
    }
  }

  // A generator that waits does not notice `return`: it has to be woken for it.
  const generator = run();
  const original = generator.return.bind(generator);
  generator.return = (value) => {
    end();
    return original(value);
  };
  return generator;
}
