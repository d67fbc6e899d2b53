import { describe, expect, test } from "@jest/globals";
import { type Channel, type Listener, type Message, WakeUpBus } from "../bus/bus.js";
import { Dispatcher } from "../bus/dispatcher.js";
import { wakeUps } from "../bus/stream.js";
import { createLog } from "../log/log.js";
import { subscription } from "./subscription.js";

const log = createLog("silent");

/** Within one process, and it counts who listens. */
class LocalBus extends WakeUpBus {
  readonly #dispatcher = new Dispatcher(log);
  listeners = 0;

  override async publish<C extends Channel>(channel: C, message: Message<C>): Promise<void> {
    this.#dispatcher.dispatch(channel, JSON.stringify(message));
  }

  override subscribe<C extends Channel>(channel: C, listener: Listener<C>): () => void {
    this.listeners++;
    const end = this.#dispatcher.add(channel, listener);
    return () => {
      this.listeners--;
      end();
    };
  }

  override onReconnect(listener: () => void): () => void {
    return this.#dispatcher.onReconnect(listener);
  }

  reconnect(): void {
    this.#dispatcher.reconnected();
  }

  override async open(): Promise<void> {}
  override async close(): Promise<void> {}
}

function watch(bus: LocalBus) {
  const news = wakeUps(bus, "revoked", () => true);
  async function* source() {
    for await (const message of news) {
      if (message?.gatewayId === "bad") throw new Error("the password is 1234");
      yield message?.gatewayId ?? "all";
    }
  }
  return subscription(news, source(), log);
}

describe("a subscription", () => {
  test("hears what comes, equal ones that wait once, and a gap in the connection", async () => {
    const bus = new LocalBus();
    const heard = watch(bus);
    for (const gatewayId of ["a", "b", "a"]) await bus.publish("revoked", { gatewayId });
    bus.reconnect();
    const values = [];
    for (let i = 0; i < 3; i++) values.push((await heard.next()).value);
    expect(values).toEqual(["a", "b", "all"]);
    await heard.return();
  });

  test("leaves nothing behind when its reader goes while it waits", async () => {
    const bus = new LocalBus();
    const heard = watch(bus);
    const waiting = heard.next();
    expect(bus.listeners).toBe(1);
    await heard.return();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(bus.listeners).toBe(0);
  });

  test("hides an unforeseen error and leaves nothing behind", async () => {
    const bus = new LocalBus();
    const heard = watch(bus);
    await bus.publish("revoked", { gatewayId: "bad" });
    const refused = await heard.next().catch((error: Error) => error);
    expect(String(refused)).toMatch(/internal error/);
    expect(String(refused)).not.toContain("1234");
    expect(bus.listeners).toBe(0);
  });

  test("reads everything anew when it was too slow", async () => {
    const bus = new LocalBus();
    const heard = watch(bus);
    for (let i = 0; i <= 1_000; i++) await bus.publish("revoked", { gatewayId: String(i) });
    expect((await heard.next()).value).toBe("all");
    await heard.return();
  });
});
