import type { Fault } from "@sallyport/base";
import { addon, checked, errnoName, systemFault } from "../addon.js";
import { AF, SO, SOCK, SOL } from "../constants.js";
import { fault } from "../faults.js";
import { KIND, Poller } from "../poller.js";
import { intOption } from "../sockaddr.js";
import { META, META_FLAG_TRUNCATED, META_WORDS } from "../types.js";
import { NetlinkReader, NetlinkWriter } from "./codec.js";
import { decodeError, decodeMessages, encodeMessage, type NetlinkMessage, NLM_F, NLMSG } from "./messages.js";

export const NETLINK = { route: 0, xfrm: 6 } as const;
const OPTION = { addMembership: 1, capAck: 10, extAck: 11 } as const;

/** Requests whose answers may wait in the socket's buffer at once: 256 acknowledgements need about 330 kB of it. */
const WINDOW = 256;
const SEND_OCTETS = 32768;
const RECEIVE_BUFFER = 8 << 20;
const DUMP_TRIES = 5;

export interface NetlinkOptions {
  /** One of `NETLINK`. */
  readonly protocol: number;
  /** Multicast groups by number (not mask). */
  readonly groups?: readonly number[];
  readonly receiveBufferBytes?: number;
}

interface Pending {
  readonly sequence: number;
  readonly encoded: Uint8Array;
  readonly doing: string;
  readonly answers: NetlinkMessage[];
  readonly dump: boolean;
  interrupted: boolean;
  resolve(answers: NetlinkMessage[]): void;
  reject(reason: Error): void;
}

/** struct sockaddr_nl of the kernel, or of a socket that lets the kernel choose its port. */
const KERNEL = new NetlinkWriter(12).u16(AF.netlink).zero(10).done();

/**
 * Speaks netlink. Requests made in one turn of the event loop leave together in few system calls, and go on while answers are
 * outstanding, up to a window that the receive buffer holds. Dumps run one after the other, as the kernel wants it.
 */
export class NetlinkSocket {
  readonly #poller: Poller;
  readonly #port: number;
  readonly #waiting: Pending[] = [];
  readonly #sent = new Map<number, Pending>();
  #dumps: Promise<unknown> = Promise.resolve();
  #sequence = 0;
  #flushing = false;
  #listening = false;
  #notice: ((message: NetlinkMessage) => void) | undefined;
  #overrun: (() => void) | undefined;

  private constructor(poller: Poller, port: number) {
    this.#poller = poller;
    this.#port = port;
    poller.start(
      (count, error) => this.#ready(count, error),
      (error) => this.#lost(error.message),
    );
    poller.reference(false);
  }

  static open(options: NetlinkOptions): NetlinkSocket {
    const native = addon();
    const doing = "opening a netlink socket";
    const descriptor = checked("socket", native.openSocket(AF.netlink, SOCK.raw, options.protocol), doing);
    const set = (level: number, name: number, value: number) =>
      native.setOption(descriptor, level, name, intOption(value));
    try {
      set(SOL.netlink, OPTION.capAck, 1);
      set(SOL.netlink, OPTION.extAck, 1);
      const octets = options.receiveBufferBytes ?? RECEIVE_BUFFER;
      if (set(SOL.socket, SO.receiveBufferForce, octets) < 0) set(SOL.socket, SO.receiveBuffer, octets);
      checked("bind", native.bindSocket(descriptor, KERNEL), doing);
      for (const group of options.groups ?? []) {
        checked("setsockopt", set(SOL.netlink, OPTION.addMembership, group), `joining netlink group ${group}`);
      }
      const name = new Uint8Array(12);
      checked("getsockname", native.socketName(descriptor, name), doing);
      const port = new NetlinkReader(name).skip(4).u32("nl_pid");
      return new NetlinkSocket(
        new Poller(descriptor, KIND.messages, { slots: 64, slotBytes: 32768, headroom: 0 }),
        port,
      );
    } catch (error) {
      native.closeDescriptor(descriptor);
      throw error;
    }
  }

  /** Whether waiting for multicast messages keeps the process alive (by default not); outstanding requests always do. */
  reference(listening: boolean): void {
    this.#listening = listening;
    this.#holdProcess();
  }

