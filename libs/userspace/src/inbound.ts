import { type Clock, type Endpoint, endpointText } from "@sallyport/base";
import type { DataPlaneEvent } from "@sallyport/dataplane";
import { NEXT_HEADER_DUMMY } from "@sallyport/esp";
import { ESP_REFUSED, META, META_WORDS, type TunDevice } from "@sallyport/linux-io";
import { admitCongestion } from "./ecn.js";
import { clampMss, isSyn } from "./mss.js";
import { InnerPacket, PROTOCOL } from "./packet.js";
import type { InboundSa } from "./sa.js";
import { addressOf } from "./selector.js";
import type { PolicyDatabase } from "./spd.js";
import type { Entry, Statistics } from "./statistics.js";

/** Longest header, IV, trailer and ICV apart: an SPI and a sequence number (RFC 4303 §2). */
const ESP_HEADER = 8;

export interface InboundParts {
  readonly clock: Clock;
  readonly policies: PolicyDatabase;
  readonly statistics: Statistics;
  readonly tun: Pick<TunDevice, "writeBatch">;
  readonly saOf: (spi: number) => InboundSa | undefined;
  /** An SPI that is reserved but has no SA yet. */
  readonly reserved: (spi: number) => boolean;
  readonly expired: (sa: InboundSa, hard: boolean) => void;
  /** Octets that TCP's packets may have in the other direction. */
  readonly tcpMtu: (reqid: number) => number;
  readonly emit: (event: DataPlaneEvent) => void;
  /** Hears of an exception, a defect of this library, that lost a batch. */
  readonly failed: (error: unknown) => void;
}

/** From the UDP socket to the TUN device: SA, window, ICV, window, selectors, write (RFC 4301 §5.2, RFC 4303 §3.4). */
export class Inbound {
  readonly #parts: InboundParts;
  readonly #packet = new InnerPacket();

  constructor(parts: InboundParts) {
    this.#parts = parts;
  }

  /**
   * ESP packets as UDP datagrams, by their records; what is not ESP has been taken out. Slab and records are used up. Throws
   * nothing.
   */
  process(slab: Buffer, meta: Uint32Array, count: number): void {
    try {
      this.#process(slab, meta, count);
    } catch (error) {
      this.#parts.statistics.count("in-errors", count);
      this.#parts.failed(error);
    }
  }

