import type { Clock } from "@sallyport/base";
import { META, META_WORDS, type TunDevice, type UdpSocket } from "@sallyport/linux-io";
import type { Acquires } from "./acquire.js";
import { type Epoch, FlowCache } from "./flows.js";
import { AnswerBudget, packetTooBig } from "./icmp.js";
import { clampMss, isSyn } from "./mss.js";
import { InnerPacket } from "./packet.js";
import type { OutboundSa } from "./sa.js";
import type { Policy, PolicyDatabase } from "./spd.js";
import type { StatisticName, Statistics } from "./statistics.js";

const ADDRESS_END = META.local + 4;

/** What happens to a flow's packets. */
type Verdict =
  | { readonly do: "seal"; readonly sa: OutboundSa }
  | { readonly do: "acquire"; readonly policy: Policy }
  | { readonly do: "pass" }
  | { readonly do: "block"; readonly count: StatisticName }
  /** No policy: the kernel's own chatter on the device, which nobody sent on purpose, among it. */
  | { readonly do: "ignore" };

export interface OutboundParts {
  readonly clock: Clock;
  readonly epoch: Epoch;
  readonly policies: PolicyDatabase;
  readonly acquires: Acquires;
  readonly statistics: Statistics;
  readonly tun: Pick<TunDevice, "write">;
  /** SAs of a reqid, oldest first. */
  readonly sasOf: (reqid: number) => readonly OutboundSa[];
  readonly expired: (sa: OutboundSa, hard: boolean) => void;
  /** Whether packets from this source are led here although no tunnel leads to their destination. */
  readonly guards: (packet: InnerPacket) => boolean;
  /** Sends an IP packet without protection. */
  readonly pass: (packet: Buffer) => void;
  /** Hears of an exception, a defect of this library, that lost a batch. */
  readonly failed: (error: unknown) => void;
}

/** From the TUN device to the UDP socket: policy, SA, sequence number, seal, send (RFC 4301 §5.1). */
export class Outbound {
  readonly #parts: OutboundParts;
  readonly #packet = new InnerPacket();
  readonly #flows: FlowCache<Verdict>;
  readonly #answers = new AnswerBudget(100);

  constructor(parts: OutboundParts) {
    this.#parts = parts;
    this.#flows = new FlowCache(4096, parts.epoch);
  }

  /** Packets as the TUN device gave them, with headroom before each. Slab and records are used up. Throws nothing. */
  process(slab: Buffer, meta: Uint32Array, count: number): void {
    try {
      this.#process(slab, meta, count);
    } catch (error) {
      this.#parts.statistics.count("out-errors", count);
      this.#parts.failed(error);
    }
  }

