import { randomUUID } from "node:crypto";
import type { StateReport } from "@sallyport/contract";
import type { IkeSaName, IkeSaReport, SaReport, StateBatch, TunnelReport } from "../tunnels/tunnel-state.service.js";
import { ikeSaName, ikeSaReport, tunnelKey, tunnelReport } from "./report-mapping.js";

/** Of what one stream reported and is not written yet. Beyond `ample` things its next message is read only when some are written. */
export const BACKLOG_LIMITS = { tunnels: 10_000, ikeSas: 40_000, inBatch: 250, ample: 1_000 } as const;

/** Undefined: it is gone. */
type Sas = Map<string, { readonly name: IkeSaName; readonly sa: IkeSaReport | undefined }>;

interface SasOfTunnel {
  /** Set when all IKE SAs of the tunnel were named at once: the mark that tells them from those that are gone. */
  whole: string | undefined;
  readonly sas: Sas;
}

/** What one stream has told and is not written yet. Newer news of a thing replaces older; an SA never comes before its tunnel. */
export class StateBacklog {
  #mark: string = randomUUID();
  /** Undefined: the gateway has it no more. */
  readonly #tunnels = new Map<string, TunnelReport | undefined>();
  readonly #sas = new Map<string, SasOfTunnel>();
  #ikeSas = 0;
  #completing: "no" | "more" | "last" = "no";
  #apart = false;
  #lost = false;

  /** Whether a part of what was told is missing: changes mean nothing then until a complete report begins. */
  get lost(): boolean {
    return this.#lost;
  }

  /** Whether so much waits to be written that more should not be read for now. */
  get ample(): boolean {
    return this.#tunnels.size + this.#ikeSas > BACKLOG_LIMITS.ample;
  }

  /** A part of it could not be kept or written. Agents that tell IKE SAs with their tunnels tell them all at the next change. */
  lose(): void {
    this.#clear();
    this.#lost = this.#apart;
  }

  take(report: StateReport, now: Date): void {
    if (report.complete) {
      this.#clear();
      this.#mark = randomUUID();
      this.#lost = false;
      this.#completing = "more";
    } else if (this.#lost) return;
    this.#apart = report.sasApart;
    for (const id of report.removedTunnelIds) {
      const key = tunnelKey(id);
      this.#tunnels.set(key, undefined);
      if (report.sasApart) this.#removeAll(key);
      else this.#forget(key);
    }
    for (const state of report.tunnels) {
      const tunnel = tunnelReport(state, now);
      this.#tunnels.set(tunnel.key, tunnel);
      if (report.sasApart) continue;
      this.#forget(tunnel.key);
      this.#ofTunnel(tunnel.key).whole = randomUUID();
      for (const sa of state.ikeSas) this.#put(ikeSaName({ ...sa, ...named(state.tunnelId) }), ikeSaReport(sa));
    }
    for (const { tunnelId, sa } of report.ikeSas) {
      if (sa) this.#put(ikeSaName({ ...sa, ...named(tunnelId) }), ikeSaReport(sa));
    }
    for (const gone of report.removedIkeSas) this.#put(ikeSaName(gone), undefined);
    if (this.#completing === "more" && !report.more) this.#completing = "last";
    if (this.#tunnels.size > BACKLOG_LIMITS.tunnels || this.#ikeSas > BACKLOG_LIMITS.ikeSas) this.lose();
  }

  /** Takes out what is to be written next, undefined when there is nothing. */
  next(): StateBatch | undefined {
    const tunnels: TunnelReport[] = [];
    const removedKeys: string[] = [];
    for (const [key, tunnel] of this.#tunnels) {
      if (tunnels.length + removedKeys.length >= BACKLOG_LIMITS.inBatch) break;
      this.#tunnels.delete(key);
      if (tunnel) tunnels.push(tunnel);
      else removedKeys.push(key);
    }
    const sas = this.#nextSas(BACKLOG_LIMITS.inBatch - tunnels.length - removedKeys.length);
    const ends = this.#completing === "last" && this.#tunnels.size + this.#sas.size === 0;
    if (ends) this.#completing = "no";
    const completes = !ends ? "no" : this.#apart ? "with-sas" : "tunnels";
    const things =
      tunnels.length + removedKeys.length + sas.ikeSas.length + sas.removedIkeSas.length + sas.settled.size;
    return things > 0 || ends ? { mark: this.#mark, tunnels, removedKeys, ...sas, completes } : undefined;
  }

  #nextSas(room: number) {
    const ikeSas: SaReport[] = [];
    const removedIkeSas: IkeSaName[] = [];
    const settled = new Map<string, string>();
    for (const [key, { whole, sas }] of this.#tunnels.size > 0 ? [] : this.#sas) {
      for (const [id, { name, sa }] of sas) {
        if (ikeSas.length + removedIkeSas.length >= room) return { ikeSas, removedIkeSas, settled };
        sas.delete(id);
        this.#ikeSas--;
        if (sa) ikeSas.push({ key, mark: whole ?? this.#mark, sa });
        else removedIkeSas.push(name);
      }
      this.#sas.delete(key);
      if (whole !== undefined) settled.set(key, whole);
    }
    return { ikeSas, removedIkeSas, settled };
  }

  #put(name: IkeSaName, sa: IkeSaReport | undefined): void {
    const { sas } = this.#ofTunnel(name.key);
    const before = sas.size;
    sas.set(`${name.initiatorSpi} ${name.responderSpi}`, { name, sa });
    this.#ikeSas += sas.size - before;
  }

  #ofTunnel(key: string): SasOfTunnel {
    const known = this.#sas.get(key);
    if (known) return known;
    const fresh: SasOfTunnel = { whole: undefined, sas: new Map() };
    this.#sas.set(key, fresh);
    return fresh;
  }

  /** Removals that wait stay: the tunnel may come back before its own removal is written. */
  #removeAll(key: string): void {
    const sas = this.#sas.get(key)?.sas;
    for (const [id, { name }] of sas ?? []) sas?.set(id, { name, sa: undefined });
  }

  #forget(key: string): void {
    this.#ikeSas -= this.#sas.get(key)?.sas.size ?? 0;
    this.#sas.delete(key);
  }

  #clear(): void {
    this.#tunnels.clear();
    this.#sas.clear();
    this.#ikeSas = 0;
    this.#completing = "no";
  }
}

const named = (tunnelId: string) => ({ $typeName: "sallyport.agent.v1.IkeSaKey", tunnelId }) as const;
