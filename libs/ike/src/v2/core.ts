import type { IpAddress, Rng } from "@sallyport/base";
import type { AddressSpec, PolicySpec, SaId, SaState } from "@sallyport/dataplane";
import type { DataPlaneOp, EffectId, Millis } from "../api.js";
import { type ChildConfig, type IkeConfig, NOTHING_DECIDED, type PeerConfig, type ShuntConfig } from "../config.js";
import type { LastError, Refusal } from "../status.js";
import { Backlog } from "./backlog.js";
import type { PacketSelector } from "./child-sa.js";
import { CookieJar } from "./cookie.js";
import { type Entries, Holdings } from "./holdings.js";
import { Leases } from "./leases.js";
import { PeerIndex } from "./peer-index.js";
import type { IkeSa } from "./sa.js";
import { SaTable } from "./table.js";

/** What an earlier run left in the data plane. */
export interface Orphans {
  sas: SaState[];
  policies: PolicySpec[];
}

/** What the engine remembers of a configured peer between IKE SAs. */
export interface PeerState {
  config: PeerConfig;
  /** Timer of the next attempt. */
  readonly timer: number;
  retryAt: Millis | undefined;
  /** Attempts that failed since the last success. */
  tries: number;
  lastError: LastError | undefined;
  /** What the peer gave last, to be asked for again. */
  addresses: readonly IpAddress[];
  /** How often in a row the peer gave none. */
  addressRefusals: number;
  readonly children: Map<string, ChildRuntime>;
}

export interface ChildRuntime {
  config: ChildConfig;
  readonly reqid: number;
  /** To be up now; `sticky`: it stays so after a failure, because an operator or the configuration wants it. */
  wanted: boolean;
  sticky: boolean;
  /** The packet that raised the wish. */
  packet: PacketSelector | undefined;
  tries: number;
  retryAt: Millis | undefined;
  lastError: LastError | undefined;
  /** Policies and routes that stay while there is no SA. */
  trap: Entries | undefined;
}

export interface Shunt {
  readonly config: ShuntConfig;
  readonly entries: Entries;
}

/** The engine's shared state: tables and counters around the IKE SAs. */
export class Core {
  config: IkeConfig = NOTHING_DECIDED;
  readonly table = new SaTable();
  readonly backlog = new Backlog();
  readonly peers = new Map<string, PeerState>();
  readonly byTimer = new Map<number, PeerState>();
  /** Peers whose messages are told in words. */
  readonly traced = new Set<string>();
  readonly shunts = new Map<string, Shunt>();
  readonly holdings = new Holdings();
  readonly leases = new Leases();
  /** This machine's addresses, as far as they were told. */
  addresses: readonly IpAddress[] = [];
  index = new PeerIndex([]);
  readonly cookies: CookieJar;
  readonly counters: Record<string, number> = {};
  /** SAs of an earlier run that still carry traffic, by reqid. */
  readonly orphans = new Map<number, Orphans>();
  /** Addresses of an earlier run, from peers that have not given them again yet. */
  orphanAddresses: readonly AddressSpec[] = [];
  /** Configured children by their own reqid. */
  readonly byReqid = new Map<number, { readonly peer: string; readonly child: string }>();
  readonly reqids = new Map<number, string>();
  /** Answers to strangers that were given in the second that began at `since`. */
  strangers = { since: 0, count: 0 };
  underLoad = false;
  stopped = false;
  /** When an internal error was last told. */
  internalErrorAt = Number.NEGATIVE_INFINITY;
  refusals: readonly Refusal[] = [];
  #serial = 0;
  #effect = 0;
  readonly #waiting = new Map<EffectId, number>();

  constructor(readonly rng: Rng) {
    this.cookies = new CookieJar(rng);
  }

  /** An IKE SA as others are to see it, to be read only. */
  seen(serial: number): IkeSa | undefined {
    const sa = this.table.get(serial);
    return sa && this.backlog.seen(sa);
  }

