import type { Endpoint } from "@sallyport/base";

export type DatagramListener = (local: Endpoint, remote: Endpoint, data: Uint8Array) => void;

/** How IKE messages travel. The non-ESP marker of port 4500 (RFC 3948 §2.2) is put on and taken off in here. */
export interface IkeTransport {
  /**
   * One listener; it must not keep `data` after it returns. `crowding`: how much of the listener's own room for strangers is taken, 0 to
   * 1, so that their messages are let fall before it is full.
   */
  listen(listener: DatagramListener, crowding: () => number): void;
  send(local: Endpoint, remote: Endpoint, data: Uint8Array): void;
  /** One octet 0xFF (RFC 3948 §2.3). */
  keepalive(local: Endpoint, remote: Endpoint): void;
  close(): void;
}

/** UDP ports that this gateway itself uses. */
export interface IkePorts {
  readonly ike: number;
  readonly natt: number;
}
