import type { Clock } from "@sallyport/base";
import type { DataPlaneEvent } from "@sallyport/dataplane";
import type { InnerPacket } from "./packet.js";
import { selectorOf } from "./selector.js";
import type { Policy } from "./spd.js";

/** Packets kept for an SA that is being negotiated, for one policy. */
const QUEUE_PACKETS = 64;
/** A packet that waited longer is of no use to its sender. */
const KEEP_MS = 10_000;
/** How long nothing more is asked for the same policy. */
const QUIET_MS = 5_000;

interface Waiting {
  readonly packets: { readonly data: Buffer; readonly at: number }[];
  askedAt: number;
}

/** Packets that met a policy without an SA: asks for one, keeps the first few until it comes. */
export class Acquires {
  readonly #waiting = new Map<Policy, Waiting>();

  constructor(
    private readonly clock: Clock,
    private readonly emit: (event: DataPlaneEvent) => void,
  ) {}

  wait(policy: Policy, packet: InnerPacket, octets: Uint8Array): void {
    const { template } = policy.spec;
    if (!template) return;
    const now = this.clock.now();
    let waiting = this.#waiting.get(policy);
    if (!waiting) {
      waiting = { packets: [], askedAt: Number.NEGATIVE_INFINITY };
      this.#waiting.set(policy, waiting);
    }
    while (waiting.packets[0] && now - waiting.packets[0].at > KEEP_MS) waiting.packets.shift();
    if (waiting.packets.length < QUEUE_PACKETS) waiting.packets.push({ data: Buffer.from(octets), at: now });
    if (now - waiting.askedAt < QUIET_MS) return;
    waiting.askedAt = now;
    this.emit({ on: "acquire", reqid: template.reqid, selector: selectorOf(packet), template });
  }

  /** The packets that waited for an SA of this reqid, oldest first; they wait no longer, and the policy may ask again. */
  release(reqid: number): Buffer[] {
    const now = this.clock.now();
    const out: Buffer[] = [];
    for (const [policy, waiting] of this.#waiting) {
      if (policy.spec.template?.reqid !== reqid) continue;
      this.#waiting.delete(policy);
      for (const { data, at } of waiting.packets) if (now - at <= KEEP_MS) out.push(data);
    }
    return out;
  }

  forget(policy: Policy): void {
    this.#waiting.delete(policy);
  }

  clear(): void {
    this.#waiting.clear();
  }
}
