import { type Endpoint, endpointText } from "@sallyport/base";
import { addon, checked, errnoName, systemFault } from "./addon.js";
import { AF, IP, IPV6, PMTUDISC, SO, SOCK, SOL } from "./constants.js";
import { KIND, Poller } from "./poller.js";
import { addressOfWords, endpointOf, intOption, setFarEnd, setLocal, sockaddrOf } from "./sockaddr.js";
import {
  type BatchListener,
  type Datagram,
  type IcmpError,
  META,
  META_FLAG_TRUNCATED,
  META_WORDS,
  type OutgoingDatagram,
  type UdpSocketOptions,
} from "./types.js";

/** Words of an error record that differ from a packet's (native/udp_errors.c). */
const ERROR = { errno: 0, type: 1, code: 2, info: 13, offenderFamily: 14 } as const;
const AGAIN = new Set(["EAGAIN", "ENOBUFS"]);

function bufferOption(descriptor: number, force: number, plain: number, octets: number): void {
  if (addon().setOption(descriptor, SOL.socket, force, intOption(octets)) < 0) {
    checked("setsockopt", addon().setOption(descriptor, SOL.socket, plain, intOption(octets)), "sizing a buffer");
  }
}

function configure(descriptor: number, options: UdpSocketOptions): void {
  const set = (level: number, name: number, value: number, what: string) =>
    checked("setsockopt", addon().setOption(descriptor, level, name, intOption(value)), `setting ${what}`);
  const v4 = options.local.address.family === 4;
  if (v4) {
    set(SOL.ip, IP.pktinfo, 1, "IP_PKTINFO");
    set(SOL.ip, IP.recvTos, 1, "IP_RECVTOS");
  } else {
    set(SOL.ipv6, IPV6.v6Only, 1, "IPV6_V6ONLY");
    set(SOL.ipv6, IPV6.recvPktinfo, 1, "IPV6_RECVPKTINFO");
    set(SOL.ipv6, IPV6.recvTclass, 1, "IPV6_RECVTCLASS");
  }
  if (options.reuseAddress) set(SOL.socket, SO.reuseAddress, 1, "SO_REUSEADDR");
  if (options.reusePort) set(SOL.socket, SO.reusePort, 1, "SO_REUSEPORT");
  if (options.mark !== undefined) set(SOL.socket, SO.mark, options.mark, "SO_MARK");
  if (options.icmpErrors) {
    if (v4) set(SOL.ip, IP.recvErr, 1, "IP_RECVERR");
    else set(SOL.ipv6, IPV6.recvErr, 1, "IPV6_RECVERR");
  }
  if (options.mtuDiscovery) {
    const value = PMTUDISC[options.mtuDiscovery];
    if (v4) set(SOL.ip, IP.mtuDiscover, value, "IP_MTU_DISCOVER");
    else set(SOL.ipv6, IPV6.mtuDiscover, value, "IPV6_MTU_DISCOVER");
  }
  const { receiveBufferBytes: receive, sendBufferBytes: send } = options;
  if (receive !== undefined) bufferOption(descriptor, SO.receiveBufferForce, SO.receiveBuffer, receive);
  if (send !== undefined) bufferOption(descriptor, SO.sendBufferForce, SO.sendBuffer, send);
  if (options.device !== undefined) {
    const name = Buffer.from(`${options.device}\0`);
    const result = addon().setOption(descriptor, SOL.socket, SO.bindToDevice, name);
    checked("setsockopt", result, `binding to the device ${options.device}`, { device: options.device });
  }
}

/** A UDP socket of one family that knows the local address of every datagram, and reads and writes batches. */
export class UdpSocket {
  /** The address bound to and the port, also when the kernel chose it. */
  readonly local: Endpoint;
  readonly #poller: Poller;
  readonly #single = new Uint32Array(META_WORDS);
  /** Octets that wait, octets of room. */
  readonly #memory = new Uint32Array(2);
  #icmp: ((error: IcmpError) => void) | undefined;

  private constructor(local: Endpoint, poller: Poller) {
    this.local = local;
    this.#poller = poller;
  }

  static open(options: UdpSocketOptions): UdpSocket {
    const { local, slots = 32, slotBytes = 65536, headroom = 0 } = options;
    const family = local.address.family === 4 ? AF.inet : AF.inet6;
    const descriptor = checked("socket", addon().openSocket(family, SOCK.dgram, 0), "opening a UDP socket");
    try {
      configure(descriptor, options);
      const facts = { local: endpointText(local) };
      checked("bind", addon().bindSocket(descriptor, sockaddrOf(local)), `binding to ${facts.local}`, facts);
      const room = new Uint8Array(28);
      checked("getsockname", addon().socketName(descriptor, room), "asking for the bound address");
      return new UdpSocket(endpointOf(room), new Poller(descriptor, KIND.datagrams, { slots, slotBytes, headroom }));
    } catch (error) {
      addon().closeDescriptor(descriptor);
      throw error;
    }
  }

  /** The file descriptor, e.g. for a child process to inherit. It stays this socket's to close. */
  get descriptor(): number {
    return this.#poller.descriptor;
  }

  /** Batches that were lost because a listener threw. */
  get failures(): number {
    return this.#poller.failures;
  }

