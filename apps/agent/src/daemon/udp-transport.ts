import { type Endpoint, endpointText, type Family, IpAddress } from "@sallyport/base";
import { UdpSocket } from "@sallyport/linux-io";
import type { Logger } from "./log.js";
import { Thinning } from "./thinning.js";
import type { DatagramListener, IkePorts, IkeTransport } from "./transport.js";

/** RFC 3948 §2.2: four zero octets tell IKE from ESP on the NAT-T port. */
const MARKER = new Uint8Array(4);
const KEEPALIVE = new Uint8Array([0xff]);
/** An IKE message longer than this is refused anyway (RFC 7296 §2 asks for 1280, suggests 3000). */
const MAX_DATAGRAM = 16_384;
/** A second of a flood of 20,000 datagrams a second. */
const RECEIVE_BUFFER = 16 * 1024 * 1024;
/** Errors of sending are logged this often at most; the engine's retransmissions deal with them. */
const LOG_EVERY_MS = 5_000;

const isMarked = (data: Uint8Array) =>
  data.length > 4 && data[0] === 0 && data[1] === 0 && data[2] === 0 && data[3] === 0;

/** With `mark`, its messages go past the routing rules that lead packets to the userspace data plane (CORE-11). */
export function openIkeSocket(family: Family, port: number, mark?: number): UdpSocket {
  return UdpSocket.open({
    local: { address: IpAddress.any(family), port },
    slots: 64,
    slotBytes: MAX_DATAGRAM,
    receiveBufferBytes: RECEIVE_BUFFER,
    mtuDiscovery: "dont",
    ...(mark === undefined ? {} : { mark }),
  });
}

/** IKE over UDP sockets: one a family and port. */
export class UdpTransport implements IkeTransport {
  #listener: DatagramListener = () => {};
  #crowding = () => 0;
  #dropped = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly sockets: readonly UdpSocket[],
    private readonly ports: IkePorts,
    private readonly log: Logger,
  ) {}

  /** First messages of strangers that were let fall because too much waited. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Starts reading every socket; `except` are read by somebody else, who hands IKE messages to `deliver`. */
  start(except: readonly UdpSocket[] = []): void {
    for (const socket of this.sockets) {
      if (except.includes(socket)) continue;
      const natt = socket.local.port === this.ports.natt;
      const lets = this.thinned(socket);
      socket.onDatagram(
        ({ data, from, to, truncated }) => {
          if (truncated) return;
          if (!natt) this.#listener({ address: to, port: this.ports.ike }, from, data);
          else if (isMarked(data)) this.deliver(to, from, data.subarray(4));
        },
        (error) => this.log.warn({ err: error }, "reading an IKE socket failed"),
        natt ? (slab, at, length) => lets(slab, at + MARKER.length, length - MARKER.length) : lets,
      );
    }
  }

  /** Whether an IKE message that came to `socket` is to be read at all; for one socket asked for once. */
  thinned(socket: Pick<UdpSocket, "fill">): Thinning["lets"] {
    const fill = () => Math.max(socket.fill, this.#crowding());
    const thinning = new Thinning(fill, () => performance.now());
    return (...where) => {
      const passes = thinning.lets(...where);
      if (!passes) this.#dropped++;
      return passes;
    };
  }

  /** An IKE message that came to the NAT-T port, without its marker. */
  deliver(to: IpAddress, from: Endpoint, data: Uint8Array): void {
    this.#listener({ address: to, port: this.ports.natt }, from, data);
  }

  listen(listener: DatagramListener, crowding: () => number): void {
    this.#listener = listener;
    this.#crowding = crowding;
  }

  send(local: Endpoint, remote: Endpoint, data: Uint8Array): void {
    if (local.port !== this.ports.natt) {
      this.#send(local, remote, data);
      return;
    }
    const marked = new Uint8Array(MARKER.length + data.length);
    marked.set(data, MARKER.length);
    this.#send(local, remote, marked);
  }

  keepalive(local: Endpoint, remote: Endpoint): void {
    this.#send(local, remote, KEEPALIVE);
  }

  #send(local: Endpoint, remote: Endpoint, data: Uint8Array): void {
    const socket = this.sockets.find(
      (s) => s.local.port === local.port && s.local.address.family === remote.address.family,
    );
    try {
      socket?.send({ data, to: remote, from: local.address.isAny ? undefined : local.address });
    } catch (error) {
      const now = performance.now();
      if (now - this.#loggedAt < LOG_EVERY_MS) return;
      this.#loggedAt = now;
      this.log.warn({ err: error, remote: endpointText(remote) }, "an IKE message could not be sent");
    }
  }

  close(): void {
    for (const socket of this.sockets) socket.close();
  }
}
