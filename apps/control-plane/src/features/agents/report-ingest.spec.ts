import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { jest } from "@jest/globals";
import {
  CertificatesReportSchema,
  CountersReportSchema,
  EventSchema,
  EventsReportSchema,
  StateReportSchema,
  TunnelStateSchema,
  TunnelStatus,
} from "@sallyport/contract";
import { pino } from "pino";
import { TokenBucket } from "../../platform/token-bucket.js";
import type { CertificateSightings, Sighting } from "../certificates/sightings.service.js";
import type { AgentEvent, EventService } from "../events/event.service.js";
import type { CounterReport, ReportOutcome, StateBatch } from "../tunnels/tunnel-state.service.js";
import { TunnelStateService } from "../tunnels/tunnel-state.service.js";
import { MessageQueue } from "./message-queue.js";
import { ReportIngest, type ReportingAgent } from "./report-ingest.js";
import { agentEvent, counterReport, ikeSaReport, tunnelReport } from "./report-mapping.js";
import { BACKLOG_LIMITS } from "./state-backlog.js";

const outage = () => Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });

async function until(done: () => boolean): Promise<void> {
  for (const late = performance.now() + 30_000; !done(); await new Promise((resolve) => setTimeout(resolve, 5))) {
    if (performance.now() > late) throw new Error("it did not happen");
  }
}

const SOURCE = { gatewayId: "g", streamId: "s1" };

const agent = (resync: () => void, refusals: string[] = []): ReportingAgent => ({
  resync,
  refused: ({ code }) => void refusals.push(code),
});

