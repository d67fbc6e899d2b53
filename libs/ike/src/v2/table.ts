import { type Endpoint, endpointText } from "@sallyport/base";
import { wipeKeys } from "../crypto/index.js";
import { PartialMessages } from "./partials.js";
import type { IkeSa, Wait } from "./sa.js";

/** Half-open: a stranger asked, memory is held for him, nobody is authenticated (RFC 7296 §2.6). */
export function isHalfOpen(sa: IkeSa): boolean {
  return !sa.initiator && (sa.phase === "init" || sa.phase === "auth");
}

/** Names the IKE_SA_INIT request that a half-open IKE SA came from, so that its retransmissions find it (RFC 7296 §2.1). */
export function initKey(initiatorSpi: bigint, source: Endpoint): string {
  return `${initiatorSpi}@${endpointText(source)}`;
}

const NONE: Iterable<number> = [];

/** Serials by key. A lone one is kept as it is: most keys have one, and a Set takes 200 octets. */
class Index<K> {
  readonly #serials = new Map<K, number | Set<number>>();

  has(key: K): boolean {
    return this.#serials.has(key);
  }

  get(key: K): Iterable<number> {
    const found = this.#serials.get(key);
    if (found === undefined) return NONE;
    return typeof found === "number" ? [found] : found;
  }

  count(key: K): number {
    const found = this.#serials.get(key);
    return typeof found === "object" ? found.size : Number(found !== undefined);
  }

  add(key: K, serial: number): void {
    const found = this.#serials.get(key);
    if (found === undefined) this.#serials.set(key, serial);
    else if (typeof found !== "number") found.add(serial);
    else if (found !== serial) this.#serials.set(key, new Set([found, serial]));
  }

  delete(key: K, serial: number): void {
    const found = this.#serials.get(key);
    if (found === serial) this.#serials.delete(key);
    else if (typeof found === "object" && found.delete(serial) && found.size === 0) this.#serials.delete(key);
  }
}

interface Ahead {
  readonly reqid: number;
  readonly spiOut: number;
}

/** What a CHILD SA that is being made will take. */
export function childAhead({ then }: Wait): Ahead | undefined {
  if ("answer" in then) return then.answer;
  return "built" in then ? then.built.child : undefined;
}

const NO_CHILDREN: readonly Ahead[] = [];
const NO_REQIDS: readonly number[] = [];

function childrenAhead(sa: IkeSa): readonly Ahead[] {
  let found = NO_CHILDREN;
  for (const wait of sa.waits) {
    const child = childAhead(wait);
    if (child) found = [...found, child];
  }
  return found;
}

/** Whether the waits of both say the same of the CHILD SAs that are being made. */
function sameAhead(a: IkeSa, b: IkeSa | undefined): boolean {
  if (a.waits === b?.waits) return true;
  const [x, y] = [childrenAhead(a), b ? childrenAhead(b) : NO_CHILDREN];
  return x.length === y.length && x.every((c, i) => c.reqid === y[i]?.reqid && c.spiOut === y[i]?.spiOut);
}

/** Nobody needs its keys any more. */
function wipe(sa: IkeSa): void {
  sa.protector?.wipe();
  if (sa.keys) wipeKeys(sa.keys);
}

/** Every IKE SA, found by serial, by our SPI, by peer, by the reqid of its children; nothing here scans. */
export class SaTable {
  readonly #sas = new Map<number, IkeSa>();
  readonly #bySpi = new Map<bigint, number>();
  /** Half-open ones by the initiator's SPI. */
  readonly #byInit = new Index<bigint>();
  readonly #byPeer = new Index<string>();
  readonly #byIdentity = new Index<string>();
  readonly #byReqid = new Index<number>();
  /** The same for CHILD SAs that are being made. */
  readonly #byReqidAhead = new Index<number>();
  /** By the SPIs that peers have chosen, of CHILD SAs and of those that are being made. */
  readonly #bySpiOut = new Index<number>();
  readonly #bySpiOutAhead = new Index<number>();
  readonly #halfOpenBySource = new Map<string, number>();
  readonly partials = new PartialMessages();
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

