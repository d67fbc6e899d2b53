import type { Buffer } from "node:buffer";
import type { Clock } from "@sallyport/base";
import type { Datagram, UdpSocket } from "@sallyport/linux-io";
import type { RoutingOptions } from "./routing.js";

export interface UserspaceOptions {
  /** Name of the TUN device; `%d` takes a free number. */
  readonly tunName: string;
  /** MTU of the TUN device. The default of 1,400 makes AES-GCM datagrams of 1,464 octets over IPv4 and 1,484 over IPv6. */
  readonly mtu?: number;
  /**
   * UDP sockets for ESP, usually one of each family bound to the any-address and port 4500 (`openEspSocket`). The data plane
   * reads them from now on; anyone may send. They stay their owner's to close, after `close`.
   */
  readonly sockets: readonly UdpSocket[];
  /** Gets every datagram that begins with the non-ESP marker, marker included (RFC 3948 §2.2). Must not keep `data`. */
  readonly onIke: (datagram: Datagram, socket: UdpSocket) => void;
  /** Whether an IKE message of `length` octets at `at`, behind its marker, is to be handed over at all; absent: yes. */
  readonly letsIke?: (slab: Buffer, at: number, length: number, socket: UdpSocket) => boolean;
  readonly clock: Clock;
  readonly routing?: Partial<RoutingOptions>;
  /** The TUN device went away, e.g. deleted by hand. It is made anew, with its routes and addresses. */
  readonly onTunLost?: (error: Error) => void;
  /** An exception, a defect, lost a batch of packets; carrying goes on. `statistics` counts the packets. */
  readonly onFailure?: (error: unknown) => void;
  /** Keeps all cryptography in JavaScript: slower, for comparison and for processes without OpenSSL 3. */
  readonly portable?: boolean;
}
