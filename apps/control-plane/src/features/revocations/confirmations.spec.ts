import { pino } from "pino";
import type { WakeUpBus } from "../../platform/bus/bus.js";
import type { Database } from "../../platform/database/database.js";
import type { EventService } from "../events/event.service.js";
import { Confirmations } from "./confirmations.js";
import type { Applied, Confirmed, RevocationStore } from "./revocation.store.js";

const outage = () => Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });

function set() {
  const batches: (readonly Applied[])[] = [];
  const events: string[] = [];
  const woken: string[] = [];
  const gate = { fails: 0, hold: undefined as Promise<void> | undefined };
  const store: Pick<RevocationStore, "confirm"> = {
    confirm: async (_tx, applied) => {
      await gate.hold;
      if (gate.fails-- > 0) throw outage();
      batches.push(applied);
      return applied.map(
        ({ organizationId, gatewayId, upTo, at }): Confirmed => ({
          ...{ organizationId, gatewayId, confirmedAt: at, revocationId: "r", siteId: "s", number: upTo },
          ...{ name: "alice", endedSas: 1 },
        }),
      );
    },
  };
  const confirmations = new Confirmations(
    { transaction: (work: (tx: never) => Promise<unknown>) => work(undefined as never) } as unknown as Database,
    store as RevocationStore,
    {
      record: async (_tx: never, _organization: string, ...all: { kind: string; gatewayId: string }[]) =>
        void events.push(...all.map((e) => `${e.kind} ${e.gatewayId}`)),
    } as unknown as EventService,
    {
      publish: async (_: string, m: { revocationId: string }) => void woken.push(m.revocationId),
    } as unknown as WakeUpBus,
    pino({ level: "silent" }),
  );
  const take = (gatewayId: string, upTo: number, ...ended: [number, number][]) =>
    confirmations.take({
      organizationId: "o",
      gatewayId,
      upTo,
      ended: ended.map(([number, endedSas]) => ({ number, endedSas })),
      at: new Date(),
    });
  return { batches, events, woken, gate, take };
}

async function until(done: () => boolean): Promise<void> {
  for (const late = performance.now() + 30_000; !done(); await new Promise((resolve) => setTimeout(resolve, 5))) {
    if (performance.now() > late) throw new Error("it did not happen");
  }
}

describe("confirmations", () => {
  it("of a fleet are written together, told once, and an event each", async () => {
    const { batches, events, woken, gate, take } = set();
    const { promise, resolve } = Promise.withResolvers<void>();
    gate.hold = promise;
    for (let i = 0; i < 1_000; i++) take(`g${i}`, 7, [7, 1]);
    resolve();
    await until(() => events.length === 1_000);
    expect(batches.map((b) => b.length)).toEqual([1, 999]);
    expect(woken).toEqual(["r", "r"]);
    expect(events[0]).toBe("revocation/confirmed g0");
  });

  it("of one gateway that wait are one, with all counts", async () => {
    const { batches, gate, take } = set();
    const { promise, resolve } = Promise.withResolvers<void>();
    gate.hold = promise;
    take("other", 1);
    take("g", 1, [1, 3]);
    take("g", 2, [2, 0]);
    resolve();
    await until(() => batches.length === 2);
    expect(batches[1]).toMatchObject([
      {
        gatewayId: "g",
        upTo: 2,
        ended: [
          { number: 1, endedSas: 3 },
          { number: 2, endedSas: 0 },
        ],
      },
    ]);
  });

  it("wait for a database that is away", async () => {
    const { batches, gate, take } = set();
    gate.fails = 2;
    take("g", 1);
    await until(() => batches.length === 1);
    expect(batches[0]).toMatchObject([{ gatewayId: "g", upTo: 1 }]);
  });
});
