import { randomUUIDv7 } from "node:crypto";
import { Inject, Injectable } from "@nestjs/common";
import { WakeUpBus } from "../../platform/bus/bus.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { EventService } from "../events/event.service.js";
import { combinedState, endState, eventOf } from "./tunnel-health.js";
import { type CounterReport, type TunnelReport, TunnelStateService } from "./tunnel-state.service.js";
import { type End, type SavedCounters, TunnelStateStore } from "./tunnel-state.store.js";

interface Outcome {
  readonly organizationId: string;
  readonly tunnelIds: readonly string[];
  readonly firstUp: boolean;
}

@Injectable()
export class StoredTunnelStateService extends TunnelStateService {
  constructor(
    private readonly database: Database,
    private readonly store: TunnelStateStore,
    private readonly events: EventService,
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {
    super();
  }

  override async report(
    gatewayId: string,
    tunnels: readonly TunnelReport[],
    options: { readonly complete: boolean; readonly removedKeys: readonly string[] },
  ): Promise<void> {
    const outcome = await this.database.transaction((tx) => this.#report(tx, gatewayId, tunnels, options));
    if (!outcome) return;
    const { organizationId, tunnelIds, firstUp } = outcome;
    const told = tunnelIds.map((tunnelId) => this.bus.publish("tunnel", { organizationId, tunnelId }));
    if (firstUp) told.push(this.bus.publish("onboarding", { organizationId, gatewayId }));
    await Promise.all(told).catch((err: unknown) => this.log.warn({ err, gatewayId }, "subscribers were not woken"));
  }

  override async counters(gatewayId: string, at: Date, counters: readonly CounterReport[]): Promise<void> {
    if (counters.length > 0) await this.store.count(gatewayId, at, counters);
  }

  async #report(
    tx: Tx,
    gatewayId: string,
    reports: readonly TunnelReport[],
    { complete, removedKeys }: { readonly complete: boolean; readonly removedKeys: readonly string[] },
  ): Promise<Outcome | undefined> {
    const known = await this.store.endsOf(tx, gatewayId);
    if (!known) return undefined;
    const { organizationId, gatewayName, ends } = known;
    const byKey = new Map(reports.map((report) => [report.key, report]));
    const gone = new Set(removedKeys);
    const touched = ends.filter((end) => byKey.has(end.key) || gone.has(end.key) || complete);
    if (touched.length === 0) return undefined;
    // Both ends of a tunnel may report at the same moment: its row decides who is first.
    const states = await this.store.lockTunnels(
      tx,
      organizationId,
      touched.map((end) => end.tunnelId),
    );
    const saved = await this.store.takeSas(
      tx,
      organizationId,
      touched.map((end) => end.id),
    );
    const now = new Date();
    for (const end of touched) {
      const report = byKey.get(end.key);
      await this.store.writeEnd(tx, organizationId, end.id, report, endState(report), now);
    }
    await this.#insertSas(tx, organizationId, touched, byKey, saved);
    const others = await this.store.otherEnds(tx, organizationId, gatewayId, [...states.keys()]);
    for (const end of touched) {
      const was = states.get(end.tunnelId);
      const ofOthers = others.filter((o) => o.tunnelId === end.tunnelId).map((o) => o.state);
      const is = combinedState([endState(byKey.get(end.key)), ...ofOthers]);
      if (was === is) continue;
      await this.store.setState(tx, organizationId, end.tunnelId, is, now);
      const event = eventOf(end.name, was, is, byKey.get(end.key)?.lastError, gatewayName);
      if (event) await this.events.record(tx, organizationId, { ...event, gatewayId, tunnelId: end.tunnelId });
    }
    const up = touched.some((end) => endState(byKey.get(end.key)) === "UP");
    const firstUp = up && (await this.store.noteFirstUp(tx, organizationId, gatewayId, now));
    return { organizationId, tunnelIds: touched.map((end) => end.tunnelId), firstUp };
  }

  async #insertSas(
    tx: Tx,
    organizationId: string,
    ends: readonly End[],
    reports: ReadonlyMap<string, TunnelReport>,
    saved: ReadonlyMap<string, SavedCounters>,
  ): Promise<void> {
    const ikeSas = ends.flatMap((end) =>
      (reports.get(end.key)?.ikeSas ?? []).map((sa) => ({ id: randomUUIDv7(), end, sa })),
    );
    await this.store.insertIkeSas(
      tx,
      ikeSas.map(({ id, end, sa: { childSas: _, ...sa } }) => ({
        ...sa,
        id,
        organizationId,
        tunnelEndId: end.id,
        establishedAt: sa.establishedAt ?? null,
        nextRekeyAt: sa.nextRekeyAt ?? null,
        nextReauthAt: sa.nextReauthAt ?? null,
      })),
    );
    await this.store.insertChildSas(
      tx,
      ikeSas.flatMap(({ id, end, sa }) =>
        sa.childSas.map((child) => ({
          ...child,
          ...saved.get(`${end.id} ${child.inboundSpi}`),
          organizationId,
          ikeSaId: id,
          localSelectors: [...child.localSelectors],
          remoteSelectors: [...child.remoteSelectors],
          establishedAt: child.establishedAt ?? null,
          nextRekeyAt: child.nextRekeyAt ?? null,
          expiresAt: child.expiresAt ?? null,
        })),
      ),
    );
  }
}
