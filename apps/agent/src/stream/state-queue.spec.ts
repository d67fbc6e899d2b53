import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type IkeSa,
  IkeSaSchema,
  IkeSaStateSchema,
  type StateReport,
  StateReportSchema,
  type TunnelState,
  TunnelStateSchema,
  TunnelStatus,
} from "@sallyport/contract";
import fc from "fast-check";
import { changesBetween, type Snapshot, saKey } from "./changes.js";
import { STATE_LIMITS, StateQueue, saOctets, tunnelOctets } from "./state-queue.js";

const spi = (n: number) => n.toString(16).padStart(16, "0");
const ikeSa = (n: number, state = "established", user = ""): IkeSa =>
  create(IkeSaSchema, { initiatorSpi: spi(n), responderSpi: spi(n + 1), state, user });
const tunnel = (id: string, sas: readonly IkeSa[], status = TunnelStatus.UP) =>
  [
    id,
    { state: create(TunnelStateSchema, { tunnelId: id, status }), sas: new Map(sas.map((sa) => [saKey(sa), sa])) },
  ] as const;

function finish<T>(work: Generator<undefined, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** What a control plane makes of reports, by what state.proto says of them. */
class Reader {
  tunnels = new Map<string, { state: TunnelState; sas: Map<string, IkeSa> }>();
  #named: { tunnels: Set<string>; sas: Set<string> } | undefined;

  read(report: StateReport): void {
    if (report.complete) this.#named = { tunnels: new Set(), sas: new Set() };
    for (const id of report.removedTunnelIds) this.tunnels.delete(id);
    for (const { ikeSas, ...state } of report.tunnels) {
      this.#named?.tunnels.add(state.tunnelId);
      const known = this.tunnels.get(state.tunnelId)?.sas;
      const sas = report.sasApart && known ? known : new Map(ikeSas.map((sa) => [saKey(sa), sa]));
      for (const key of sas.keys()) if (!report.sasApart) this.#named?.sas.add(`${state.tunnelId} ${key}`);
      this.tunnels.set(state.tunnelId, { state: { ...state, ikeSas: [] }, sas });
    }
    for (const { tunnelId, sa } of report.ikeSas) {
      this.#named?.sas.add(`${tunnelId} ${saKey(sa as IkeSa)}`);
      this.tunnels.get(tunnelId)?.sas.set(saKey(sa as IkeSa), sa as IkeSa);
    }
    for (const gone of report.removedIkeSas) this.tunnels.get(gone.tunnelId)?.sas.delete(saKey(gone));
    if (this.#named === undefined || report.more) return;
    for (const [id, { sas }] of this.tunnels) {
      if (!this.#named.tunnels.has(id)) this.tunnels.delete(id);
      for (const key of sas.keys()) if (!this.#named.sas.has(`${id} ${key}`)) sas.delete(key);
    }
    this.#named = undefined;
  }
}

function message(queue: StateQueue): Uint8Array | undefined {
  const report = queue.next();
  return report && toBinary(StateReportSchema, create(StateReportSchema, report));
}
function drain(queue: StateQueue, reader: Reader): Uint8Array[] {
  const sent: Uint8Array[] = [];
  for (let bytes = message(queue); bytes !== undefined; bytes = message(queue)) {
    sent.push(bytes);
    reader.read(fromBinary(StateReportSchema, bytes));
  }
  return sent;
}
const plain = (all: Snapshot) =>
  [...all]
    .map(([id, { state, sas }]) => [id, state.status, [...sas.values()].map((sa) => `${saKey(sa)} ${sa.state}`).sort()])
    .sort();

/** A few tunnels with a few SAs each: enough for all to meet. */
const snapshots = fc.uniqueArray(
  fc.record({
    id: fc.constantFrom("a", "b", "c"),
    status: fc.constantFrom(TunnelStatus.UP, TunnelStatus.PARTIAL),
    sas: fc.uniqueArray(fc.record({ n: fc.nat(5), state: fc.constantFrom("established", "rekeying") }), {
      selector: (sa) => sa.n,
    }),
  }),
  { selector: (t) => t.id },
);
const snapshotOf = (tunnels: typeof snapshots extends fc.Arbitrary<infer T> ? T : never): Snapshot =>
  new Map(
    tunnels.map((t) =>
      tunnel(
        t.id,
        t.sas.map((sa) => ikeSa(sa.n, sa.state, "u".repeat(30_000))),
        t.status,
      ),
    ),
  );

const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("change" as const), to: snapshots }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("send" as const), messages: fc.integer({ min: 1, max: 6 }) }) },
    /** Messages that were sent and never read, then a new stream. */
    { weight: 1, arbitrary: fc.record({ do: fc.constant("lose" as const), messages: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("resync" as const) }) },
  ),
  { maxLength: 25 },
);

