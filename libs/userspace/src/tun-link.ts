import { isFault } from "@sallyport/base";
import { type BatchListener, TunDevice, type TunOptions } from "@sallyport/linux-io";

const RETRY_MS = 1000;

export interface TunLinkOptions {
  readonly device: TunOptions;
  /** Has to deal with its own exceptions: those lose the batch and are told to nobody. */
  readonly onBatch: BatchListener;
  /** The device is gone, e.g. because somebody deleted it; it will be made anew. */
  readonly onLost: (error: Error) => void;
  /** There is a new device, not yet set up. Rejects when setting it up failed; then another is tried. */
  readonly setUp: (name: string) => Promise<void>;
}

/** The TUN device, made anew when it goes away under our hands. While there is none, what is written is lost. */
export class TunLink {
  readonly #options: TunLinkOptions;
  #device: TunDevice;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  #present = true;

  private constructor(options: TunLinkOptions, device: TunDevice) {
    this.#options = options;
    this.#device = device;
  }

  static async open(options: TunLinkOptions): Promise<TunLink> {
    const link = new TunLink(options, TunDevice.open(options.device));
    try {
      await options.setUp(link.name);
    } catch (error) {
      link.close();
      throw error;
    }
    link.#read();
    return link;
  }

  get name(): string {
    return this.#device.name;
  }

  write(packet: Uint8Array): void {
    if (this.#present) this.#device.write(packet);
  }

  writeBatch(slab: Uint8Array, meta: Uint32Array, count: number): void {
    if (this.#present) this.#device.writeBatch(slab, meta, count);
  }

  #read(): void {
    this.#device.onBatch(this.#options.onBatch, (error) => {
      if (!isFault(error, "linux-io/listener-failed")) this.#lost(error);
    });
  }

  #lost(error: Error): void {
    if (this.#closed || !this.#present) return;
    this.#device.close();
    this.#present = false;
    this.#options.onLost(error);
    void this.#replace();
  }

  async #replace(): Promise<void> {
    try {
      const device = TunDevice.open({ ...this.#options.device, name: this.name });
      this.#device = device;
      await this.#options.setUp(device.name);
      if (this.#closed) return;
      this.#present = true;
      this.#read();
    } catch {
      this.#device.close();
      if (!this.#closed) this.#retry = setTimeout(() => void this.#replace(), RETRY_MS).unref();
    }
  }

  close(): void {
    this.#closed = true;
    this.#present = false;
    clearTimeout(this.#retry);
    this.#device.close();
  }
}
