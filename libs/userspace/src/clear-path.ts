import type { Family } from "@sallyport/base";
import { RawSocket } from "@sallyport/linux-io";
import type { Statistics } from "./statistics.js";

/**
 * The way out for packets that a policy lets pass unprotected although they were routed into the tunnels. They are marked, so
 * that the routing rule does not bring them back.
 */
export class ClearPath {
  readonly #sockets = new Map<Family, RawSocket>();

  constructor(
    private readonly mark: number,
    private readonly statistics: Statistics,
  ) {}

  readonly send = (packet: Uint8Array): void => {
    try {
      this.#socket((packet[0] as number) >>> 4 === 4 ? 4 : 6).send(packet);
    } catch {
      // No route, or too long for the next link: lost as it would be on any router.
      this.statistics.count("out-errors");
    }
  };

  #socket(family: Family): RawSocket {
    let socket = this.#sockets.get(family);
    if (!socket) {
      socket = RawSocket.open({ family, mark: this.mark });
      this.#sockets.set(family, socket);
    }
    return socket;
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }
}
