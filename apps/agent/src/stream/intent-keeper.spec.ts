import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { create } from "@bufbuild/protobuf";
import { jest } from "@jest/globals";
import { Fault } from "@sallyport/base";
import { type AgentMessage, type Intent, IntentSchema } from "@sallyport/contract";
import { emptyIntent, type GatewayIntent, INTENT_SCHEMA, serializeIntent } from "@sallyport/intent";
import { pino } from "pino";
import { IntentStore } from "../store/index.js";
import { IntentKeeper } from "./intent-keeper.js";
import { Reporter } from "./reporter.js";

const log = pino({ level: "silent" });
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "sallyport-keeper-"));
  jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate", "queueMicrotask"] });
});
afterEach(async () => {
  jest.useRealTimers();
  await rm(directory, { recursive: true });
});

function message(revision: number, over: Partial<Intent> = {}): Intent {
  const intent = { ...emptyIntent({ id: "g", name: "gw", siteId: "s", fqdn: "gw.acme" }), revision };
  const body = Uint8Array.from(Buffer.from(serializeIntent(intent)));
  const sha256 = createHash("sha256").update(body).digest();
  return create(IntentSchema, { revision, schemaVersion: INTENT_SCHEMA, body, sha256, ...over });
}

function gateway() {
  const reporter = new Reporter();
  const applied: number[] = [];
  const behaviour: { apply?: (intent: GatewayIntent) => Promise<void> | void } = {};
  const keeper = new IntentKeeper({
    store: new IntentStore(directory),
    reporter,
    log,
    apply: async (intent) => {
      await behaviour.apply?.(intent);
      applied.push(intent.revision);
    },
    clear: async () => void applied.push(0),
  });
  const told = () => {
    const all: string[] = [];
    for (let m: AgentMessage | undefined = reporter.next(); m; m = reporter.next()) {
      const { body } = m;
      if (body.case === "nack")
        all.push(`nack ${body.value.revision} ${body.value.problem?.code} ${body.value.problem?.field}`);
      else if (body.case === "reverted") all.push(`reverted ${body.value.revision} to ${body.value.toRevision}`);
      else if (body.case === "ack" || body.case === "confirmed") all.push(`${body.case} ${body.value.revision}`);
    }
    return all;
  };
  return { keeper, applied, behaviour, told };
}

