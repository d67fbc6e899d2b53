import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { z } from "zod";
import type { WakeUpBus } from "../src/platform/bus/bus.js";
import { PostgresBus } from "../src/platform/bus/postgres-bus.js";
import { RedisBus } from "../src/platform/bus/redis-bus.js";
import { wakeUps } from "../src/platform/bus/stream.js";
import { PrismaDatabase } from "../src/platform/database/prisma-database.js";
import { createLog } from "../src/platform/log/log.js";
import type { JobType } from "../src/platform/outbox/job.js";
import { Jobs, jobType } from "../src/platform/outbox/jobs.js";
import { Outbox } from "../src/platform/outbox/outbox.js";
import { Relay } from "../src/platform/outbox/relay.js";
import { BullQueue } from "../src/platform/queue/bull-queue.js";
import { connectRedis } from "../src/platform/queue/redis.js";
import { eventually } from "./control-plane.js";
import { type Connection, createDatabase, query, redisUrl } from "./database.js";

const log = createLog("silent");
const ORGANIZATION = "01920000-0000-7000-8000-00000000beef";
const COUNT_UP: JobType<{ n: number }> = jobType({ name: "spec-count-up", payload: z.object({ n: z.number() }) });
const ALL_AT_ONCE: JobType<{ n: number }> = jobType({
  name: "spec-all-at-once",
  payload: z.object({ n: z.number() }),
  together: true,
});

let connection: Connection;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ connection, drop } = await createDatabase());
});
afterAll(() => drop?.());

const backends = [
  [
    "PostgreSQL",
    { bus: () => new PostgresBus(connection, log), queue: () => new BullQueue({ kind: "postgres", connection }, log) },
  ],
  [
    "Redis",
    {
      bus: () => new RedisBus(() => connectRedis(redisUrl(2)), log),
      queue: () => new BullQueue({ kind: "redis", url: redisUrl(2) }, log),
    },
  ],
] as const;

describe.each(backends)("wake-ups on %s", (kind, make) => {
  let buses: WakeUpBus[];
  beforeEach(async () => {
    buses = [make.bus(), make.bus()];
    for (const bus of buses) await bus.open();
  });
  afterEach(async () => {
    for (const bus of buses) await bus.close();
  });
  const [first, second] = [() => buses[0] as WakeUpBus, () => buses[1] as WakeUpBus];

  test("reach every replica, the sender's own too, in order, by channel", async () => {
    const heard: string[] = [];
    first().subscribe("tunnel", (m) => heard.push(`first ${m.tunnelId}`));
    const end = second().subscribe("tunnel", (m) => heard.push(`second ${m.tunnelId}`));
    second().subscribe("onboarding", () => heard.push("wrong channel"));
    for (const tunnelId of ["a", "b"]) await first().publish("tunnel", { organizationId: ORGANIZATION, tunnelId });
    await eventually(
      async () => heard.length,
      (n) => n === 4,
    );
    expect(heard.filter((h) => h.startsWith("second"))).toEqual(["second a", "second b"]);
    end();
    await first().publish("tunnel", { organizationId: ORGANIZATION, tunnelId: "c" });
    await eventually(
      async () => heard.length,
      (n) => n === 5,
    );
    expect(heard.at(-1)).toBe("first c");
  });

  test("come again after the connection broke, and listeners are told that some may be missing", async () => {
    let back = 0;
    const heard: string[] = [];
    second().onReconnect(() => back++);
    second().subscribe("revoked", (m) => heard.push(m.gatewayId));
    if (kind === "PostgreSQL") {
      await query(
        connection,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sallyport bus' AND datname = current_database()",
      );
    } else {
      const admin = connectRedis(redisUrl(2));
      await admin.call("CLIENT", "KILL", "TYPE", "pubsub");
      admin.disconnect();
    }
    await eventually(
      async () => back,
      (n) => n > 0,
    );
    await eventually(
      async () => {
        await first()
          .publish("revoked", { gatewayId: "g" })
          .catch(() => {});
        return heard.length;
      },
      (n) => n > 0,
    );
    expect(heard[0]).toBe("g");
  });

  test("become a stream that ends when its reader goes", async () => {
    const news = wakeUps(second(), "onboarding", (m) => m.gatewayId === "g");
    await first().publish("onboarding", { organizationId: ORGANIZATION, gatewayId: "h" });
    await first().publish("onboarding", { organizationId: ORGANIZATION, gatewayId: "g" });
    expect((await news.next()).value).toMatchObject({ gatewayId: "g" });
    const waiting = news.next();
    await news.return();
    expect((await waiting).done).toBe(true);
  });
});

