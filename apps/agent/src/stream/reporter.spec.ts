import { create } from "@bufbuild/protobuf";
import {
  type AgentMessage,
  ChildCountersSchema,
  Severity,
  type TunnelState,
  TunnelStateSchema,
  TunnelStatus,
} from "@sallyport/contract";
import { inSlices } from "../daemon/slices.js";
import { Backoff, RECONNECT } from "./backoff.js";
import type { Snapshot } from "./changes.js";
import { REPORT_LIMITS, Reporter } from "./reporter.js";

const state = (tunnelId: string, status = TunnelStatus.UP) => create(TunnelStateSchema, { tunnelId, status });
const snapshot = (...states: TunnelState[]): Snapshot =>
  new Map(states.map((told) => [told.tunnelId, { state: told, sas: new Map() }]));
const changed = (tunnels: TunnelState[], removed: string[] = []) => ({ tunnels, removed, sas: [] });
const event = (message: string) => ({ code: "x/y", severity: Severity.INFO, message, at: 0 });

function drain(reporter: Reporter): AgentMessage["body"][] {
  const all: AgentMessage["body"][] = [];
  for (let m = reporter.next(); m !== undefined; m = reporter.next()) all.push(m.body);
  return all;
}
const messages = (bodies: AgentMessage["body"][]) =>
  bodies.flatMap((b) => (b.case === "events" ? b.value.events.map((e) => e.message) : []));
const states = (bodies: AgentMessage["body"][]) => bodies.flatMap((b) => (b.case === "state" ? [b.value] : []));