  #holdProcess(): void {
    this.#poller.reference(this.#listening || this.#sent.size + this.#waiting.length > 0);
  }

  /**
   * Multicast messages, bodies being views that are used again after the call. `overrun` tells that the kernel had to drop
   * some: what they would have told has to be read anew.
   */
  onMulticast(listener: (message: NetlinkMessage) => void, overrun: () => void): void {
    this.#notice = listener;
    this.#overrun = overrun;
  }

  /**
   * Sends one request and resolves with the messages that answered it once it is acknowledged. A refusal is
   * `linux-io/netlink-refused`: errno name in `value`, the kernel's own words in `facts.text`, and in `offset` where in the
   * body the attribute at fault is. `doing` completes "… failed: EINVAL".
   */
  request(type: number, flags: number, body: Uint8Array, doing: string): Promise<NetlinkMessage[]> {
    return this.#enqueue(type, flags | NLM_F.request | NLM_F.ack, body, doing, false);
  }

  /** All messages of a dump; taken anew when the kernel says that its tables changed meanwhile. */
  dump(type: number, body: Uint8Array, doing: string): Promise<NetlinkMessage[]> {
    const run = async () => {
      for (let tries = 1; ; tries++) {
        try {
          return await this.#enqueue(type, NLM_F.request | NLM_F.dump, body, doing, true);
        } catch (error) {
          if (tries === DUMP_TRIES || (error as Fault).code !== "linux-io/netlink-overrun") throw error;
        }
      }
    };
    const result = this.#dumps.then(run, run);
    this.#dumps = result.catch(() => undefined);
    return result;
  }

  #enqueue(type: number, flags: number, body: Uint8Array, doing: string, dump: boolean): Promise<NetlinkMessage[]> {
    if (this.#poller.closed) return Promise.reject(fault("linux-io/closed", `${doing} failed: the socket is closed`));
    return new Promise((resolve, reject) => {
      this.#sequence = this.#sequence === 0xffffffff ? 1 : this.#sequence + 1;
      const encoded = encodeMessage(type, flags, this.#sequence, body);
      const sequence = this.#sequence;
      this.#waiting.push({ sequence, encoded, doing, answers: [], dump, interrupted: false, resolve, reject });
      if (!this.#flushing) {
        this.#flushing = true;
        queueMicrotask(() => this.#flush());
        this.#holdProcess();
      }
    });
  }

  #flush(): void {
    this.#flushing = false;
    while (this.#waiting.length > 0 && this.#sent.size < WINDOW && !this.#poller.closed) {
      const parts: Uint8Array[] = [];
      const sequences: number[] = [];
      let octets = 0;
      while (this.#waiting.length > 0 && this.#sent.size < WINDOW) {
        const next = this.#waiting[0] as Pending;
        if (octets > 0 && octets + next.encoded.length > SEND_OCTETS) break;
        this.#waiting.shift();
        this.#sent.set(next.sequence, next);
        sequences.push(next.sequence);
        parts.push(next.encoded);
        octets += next.encoded.length;
        // The kernel answers a dump as it is read, and mixes nothing into it.
        if (next.dump) break;
      }
      const batch = parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, octets);
      const result = addon().sendMessage(this.#poller.descriptor, batch, KERNEL);
      // Messages carry keys.
      batch.fill(0);
      for (const part of parts) part.fill(0);
      if (result < 0) {
        for (const sequence of sequences)
          this.#settle(sequence, (p) => p.reject(systemFault("sendto", result, p.doing)));
      }
    }
  }

  #settle(sequence: number, how: (pending: Pending) => void): void {
    const pending = this.#sent.get(sequence);
    if (!pending) return;
    this.#sent.delete(sequence);
    how(pending);
    if (this.#waiting.length > 0 && !this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => this.#flush());
    }
    if (this.#sent.size + this.#waiting.length === 0) this.#holdProcess();
  }

  #ready(count: number, error: number): void {
    const { slab, meta } = this.#poller;
    for (let i = 0; i < count; i++) {
      const word = (name: keyof typeof META) => meta[i * META_WORDS + META[name]] as number;
      if (word("flags") & META_FLAG_TRUNCATED) {
        this.#lost("a message longer than the buffer was cut");
        continue;
      }
      for (const message of decodeMessages(slab.subarray(word("offset"), word("offset") + word("length")))) {
        this.#message(message);
      }
    }
    if (error < 0) this.#lost(`the socket reports ${errnoName(error)}`);
  }

  #message(message: NetlinkMessage): void {
    const pending = message.port === this.#port ? this.#sent.get(message.sequence) : undefined;
    if (!pending) {
      this.#notice?.(message);
      return;
    }
    if (message.flags & NLM_F.dumpInterrupted) pending.interrupted = true;
    if (message.type === NLMSG.error) this.#answered(message);
    else if (message.type === NLMSG.done) this.#dumped(message);
    else pending.answers.push({ ...message, body: Uint8Array.from(message.body) });
  }

  #answered(message: NetlinkMessage): void {
    const { error, text, offset } = decodeError(message);
    this.#settle(message.sequence, (pending) => {
      if (error === 0) pending.resolve(pending.answers);
      else pending.reject(refusal(pending.doing, error, text, offset));
    });
  }

  #dumped(message: NetlinkMessage): void {
    const error = message.body.length >= 4 ? new NetlinkReader(message.body).i32("error") : 0;
    this.#settle(message.sequence, (pending) => {
      if (error < 0) pending.reject(refusal(pending.doing, error));
      else if (pending.interrupted) pending.reject(overrun(pending.doing, "the table changed while it was read"));
      else pending.resolve(pending.answers);
    });
  }

  /** Answers are gone for good: whether the requests were carried out is not known. */
  #lost(why: string): void {
    for (const sequence of [...this.#sent.keys()]) this.#settle(sequence, (p) => p.reject(overrun(p.doing, why)));
    this.#overrun?.();
  }

  close(): void {
    if (this.#poller.closed) return;
    this.#poller.close();
    const closed = (p: Pending) => p.reject(fault("linux-io/closed", `${p.doing} failed: the socket was closed`));
    for (const pending of this.#sent.values()) closed(pending);
    for (const pending of this.#waiting.splice(0)) closed(pending);
    this.#sent.clear();
  }
}

function overrun(doing: string, why: string): Fault {
  return fault("linux-io/netlink-overrun", `${doing}: ${why}`, { value: "ENOBUFS" });
}

function refusal(doing: string, error: number, text?: string, offset?: number): Fault {
  const errno = errnoName(error);
  return fault("linux-io/netlink-refused", `${doing} failed: ${errno}${text ? ` (${text})` : ""}`, {
    value: errno,
    ...(offset === undefined ? {} : { offset: offset - 16 }),
    facts: { errno, ...(text ? { text } : {}) },
  });
}
