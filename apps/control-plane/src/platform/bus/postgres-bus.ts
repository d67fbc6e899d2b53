import pg from "pg";
import { fault } from "../faults.js";
import type { Log } from "../log/log.js";
import { type Channel, type Listener, type Message, WakeUpBus } from "./bus.js";
import { Dispatcher } from "./dispatcher.js";

/** One PostgreSQL channel carries all of ours, so that one LISTEN is enough. */
const CHANNEL = "sallyport";
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/** LISTEN/NOTIFY. One connection listens, a small pool publishes. A payload has to stay under 8,000 octets: ids do. */
export class PostgresBus extends WakeUpBus {
  readonly #connection: pg.ClientConfig;
  readonly #log: Log;
  readonly #dispatcher: Dispatcher;
  readonly #publisher: pg.Pool;
  #listening: pg.Client | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(connection: pg.ClientConfig, log: Log) {
    super();
    this.#connection = { ...connection, keepAlive: true, application_name: "sallyport bus" };
    this.#log = log;
    this.#dispatcher = new Dispatcher(log);
    this.#publisher = new pg.Pool({ ...this.#connection, max: 2 });
    this.#publisher.on("error", (err) => log.warn({ err }, "a connection of the wake-up bus broke"));
  }

  override async open(): Promise<void> {
    await this.#listen();
  }

  override async publish<C extends Channel>(channel: C, message: Message<C>): Promise<void> {
    const payload = JSON.stringify({ channel, text: JSON.stringify(message) });
    try {
      await this.#publisher.query("SELECT pg_notify($1, $2)", [CHANNEL, payload]);
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
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#listening?.end().catch(() => {});
    await this.#publisher.end();
  }

  async #listen(): Promise<void> {
    const client = new pg.Client(this.#connection);
    let lost = false;
    const lose = (err?: Error) => {
      if (lost || this.#closed) return;
      lost = true;
      this.#log.warn({ err }, "the wake-up bus lost its connection");
      client.end().catch(() => {});
      this.#reconnect(FIRST_PAUSE_MS);
    };
    client.on("error", lose);
    client.on("notification", ({ payload = "" }) => {
      const { channel, text } = JSON.parse(payload) as { channel: string; text: string };
      this.#dispatcher.dispatch(channel, text);
    });
    await client.connect();
    await client.query(`LISTEN ${CHANNEL}`);
    client.on("end", () => lose());
    this.#listening = client;
  }

  #reconnect(pause: number): void {
    this.#retry = setTimeout(() => {
      this.#listen().then(
        () => this.#dispatcher.reconnected(),
        () => this.#closed || this.#reconnect(Math.min(pause * 2, LONGEST_PAUSE_MS)),
      );
    }, pause);
  }
}
