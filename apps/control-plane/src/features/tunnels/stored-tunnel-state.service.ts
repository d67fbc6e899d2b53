import { Inject, Injectable } from "@nestjs/common";
import { WakeUpBus } from "../../platform/bus/bus.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { EventService } from "../events/event.service.js";
import { LeaseBook } from "../leases/lease-book.service.js";
import { type Marks, SaStore } from "./sa.store.js";
import { SaQuota, type SaTally } from "./sa-quota.js";
import { combinedState, endState, eventOf } from "./tunnel-health.js";
import { type CounterReport, type ReportOutcome, type StateBatch, TunnelStateService } from "./tunnel-state.service.js";
import { type End, type HeldGateway, TunnelStateStore } from "./tunnel-state.store.js";

interface Outcome {
  readonly gateway: HeldGateway;
  readonly tunnelIds: readonly string[];
  readonly firstUp: boolean;
  readonly tally: SaTally;
  /** Addresses whose leases began. */
  readonly leased: readonly string[];
  readonly told: ReportOutcome;
  /** Of ends that may have more SAs that are gone. */
  readonly unsettled: Marks | undefined;
}

/** How often a gateway's refused SAs become an event. */
const REFUSAL_MS = 3_600_000;

@Injectable()
export class StoredTunnelStateService extends TunnelStateService {
  /** By gateway; of its newest stream, or of one that is not written any more. */
  readonly #tallies = new Map<string, SaTally>();
  /** When the next refusal becomes an event, by gateway. */
  readonly #refusals = new Map<string, number>();

  constructor(
    private readonly database: Database,
    private readonly store: TunnelStateStore,
    private readonly sas: SaStore,
    private readonly quota: SaQuota,
    private readonly leases: LeaseBook,
    private readonly events: EventService,
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {
    super();
  }

  override async report(gatewayId: string, streamId: string, batch: StateBatch): Promise<ReportOutcome> {
    const outcome = await this.database.transaction((tx) => this.#report(tx, gatewayId, streamId, batch));
    if (!outcome) {
      this.#tallies.delete(gatewayId);
      return "replaced";
    }
    await this.#settle(gatewayId, streamId, outcome);
    const { tunnelIds, firstUp, tally } = outcome;
    const { organizationId, name } = outcome.gateway;
    this.#tallies.set(gatewayId, tally);
    if (outcome.told === "in-part") this.#refusals.set(gatewayId, this.#nextRefusal(gatewayId));
    const told = tunnelIds.map((tunnelId) => this.bus.publish("tunnel", { organizationId, tunnelId }));
    if (firstUp) told.push(this.bus.publish("onboarding", { organizationId, gatewayId }));
    await Promise.all(told).catch((err: unknown) => this.log.warn({ err, gatewayId }, "subscribers were not woken"));
    await this.leases
      .tellClashes({ organizationId, gatewayId, name }, outcome.leased)
      .catch((err: unknown) => this.log.warn({ err, gatewayId }, "clashes of leases were not looked for"));
    return outcome.told;
  }

  override untold(gatewayId: string): Promise<boolean> {
    return this.store.untold(gatewayId);
  }

  override async counters(gatewayId: string, at: Date, counters: readonly CounterReport[]): Promise<void> {
    if (counters.length > 0) await this.store.count(gatewayId, at, counters);
  }

  async #report(tx: Tx, gatewayId: string, streamId: string, batch: StateBatch): Promise<Outcome | undefined> {
    const gateway = await this.store.holdGateway(tx, gatewayId);
    if (gateway?.stream !== streamId) return undefined;
    const { organizationId } = gateway;
    const ends = await this.store.endsOf(tx, organizationId, gatewayId);
    const firstUp = await this.#writeEnds(tx, gateway, gatewayId, ends, batch);
    const ofSas = await this.#writeSas(tx, gateway, gatewayId, ends, batch);
    const keys = [...batch.tunnels, ...batch.ikeSas, ...batch.removedIkeSas].map((of) => of.key);
    const changed = new Set([...keys, ...goneOf(ends, batch).map((end) => end.key)]);
    const tunnelIds = ends.flatMap((end) => (changed.has(end.key) && end.tunnel ? [end.tunnel.id] : []));
    return { gateway, tunnelIds, firstUp, ...ofSas };
  }

  /** Removes the rest of what is gone, in transactions of their own. */
  async #settle(
    gatewayId: string,
    streamId: string,
    { gateway: { organizationId }, unsettled }: Outcome,
  ): Promise<void> {
    const settleMore = (marks: Marks) =>
      this.database.transaction(async (tx) => {
        const gateway = await this.store.holdGateway(tx, gatewayId);
        return gateway?.stream !== streamId || (await this.sas.settle(tx, organizationId, marks));
      });
    for (let done = unsettled === undefined; unsettled && !done; ) done = await settleMore(unsettled);
  }