  #process(slab: Buffer, meta: Uint32Array, count: number): void {
    const view = new DataView(slab.buffer, slab.byteOffset, slab.byteLength);
    let run: InboundSa | undefined;
    let runStart = 0;
    let kept = 0;
    let written = 0;
    for (let i = 0; i < count; i++) {
      const sa = this.#find(view, meta, i * META_WORDS);
      if (!sa) continue;
      if (sa !== run) {
        written = this.#open(run, slab, view, meta, runStart, kept, written);
        run = sa;
        runStart = i;
        kept = i;
      }
      if (kept !== i) meta.copyWithin(kept * META_WORDS, i * META_WORDS, (i + 1) * META_WORDS);
      kept++;
    }
    written = this.#open(run, slab, view, meta, runStart, kept, written);
    if (written > 0) this.#parts.tun.writeBatch(slab, meta, written);
  }

  /** The SA of a packet that is worth computing an ICV for; the upper half of its sequence number goes into `user`. */
  #find(view: DataView, meta: Uint32Array, record: number): InboundSa | undefined {
    const { statistics, saOf, reserved } = this.#parts;
    if ((meta[record + META.length] as number) < ESP_HEADER) {
      statistics.count("in-header-errors");
      return undefined;
    }
    const at = meta[record + META.offset] as number;
    const spi = view.getUint32(at);
    const sa = saOf(spi);
    if (!sa?.isFor(meta, record)) {
      statistics.count(!sa && reserved(spi) ? "in-state-invalid" : "in-no-states");
      return undefined;
    }
    const low = view.getUint32(at + 4);
    const high = sa.window.high(low);
    if (!this.#admits(sa, sa.window.check(high, low))) return undefined;
    meta[record + META.user] = high;
    return sa;
  }

  #admits(sa: InboundSa, verdict: "fresh" | "replayed" | "too-old"): boolean {
    if (verdict === "fresh") return true;
    if (verdict === "replayed") sa.replayed++;
    else sa.outOfWindow++;
    this.#parts.statistics.count("in-state-sequence-errors");
    return false;
  }

  /**
   * Opens the records from `first` to `end`, all of `sa`, and moves those that may go on to the front, from `written` on.
   * Returns how many stand there now.
   */
  #open(
    sa: InboundSa | undefined,
    slab: Buffer,
    view: DataView,
    meta: Uint32Array,
    first: number,
    end: number,
    written: number,
  ): number {
    if (!sa || first === end) return written;
    const lows = this.#lows(view, meta, first, end);
    const highs = this.#users(meta, first, end);
    sa.transform.open(slab, meta, first, end - first);
    sa.usedAt = this.#parts.clock.now();
    let to = written;
    let limit: "soft" | "hard" | undefined;
    for (let i = first; i < end && limit !== "hard"; i++) {
      const record = i * META_WORDS;
      if (!this.#authentic(sa, meta[record + META.user] as number)) continue;
      if (!this.#admits(sa, sa.window.accept(highs[i - first] as number, lows[i - first] as number))) continue;
      if (!sa.isFrom(meta, record)) this.#moved(sa, meta, record);
      limit = sa.carried(meta[record + META.length] as number) ?? limit;
      if (!this.#mayEnter(sa, view, meta, record)) continue;
      if (to !== i) meta.copyWithin(to * META_WORDS, record, record + META_WORDS);
      to++;
    }
    if (limit) this.#parts.expired(sa, limit === "hard");
    return to;
  }

  readonly #lowWords = new Uint32Array(1024);
  readonly #highWords = new Uint32Array(1024);

  #lows(view: DataView, meta: Uint32Array, first: number, end: number): Uint32Array {
    for (let i = first; i < end; i++) {
      this.#lowWords[i - first] = view.getUint32((meta[i * META_WORDS + META.offset] as number) + 4);
    }
    return this.#lowWords;
  }

  #users(meta: Uint32Array, first: number, end: number): Uint32Array {
    for (let i = first; i < end; i++) this.#highWords[i - first] = meta[i * META_WORDS + META.user] as number;
    return this.#highWords;
  }

  #authentic(sa: InboundSa, outcome: number): boolean {
    if (outcome <= 0xff) return true;
    if (outcome === ESP_REFUSED.integrity) {
      sa.integrityFailures++;
      this.#parts.statistics.count("in-state-protocol-errors");
    } else {
      this.#parts.statistics.count("in-header-errors");
    }
    return false;
  }

  /** An authenticated packet from elsewhere: the far end's address or port changed. Announced once for each new one. */
  #moved(sa: InboundSa, meta: Uint32Array, record: number): void {
    const family = meta[record + META.family] as 4 | 6;
    const to: Endpoint = {
      address: addressOf(family, meta, record + META.address),
      port: meta[record + META.port] as number,
    };
    const text = endpointText(to);
    if (sa.announced === text) return;
    sa.announced = text;
    const { protocol, spi, reqid } = sa.spec;
    const from = { address: sa.path.source, port: sa.path.encapsulation.sourcePort };
    this.#parts.emit({
      on: "mapping-changed",
      sa: { destination: sa.path.destination, protocol, spi },
      reqid,
      from,
      to,
    });
  }

  /** The checks that follow decryption; trims TFC padding and lowers TCP's segment size. */
  #mayEnter(sa: InboundSa, view: DataView, meta: Uint32Array, record: number): boolean {
    const nextHeader = meta[record + META.user] as number;
    if (nextHeader === NEXT_HEADER_DUMMY) return false;
    const { statistics } = this.#parts;
    if (nextHeader !== PROTOCOL.ipip && nextHeader !== PROTOCOL.ipv6) {
      statistics.count("in-state-mode-errors");
      return false;
    }
    const packet = this.#packet;
    const at = meta[record + META.offset] as number;
    const wanted = nextHeader === PROTOCOL.ipip ? 4 : 6;
    if (!packet.read(view, at, meta[record + META.length] as number) || packet.family !== wanted) {
      statistics.count("in-header-errors");
      return false;
    }
    const verdict = sa.flows.verdict(packet, (fresh) => this.#decide(sa, fresh));
    if (verdict !== "accept") {
      statistics.count(verdict);
      return false;
    }
    meta[record + META.length] = packet.length;
    if (isSyn(view, at, packet)) clampMss(view, at, packet, this.#parts.tcpMtu(sa.spec.reqid));
    return admitCongestion(view, at, packet.family, meta[record + META.tos] as number);
  }

  #decide(sa: InboundSa, packet: InnerPacket): Entry {
    if (sa.selectors.length > 0 && !sa.selectors.some((selector) => selector.matches(packet))) {
      return "in-template-mismatches";
    }
    const policy = this.#parts.policies.find("in", packet) ?? this.#parts.policies.find("fwd", packet);
    if (!policy || policy.spec.action === "none") return "accept";
    if (policy.spec.action === "discard") return "in-policy-blocked";
    return policy.spec.template?.reqid === sa.spec.reqid ? "accept" : "in-template-mismatches";
  }
}