  /** The half-open IKE SA that came from an IKE_SA_INIT with this SPI and source. */
  byInit(initiatorSpi: bigint, source: Endpoint): number | undefined {
    for (const serial of this.#byInit.get(initiatorSpi)) {
      if (this.#sas.get(serial)?.handshake?.halfOpenKey === initKey(initiatorSpi, source)) return serial;
    }
    return undefined;
  }

  ofPeer(id: string): Iterable<number> {
    return this.#byPeer.get(id);
  }

  ofIdentity(identity: string): Iterable<number> {
    return this.#byIdentity.get(identity);
  }

  countOfIdentity(identity: string): number {
    return this.#byIdentity.count(identity);
  }

  ofReqid(reqid: number): Iterable<number> {
    return this.#byReqid.get(reqid);
  }

  /** Who sends, or will, on an SPI that a peer has chosen. */
  ofSpiOut(spi: number): Iterable<number> {
    return [...this.#bySpiOut.get(spi), ...this.#bySpiOutAhead.get(spi)];
  }

  usesReqid(reqid: number): boolean {
    return this.#byReqid.has(reqid) || this.#byReqidAhead.has(reqid);
  }

  /** Puts `next` in the place of what `next.serial` named; undefined `next` removes it. Gives reqids that it may have let go. */
  replace(serial: number, next: IkeSa | undefined): readonly number[] {
    const old = this.#sas.get(serial);
    if (old !== undefined) this.#unindex(old, next);
    this.partials.replaced(old, next, next !== undefined && isHalfOpen(next));
    if (next === undefined) {
      this.#sas.delete(serial);
      if (old) wipe(old);
    } else {
      this.#index(next, old);
      this.#sas.set(serial, next);
    }
    if (old === undefined) return [];
    const made = old.children === next?.children ? NO_CHILDREN : old.children;
    const ahead = old.waits === next?.waits ? NO_CHILDREN : childrenAhead(old);
    return made.length + ahead.length === 0 ? NO_REQIDS : [...made, ...ahead].map((c) => c.reqid);
  }

  #unindex(old: IkeSa, next: IkeSa | undefined): void {
    const serial = old.serial;
    if (next === undefined) this.#bySpi.delete(ourSpi(old));
    if (old.peer && old.peer.id !== next?.peer?.id) this.#byPeer.delete(old.peer.id, serial);
    if (old.identity && old.identity !== next?.identity) this.#byIdentity.delete(old.identity, serial);
    if (old.children !== next?.children) for (const c of old.children) this.#child("delete", c, serial);
    if (!sameAhead(old, next)) for (const c of childrenAhead(old)) this.#childAhead("delete", c, serial);
    if (isHalfOpen(old) && (next === undefined || !isHalfOpen(next))) this.#countHalfOpen(old, -1);
    const key = old.handshake?.halfOpenKey;
    if (key !== undefined && next?.handshake?.halfOpenKey !== key) this.#byInit.delete(old.spiI, serial);
  }

  #index(next: IkeSa, old: IkeSa | undefined): void {
    const serial = next.serial;
    if (old === undefined) this.#bySpi.set(ourSpi(next), serial);
    if (next.peer && next.peer.id !== old?.peer?.id) this.#byPeer.add(next.peer.id, serial);
    if (next.identity && next.identity !== old?.identity) this.#byIdentity.add(next.identity, serial);
    if (next.children !== old?.children) for (const c of next.children) this.#child("add", c, serial);
    if (!sameAhead(next, old)) for (const c of childrenAhead(next)) this.#childAhead("add", c, serial);
    if (isHalfOpen(next) && (old === undefined || !isHalfOpen(old))) this.#countHalfOpen(next, 1);
    const key = next.handshake?.halfOpenKey;
    if (key !== undefined && old?.handshake?.halfOpenKey !== key) this.#byInit.add(next.spiI, serial);
  }

  #child(act: "add" | "delete", { reqid, spiOut }: { reqid: number; spiOut: number }, serial: number): void {
    this.#byReqid[act](reqid, serial);
    this.#bySpiOut[act](spiOut, serial);
  }

  #childAhead(act: "add" | "delete", { reqid, spiOut }: { reqid: number; spiOut: number }, serial: number): void {
    this.#byReqidAhead[act](reqid, serial);
    this.#bySpiOutAhead[act](spiOut, serial);
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