describe("the reporter", () => {
  it("keeps the newest state of each tunnel and the newest counters only", async () => {
    const reporter = new Reporter();
    await inSlices(reporter.states(changed([state("a", TunnelStatus.CONNECTING), state("b")]), snapshot()));
    await inSlices(reporter.states(changed([state("a", TunnelStatus.UP)], ["b", "c"]), snapshot()));
    reporter.counters(1, []);
    reporter.counters(2, []);
    const all = drain(reporter);
    expect(states(all)).toEqual([
      expect.objectContaining({
        complete: false,
        tunnels: [expect.objectContaining({ tunnelId: "a", status: TunnelStatus.UP })],
        removedTunnelIds: ["b", "c"],
      }),
    ]);
    expect(all.filter((b) => b.case === "counters")).toHaveLength(1);
    expect(drain(reporter)).toEqual([]);
  });

  it("keeps certificates until they were read, the newest ones, and tells a few at a time", () => {
    const reporter = new Reporter();
    const { certificates: most, certificatesInMessage: some } = REPORT_LIMITS;
    for (let i = 0; i < most + 5; i++) {
      reporter.certificate({ certificate: new Uint8Array([i]), tunnelId: String(i), identity: "", at: 0 });
    }
    const told = () =>
      drain(reporter).map((b) =>
        b.case === "certificates" ? b.value.certificates.map((c) => Number(c.tunnelId)) : [],
      );
    const first = told();
    expect(first).toHaveLength(most / some);
    expect([first[0]?.[0], first.at(-1)?.at(-1)]).toEqual([5, most + 4]);
    reporter.pinged(1);
    reporter.certificate({ certificate: new Uint8Array([0]), tunnelId: "7000", identity: "", at: 0 });
    reporter.ponged(1);
    expect(told()).toEqual([[7000]]);
    reporter.restart(new Map(), true);
    expect(told().flat()).toEqual([7000]);
  });

  it("begins each stream with a complete report, after which later changes are told", async () => {
    const reporter = new Reporter();
    await inSlices(reporter.states(changed([state("old")]), snapshot(state("old"))));
    reporter.restart(snapshot(state("a", TunnelStatus.DOWN), state("gone")), true);
    await inSlices(reporter.states(changed([state("a", TunnelStatus.UP)], ["gone"]), snapshot()));
    const told = states(drain(reporter)).map(({ complete, more, sasApart, tunnels, removedTunnelIds }) => {
      const named = tunnels.map((t) => [t.tunnelId, t.status]);
      return { complete, more, sasApart, named, removedTunnelIds };
    });
    const [down, up] = [TunnelStatus.DOWN, TunnelStatus.UP];
    const common = { more: false, sasApart: true };
    expect(told).toEqual([
      {
        ...common,
        complete: true,
        named: [
          ["a", down],
          ["gone", up],
        ],
        removedTunnelIds: [],
      },
      { ...common, complete: false, named: [["a", up]], removedTunnelIds: ["gone"] },
    ]);
  });

  it("tells a gateway without tunnels so, too", async () => {
    const reporter = new Reporter();
    reporter.restart(snapshot(), true);
    expect(states(drain(reporter))).toEqual([expect.objectContaining({ complete: true, tunnels: [] })]);
  });

  it("tells events and answers again that no pong said were read", async () => {
    const reporter = new Reporter();
    reporter.event(event("read"));
    reporter.answer({ case: "ack", value: { revision: 1 } });
    drain(reporter);
    reporter.pinged(1);
    reporter.event(event("after the ping"));
    drain(reporter);
    reporter.pinged(2);
    reporter.event(event("not pinged"));
    reporter.answer({ case: "nack", value: { revision: 2 } });
    drain(reporter);
    reporter.ponged(1);
    reporter.restart(snapshot(), true);
    const all = drain(reporter);
    expect(messages(all)).toEqual(["after the ping", "not pinged"]);
    expect(all.filter((b) => b.case === "ack" || b.case === "nack").map((b) => b.case)).toEqual(["nack"]);
  });

  it("cuts counters into messages, and drops the rest when newer ones come", () => {
    const reporter = new Reporter();
    const counters = (n: number, bytesIn: bigint) =>
      Array.from({ length: n }, () => create(ChildCountersSchema, { tunnelId: "a", bytesIn }));
    reporter.counters(1, counters(1_200, 1n));
    const first = reporter.next()?.body;
    reporter.counters(2, counters(700, 2n));
    const told = [first, ...drain(reporter)].flatMap((b) => (b?.case === "counters" ? [b.value] : []));
    expect(told.map(({ at, children }) => [Number(at?.nanos), children.length])).toEqual([
      [1_000_000, 500],
      [2_000_000, 500],
      [2_000_000, 200],
    ]);
  });

  it("is bounded: the oldest events go, and are counted", () => {
    const reporter = new Reporter();
    for (let i = 0; i < REPORT_LIMITS.events + 7; i++) reporter.event(event(String(i)));
    for (let i = 0; i < 1_000; i++) reporter.answer({ case: "commandResult", value: { id: String(i) } });
    const all = drain(reporter);
    expect(messages(all)[0]).toBe("7");
    expect(messages(all)).toHaveLength(REPORT_LIMITS.events);
    expect(all.flatMap((b) => (b.case === "events" ? [b.value.dropped] : [])).reduce((a, b) => a + b)).toBe(7);
    expect(all.filter((b) => b.case === "commandResult")).toHaveLength(REPORT_LIMITS.answers);
  });

  it("sends answers before everything else", async () => {
    const reporter = new Reporter();
    reporter.event(event("e"));
    await inSlices(reporter.states(changed([state("a")]), snapshot()));
    reporter.answer({ case: "ack", value: { revision: 1 } });
    expect(drain(reporter).map((b) => b.case)).toEqual(["ack", "state", "events"]);
  });

  it("wakes who waits", async () => {
    const reporter = new Reporter();
    const waiting = reporter.waiting(new AbortController().signal);
    reporter.event(event("e"));
    await expect(waiting).resolves.toBeUndefined();
    const ended = new AbortController();
    const other = reporter.waiting(ended.signal);
    ended.abort();
    await expect(other).resolves.toBeUndefined();
  });
});

describe("the back-off", () => {
  it("is quick at first, and never so long that 5 seconds pass", () => {
    const longest = new Backoff(() => 1);
    const waits = Array.from({ length: 12 }, () => longest.next());
    expect(waits[0]).toBe(RECONNECT.first);
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    expect((waits.at(-1) ?? 0) + RECONNECT.attempt).toBeLessThan(5_000);
    longest.reset();
    expect(longest.next()).toBe(RECONNECT.first);
  });

  it("differs between agents", () => {
    const shortest = new Backoff(() => 0);
    expect(shortest.next()).toBe(RECONNECT.first / 2);
  });
});
