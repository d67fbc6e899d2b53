import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { jest } from "@jest/globals";
import {
  CountersReportSchema,
  EventSchema,
  EventsReportSchema,
  StateReportSchema,
  TunnelStateSchema,
  TunnelStatus,
} from "@sallyport/contract";
import { pino } from "pino";
import type { AgentEvent, EventService } from "../events/event.service.js";
import type { CounterReport, TunnelReport } from "../tunnels/tunnel-state.service.js";
import { TunnelStateService } from "../tunnels/tunnel-state.service.js";
import { MessageQueue, TokenBucket } from "./message-queue.js";
import { ReportIngest } from "./report-ingest.js";
import { agentEvent, counterReport, tunnelReport } from "./report-mapping.js";

const outage = () => Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });

async function until(done: () => boolean): Promise<void> {
  for (const late = performance.now() + 5_000; !done(); await new Promise((resolve) => setTimeout(resolve, 5))) {
    if (performance.now() > late) throw new Error("it did not happen");
  }
}

interface Written {
  tunnels: readonly TunnelReport[];
  complete: boolean;
  removed: readonly string[];
}

function set() {
  const written: Written[] = [];
  const counted: CounterReport[] = [];
  const told: AgentEvent[] = [];
  const gate = { fail: undefined as Error | undefined, hold: undefined as Promise<void> | undefined, passed: 0 };
  const pass = async () => {
    await gate.hold;
    gate.passed++;
    if (gate.fail) throw gate.fail;
  };
  const tunnels: Pick<TunnelStateService, "report" | "counters"> = {
    report: async (_gatewayId, reports, { complete, removedKeys }) => {
      await pass();
      written.push({ tunnels: reports, complete, removed: removedKeys });
    },
    counters: async (_gatewayId, _at, counters) => {
      await pass();
      counted.push(...counters);
    },
  };
  const events: Pick<EventService, "fromAgent"> = {
    fromAgent: async (_gatewayId, list) => {
      await pass();
      told.push(...list);
    },
  };
  const warned: object[] = [];
  const log = pino({ level: "silent" });
  log.warn = (facts: object) => void warned.push(facts);
  const ingest = new ReportIngest(tunnels as TunnelStateService, events as EventService, log);
  return { ingest, written, counted, told, gate, warned };
}

const report = (status: TunnelStatus, ids: readonly string[], complete = false, removedTunnelIds: string[] = []) =>
  create(StateReportSchema, { complete, removedTunnelIds, tunnels: ids.map((tunnelId) => ({ tunnelId, status })) });
const events = (n: number, dropped = 0) =>
  create(EventsReportSchema, {
    dropped,
    events: Array.from({ length: n }, (_, i) => ({ id: String(i), code: "x/y" })),
  });

describe("taking reports", () => {
  it("merges what comes while the last ones are being written: the newest of each tunnel wins", async () => {
    const { ingest, written, gate } = set();
    let go: () => void = () => {};
    gate.hold = new Promise((resolve) => {
      go = resolve;
    });
    ingest.state("g", report(TunnelStatus.DOWN, ["a"], true));
    ingest.state("g", report(TunnelStatus.CONNECTING, ["a", "b"]));
    ingest.state("g", report(TunnelStatus.UP, ["a"], false, ["b"]));
    go();
    await until(() => written.length === 2);
    expect(written.map((w) => [w.complete, w.removed, w.tunnels.map((t) => `${t.key} ${t.status}`)])).toEqual([
      [true, [], ["a down"]],
      [false, ["b"], ["a up"]],
    ]);
  });

  it("waits for a database that is away, and loses nothing but what is too much", async () => {
    const { ingest, written, counted, told, gate } = set();
    gate.fail = outage();
    ingest.state("g", report(TunnelStatus.UP, ["a"], true));
    ingest.counters(
      "g",
      create(CountersReportSchema, { children: [{ tunnelId: "a", inboundSpi: "00000001", bytesIn: 1n }] }),
    );
    ingest.event("g", events(1_500));
    gate.fail = undefined;
    await until(() => told.length > 0);
    expect(written).toHaveLength(1);
    expect(counted.map((c) => c.bytesIn)).toEqual([1n]);
    expect(told).toHaveLength(1_000);
    expect(told[0]?.sourceId).toBe("500");
  });

  it("drops reports that the database refuses, and takes the next ones", async () => {
    const { ingest, written, gate } = set();
    gate.fail = new Error("violates a constraint");
    ingest.state("g", report(TunnelStatus.UP, ["a"]));
    await until(() => gate.passed === 1);
    gate.fail = undefined;
    ingest.state("g", report(TunnelStatus.UP, ["b"]));
    await until(() => written.length === 1);
    expect(written.flatMap((w) => w.tunnels.map((t) => t.key))).toEqual(["b"]);
  });

  it("takes a burst of events, then one a second of each gateway, and counts what it drops", async () => {
    const { ingest, told, warned } = set();
    const clock = jest.spyOn(performance, "now").mockReturnValue(0);
    ingest.event("g", events(1_000));
    clock.mockRestore();
    await until(() => told.length === 1_000);
    const later = jest.spyOn(performance, "now").mockReturnValue(3_000);
    ingest.event("g", events(10));
    ingest.event("other", events(1));
    later.mockRestore();
    await until(() => told.length === 1_004);
    expect(told.slice(1_000).map((e) => e.sourceId)).toEqual(expect.arrayContaining(["7", "8", "9", "0"]));
    expect(warned).toEqual([{ gatewayId: "g", dropped: 7 }]);
  });

  it("is bounded against a gateway that makes up tunnels", async () => {
    const { ingest, written, gate } = set();
    let go: () => void = () => {};
    gate.hold = new Promise((resolve) => {
      go = resolve;
    });
    ingest.state("g", report(TunnelStatus.UP, ["first"]));
    for (let i = 0; i < 15; i++) {
      ingest.state(
        "g",
        report(
          TunnelStatus.UP,
          Array.from({ length: 1_000 }, (_, j) => `${i}-${j}`),
        ),
      );
    }
    go();
    await until(() => written.length === 2);
    expect(written[1]?.tunnels).toHaveLength(10_000);
  });
});

