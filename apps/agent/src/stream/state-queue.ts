import type { MessageInitShape } from "@bufbuild/protobuf";
import type { IkeSa, StateReportSchema, TunnelState } from "@sallyport/contract";
import { type Changes, type SaChange, type Snapshot, saKey } from "./changes.js";

type Report = MessageInitShape<typeof StateReportSchema>;

/** Of one message: encoding it stays well under the 20 ms that the event loop may be held. */
export const STATE_LIMITS = { octets: 32 * 1024, things: 100 } as const;

/** To a control plane that takes SAs with their tunnels only. */
const WHOLE_LIMITS = { tunnels: 200, sas: 200 } as const;

/** Items that are taken in between two interruptions. */
const AT_ONCE = 512;

/** SAs that may wait to be told beyond twice as many as there are. */
const SPARE_SAS = 4096;

/** Tags and lengths of all fields, numbers and times, of a message without its texts. */
const FRAME = { report: 16, tunnel: 48, sa: 80, child: 56 } as const;

/** Tag and length of a text are two or three octets while it is short. */
function textsOctets(...texts: readonly string[]): number {
  let octets = 0;
  for (const text of texts) {
    const length = Buffer.byteLength(text);
    octets += length + (length < 128 ? 3 : 7);
  }
  return octets;
}

/** At least as many octets as it has on the wire. */
export function tunnelOctets({ tunnelId, lastError: e }: TunnelState): number {
  return FRAME.tunnel + textsOctets(tunnelId, ...(e ? [e.code, e.message, e.ours, e.theirs, e.exchange] : []));
}

/** At least as many octets as it has on the wire, with its tunnel's id. */
export function saOctets(tunnelId: string, sa: IkeSa): number {
  let octets = FRAME.sa + textsOctets(tunnelId, sa.initiatorSpi, sa.responderSpi, sa.state, sa.proposal, sa.user);
  octets += textsOctets(sa.localEndpoint, sa.remoteEndpoint, sa.localIdentity, sa.remoteIdentity);
  octets += textsOctets(...sa.localVirtualAddresses, ...sa.remoteVirtualAddresses);
  for (const c of sa.children) {
    octets +=
      FRAME.child + textsOctets(c.childId, c.inboundSpi, c.outboundSpi, c.protocol, c.mode, c.proposal, c.state);
    octets += textsOctets(...c.localTs, ...c.remoteTs);
  }
  return octets;
}

/** What is left of a message's limits; the first thing always has room. */
class Room {
  #octets: number = STATE_LIMITS.octets - FRAME.report;
  #things: number = STATE_LIMITS.things;

  takes(octets: number): boolean {
    if (this.#things < STATE_LIMITS.things && (this.#octets < octets || this.#things === 0)) return false;
    this.#octets -= octets;
    this.#things--;
    return true;
  }
}

interface NamedSa {
  readonly tunnelId: string;
  readonly sa: IkeSa;
}

/** What a complete report has still to name, of what there was when it was asked for. Tunnels come first: no SA before its own. */
class Unnamed {
  readonly #tunnels: Iterator<TunnelState>;
  readonly #sas: Iterator<NamedSa>;
  /** The next ones. */
  tunnel: TunnelState | undefined;
  sa: NamedSa | undefined;

  constructor(snapshot: Snapshot) {
    this.#tunnels = tunnelsOf(snapshot);
    this.#sas = sasOf(snapshot);
    this.nextTunnel();
    this.nextSa();
  }

  nextTunnel(): void {
    this.tunnel = this.#tunnels.next().value;
  }

  nextSa(): void {
    this.sa = this.#sas.next().value;
  }
}

function* tunnelsOf(snapshot: Snapshot): Generator<TunnelState, undefined> {
  for (const { state } of snapshot.values()) yield state;
  return undefined;
}

function* sasOf(snapshot: Snapshot): Generator<NamedSa, undefined> {
  for (const [tunnelId, { sas }] of snapshot) for (const sa of sas.values()) yield { tunnelId, sa };
  return undefined;
}

/** Tunnels and IKE SAs that are still to be told, the newest of each alone. */
export class StateQueue {
  #snapshot: Snapshot = new Map();
  #sasApart = false;
  /** The next message begins a complete report. */
  #complete = false;
  /** While a complete report with SAs apart is told; what changes meanwhile is told after it. */
  #unnamed: Unnamed | undefined;
  /** Undefined: the intent has it no more. */
  readonly #tunnels = new Map<string, TunnelState | undefined>();
  readonly #sas = new Map<string, SaChange>();
  /** More than this is only waiting when nobody reads: then telling all anew is less. */
  #mostSas = SPARE_SAS;

