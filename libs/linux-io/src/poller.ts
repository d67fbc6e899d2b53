import { addon, type PollerHandle, systemFault } from "./addon.js";
import { fault } from "./faults.js";
import { type BatchOptions, META_WORDS } from "./types.js";

/** `enum batch_kind` of the native code. */
export const KIND = { datagrams: 0, packets: 1, messages: 2 } as const;

/** Owns a descriptor: watches it, reads batches into its slab, closes it. */
export class Poller {
  readonly slab: Buffer;
  readonly meta: Uint32Array;
  readonly #descriptor: number;
  #handle: PollerHandle | undefined;
  #closed = false;
  #failures = 0;

  constructor(
    descriptor: number,
    readonly kind: number,
    readonly options: Required<BatchOptions>,
  ) {
    this.#descriptor = descriptor;
    this.slab = Buffer.alloc(options.slots * options.slotBytes);
    this.meta = new Uint32Array(options.slots * META_WORDS);
  }

  /** The descriptor, for system calls; refused once closed. */
  get descriptor(): number {
    if (this.#closed) throw fault("linux-io/closed", "the descriptor is closed");
    return this.#descriptor;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Batches that were lost because a listener threw. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * `ready` gets the number of packets in the slab and 0, or a negated errno. What it throws would end the process: it is counted,
   * handed to `failed` as the cause of a `linux-io/listener-failed`, and reading goes on.
   */
  start(ready: (count: number, error: number) => void, failed?: (error: Error) => void): void {
    if (this.#handle) throw fault("linux-io/bad-argument", "this descriptor is being read already");
    const { slotBytes, headroom } = this.options;
    const started = addon().startPoller(
      this.descriptor,
      this.kind,
      this.slab,
      this.meta,
      slotBytes,
      headroom,
      (count, error) => {
        if (this.#closed) return;
        try {
          ready(count, error);
        } catch (cause) {
          this.#failures++;
          this.#tell(cause, failed);
        }
      },
    );
    if (typeof started === "number") throw systemFault("epoll_ctl", started, "watching a descriptor");
    this.#handle = started;
  }

  #tell(cause: unknown, failed: ((error: Error) => void) | undefined): void {
    try {
      failed?.(fault("linux-io/listener-failed", `handling a batch failed: ${String(cause)}`, { cause }));
    } catch {
      this.#failures++;
    }
  }

  pause(paused: boolean): void {
    if (this.#handle && !this.#closed) addon().pausePoller(this.#handle, paused);
  }

  /** An unreferenced poller does not keep the process alive. */
  reference(referenced: boolean): void {
    if (this.#handle && !this.#closed) addon().referencePoller(this.#handle, referenced);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#handle) addon().stopPoller(this.#handle);
    else addon().closeDescriptor(this.#descriptor);
  }
}