describe("states that are told as they change", () => {
  it.each([
    ["SAs apart", true],
    ["SAs with their tunnels", false],
  ])("end in what there is, whatever changed and was lost between: %s", (_name, apart) => {
    fc.assert(
      fc.property(steps, (list) => {
        const queue = new StateQueue();
        const reader = new Reader();
        let now: Snapshot = new Map();
        queue.restart(now, apart);
        for (const step of list) {
          if (step.do === "change") {
            const to = snapshotOf(step.to);
            finish(queue.change(finish(changesBetween(now, to)), to));
            now = to;
          } else if (step.do === "send") {
            for (let i = 0; i < step.messages; i++) {
              const bytes = message(queue);
              if (bytes) reader.read(fromBinary(StateReportSchema, bytes));
            }
          } else {
            for (let i = 0; step.do === "lose" && i < step.messages; i++) queue.next();
            queue.restart(now);
          }
        }
        drain(queue, reader);
        expect(plain(reader.tunnels)).toEqual(plain(now));
        expect(queue.next()).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  it("that change while a complete report is told are told after it", () => {
    const queue = new StateQueue();
    const reader = new Reader();
    const many = Array.from({ length: 300 }, (_, i) => ikeSa(i));
    const before: Snapshot = new Map([tunnel("a", many), tunnel("b", [])]);
    queue.restart(before, true);
    const [first] = [queue.next()];
    const after: Snapshot = new Map([tunnel("a", [...many.slice(0, -1), ikeSa(1_000)])]);
    finish(queue.change(finish(changesBetween(before, after)), after));
    const told: StateReport[] = [];
    for (let report = queue.next(); report; report = queue.next()) told.push(create(StateReportSchema, report));
    expect(told.map((r) => [r.complete, r.more, r.ikeSas.length, r.removedIkeSas.length, r.removedTunnelIds])).toEqual([
      [false, true, 100, 0, []],
      [false, true, 100, 0, []],
      [false, false, 2, 0, []],
      [false, false, 1, 1, ["b"]],
    ]);
    for (const report of [create(StateReportSchema, first), ...told]) reader.read(report);
    expect(plain(reader.tunnels)).toEqual(plain(after));
  });

  it("are bounded where nobody reads: SAs that came and went are not kept for ever", () => {
    const queue = new StateQueue();
    let now: Snapshot = new Map([tunnel("a", [])]);
    queue.restart(now, true);
    queue.next();
    for (let i = 0; i < 200; i++) {
      const to = new Map([
        tunnel(
          "a",
          Array.from({ length: 50 }, (_, j) => ikeSa(i * 50 + j)),
        ),
      ]);
      finish(queue.change(finish(changesBetween(now, to)), to));
      now = to;
    }
    const reader = new Reader();
    expect(drain(queue, reader).length).toBeLessThan(50);
    expect(plain(reader.tunnels)).toEqual(plain(now));
  });
});

const texts = fc.string({ unit: "grapheme", maxLength: 40 });

describe("a message of states", () => {
  it("has no more octets than are counted, whatever stands in it", () => {
    const time = { seconds: 2n ** 33n, nanos: 999_999_999 };
    const child = fc.record({
      ...{ childId: texts, inboundSpi: texts, outboundSpi: texts, protocol: texts, mode: texts, proposal: texts },
      ...{ localTs: fc.array(texts), remoteTs: fc.array(texts), state: texts },
      ...{ establishedAt: fc.constant(time), nextRekeyAt: fc.constant(time), expiresAt: fc.constant(time) },
      udpEncapsulation: fc.constant(true),
    });
    const sa = fc.record({
      ...{
        initiatorSpi: texts,
        responderSpi: texts,
        ikeVersion: fc.constant(2 ** 32 - 1),
        initiator: fc.constant(true),
      },
      ...{ state: texts, localEndpoint: texts, remoteEndpoint: texts, localIdentity: texts, remoteIdentity: texts },
      ...{
        proposal: texts,
        user: texts,
        localVirtualAddresses: fc.array(texts),
        remoteVirtualAddresses: fc.array(texts),
      },
      ...{ establishedAt: fc.constant(time), nextRekeyAt: fc.constant(time), localNat: fc.constant(true) },
      ...{ nextReauthenticationAt: fc.constant(time), remoteNat: fc.constant(true), children: fc.array(child) },
    });
    fc.assert(
      fc.property(texts, sa, (tunnelId, init) => {
        const one = create(IkeSaStateSchema, { tunnelId, sa: init });
        const told = { ikeSas: [one] };
        expect(toBinary(StateReportSchema, create(StateReportSchema, told)).length).toBeLessThanOrEqual(
          saOctets(tunnelId, one.sa as IkeSa),
        );
      }),
    );
    const error = fc.record({
      code: texts,
      message: texts,
      ours: texts,
      theirs: texts,
      exchange: texts,
      at: fc.constant(time),
    });
    fc.assert(
      fc.property(texts, error, (tunnelId, lastError) => {
        const state = create(TunnelStateSchema, { tunnelId, status: TunnelStatus.UP, changedAt: time, lastError });
        const report = create(StateReportSchema, { tunnels: [state] });
        expect(toBinary(StateReportSchema, report).length).toBeLessThanOrEqual(tunnelOctets(state));
      }),
    );
  });

  it("is small, and one changed SA of 20,000 is one SA in it", () => {
    const many = Array.from({ length: 20_000 }, (_, i) => ikeSa(i, "established", `person-${i}@example.test`));
    const before: Snapshot = new Map([tunnel("a", many)]);
    const queue = new StateQueue();
    const reader = new Reader();
    queue.restart(before, true);
    const sent = drain(queue, reader);
    expect(reader.tunnels.get("a")?.sas.size).toBe(20_000);
    expect(Math.max(...sent.map((bytes) => bytes.length))).toBeLessThanOrEqual(STATE_LIMITS.octets);
    expect(sent.length).toBeLessThan(250);
    const after: Snapshot = new Map([tunnel("a", [...many.slice(1), ikeSa(1_000_000)])]);
    finish(queue.change(finish(changesBetween(before, after)), after));
    const [change, ...others] = drain(queue, reader);
    expect(others).toEqual([]);
    const { ikeSas, removedIkeSas, tunnels } = fromBinary(StateReportSchema, change as Uint8Array);
    expect([ikeSas.length, removedIkeSas.length, tunnels.length]).toEqual([1, 1, 0]);
  });

  it("takes no long step anywhere, with 20,000 SAs", () => {
    const many = Array.from({ length: 20_000 }, (_, i) => ikeSa(i, "established", `person-${i}@example.test`));
    const all: Snapshot = new Map([tunnel("a", many)]);
    const none: Snapshot = new Map([tunnel("a", [])]);
    const queue = new StateQueue();
    queue.restart(all, true);
    const interruptions = (work: Iterable<undefined>) => [...work].length;
    expect(interruptions(changesBetween(none, all))).toBeGreaterThan(500);
    expect(interruptions(changesBetween(all, none))).toBeGreaterThan(15);
    const changes = finish(changesBetween(none, all));
    expect(interruptions(queue.change(changes, all))).toBeGreaterThan(30);
    for (let report = queue.next(); report !== undefined; report = queue.next()) {
      expect((report.ikeSas?.length ?? 0) + (report.tunnels?.length ?? 0)).toBeLessThanOrEqual(STATE_LIMITS.things);
    }
  });
});