  /** True when it is the gateway's very first tunnel that came up. */
  async #writeEnds(
    tx: Tx,
    { organizationId, name: gatewayName }: HeldGateway,
    gatewayId: string,
    ends: readonly End[],
    batch: StateBatch,
  ): Promise<boolean> {
    const byKey = new Map(batch.tunnels.map((report) => [report.key, report]));
    const touched = [...ends.filter((end) => byKey.has(end.key)), ...goneOf(ends, batch)];
    if (touched.length === 0) return false;
    const ofTunnels = touched.flatMap(({ key, tunnel }) => (tunnel ? [{ key, ...tunnel }] : []));
    // Both ends of a tunnel may report at the same moment: its row decides who is first.
    const tunnelIds = ofTunnels.map((end) => end.id);
    const states = await this.store.lockTunnels(tx, organizationId, tunnelIds);
    const now = new Date();
    for (const end of touched) {
      const report = byKey.get(end.key);
      const reported = { state: endState(report), mark: batch.mark, at: now };
      await this.store.writeEnd(tx, organizationId, end.id, report, reported);
    }
    const dropped = touched.flatMap(({ id, tunnel, key, state: was }) => {
      const state = endState(byKey.get(key));
      return tunnel && was === "UP" && state !== "UP" ? [{ endId: id, state }] : [];
    });
    await this.store.noteDrops(tx, organizationId, now, dropped);
    const others = await this.store.otherEnds(tx, organizationId, gatewayId, [...states.keys()]);
    for (const { id: tunnelId, key, name } of ofTunnels) {
      const was = states.get(tunnelId);
      const ofOthers = others.filter((o) => o.tunnelId === tunnelId).map((o) => o.state);
      const is = combinedState([endState(byKey.get(key)), ...ofOthers]);
      if (was === is) continue;
      await this.store.setState(tx, organizationId, tunnelId, is, now);
      const event = eventOf(name, was, is, byKey.get(key)?.lastError, gatewayName);
      if (event) await this.events.record(tx, organizationId, { ...event, gatewayId, tunnelId });
    }
    const up = ofTunnels.some((end) => endState(byKey.get(end.key)) === "UP");
    return up && (await this.store.noteFirstUp(tx, organizationId, gatewayId, now));
  }

  /** SAs that came first: counters of children that moved from one that is gone are found there. */
  async #writeSas(
    tx: Tx,
    gateway: HeldGateway,
    gatewayId: string,
    ends: readonly End[],
    batch: StateBatch,
  ): Promise<Pick<Outcome, "tally" | "leased" | "unsettled" | "told">> {
    const { organizationId, stream } = gateway;
    const endIds = new Map(ends.map((end) => [end.key, end.id]));
    const ids = [...endIds.values()];
    const known = <T extends { readonly key: string }>(list: readonly T[]) =>
      list.flatMap(({ key, ...of }) => {
        const endId = endIds.get(key);
        return endId === undefined ? [] : [{ ...of, endId }];
      });
    const reported = known(batch.ikeSas);
    const last = this.#tallies.get(gatewayId);
    const before = last?.streamId === stream ? last : await this.quota.first(tx, organizationId, ids, stream ?? "");
    const { sas, tally } = await this.quota.admit(tx, organizationId, ids, reported, before);
    const written = await this.sas.write(tx, organizationId, sas);
    const holding = sas.map(({ sa }, i) => ({ ...sa, ikeSaId: written[i] ?? "" }));
    const leased = await this.leases.write(tx, { organizationId, gatewayId, name: gateway.name }, holding);
    await this.sas.remove(tx, organizationId, known(batch.removedIkeSas));
    const marks = new Map<string, string | undefined>();
    if (batch.completes === "with-sas") for (const { id } of ends) marks.set(id, batch.mark);
    for (const [key, mark] of batch.settled) {
      const endId = endIds.get(key);
      if (endId !== undefined) marks.set(endId, mark);
    }
    for (const { id } of goneOf(ends, batch)) marks.set(id, undefined);
    const unsettled = (await this.sas.settle(tx, organizationId, marks)) ? undefined : marks;
    if (sas.length < reported.length) {
      await this.#recordRefusal(tx, gateway, gatewayId, reported.length - sas.length);
      return { tally, leased, unsettled, told: "in-part" };
    }
    if (batch.removedIkeSas.length + marks.size === 0) return { tally, leased, unsettled, told: "written" };
    const after = await this.quota.roomAgain(tx, organizationId, ids, tally);
    return { tally: after, leased, unsettled, told: tally.short && !after.short ? "room" : "written" };
  }

  async #recordRefusal(tx: Tx, { organizationId, name }: HeldGateway, gatewayId: string, refused: number) {
    if (this.#nextRefusal(gatewayId) === this.#refusals.get(gatewayId)) return;
    await this.events.record(tx, organizationId, {
      kind: "agents/too-many-sas",
      severity: "WARNING",
      message: `${name} reports more SAs than are kept of one gateway: those beyond ${this.quota.limit} are not shown`,
      facts: { limit: String(this.quota.limit), refused: String(refused) },
      gatewayId,
    });
  }

  /** Unchanged while the gateway's last refusal that became an event is not long ago. */
  #nextRefusal(gatewayId: string): number {
    const now = performance.now();
    const next = this.#refusals.get(gatewayId);
    return next === undefined || next <= now ? now + REFUSAL_MS : next;
  }
}

/** Ends that the gateway has no more. */
function goneOf(ends: readonly End[], { tunnels, removedKeys, completes, mark }: StateBatch): End[] {
  const named = new Set(tunnels.map((report) => report.key));
  const removed = new Set(removedKeys);
  return ends.filter(
    (end) => !named.has(end.key) && (removed.has(end.key) || (completes !== "no" && end.mark !== mark)),
  );
}