function set() {
  const written: (StateBatch & { stream: string })[] = [];
  const resyncs: string[] = [];
  const counted: CounterReport[] = [];
  const told: AgentEvent[] = [];
  const gate = {
    fail: undefined as Error | undefined,
    hold: undefined as Promise<void> | undefined,
    passed: 0,
    newest: undefined as string | undefined,
    outcome: "written" as ReportOutcome,
  };
  const pass = async () => {
    await gate.hold;
    gate.passed++;
    if (gate.fail) throw gate.fail;
  };
  const tunnels: Pick<TunnelStateService, "report" | "counters"> = {
    report: async (_gatewayId, stream, batch) => {
      await pass();
      if (gate.newest !== undefined && stream !== gate.newest) return "replaced";
      written.push({ ...batch, stream });
      return gate.outcome;
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
  const seen: Sighting[][] = [];
  const sightings: Pick<CertificateSightings, "take"> = {
    take: async (_gatewayId, list) => {
      await pass();
      seen.push([...list]);
    },
  };
  const warned: object[] = [];
  const log = pino({ level: "silent" });
  log.warn = (facts: object) => void warned.push(facts);
  const ingest = new ReportIngest(
    tunnels as TunnelStateService,
    events as EventService,
    sightings as CertificateSightings,
    log,
  );
  const refusals: string[] = [];
  ingest.opened(
    SOURCE,
    agent(() => void resyncs.push(SOURCE.streamId), refusals),
  );
  return { ingest, written, counted, told, seen, gate, warned, resyncs, refusals };
}

const report = (status: TunnelStatus, ids: readonly string[], complete = false, removedTunnelIds: string[] = []) =>
  create(StateReportSchema, { complete, removedTunnelIds, tunnels: ids.map((tunnelId) => ({ tunnelId, status })) });
/** SAs apart from their tunnels, `sas` of each. */
const apart = (ids: readonly string[], sas: number, how: { complete?: boolean; more?: boolean } = {}) =>
  create(StateReportSchema, {
    ...how,
    sasApart: true,
    tunnels: ids.map((tunnelId) => ({ tunnelId, status: TunnelStatus.UP })),
    ikeSas: (ids.length > 0 ? ids : [""]).flatMap((tunnelId) =>
      Array.from({ length: sas }, (_, i) => ({ tunnelId, sa: { initiatorSpi: `${tunnelId}-${sas}-${i}` } })),
    ),
  });
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
    ingest.state(SOURCE, report(TunnelStatus.DOWN, ["a"], true));
    ingest.state(SOURCE, report(TunnelStatus.CONNECTING, ["a", "b"]));
    ingest.state(SOURCE, report(TunnelStatus.UP, ["a"], false, ["b"]));
    go();
    await until(() => written.length === 2);
    expect(written.map((w) => [w.completes, w.removedKeys, w.tunnels.map((t) => `${t.key} ${t.status}`)])).toEqual([
      ["tunnels", [], ["a down"]],
      ["no", ["b"], ["a up"]],
    ]);
  });

  it("tells the agent once that a part is not kept, and asks for all when there is room again", async () => {
    const { ingest, written, gate, resyncs, refusals } = set();
    gate.outcome = "in-part";
    ingest.state(SOURCE, apart(["a"], 2, { complete: true }));
    await until(() => written.length === 1);
    ingest.state(SOURCE, apart(["b"], 3));
    await until(() => written.length === 2);
    expect([refusals, resyncs]).toEqual([["agents/too-many-sas"], []]);
    gate.outcome = "room";
    ingest.state(SOURCE, apart(["c"], 1));
    await until(() => resyncs.length === 1);
    gate.outcome = "in-part";
    ingest.state(SOURCE, apart(["a"], 2));
    await until(() => refusals.length === 2);
  });

  it("has a stream that told much wait until it is written, and for a while only", async () => {
    const { ingest, written, gate } = set();
    await ingest.room(SOURCE);
    let go: () => void = () => {};
    gate.hold = new Promise((resolve) => {
      go = resolve;
    });
    ingest.state(SOURCE, apart(["a"], 2 * BACKLOG_LIMITS.ample, { complete: true }));
    const early = await Promise.race([ingest.room(SOURCE), new Promise((resolve) => setTimeout(resolve, 20, "waits"))]);
    expect(early).toBe("waits");
    const room = ingest.room(SOURCE);
    go();
    await room;
    const sas = written.flatMap((w) => w.ikeSas).length;
    expect(sas).toBeGreaterThanOrEqual(BACKLOG_LIMITS.ample - BACKLOG_LIMITS.inBatch);
    expect(sas).toBeLessThan(2 * BACKLOG_LIMITS.ample);
    await until(() => written.at(-1)?.completes === "with-sas");

    gate.hold = new Promise(() => {});
    ingest.state(SOURCE, apart(["a"], 2 * BACKLOG_LIMITS.ample));
    const before = performance.now();
    await ingest.room(SOURCE);
    expect(performance.now() - before).toBeGreaterThan(1_000);
    const waits = ingest.room(SOURCE);
    ingest.ended(SOURCE);
    await waits;
  });

  it("waits for a database that is away, and loses nothing but what is too much", async () => {
    const { ingest, written, counted, told, gate } = set();
    gate.fail = outage();
    ingest.state(SOURCE, report(TunnelStatus.UP, ["a"], true));
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
    ingest.state(SOURCE, report(TunnelStatus.UP, ["a"]));
    await until(() => gate.passed === 1);
    gate.fail = undefined;
    ingest.state(SOURCE, report(TunnelStatus.UP, ["b"]));
    await until(() => written.length === 1);
    expect(written.flatMap((w) => w.tunnels.map((t) => t.key))).toEqual(["b"]);
  });

  it("of a stream waits until the database knows the stream, and is nothing when it ended before", async () => {
    const { ingest, written } = set();
    const [second, third] = ["s2", "s3"].map((streamId) => ({ gatewayId: "g", streamId }) as const);
    ingest.state(second as typeof SOURCE, report(TunnelStatus.UP, ["a"], true));
    ingest.state(third as typeof SOURCE, report(TunnelStatus.DOWN, ["a"], true));
    ingest.ended(second as typeof SOURCE);
    ingest.opened(
      second as typeof SOURCE,
      agent(() => {}),
    );
    ingest.state(SOURCE, report(TunnelStatus.UP, ["b"]));
    await until(() => written.length === 1);
    ingest.opened(
      third as typeof SOURCE,
      agent(() => {}),
    );
    await until(() => written.length === 2);
    expect(written.map((w) => w.stream)).toEqual(["s1", "s3"]);
  });

  it("of a stream that has a newer one is dropped", async () => {
    const { ingest, written, gate, resyncs } = set();
    gate.newest = "elsewhere";
    ingest.state(SOURCE, apart(["a"], 3, { complete: true }));
    await until(() => gate.passed === 1);
    ingest.state(SOURCE, apart(["a"], 4));
    ingest.event("g", events(1));
    await until(() => gate.passed === 2);
    expect([written, resyncs]).toEqual([[], []]);
  });

  it("asks for everything anew when changes were lost, not again at once, and takes none until it comes", async () => {
    const { ingest, written, gate, resyncs } = set();
    gate.fail = new Error("violates a constraint");
    ingest.state(SOURCE, apart(["a"], 1, { complete: true }));
    await until(() => resyncs.length === 1);
    gate.fail = undefined;
    ingest.state(SOURCE, apart(["a"], 2));
    ingest.state(SOURCE, apart(["a"], 3, { complete: true, more: true }));
    ingest.state(SOURCE, apart([], 4));
    await until(() => written.some((w) => w.completes === "with-sas"));
    expect(written.flatMap((w) => w.ikeSas.map((one) => one.sa.initiatorSpi))).toEqual([
      ...["a-3-0", "a-3-1", "a-3-2", "-4-0", "-4-1", "-4-2", "-4-3"],
    ]);
    gate.fail = new Error("violates a constraint");
    ingest.state(SOURCE, apart(["a"], 1));
    await until(() => gate.passed >= 3);
    ingest.event("g", events(1));
    await until(() => gate.passed >= 4);
    expect(resyncs).toHaveLength(1);
  });

  it("takes a burst of certificates, a few at a time, and none that is too large", async () => {
    const { ingest, seen } = set();
    const certificates = (count: number, octets: number) =>
      create(CertificatesReportSchema, {
        certificates: Array.from({ length: count }, (_, i) => ({
          ...{ certificate: new Uint8Array(octets), tunnelId: String(i), identity: "ann\u0007" },
        })),
      });
    ingest.certificates("g", certificates(3, 8193));
    ingest.certificates("g", certificates(600, 100));
    // One more a second has room, however long this machine stands still.
    await until(() => seen.flat().length >= 509);
    expect(seen.flat().length).toBeLessThanOrEqual(512);
    expect(Math.max(...seen.map((some) => some.length))).toBe(16);
    expect(seen[0]?.[0]).toMatchObject({ connection: "0", identity: "ann\u{fffd}" });
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
    ingest.state(SOURCE, report(TunnelStatus.UP, ["first"]));
    for (let i = 0; i < 15; i++) {
      ingest.state(
        SOURCE,
        report(
          TunnelStatus.UP,
          Array.from({ length: 1_000 }, (_, j) => `${i}-${j}`),
        ),
      );
    }
    go();
    await until(() => gate.passed > 0);
    ingest.state(SOURCE, report(TunnelStatus.UP, ["last"]));
    await until(() => written.some((w) => w.tunnels.some((t) => t.key === "last")));
    expect(written.flatMap((w) => w.tunnels).length).toBeLessThan(10_000);
    expect(Math.max(...written.map((w) => w.tunnels.length))).toBeLessThanOrEqual(500);
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
          remoteVirtualAddresses: Array.from({ length: 500 }, () => "192.0.2.1"),
          // Twice the same: a row cannot be written twice at once.
          children: [
            { inboundSpi: "0000000100", localTs: [] },
            { inboundSpi: "00000001", localTs: Array.from({ length: 500 }, () => "y".repeat(500)) },
          ],
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
    const [sa] = state.ikeSas.map(ikeSaReport);
    expect(sa?.localEndpoint).toHaveLength(64);
    expect(sa?.remoteVirtual).toHaveLength(16);
    expect(sa?.childSas).toHaveLength(1);
    expect(sa?.childSas[0]?.localSelectors).toHaveLength(256);
    expect(sa?.childSas[0]?.localSelectors[0]).toHaveLength(128);
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
    expect([6, 7].map((n) => queue.push(n))).toEqual([true, true]);
    queue.close(8);
    expect(queue.push(9)).toBe(false);
    queue.close(10);
    await reading;
    expect(got).toEqual([1, 2, 3, 5, 6, 7, 8]);
  });

  it("a bucket lets a burst through, then so many a second", () => {
    const bucket = new TokenBucket(3, 2, 0);
    expect([0, 0, 0, 0].map((at) => bucket.take(at))).toEqual([true, true, true, false]);
    expect([500, 500, 1_000, 1_000].map((at) => bucket.take(at))).toEqual([true, false, true, false]);
    expect([60_000, 60_000, 60_000, 60_000].map((at) => bucket.take(at))).toEqual([true, true, true, false]);
    expect([60_000, 60_400, 60_500].map((at) => bucket.wait(at))).toEqual([500, 100, 0]);
  });
});