  /**
   * Starts reading. Errors of the socket itself go to `failed`, and as `linux-io/listener-failed` what the listener throws, whose
   * batch is lost; ICMP errors go to `onIcmp` when `icmpErrors` was asked for.
   */
  onBatch(listener: BatchListener, failed?: (error: Error) => void): void {
    const { slab, meta } = this.#poller;
    this.#poller.start((count, error) => {
      if (count > 0) listener(slab, meta, count);
      const icmp = this.#poller.closed ? 0 : this.#drainErrors();
      if (error < 0 && icmp === 0) failed?.(systemFault("recvmmsg", error, `reading ${endpointText(this.local)}`));
    }, failed);
  }

  /**
   * As `onBatch`, one datagram at a time. `data` is a view that is used again after the call. What `passes` says no to, given its place
   * in the slab, costs nothing more.
   */
  onDatagram(
    listener: (datagram: Datagram) => void,
    failed?: (error: Error) => void,
    passes?: (slab: Buffer, at: number, length: number) => boolean,
  ): void {
    this.onBatch((slab, meta, count) => {
      for (let i = 0; i < count; i++) {
        const record = i * META_WORDS;
        const word = (name: keyof typeof META) => meta[record + META[name]] as number;
        if (passes?.(slab, word("offset"), word("length")) === false) continue;
        listener({
          data: slab.subarray(word("offset"), word("offset") + word("length")),
          from: { address: addressOfWords(meta, record + META.address, word("family")), port: word("port") },
          to: addressOfWords(meta, record + META.local, word("family")),
          interfaceIndex: word("interface"),
          tos: word("tos"),
          truncated: (word("flags") & META_FLAG_TRUNCATED) !== 0,
        });
      }
    }, failed);
  }

  onIcmp(listener: (error: IcmpError) => void): void {
    this.#icmp = listener;
  }

  #drainErrors(): number {
    const record = this.#single;
    let found = 0;
    while (addon().readIcmpError(this.#poller.descriptor, record) === 1) {
      found++;
      if (!this.#icmp) continue;
      const word = (at: number) => record[at] as number;
      const errno = errnoName(-word(ERROR.errno));
      const offenderFamily = word(ERROR.offenderFamily);
      this.#icmp({
        destination: {
          address: addressOfWords(record, META.address, word(META.family)),
          port: word(META.port),
        },
        errno,
        type: word(ERROR.type),
        code: word(ERROR.code),
        mtu: errno === "EMSGSIZE" ? word(ERROR.info) : undefined,
        offender: offenderFamily === 0 ? undefined : addressOfWords(record, META.local, offenderFamily),
      });
      if (this.#poller.closed) break;
    }
    return found;
  }

  /**
   * Sends one datagram. False when the socket's buffer is full; other refusals are `linux-io/system-call` with the errno's
   * name (EMSGSIZE, ENETUNREACH, …).
   */
  send(datagram: OutgoingDatagram): boolean {
    const meta = this.#single.fill(0);
    meta[META.length] = datagram.data.length;
    meta[META.tos] = datagram.tos ?? 0;
    setFarEnd(meta, 0, datagram.to);
    setLocal(meta, 0, datagram.from);
    return this.#sent(addon().sendDatagrams(this.#poller.descriptor, datagram.data, meta, 0, 1)) === 1;
  }

  /**
   * Sends `count` datagrams from record `first` on and returns how many were taken: fewer when the socket's buffer is full
   * or the next one is refused. A refusal of the very first is a fault, so that calling again tells them apart.
   */
  sendBatch(slab: Uint8Array, meta: Uint32Array, count: number, first = 0): number {
    let done = 0;
    while (done < count) {
      const result = addon().sendDatagrams(this.#poller.descriptor, slab, meta, first + done, count - done);
      if (result < 0 && done > 0) return done;
      const sent = this.#sent(result);
      if (sent === 0) return done;
      done += sent;
    }
    return done;
  }

  #sent(result: number): number {
    if (result >= 0) return result;
    if (AGAIN.has(errnoName(result))) return 0;
    throw systemFault("sendmmsg", result, `sending from ${endpointText(this.local)}`);
  }

  /** setsockopt with a raw value, for options of other libraries (UDP_ENCAP, IP_XFRM_POLICY). */
  setOption(level: number, name: number, value: Uint8Array | number, what: string): void {
    const octets = typeof value === "number" ? intOption(value) : value;
    checked("setsockopt", addon().setOption(this.#poller.descriptor, level, name, octets), `setting ${what}`);
  }

  /** getsockopt of at most `room` octets. */
  getOption(level: number, name: number, room: number, what: string): Uint8Array {
    const octets = new Uint8Array(room);
    const length = addon().getOption(this.#poller.descriptor, level, name, octets);
    return octets.subarray(0, checked("getsockopt", length, `reading ${what}`));
  }

  /** How much of the receive buffer is in use, 0 to 1, with the kernel's own overhead (SO_MEMINFO; linux/sock_diag.h). */
  get fill(): number {
    const octets = new Uint8Array(this.#memory.buffer);
    const result = addon().getOption(this.#poller.descriptor, SOL.socket, SO.memoryInfo, octets);
    checked("getsockopt", result, "asking how much waits");
    const [waiting = 0, room = 0] = this.#memory;
    return room === 0 ? 0 : waiting / room;
  }

  pause(): void {
    this.#poller.pause(true);
  }

  resume(): void {
    this.#poller.pause(false);
  }

  unref(): this {
    this.#poller.reference(false);
    return this;
  }

  close(): void {
    this.#poller.close();
  }
}