/** Lets file operations and promises that they lead to come to an end. */
const settle = async () => {
  for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe("an intent", () => {
  it("is on trial until it is confirmed, and only then written down", async () => {
    const { keeper, told } = gateway();
    await keeper.receive(message(1));
    expect(keeper).toMatchObject({ running: 1, confirmed: 0 });
    expect((await new IntentStore(directory).load()).intent).toBeUndefined();
    await keeper.confirm(1);
    expect(keeper).toMatchObject({ running: 1, confirmed: 1 });
    expect((await new IntentStore(directory).load()).intent?.revision).toBe(1);
    expect(told()).toEqual(["ack 1", "confirmed 1"]);
    jest.advanceTimersByTime(3_600_000);
    await settle();
    expect(told()).toEqual([]);
  });

  it("that nobody confirms in time is undone, to the last confirmed one", async () => {
    const { keeper, applied, told } = gateway();
    await keeper.receive(message(1));
    await keeper.confirm(1);
    await keeper.receive(message(2));
    jest.advanceTimersByTime(59_000);
    await settle();
    expect(keeper.running).toBe(2);
    jest.advanceTimersByTime(1_001);
    await settle();
    expect(keeper).toMatchObject({ running: 1, confirmed: 1, refused: [2] });
    expect(applied).toEqual([1, 2, 1]);
    expect(told()).toEqual(["ack 1", "confirmed 1", "ack 2", "reverted 2 to 1"]);
    await keeper.confirm(2);
    expect(keeper.confirmed).toBe(1);
  });

  it("the first of all is undone to nothing", async () => {
    const { keeper, applied, told } = gateway();
    await keeper.receive(message(1));
    jest.advanceTimersByTime(60_001);
    await settle();
    expect(applied).toEqual([1, 0]);
    expect(told()).toEqual(["ack 1", "reverted 1 to 0"]);
  });

  it("that follows one on trial starts a new trial against the confirmed one", async () => {
    const { keeper, applied } = gateway();
    await keeper.receive(message(1));
    await keeper.confirm(1);
    await keeper.receive(message(2));
    jest.advanceTimersByTime(50_000);
    await keeper.receive(message(3));
    jest.advanceTimersByTime(50_000);
    await settle();
    expect(keeper.running).toBe(3);
    jest.advanceTimersByTime(10_001);
    await settle();
    expect(keeper.running).toBe(1);
    expect(applied).toEqual([1, 2, 3, 1]);
  });

  it("that cannot be applied is refused with its field; a trial that runs goes on", async () => {
    const { keeper, behaviour, told } = gateway();
    await keeper.receive(message(1));
    behaviour.apply = () => {
      throw new Fault("agent/x", "no", { retry: false, expose: true }, { field: "connections[0]" });
    };
    await keeper.receive(message(2));
    expect(told()).toEqual(["ack 1", "nack 2 agent/x connections[0]"]);
    expect(keeper).toMatchObject({ running: 1, confirmed: 0, refused: [2] });
    await keeper.confirm(1);
    expect(keeper.refused).toEqual([]);
  });

  it.each([
    ["a body that was changed", { body: Buffer.from("{}") }, "stream/bad-intent sha256"],
    ["another revision than its body's", { revision: 9 }, "stream/bad-intent revision"],
    ["a schema that is not known", { schemaVersion: 99 }, "stream/bad-intent schemaVersion"],
    ["a body that is no intent", signed("{}"), "intent/invalid-field schema"],
    ["a body that is no JSON", signed("{"), "intent/malformed "],
  ])("with %s is refused", async (_, over, why) => {
    const { keeper, applied, told } = gateway();
    await keeper.receive(message(5, over as Partial<Intent>));
    expect(told()).toEqual([`nack ${(over as Partial<Intent>).revision ?? 5} ${why}`]);
    expect(applied).toEqual([]);
  });

  it("that already runs is acknowledged and not applied again", async () => {
    const { keeper, applied, told } = gateway();
    await keeper.receive(message(1));
    await keeper.receive(message(1));
    expect(applied).toEqual([1]);
    expect(told()).toEqual(["ack 1", "ack 1"]);
  });

  it("of several that come while one is applied, only the newest is", async () => {
    const { keeper, applied, behaviour, told } = gateway();
    let go: () => void = () => {};
    behaviour.apply = ({ revision }) => (revision === 1 ? new Promise<void>((resolve) => (go = resolve)) : undefined);
    const all = [1, 2, 3, 4].map((r, i) =>
      i === 0 ? keeper.receive(message(r)) : settle().then(() => keeper.receive(message(r))),
    );
    await settle();
    go();
    await Promise.all(all);
    expect(applied).toEqual([1, 4]);
    expect(told()).toEqual(["ack 1", "ack 4"]);
  });
});

describe("at its start", () => {
  it("an agent runs what was confirmed last", async () => {
    const first = gateway();
    await first.keeper.receive(message(1));
    await first.keeper.confirm(1);
    await first.keeper.receive(message(2));
    first.keeper.stop();
    const again = gateway();
    await again.keeper.load();
    await again.keeper.start(Promise.resolve());
    expect(again.applied).toEqual([1]);
    expect(again.keeper).toMatchObject({ running: 1, confirmed: 1 });
  });

  it("an agent puts nothing in force before it may, and what came meanwhile after it", async () => {
    const first = gateway();
    await first.keeper.receive(message(1));
    await first.keeper.confirm(1);
    const again = gateway();
    const ready = Promise.withResolvers<void>();
    await again.keeper.load();
    const started = again.keeper.start(ready.promise);
    const received = [again.keeper.receive(message(1)), again.keeper.receive(message(2))];
    await settle();
    expect(again.applied).toEqual([]);
    expect(again.keeper).toMatchObject({ running: 0, confirmed: 1 });
    ready.resolve();
    await Promise.all([started, ...received]);
    expect(again.applied).toEqual([1, 2]);
    again.keeper.stop();
  });

  it("an agent whose last good intent cannot be applied yet tries it again", async () => {
    const first = gateway();
    await first.keeper.receive(message(1));
    await first.keeper.confirm(1);
    const again = gateway();
    let tries = 0;
    again.behaviour.apply = () => {
      if (++tries === 1) throw new Error("the device is not there yet");
    };
    await again.keeper.load();
    await again.keeper.start(Promise.resolve());
    expect(again.keeper).toMatchObject({ running: 0, confirmed: 1 });
    jest.advanceTimersByTime(1000);
    await settle();
    expect(again.keeper).toMatchObject({ running: 1, confirmed: 1 });
    expect(tries).toBe(2);
    again.keeper.stop();
  });

  it("an agent that cannot be what it was takes a better intent at once, and goes back to nothing worse", async () => {
    const first = gateway();
    await first.keeper.receive(message(1));
    await first.keeper.confirm(1);
    const again = gateway();
    again.behaviour.apply = (intent) => {
      if (intent.revision === 1) throw new Error("the device is gone");
    };
    await again.keeper.load();
    await again.keeper.start(Promise.resolve());
    await again.keeper.receive(message(2));
    expect(again.keeper).toMatchObject({ running: 2, confirmed: 1 });
    again.keeper.stop();
  });
});

function signed(text: string): Partial<Intent> {
  const body = Uint8Array.from(Buffer.from(text));
  return { body, sha256: createHash("sha256").update(body).digest() };
}