  newSerial(): number {
    return ++this.#serial;
  }

  newEffect(serial: number): EffectId {
    this.#waiting.set(++this.#effect, serial);
    return this.#effect;
  }

  /** The IKE SA that waits for an effect; asking again gives undefined. */
  takeEffect(id: EffectId): number | undefined {
    const serial = this.#waiting.get(id);
    this.#waiting.delete(id);
    return serial;
  }

  forgetEffect(id: EffectId): void {
    this.#waiting.delete(id);
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  count(name: string): void {
    this.counters[name] = (this.counters[name] ?? 0) + 1;
  }

  /** A number for `name` that is the same in every run, and not in use by another name. */
  reqidFor(name: string, wanted?: number): number {
    let id = wanted ?? hash(name);
    while (this.reqids.has(id) && this.reqids.get(id) !== name) id = (id % MAX_REQID) + 1;
    this.reqids.set(id, name);
    return id;
  }

  /** Names that selectors of peers made are not kept longer than their SAs (hostile input 29). */
  forgetReqid(reqid: number): void {
    if (!this.byReqid.has(reqid) && !this.table.usesReqid(reqid)) this.reqids.delete(reqid);
  }

  newSpi(): bigint {
    for (;;) {
      const b = this.rng.bytes(8);
      const spi = new DataView(b.buffer, b.byteOffset, 8).getBigUint64(0);
      if (spi !== 0n && this.table.bySpi(spi) === undefined) return spi;
    }
  }

  /**
   * Removes what an earlier run left under a reqid, but for SAs that are in use and policies that somebody holds. Given
   * `fadesAt`, inbound SAs to that address are left to the caller, who gets their SPIs.
   */
  dropOrphans(
    turn: { apply(ops: readonly DataPlaneOp[]): void },
    reqid: number,
    keep: readonly Pick<SaId, "destination" | "spi">[],
    fadesAt?: IpAddress,
  ): number[] {
    const orphans = this.orphans.get(reqid);
    if (!orphans) return [];
    this.orphans.delete(reqid);
    const sas = orphans.sas.filter((o) => !keep.some((k) => k.spi === o.spi && k.destination.equals(o.destination)));
    const fading = sas.filter((o) => fadesAt !== undefined && o.direction === "in" && o.destination.equals(fadesAt));
    const policies = orphans.policies.filter((p) => !this.holdings.holds(p.direction, p.selector));
    turn.apply([
      ...sas
        .filter((o) => !fading.includes(o))
        .map(
          ({ destination, protocol, spi }): DataPlaneOp => ({ op: "removeSa", args: [{ destination, protocol, spi }] }),
        ),
      ...policies.map((p): DataPlaneOp => ({ op: "removePolicy", args: [p.direction, p.selector] })),
    ]);
    return fading.map((o) => o.spi);
  }

  /** Whether cookies are demanded now (RFC 7296 §2.6); falls back at half the threshold so that it does not flutter. */
  demandsCookies(): boolean {
    const { cookieThreshold } = this.config.limits;
    const open = this.table.halfOpen;
    return open >= cookieThreshold || (this.underLoad && open > cookieThreshold / 2);
  }

  /** Uniform in [0, 1). */
  fraction(): number {
    const b = this.rng.bytes(4);
    return new DataView(b.buffer, b.byteOffset, 4).getUint32(0) / 2 ** 32;
  }

  /** Whether another answer to an unauthenticated stranger is within the budget (hostile input 22). */
  mayAnswerStranger(now: Millis): boolean {
    if (now - this.strangers.since >= 1000) this.strangers = { since: now, count: 0 };
    return ++this.strangers.count <= STRANGERS_PER_SECOND;
  }
}

const STRANGERS_PER_SECOND = 20;
const MAX_REQID = 0x3fff_ffff;

/** FNV-1a in 1…2^30-1. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return ((h >>> 0) % MAX_REQID) + 1;
}
