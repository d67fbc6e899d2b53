import { addon, systemFault } from "./addon.js";
import { IFF_MULTI_QUEUE, IFF_NO_PI, IFF_TUN } from "./constants.js";
import { KIND, Poller } from "./poller.js";
import { type BatchListener, META, META_WORDS, type TunOptions } from "./types.js";

/**
 * A TUN device without packet information: one IP packet a read and a write. The device lives as long as it is open.
 * Needs CAP_NET_ADMIN; addresses, MTU and state are set through `RouteNetlink`.
 */
export class TunDevice {
  readonly name: string;
  /** Packets that the kernel did not take: malformed ones, or while the link was down. */
  dropped = 0;
  readonly #poller: Poller;

  private constructor(name: string, poller: Poller) {
    this.name = name;
    this.#poller = poller;
  }

  static open(options: TunOptions): TunDevice {
    const flags = IFF_TUN | IFF_NO_PI | (options.multiQueue ? IFF_MULTI_QUEUE : 0);
    const opened = addon().openTun(options.name, flags);
    if (typeof opened === "number") {
      throw systemFault("TUNSETIFF", opened, `opening the TUN device ${options.name}`, { device: options.name });
    }
    const { slots = 32, slotBytes = 2048, headroom = 0 } = options;
    return new TunDevice(opened.name, new Poller(opened.descriptor, KIND.packets, { slots, slotBytes, headroom }));
  }

  /**
   * Starts reading. `failed` gets the errno's fault when the device is gone, and as `linux-io/listener-failed` what the listener
   * throws, whose batch is lost.
   */
  onBatch(listener: BatchListener, failed?: (error: Error) => void): void {
    const { slab, meta } = this.#poller;
    this.#poller.start((count, error) => {
      if (count > 0) listener(slab, meta, count);
      if (error < 0) failed?.(systemFault("read", error, `reading ${this.name}`, { device: this.name }));
    }, failed);
  }

  /** Writes `count` packets from record `first` on; one that the kernel refuses is counted in `dropped` and passed over. */
  writeBatch(slab: Uint8Array, meta: Uint32Array, count: number, first = 0): void {
    let done = 0;
    while (done < count) {
      const written = addon().writePackets(this.#poller.descriptor, slab, meta, first + done, count - done);
      if (written <= 0) this.dropped++;
      done += Math.max(written, 1);
    }
  }

  write(packet: Uint8Array): void {
    const meta = new Uint32Array(META_WORDS);
    meta[META.length] = packet.length;
    this.writeBatch(packet, meta, 1);
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
