import { randomUUID } from "node:crypto";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type IkeSa, IkeSaSchema, StateReportSchema, TunnelStateSchema, TunnelStatus } from "@sallyport/contract";
import fc from "fast-check";
import { pino } from "pino";
import { inSlices } from "../../apps/agent/src/daemon/slices.js";
import { changesBetween, type Snapshot, saKey } from "../../apps/agent/src/stream/changes.js";
import { StateQueue } from "../../apps/agent/src/stream/state-queue.js";
import { ReportIngest } from "../../apps/control-plane/src/features/agents/report-ingest.js";
import { CertificateSightings } from "../../apps/control-plane/src/features/certificates/sightings.service.js";
import { EventService } from "../../apps/control-plane/src/features/events/event.service.js";
import { LeaseBook } from "../../apps/control-plane/src/features/leases/lease-book.service.js";
import { SaStore } from "../../apps/control-plane/src/features/tunnels/sa.store.js";
import { SaQuota } from "../../apps/control-plane/src/features/tunnels/sa-quota.js";
import { StoredTunnelStateService } from "../../apps/control-plane/src/features/tunnels/stored-tunnel-state.service.js";
import { TunnelStateStore } from "../../apps/control-plane/src/features/tunnels/tunnel-state.store.js";
import { WakeUpBus } from "../../apps/control-plane/src/platform/bus/bus.js";
import { readConfig } from "../../apps/control-plane/src/platform/config/config.js";
import { Database } from "../../apps/control-plane/src/platform/database/database.js";
import { startControlPlane, type TestControlPlane } from "../../apps/control-plane/test/control-plane.js";
import { query } from "../../apps/control-plane/test/database.js";
import { describeFleet } from "../../apps/control-plane/test/fleet.js";
import { eventually } from "./harness.js";

let cp: TestControlPlane;
let gatewayId: string;
let key: string;
let ingest: ReportIngest;

beforeAll(async () => {
  cp = await startControlPlane();
  gatewayId = (await describeFleet(cp)).hub.gateway.id;
  key = String((await query(cp.connection, "SELECT key FROM tunnels"))[0]?.key);
  ingest = cp.application.nest.get(ReportIngest, { strict: false });
});
afterAll(() => cp?.close());

const hex = (n: number, digits: number) => n.toString(16).padStart(digits, "0");
const ikeSa = (n: number, state = "established", children: readonly number[] = [n]): IkeSa =>
  create(IkeSaSchema, {
    ...{ initiatorSpi: hex(n, 16), responderSpi: hex(n + 1, 16), ikeVersion: 2, state, user: `person-${n}` },
    remoteVirtualAddresses: [`10.9.${n >> 8}.${n & 255}`],
    children: children.map((c) => ({ childId: "c", inboundSpi: hex(c, 8), outboundSpi: hex(c, 8), localTs: ["::/0"] })),
  });
const snapshot = (sas: readonly IkeSa[] | undefined): Snapshot => {
  if (sas === undefined) return new Map();
  const state = (tunnelId: string) => create(TunnelStateSchema, { tunnelId, status: TunnelStatus.UP });
  const own = new Map(sas.map((sa) => [saKey(sa), sa]));
  return new Map([
    [key, { state: state(key), sas: own }],
    ["of nobody", { state: state("of nobody"), sas: own }],
  ]);
};
const text = (sa: IkeSa) =>
  `${saKey(sa)} ${sa.state} ${sa.user} ${sa.remoteVirtualAddresses} ${sa.children.map((c) => c.inboundSpi).sort()}`;

async function rows(): Promise<string[]> {
  const found = await query(
    cp.connection,
    `SELECT initiator_spi || ' ' || responder_spi || ' ' || state || ' ' || user_name || ' ' || array_to_string(remote_virtual, ',') || ' ' ||
       coalesce((SELECT string_agg(inbound_spi, ',' ORDER BY inbound_spi) FROM child_sas c WHERE c.ike_sa_id = i.id), '') AS sa
     FROM ike_sas i ORDER BY 1`,
  );
  return found.map((row) => String(row.sa));
}

/** An agent's states on streams to replicas, without the wire. */
class Agent {
  readonly queue = new StateQueue();
  now: Snapshot = new Map();
  #stream = "";
  #unread: { readonly streamId: string; readonly bytes: Uint8Array }[] = [];
  readonly refusals: string[] = [];
  resyncs = 0;

  constructor(private readonly to = ingest) {}

  async connect(): Promise<void> {
    const source = { gatewayId, streamId: randomUUID() };
    this.#stream = source.streamId;
    this.queue.restart(this.now, true);
    await query(cp.connection, "UPDATE gateways SET report_stream = $2 WHERE id = $1", [gatewayId, source.streamId]);
    this.to.opened(source, {
      resync: () => {
        this.resyncs++;
        this.queue.restart(this.now);
      },
      refused: ({ code }) => void this.refusals.push(code),
    });
  }

