import { addon, checked, systemFault } from "./addon.js";
import { AF, SOCK } from "./constants.js";
import { NetlinkWriter } from "./netlink/codec.js";
import { KIND, Poller } from "./poller.js";
import { META, META_WORDS } from "./types.js";

/** linux/if_ether.h */
const ETH_P_ALL = 3;

/** Sees every IP packet that comes in or goes out by one device, from the IP header on. Needs CAP_NET_RAW. */
export class PacketTap {
  readonly #poller: Poller;

  private constructor(poller: Poller) {
    this.#poller = poller;
  }

  static open(interfaceIndex: number): PacketTap {
    const doing = `watching interface ${interfaceIndex}`;
    // Without a protocol nothing arrives before the socket is bound to its device.
    const descriptor = checked("socket", addon().openSocket(AF.packet, SOCK.dgram, 0), doing);
    const address = new NetlinkWriter(20).u16(AF.packet).be16(ETH_P_ALL).u32(interfaceIndex).zero(12).done();
    const bound = addon().bindSocket(descriptor, address);
    if (bound < 0) {
      addon().closeDescriptor(descriptor);
      throw systemFault("bind", bound, doing);
    }
    return new PacketTap(new Poller(descriptor, KIND.messages, { slots: 64, slotBytes: 65536, headroom: 0 }));
  }

  /** The octets are a view that is used again after the call. */
  onPacket(listener: (packet: Buffer) => void): void {
    const { slab, meta } = this.#poller;
    this.#poller.start((count) => {
      for (let i = 0; i < count; i++) {
        const at = meta[i * META_WORDS + META.offset] as number;
        const packet = slab.subarray(at, at + (meta[i * META_WORDS + META.length] as number));
        const version = (packet[0] ?? 0) >> 4;
        if (version === 4 || version === 6) listener(packet);
      }
    });
  }

  close(): void {
    this.#poller.close();
  }
}
