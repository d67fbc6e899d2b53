import { createRequire } from "node:module";
import path from "node:path";
import { getSystemErrorName } from "node:util";
import type { Fault } from "@sallyport/base";
import { fault } from "./faults.js";

declare const handle: unique symbol;
/** A watcher of one descriptor on Node's event loop. */
export interface PollerHandle {
  readonly [handle]: true;
}

declare const espHandle: unique symbol;
/** The keys of one SA, with the cipher objects made from them. */
export interface EspHandle {
  readonly [espHandle]: true;
}

declare const prfHandle: unique symbol;
/** The HMAC of one hash. */
export interface PrfHandle {
  readonly [prfHandle]: true;
}

declare const exchangeHandle: unique symbol;
/** Key exchange in one group. */
export interface ExchangeHandle {
  readonly [exchangeHandle]: true;
}

declare const aeadHandle: unique symbol;
/** An AEAD without a key. */
export interface AeadHandle {
  readonly [aeadHandle]: true;
}

/** What the native code exports. Every number is the call's value, or the negated errno. */
export interface Addon {
  openSocket(family: number, type: number, protocol: number): number;
  openTun(name: string, flags: number): { descriptor: number; name: string } | number;
  bindSocket(descriptor: number, address: Uint8Array): number;
  socketName(descriptor: number, room: Uint8Array): number;
  setOption(descriptor: number, level: number, name: number, value: Uint8Array): number;
  getOption(descriptor: number, level: number, name: number, room: Uint8Array): number;
  sendMessage(descriptor: number, data: Uint8Array, address: Uint8Array): number;
  closeDescriptor(descriptor: number): number;
  sendDatagrams(descriptor: number, slab: Uint8Array, meta: Uint32Array, first: number, count: number): number;
  writePackets(descriptor: number, slab: Uint8Array, meta: Uint32Array, first: number, count: number): number;
  readIcmpError(descriptor: number, meta: Uint32Array): number;
  startPoller(
    descriptor: number,
    kind: number,
    slab: Uint8Array,
    meta: Uint32Array,
    slotOctets: number,
    headroom: number,
    callback: (count: number, error: number) => void,
  ): PollerHandle | number;
  pausePoller(poller: PollerHandle, paused: boolean): void;
  referencePoller(poller: PollerHandle, referenced: boolean): void;
  stopPoller(poller: PollerHandle): void;
  espCreate(cipher: string, digest: string, keys: Uint8Array, parameters: Uint32Array): EspHandle | undefined;
  espSeal(
    sa: EspHandle,
    slab: Uint8Array,
    meta: Uint32Array,
    first: number,
    count: number,
    high: number,
    low: number,
  ): number;
  espOpen(sa: EspHandle, slab: Uint8Array, meta: Uint32Array, first: number, count: number): number;
  /** `native/ike_crypto.h` states what these take and give. */
  prfCreate(digest: string): PrfHandle | undefined;
  prfCompute(prf: PrfHandle, room: Uint8Array, keyOctets: number, dataOctets: number): void;
  prfExpand(prf: PrfHandle, room: Uint8Array, keyOctets: number, seedOctets: number, rounds: number): void;
  exchangeCreate(type: string, group: string, publicOctets: number, secretOctets: number): ExchangeHandle | undefined;
  exchangeRespond(exchange: ExchangeHandle, room: Uint8Array): number;
  aeadCreate(
    cipher: string,
    keyOctets: number,
    nonceOctets: number,
    ivOctets: number,
    icvOctets: number,
  ): AeadHandle | undefined;
  aeadSeal(aead: AeadHandle, key: Uint8Array, message: Uint8Array, bodyOffset: number): void;
  aeadOpen(aead: AeadHandle, key: Uint8Array, message: Uint8Array, bodyOffset: number, plaintext: Uint8Array): number;
}

let loaded: Addon | undefined;

/** Loads the native code on first use, so that importing this library needs no compiler. */
export function addon(): Addon {
  if (loaded) return loaded;
  const file = path.resolve(import.meta.dirname, "..", "build", `linux_io-${process.arch}.node`);
  try {
    loaded = createRequire(import.meta.url)(file) as Addon;
    return loaded;
  } catch (cause) {
    throw fault("linux-io/addon-missing", `the native add-on does not load: run "npm run build" (${file})`, { cause });
  }
}

export function errnoName(result: number): string {
  return getSystemErrorName(result);
}

/** `doing` completes the sentence "… failed: EPERM". */
export function systemFault(syscall: string, result: number, doing: string, facts: Record<string, string> = {}): Fault {
  const name = errnoName(result);
  return fault("linux-io/system-call", `${doing} failed: ${name} (${syscall})`, {
    value: name,
    facts: { syscall, errno: name, ...facts },
  });
}

/** Passes a system call's value through and turns a negated errno into a fault. */
export function checked(syscall: string, result: number, doing: string, facts?: Record<string, string>): number {
  if (result < 0) throw systemFault(syscall, result, doing, facts);
  return result;
}