  async becomes(to: Snapshot): Promise<void> {
    await inSlices(this.queue.change(await inSlices(changesBetween(this.now, to)), to));
    this.now = to;
  }

  /** At most so many messages; those that are `late` are read when the agent has another stream. */
  send(messages: number, late = false): void {
    for (let i = 0; i < messages; i++) {
      const report = this.queue.next();
      if (report === undefined) return;
      const sent = { streamId: this.#stream, bytes: toBinary(StateReportSchema, create(StateReportSchema, report)) };
      if (late) this.#unread.push(sent);
      else this.#read(sent);
    }
  }

  readLate(): void {
    for (const sent of this.#unread.splice(0)) this.#read(sent);
  }

  /** Tells that it has put an intent in force. */
  ack(): void {
    ingest.applied({ gatewayId, streamId: this.#stream });
  }

  sent(bytes: Uint8Array): void {
    this.#read({ streamId: this.#stream, bytes });
  }

  #read({ streamId, bytes }: { readonly streamId: string; readonly bytes: Uint8Array }): void {
    this.to.state({ gatewayId, streamId }, fromBinary(StateReportSchema, bytes));
  }
}

const sas = fc.uniqueArray(
  fc.record({ n: fc.nat(5), state: fc.constantFrom("established", "rekeying"), child: fc.nat(3) }),
  { selector: (sa) => sa.n },
);
const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("change" as const), to: fc.option(sas, { freq: 6 }) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("send" as const), messages: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("connect" as const), late: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("resync" as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("write" as const) }) },
  ),
  { maxLength: 20 },
);

