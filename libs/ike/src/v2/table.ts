import type { IkeSa } from "./sa.js";

/** Half-open: a stranger asked, memory is held for him, nobody is authenticated (RFC 7296 §2.6). */
function isHalfOpen(sa: IkeSa): boolean {
  return !sa.initiator && (sa.phase === "init" || sa.phase === "auth");
}

/** Names the IKE_SA_INIT request that a half-open IKE SA came from, so that its retransmissions find it (RFC 7296 §2.1). */
export function initKey(initiatorSpi: bigint, source: string): string {
  return `${initiatorSpi}@${source}`;
}

function addTo<K>(map: Map<K, Set<number>>, key: K, serial: number): void {
  const set = map.get(key);
  if (set) set.add(serial);
  else map.set(key, new Set([serial]));
}

function takeFrom<K>(map: Map<K, Set<number>>, key: K, serial: number): void {
  const set = map.get(key);
  if (set?.delete(serial) && set.size === 0) map.delete(key);
}

const NONE: ReadonlySet<number> = new Set();

/** Every IKE SA, found by serial, by our SPI, by peer, by the reqid of its children; nothing here scans. */
export class SaTable {
  readonly #sas = new Map<number, IkeSa>();
  readonly #bySpi = new Map<bigint, number>();
  readonly #byInit = new Map<string, number>();
  readonly #byPeer = new Map<string, Set<number>>();
  readonly #byIdentity = new Map<string, Set<number>>();
  readonly #byReqid = new Map<number, Set<number>>();
  readonly #halfOpenBySource = new Map<string, number>();
  #halfOpen = 0;

  get size(): number {
    return this.#sas.size;
  }

  get halfOpen(): number {
    return this.#halfOpen;
  }

  halfOpenOf(source: string): number {
    return this.#halfOpenBySource.get(source) ?? 0;
  }

  get(serial: number): IkeSa | undefined {
    return this.#sas.get(serial);
  }

  all(): IterableIterator<IkeSa> {
    return this.#sas.values();
  }

  bySpi(ours: bigint): number | undefined {
    return this.#bySpi.get(ours);
  }

  byInit(key: string): number | undefined {
    return this.#byInit.get(key);
  }

  ofPeer(id: string): ReadonlySet<number> {
    return this.#byPeer.get(id) ?? NONE;
  }

  ofIdentity(identity: string): ReadonlySet<number> {
    return this.#byIdentity.get(identity) ?? NONE;
  }

  ofReqid(reqid: number): ReadonlySet<number> {
    return this.#byReqid.get(reqid) ?? NONE;
  }

  /** Puts `next` in the place of what `next.serial` named; undefined `next` removes it. */
  replace(serial: number, next: IkeSa | undefined): void {
    const old = this.#sas.get(serial);
    if (old !== undefined) this.#unindex(old, next);
    if (next === undefined) {
      this.#sas.delete(serial);
      return;
    }
    this.#index(next, old);
    this.#sas.set(serial, next);
  }

  #unindex(old: IkeSa, next: IkeSa | undefined): void {
    const serial = old.serial;
    if (next === undefined) this.#bySpi.delete(ourSpi(old));
    if (old.peer && old.peer.id !== next?.peer?.id) takeFrom(this.#byPeer, old.peer.id, serial);
    if (old.identity && old.identity !== next?.identity) takeFrom(this.#byIdentity, old.identity, serial);
    if (old.children !== next?.children) for (const c of old.children) takeFrom(this.#byReqid, c.reqid, serial);
    if (isHalfOpen(old) && (next === undefined || !isHalfOpen(next))) this.#countHalfOpen(old, -1);
    const key = old.handshake?.halfOpenKey;
    if (key !== undefined && next?.handshake?.halfOpenKey !== key) this.#byInit.delete(key);
  }

  #index(next: IkeSa, old: IkeSa | undefined): void {
    const serial = next.serial;
    if (old === undefined) this.#bySpi.set(ourSpi(next), serial);
    if (next.peer && next.peer.id !== old?.peer?.id) addTo(this.#byPeer, next.peer.id, serial);
    if (next.identity && next.identity !== old?.identity) addTo(this.#byIdentity, next.identity, serial);
    if (next.children !== old?.children) for (const c of next.children) addTo(this.#byReqid, c.reqid, serial);
    if (isHalfOpen(next) && (old === undefined || !isHalfOpen(old))) this.#countHalfOpen(next, 1);
    const key = next.handshake?.halfOpenKey;
    if (key !== undefined && old?.handshake?.halfOpenKey !== key) this.#byInit.set(key, serial);
  }

  #countHalfOpen(sa: IkeSa, by: 1 | -1): void {
    this.#halfOpen += by;
    const n = this.halfOpenOf(sa.source) + by;
    if (n > 0) this.#halfOpenBySource.set(sa.source, n);
    else this.#halfOpenBySource.delete(sa.source);
  }
}

function ourSpi(sa: IkeSa): bigint {
  return sa.initiator ? sa.spiI : sa.spiR;
}