  #process(slab: Buffer, meta: Uint32Array, count: number): void {
    const view = new DataView(slab.buffer, slab.byteOffset, slab.byteLength);
    let run: OutboundSa | undefined;
    let runStart = 0;
    let kept = 0;
    let sendStart = 0;
    for (let i = 0; i < count; i++) {
      const sa = this.#classify(slab, view, meta, i * META_WORDS);
      if (!sa) continue;
      if (sa !== run) {
        kept = this.#seal(run, slab, meta, runStart, kept);
        if (run && run.socket !== sa.socket) {
          this.#send(run.socket, slab, meta, sendStart, kept);
          sendStart = kept;
        }
        run = sa;
        runStart = kept;
      }
      if (kept !== i) meta.copyWithin(kept * META_WORDS, i * META_WORDS, (i + 1) * META_WORDS);
      meta[kept * META_WORDS + META.tos] = this.#packet.tos; // RFC 4301 §5.1.2.1, RFC 6040 §4.1
      kept++;
    }
    if (!run) return;
    kept = this.#seal(run, slab, meta, runStart, kept);
    this.#send(run.socket, slab, meta, sendStart, kept);
  }

  /** The SA that the packet goes out by; undefined when it does not, and that has been seen to. */
  #classify(slab: Buffer, view: DataView, meta: Uint32Array, record: number): OutboundSa | undefined {
    const packet = this.#packet;
    const at = meta[record + META.offset] as number;
    if (!packet.read(view, at, meta[record + META.length] as number)) return undefined;
    const verdict = this.#flows.verdict(packet, this.#decide);
    switch (verdict.do) {
      case "seal":
        if (packet.dontFragment && packet.length > largest(packet, verdict.sa)) {
          this.#refuseAsTooBig(slab.subarray(at, at + packet.length), verdict.sa);
          return undefined;
        }
        if (isSyn(view, at, packet)) clampMss(view, at, packet, verdict.sa.tcpMtu);
        meta[record + META.length] = packet.length;
        return verdict.sa;
      case "acquire":
        this.#parts.statistics.count("out-no-states");
        this.#parts.acquires.wait(verdict.policy, packet, slab.subarray(at, at + packet.length));
        return undefined;
      case "pass":
        this.#parts.pass(slab.subarray(at, at + packet.length));
        return undefined;
      case "block":
        this.#parts.statistics.count(verdict.count);
        return undefined;
      case "ignore":
        return undefined;
    }
  }

  readonly #decide = (packet: InnerPacket): Verdict => {
    const policy = this.#parts.policies.find("out", packet);
    if (!policy) return this.#arrived(packet);
    const { action, template } = policy.spec;
    if (action === "discard") return { do: "block", count: "out-policy-blocked" };
    if (action === "none" || !template) return { do: "pass" };
    let dying: OutboundSa | undefined;
    const sas = this.#parts.sasOf(template.reqid);
    // The newest first, because a rekeyed SA gives way to its successor.
    for (let i = sas.length - 1; i >= 0; i--) {
      const sa = sas[i] as OutboundSa;
      const fits =
        (template.destination.isAny || sa.path.destination.equals(template.destination)) &&
        (template.source.isAny || sa.path.source.equals(template.source)) &&
        (sa.selectors.length === 0 || sa.selectors.some((selector) => selector.matches(packet)));
      if (!fits) continue;
      if (!sa.softExpired) return { do: "seal", sa };
      dying ??= sa;
    }
    if (dying) return { do: "seal", sa: dying };
    return template.level === "use" ? { do: "pass" } : { do: "acquire", policy };
  };

  /** A packet that leads into no tunnel: if it came from a far network, it came in the clear. */
  #arrived(packet: InnerPacket): Verdict {
    const { policies, guards } = this.#parts;
    if (!guards(packet)) return { do: "ignore" };
    const policy = policies.find("fwd", packet) ?? policies.find("in", packet);
    if (policy?.spec.action === "discard") return { do: "block", count: "in-policy-blocked" };
    const needless = !policy || policy.spec.action === "none" || policy.spec.template?.level === "use";
    return needless ? { do: "pass" } : { do: "block", count: "in-template-mismatches" };
  }

  /** Tells the sender what fits; what may be cut goes on and is fragmented outside (RFC 4301 §8.2). */
  #refuseAsTooBig(original: Buffer, sa: OutboundSa): void {
    if (!this.#answers.take(this.#parts.clock.now())) return;
    const answer = packetTooBig(this.#packet, original, largest(this.#packet, sa));
    if (answer) this.#parts.tun.write(answer);
  }

  /** Seals the records from `first` up to `end` and returns the new end: fewer when the SA has come to its end. */
  #seal(sa: OutboundSa | undefined, slab: Buffer, meta: Uint32Array, first: number, end: number): number {
    if (!sa || first === end) return end;
    const { counter } = sa;
    let count = 0;
    let limit: "soft" | "hard" | undefined;
    let high = 0;
    let low = 0;
    while (first + count < end && limit !== "hard") {
      if (!counter.next()) {
        this.#parts.statistics.count("out-state-sequence-errors", end - first - count);
        limit = "hard";
        break;
      }
      if (count === 0) {
        high = counter.high;
        low = counter.low;
      }
      limit = sa.carried(meta[(first + count) * META_WORDS + META.length] as number) ?? limit;
      count++;
    }
    sa.usedAt = this.#parts.clock.now();
    if (sa.padTo > 0) pad(sa, slab, meta, first, count);
    if (count > 0) sa.transform.seal(slab, meta, first, count, high, low);
    for (let record = first * META_WORDS; record < (first + count) * META_WORDS; record += META_WORDS) {
      for (let word = META.family as number; word < ADDRESS_END; word++) {
        meta[record + word] = sa.address[word] as number;
      }
      meta[record + META.interface] = 0;
    }
    if (limit) this.#parts.expired(sa, limit === "hard");
    return first + count;
  }

  #send(socket: UdpSocket, slab: Buffer, meta: Uint32Array, first: number, end: number): void {
    let at = first;
    let failures = 0;
    while (at < end) {
      let sent = 0;
      try {
        sent = socket.sendBatch(slab, meta, end - at, at);
      } catch {
        // The first failure may be an ICMP error about some other peer that was waiting at the socket, and is gone now.
        if (++failures < 2) continue;
        this.#parts.statistics.count("out-errors");
        at++;
        failures = 0;
        continue;
      }
      failures = 0;
      at += sent;
      if (sent > 0) continue;
      // The socket's buffer is full: the rest is lost, as in any queue.
      this.#parts.statistics.count("out-errors", end - at);
      return;
    }
  }
}

/** Zeros behind the packets, which the receiver leaves by their own length (RFC 4303 §2.7). */
function pad(sa: OutboundSa, slab: Buffer, meta: Uint32Array, first: number, count: number): void {
  const to = Math.min(sa.padTo, sa.innerMtu);
  for (let record = first * META_WORDS; record < (first + count) * META_WORDS; record += META_WORDS) {
    const at = meta[record + META.offset] as number;
    const length = meta[record + META.length] as number;
    if (length >= to) continue;
    slab.fill(0, at + length, at + to);
    meta[record + META.length] = to;
  }
}

const IPV6_LEAST_MTU = 1280;

/** What of this family may go into the tunnel whole. No IPv6 link may take less than 1,280 octets: then the outer packet is cut. */
function largest(packet: InnerPacket, sa: OutboundSa): number {
  return packet.family === 4 ? sa.innerMtu : Math.max(IPV6_LEAST_MTU, sa.innerMtu);
}