describe("rows of SAs", () => {
  it("are those of the agent after whatever changed, was lost on the way or came late", async () => {
    const agent = new Agent();
    await agent.connect();
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        for (const step of list) {
          if (step.do === "change") {
            await agent.becomes(
              snapshot(step.to?.map((sa) => ikeSa(sa.n, sa.state, [sa.n, 16 + sa.child])) ?? undefined),
            );
          } else if (step.do === "send") agent.send(step.messages);
          else if (step.do === "resync") agent.queue.restart(agent.now);
          else if (step.do === "write") await rows();
          else {
            agent.send(step.late, true);
            await agent.connect();
            agent.send(1);
          }
        }
        agent.send(Number.POSITIVE_INFINITY);
        const written = async (sa: IkeSa) => (await rows()).includes(text(sa));
        const last = ikeSa(1_000 + runs++);
        const there = [...(agent.now.get(key)?.sas.values() ?? []), last];
        await agent.becomes(snapshot(there));
        agent.send(Number.POSITIVE_INFINITY);
        await eventually(() => written(last));
        // What was sent on older streams is read only now, and dealt with before the change that follows it.
        agent.readLate();
        await agent.becomes(snapshot([...there.slice(0, -1), ikeSa(999, `after ${runs}`)]));
        agent.send(Number.POSITIVE_INFINITY);
        await eventually(() => written(ikeSa(999, `after ${runs}`)));
        const expected = [...(agent.now.get(key)?.sas.values() ?? [])].map(text).sort();
        await eventually(async () => JSON.stringify(await rows()) === JSON.stringify(expected)).catch(async () =>
          expect(await rows()).toEqual(expected),
        );
      }),
      { numRuns: 10, endOnFailure: true },
    );
  });

  it("keep a child's counters when it moves to the SA that replaces its own", async () => {
    const agent = new Agent();
    await agent.becomes(snapshot([ikeSa(1, "established", [77])]));
    await agent.connect();
    agent.send(9);
    // A row of the test before may be there still.
    const children = async () =>
      (await query(cp.connection, "SELECT inbound_spi FROM child_sas")).map((c) => c.inbound_spi);
    await eventually(async () => (await rows()).length === 1 && (await children()).join() === hex(77, 8));
    await query(cp.connection, "UPDATE child_sas SET bytes_in = 4242, counted_at = now()");
    await agent.becomes(snapshot([ikeSa(2, "established", [77]), ikeSa(3)]));
    agent.send(9);
    await eventually(async () => (await rows()).length === 2);
    const counted = await query(cp.connection, "SELECT inbound_spi, bytes_in::int AS n FROM child_sas ORDER BY 1");
    expect(counted).toEqual([
      { inbound_spi: hex(3, 8), n: 0 },
      { inbound_spi: hex(77, 8), n: 4242 },
    ]);
  });

  it("of a tunnel that is made anew with the key of one before are asked for", async () => {
    const agent = new Agent();
    await agent.becomes(snapshot([ikeSa(1), ikeSa(2)]));
    await agent.connect();
    agent.send(9);
    await eventually(async () => (await rows()).length === 2);
    // Of what was there before nothing is left, and for the agent nothing has changed.
    await query(cp.connection, "DELETE FROM ike_sas");
    await query(cp.connection, "UPDATE tunnel_ends SET report_mark = NULL, state = DEFAULT");
    agent.ack();
    await eventually(async () => {
      agent.send(9);
      return (await rows()).length === 2;
    });
    const untold = "SELECT count(*)::int AS n FROM tunnel_ends WHERE gateway_id = $1 AND report_mark IS NULL";
    expect((await query(cp.connection, untold, [gatewayId]))[0]?.n).toBe(0);
  });

  it("are not more than the limit, which an event and the agent tell, and all there are when there is room again", async () => {
    const get = <T>(type: abstract new (...args: never[]) => T): T =>
      cp.application.nest.get<T>(type as never, { strict: false });
    const log = pino({ level: "silent" });
    const quota = new SaQuota({ ...readConfig({}), saLimit: 20 }, get(SaStore));
    const service = new StoredTunnelStateService(
      get(Database),
      get(TunnelStateStore),
      get(SaStore),
      quota,
      get(LeaseBook),
      get(EventService),
      get(WakeUpBus),
      log,
    );
    const agent = new Agent(new ReportIngest(service, get(EventService), get(CertificateSightings), log));
    const some = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => ikeSa(from + i));
    const texts = (sas: readonly IkeSa[]) => sas.map(text).sort();
    const become = async (sas: readonly IkeSa[], written: readonly IkeSa[]) => {
      await agent.becomes(snapshot(sas));
      agent.send(9);
      await eventually(async () => JSON.stringify(await rows()) === JSON.stringify(texts(written))).catch(async () =>
        expect(await rows()).toEqual(texts(written)),
      );
    };
    const events = async () =>
      query(cp.connection, "SELECT facts, gateway_id FROM events WHERE kind = 'agents/too-many-sas'");
    await agent.connect();
    await become(some(0, 8), some(0, 8));
    expect(await events()).toEqual([]);
    await become(some(0, 14), some(0, 10));
    // Two more of them are not told anew, and what there is goes on changing and going.
    await become([...some(0, 9), ikeSa(9, "rekeying"), ...some(10, 16)], [...some(0, 9), ikeSa(9, "rekeying")]);
    expect(agent.refusals).toEqual(["agents/too-many-sas"]);
    expect(await events()).toEqual([{ facts: { limit: "20", refused: "4" }, gateway_id: gatewayId }]);
    await agent.becomes(snapshot(some(4, 12)));
    agent.send(9);
    await eventually(() => agent.resyncs === 1);
    await become(some(4, 12), some(4, 12));
    // More children of one that is there already count as well.
    const children = Array.from({ length: 10 }, (_, i) => 100 + i);
    await become([...some(4, 11), ikeSa(11, "established", children)], some(4, 12).slice(0, -1).concat(ikeSa(11)));
  });

  it("of 20,000 people come in small messages, and one change writes one row", async () => {
    const agent = new Agent();
    await agent.connect();
    const many = Array.from({ length: 20_000 }, (_, n) => ikeSa(n));
    const delay = monitorEventLoopDelay({ resolution: 1 });
    await agent.becomes(snapshot(many));
    const messages: number[] = [];
    delay.enable();
    for (let report = agent.queue.next(); report !== undefined; report = agent.queue.next()) {
      const bytes = toBinary(StateReportSchema, create(StateReportSchema, report));
      messages.push(bytes.length);
      // Own lines: each message is read in a turn of its own, as from a socket.
      await new Promise(setImmediate);
      agent.sent(bytes);
      await new Promise(setImmediate);
    }
    const count = async () => (await query(cp.connection, "SELECT count(*)::int AS n FROM ike_sas"))[0]?.n;
    await eventually(async () => (await count()) === 20_000, 60_000);
    delay.disable();
    if (process.env.TEST_FIGURES) process.stderr.write(`longest step ${(delay.max / 1e6).toFixed(1)} ms\n`);
    expect(Math.max(...messages)).toBeLessThanOrEqual(32 * 1024);
    const marks = "SELECT count(DISTINCT xmin::text)::int AS n FROM ike_sas";
    const before = Number((await query(cp.connection, marks))[0]?.n);
    await agent.becomes(snapshot([ikeSa(0, "rekeying"), ...many.slice(1)]));
    agent.send(9);
    await eventually(async () => (await rows())[0]?.includes("rekeying"));
    expect(Number((await query(cp.connection, marks))[0]?.n)).toBeLessThanOrEqual(before + 1);
    // All gone at once is more than one transaction has time for.
    agent.now = snapshot([]);
    agent.queue.restart(agent.now);
    agent.send(9);
    await eventually(async () => (await count()) === 0, 30_000);
    expect((await query(cp.connection, "SELECT count(*)::int AS n FROM leases WHERE open"))[0]?.n).toBe(0);
  });
});