  /** All that there is has to be told; whoever is told knows nothing yet. */
  restart(snapshot: Snapshot, sasApart = this.#sasApart): void {
    this.#snapshot = snapshot;
    this.#sasApart = sasApart;
    this.#tunnels.clear();
    this.#sas.clear();
    this.#unnamed = sasApart ? new Unnamed(snapshot) : undefined;
    if (!sasApart) for (const [id, { state }] of snapshot) this.#tunnels.set(id, state);
    let sas = 0;
    for (const tunnel of snapshot.values()) sas += tunnel.sas.size;
    this.#mostSas = 2 * sas + SPARE_SAS;
    this.#complete = true;
  }

  /** `snapshot` is what there is after the changes. */
  *change({ tunnels, removed, sas }: Changes, snapshot: Snapshot): Generator<undefined, void> {
    this.#snapshot = snapshot;
    for (const id of removed) {
      if (this.#complete && !this.#sasApart) this.#tunnels.delete(id);
      else this.#tunnels.set(id, undefined);
    }
    for (const state of tunnels) this.#tunnels.set(state.tunnelId, state);
    for (const [i, change] of sas.entries()) {
      if (this.#sasApart) this.#sas.set(`${change.tunnelId} ${saKey(change)}`, change);
      else this.#touch(change.tunnelId);
      if (i % AT_ONCE === AT_ONCE - 1) yield;
    }
    if (this.#sas.size > this.#mostSas) this.restart(snapshot);
  }

  next(): Report | undefined {
    if (this.#unnamed) return this.#name(this.#unnamed);
    const complete = this.#complete;
    if (!complete && this.#tunnels.size + this.#sas.size === 0) return undefined;
    this.#complete = false;
    return { ...(this.#sasApart ? this.#part() : this.#whole(complete)), complete, more: false };
  }

  #touch(tunnelId: string): void {
    const state = this.#snapshot.get(tunnelId)?.state;
    if (state) this.#tunnels.set(tunnelId, state);
  }

  /** The next message of a complete report. */
  #name(unnamed: Unnamed): Report {
    const room = new Room();
    const tunnels: TunnelState[] = [];
    for (let { tunnel } = unnamed; tunnel && room.takes(tunnelOctets(tunnel)); { tunnel } = unnamed) {
      tunnels.push(tunnel);
      unnamed.nextTunnel();
    }
    const ikeSas: NamedSa[] = [];
    for (let { sa } = unnamed; !unnamed.tunnel && sa && room.takes(saOctets(sa.tunnelId, sa.sa)); { sa } = unnamed) {
      ikeSas.push(sa);
      unnamed.nextSa();
    }
    const complete = this.#complete;
    const more = unnamed.tunnel !== undefined || unnamed.sa !== undefined;
    this.#complete = false;
    if (!more) this.#unnamed = undefined;
    return { sasApart: true, tunnels, ikeSas, complete, more };
  }

  #part(): Report {
    const room = new Room();
    const tunnels: TunnelState[] = [];
    const removedTunnelIds: string[] = [];
    for (const [id, state] of this.#tunnels) {
      if (!room.takes(state ? tunnelOctets(state) : textsOctets(id))) break;
      this.#tunnels.delete(id);
      if (state) tunnels.push(state);
      else removedTunnelIds.push(id);
    }
    const ikeSas: { tunnelId: string; sa: IkeSa }[] = [];
    const removedIkeSas: Omit<SaChange, "sa">[] = [];
    // An SA never comes before its tunnel.
    for (const [key, { sa, ...of }] of this.#tunnels.size > 0 ? [] : this.#sas) {
      const { tunnelId, initiatorSpi, responderSpi } = of;
      if (!room.takes(sa ? saOctets(tunnelId, sa) : textsOctets(tunnelId, initiatorSpi, responderSpi, ""))) break;
      this.#sas.delete(key);
      if (sa) ikeSas.push({ tunnelId, sa });
      else removedIkeSas.push(of);
    }
    return { sasApart: true, tunnels, removedTunnelIds, ikeSas, removedIkeSas };
  }

  /** A complete report names all tunnels at once here; those whose SAs found no room in it follow with them. */
  #whole(complete: boolean): Report {
    const tunnels: TunnelState[] = [];
    const removedTunnelIds: string[] = [];
    let room: number = WHOLE_LIMITS.sas;
    for (const [id, state] of this.#tunnels) {
      const sas = [...(this.#snapshot.get(id)?.sas.values() ?? [])].slice(0, WHOLE_LIMITS.sas);
      const fits = sas.length <= room;
      if (!complete && (!fits || tunnels.length >= WHOLE_LIMITS.tunnels)) break;
      if (fits) this.#tunnels.delete(id);
      if (fits) room -= sas.length;
      if (state) tunnels.push({ ...state, ikeSas: fits ? sas : [] });
      else removedTunnelIds.push(id);
    }
    return { tunnels, removedTunnelIds };
  }
}
