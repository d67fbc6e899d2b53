import { type Family, IpAddress } from "@sallyport/base";
import { addon, checked } from "./addon.js";
import { AF, IPPROTO_RAW, SO, SOCK, SOL } from "./constants.js";
import { fault } from "./faults.js";
import { intOption, sockaddrOf } from "./sockaddr.js";

/** Sends whole IP packets of one family as they are, by the routing table. Needs CAP_NET_RAW. Receives nothing. */
export class RawSocket {
  readonly #descriptor: number;
  #closed = false;

  private constructor(
    readonly family: Family,
    descriptor: number,
  ) {
    this.#descriptor = descriptor;
  }

  static open(options: { family: Family; mark?: number }): RawSocket {
    const number = options.family === 4 ? AF.inet : AF.inet6;
    const descriptor = checked("socket", addon().openSocket(number, SOCK.raw, IPPROTO_RAW), "opening a raw socket");
    if (options.mark !== undefined) {
      const result = addon().setOption(descriptor, SOL.socket, SO.mark, intOption(options.mark));
      if (result < 0) addon().closeDescriptor(descriptor);
      checked("setsockopt", result, "setting SO_MARK");
    }
    return new RawSocket(options.family, descriptor);
  }

  /** Faults: `linux-io/system-call` with the errno's name (ENETUNREACH, EMSGSIZE, …). */
  send(packet: Uint8Array): void {
    if (this.#closed) throw fault("linux-io/closed", "the descriptor is closed");
    const address = IpAddress.from(this.family === 4 ? packet.subarray(16, 20) : packet.subarray(24, 40));
    const result = addon().sendMessage(this.#descriptor, packet, sockaddrOf({ address, port: 0 }));
    checked("sendmsg", result, `sending a packet to ${address}`);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    addon().closeDescriptor(this.#descriptor);
  }
}