describe("what agents say", () => {
  const now = new Date("2026-06-01T00:00:00Z");

  it("is cut and cleaned before it is kept", () => {
    const state = create(TunnelStateSchema, {
      tunnelId: "t".repeat(1_000),
      status: 99 as TunnelStatus,
      lastError: { code: "ike/x", message: "a\nb\u0000c\u001b[2J\u202e", ours: "" },
      ikeSas: [
        {
          localEndpoint: "x".repeat(1_000),
          children: [{ localTs: Array.from({ length: 500 }, () => "y".repeat(500)) }],
        },
      ],
    });
    const mapped = tunnelReport(state, now);
    expect(mapped.key).toHaveLength(64);
    expect(mapped).toMatchObject({ status: "down", changedAt: now });
    expect(mapped.lastError).toMatchObject({
      message: "a\u{fffd}b\u{fffd}c\u{fffd}[2J\u{fffd}",
      ours: undefined,
      at: now,
    });
    expect(mapped.ikeSas[0]?.localEndpoint).toHaveLength(64);
    expect(mapped.ikeSas[0]?.childSas[0]?.localSelectors).toHaveLength(256);
    expect(mapped.ikeSas[0]?.childSas[0]?.localSelectors[0]).toHaveLength(128);
  });

  it("has times and counters that the database can hold", () => {
    const far = timestampFromMs(8.64e15);
    const event = create(EventSchema, {
      id: "1",
      at: far,
      facts: Object.fromEntries(Array.from({ length: 99 }, (_, i) => [`${i}`, ""])),
    });
    expect(agentEvent(event, now).at).toBe(now);
    expect(Object.keys(agentEvent(event, now).facts ?? {})).toHaveLength(32);
    const [c] = create(CountersReportSchema, { children: [{ bytesIn: 2n ** 64n - 1n, packetsIn: 5n }] }).children;
    expect(c && counterReport(c)).toMatchObject({ bytesIn: 2n ** 63n - 1n, packetsIn: 5n });
  });

  it("may hold a fact named __proto__ without harm", () => {
    const facts = JSON.parse('{"__proto__":"x","a":"b"}') as Record<string, string>;
    const mapped = agentEvent(create(EventSchema, { id: "1", facts }), now);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
    expect(mapped.facts?.a).toBe("b");
  });
});

describe("what waits to be sent", () => {
  it("comes in order, ends after close, and refuses what is too much", async () => {
    const queue = new MessageQueue<number>(3);
    expect([1, 2, 3, 4].map((n) => queue.push(n))).toEqual([true, true, true, false]);
    const got: number[] = [];
    const reading = (async () => {
      for await (const n of queue) got.push(n);
    })();
    await new Promise((resolve) => setImmediate(resolve));
    expect(queue.push(5)).toBe(true);
    queue.close();
    expect(queue.push(6)).toBe(false);
    await reading;
    expect(got).toEqual([1, 2, 3, 5]);
  });

  it("a bucket lets a burst through, then so many a second", () => {
    const bucket = new TokenBucket(3, 2, 0);
    expect([0, 0, 0, 0].map((at) => bucket.take(at))).toEqual([true, true, true, false]);
    expect([500, 500, 1_000, 1_000].map((at) => bucket.take(at))).toEqual([true, false, true, false]);
    expect([60_000, 60_000, 60_000, 60_000].map((at) => bucket.take(at))).toEqual([true, true, true, false]);
  });
});
