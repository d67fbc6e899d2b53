import type { Redis } from "ioredis";
import { fault } from "../faults.js";
import type { Log } from "../log/log.js";
import { CHANNELS, type Channel, type Listener, type Message, WakeUpBus } from "./bus.js";
import { Dispatcher } from "./dispatcher.js";

const PREFIX = "sallyport:";

/** Redis publish and subscribe. Takes two connections, which it owns: one that subscribes can do nothing else. */
export class RedisBus extends WakeUpBus {
  readonly #publisher: Redis;
  readonly #subscriber: Redis;
  readonly #dispatcher: Dispatcher;

  constructor(connect: () => Redis, log: Log) {
    super();
    this.#dispatcher = new Dispatcher(log);
    this.#publisher = connect();
    this.#subscriber = connect();
    for (const connection of [this.#publisher, this.#subscriber]) {
      connection.on("error", (err: Error) => log.warn({ err }, "the wake-up bus has no connection to Redis"));
    }
  }

  override async open(): Promise<void> {
    this.#subscriber.on("message", (channel: string, text: string) => {
      this.#dispatcher.dispatch(channel.slice(PREFIX.length), text);
    });
    await this.#subscriber.subscribe(...Object.keys(CHANNELS).map((channel) => PREFIX + channel));
    // ioredis subscribes again by itself; what was sent in between is lost.
    this.#subscriber.on("ready", () => this.#dispatcher.reconnected());
  }

  override async publish<C extends Channel>(channel: C, message: Message<C>): Promise<void> {
    try {
      await this.#publisher.publish(PREFIX + channel, JSON.stringify(message));
    } catch (cause) {
      throw fault("platform/bus-unavailable", "the wake-up could not be sent", { cause });
    }
  }

  override subscribe<C extends Channel>(channel: C, listener: Listener<C>): () => void {
    return this.#dispatcher.add(channel, listener);
  }

  override onReconnect(listener: () => void): () => void {
    return this.#dispatcher.onReconnect(listener);
  }

  override async close(): Promise<void> {
    this.#publisher.disconnect();
    this.#subscriber.disconnect();
    await Promise.resolve();
  }
}