describe.each(backends)("jobs on %s", (_, make) => {
  let database: PrismaDatabase;
  let bus: WakeUpBus;
  let queue: BullQueue;
  let relay: Relay;
  let jobs: Jobs;
  let outbox: Outbox;
  const done: number[] = [];
  let failures = 0;

  beforeEach(async () => {
    done.length = 0;
    await query(connection, "DELETE FROM outbox");
    database = new PrismaDatabase(connection, log);
    bus = make.bus();
    queue = make.queue();
    await Promise.all([bus.open(), queue.open()]);
    jobs = new Jobs(database, queue, log);
    outbox = new Outbox(bus, log);
    relay = new Relay(database, queue, bus, log);
    jobs.register({
      type: COUNT_UP,
      run: async ({ n }, { organizationId }) => {
        if (failures-- > 0) throw new Error("not this time");
        expect(organizationId).toBe(ORGANIZATION);
        done.push(n);
      },
    });
  });
  afterEach(async () => {
    await relay.stop();
    await queue.close();
    await bus.close();
    await database.close();
  });

  const commit = async (n: number, type = COUNT_UP) => {
    const tx = await database.transaction(async (tx) => {
      await outbox.add(tx, ORGANIZATION, type, { n });
      return tx;
    });
    outbox.wake(tx);
  };
  const left = async () => Number((await query(connection, "SELECT count(*)::int AS n FROM outbox"))[0]?.n);

  test("go from the outbox to their runner, and leave no row", async () => {
    await jobs.start();
    relay.start();
    await commit(1);
    await eventually(left, (n) => n === 0);
    expect(done).toEqual([1]);
  });

  test("of a transaction that failed never were", async () => {
    await jobs.start();
    relay.start();
    const failing = database.transaction(async (tx) => {
      await outbox.add(tx, ORGANIZATION, COUNT_UP, { n: 2 });
      throw new Error("rolled back");
    });
    await expect(failing).rejects.toThrow("rolled back");
    await commit(3);
    await eventually(left, (n) => n === 0);
    expect(done).toEqual([3]);
  });

  test("that fail are done again", async () => {
    failures = 2;
    await jobs.start();
    relay.start();
    await commit(4);
    await eventually(left, (n) => n === 0);
    expect(done).toEqual([4]);
  });

  test("that the queue lost are enqueued again from the outbox", async () => {
    await database.transaction((tx) => outbox.add(tx, ORGANIZATION, COUNT_UP, { n: 5 }));
    // Handed over long ago to a queue that is empty now.
    await query(connection, "UPDATE outbox SET enqueued_at = now() - interval '1 hour', enqueued = 1");
    await jobs.start();
    relay.start();
    await eventually(left, (n) => n === 0);
    expect(done).toEqual([5]);
  });

  test("delivered twice are done once", async () => {
    await database.transaction((tx) => outbox.add(tx, ORGANIZATION, COUNT_UP, { n: 6 }));
    const [row] = await query(connection, "SELECT id::text FROM outbox");
    const job = { id: `outbox-${row?.id}`, name: COUNT_UP.name, data: {} };
    await jobs.run(job);
    await jobs.run(job);
    expect(done).toEqual([6]);
  });

  test("that do what others ask for too serve those that wait when they begin, and leave those that come later", async () => {
    let begun = 0;
    const gate = Promise.withResolvers<void>();
    jobs.register({
      type: ALL_AT_ONCE,
      run: async () => {
        if (++begun === 1) await gate.promise;
      },
    });
    for (const n of [1, 2, 3]) await commit(n, ALL_AT_ONCE);
    await jobs.start();
    relay.start();
    await eventually(
      async () => begun,
      (n) => n === 1,
    );
    for (const n of [4, 5, 6, 7, 8, 9, 10, 11, 12]) await commit(n, ALL_AT_ONCE);
    // Others are not held up behind them.
    await commit(7);
    await eventually(
      async () => done,
      (all) => all.length === 1,
    );
    expect(begun).toBe(1);
    gate.resolve();
    await eventually(left, (n) => n === 0);
    expect(begun).toBe(2);
  });

  test("are not what others wait for: they are woken by the commit itself, and by no other end", async () => {
    const heard: number[] = [];
    bus.subscribe("revocation", ({ number }) => heard.push(number));
    const write = (number: number, end: () => void) =>
      database.transaction(async (tx) => {
        outbox.wakeOthers(tx, "revocation", { organizationId: ORGANIZATION, number });
        end();
        return tx;
      });
    const failing = write(1, () => {
      throw new Error("rolled back");
    });
    await expect(failing).rejects.toThrow("rolled back");
    outbox.wake(await write(2, () => undefined));
    await eventually(
      async () => heard,
      (all) => all.length > 0,
    );
    expect(heard).toEqual([2]);
  });

  test("without a runner, or with two, stop the start", () => {
    expect(() => new Jobs(database, queue, log).check()).toThrow(/nobody does the job/);
    expect(() => jobs.register({ type: COUNT_UP, run: async () => {} })).toThrow(/two runners/);
  });
});
