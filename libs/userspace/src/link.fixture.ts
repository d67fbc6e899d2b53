import { createHash } from "node:crypto";
import { type Clock, IpAddress, Prefix } from "@sallyport/base";
import type { DataPlaneEvent, PolicySpec, SaSpec, Selector } from "@sallyport/dataplane";
import { META, META_WORDS, type UdpSocket } from "@sallyport/linux-io";
import { Acquires } from "./acquire.js";
import { Inbound } from "./inbound.js";
import { Outbound } from "./outbound.js";
import { InboundSa, OutboundSa } from "./sa.js";
import { addressWords } from "./selector.js";
import { PolicyDatabase } from "./spd.js";
import { checkedFraming, checkSa, pathOf } from "./spec.js";
import { Statistics } from "./statistics.js";
import { fastestTransform } from "./transform.js";

export const LEFT = IpAddress.parse("192.0.2.1");
export const RIGHT = IpAddress.parse("192.0.2.2");
const PORT = 4500;
const SLOT = 2048;
const FRONT = 24;

export const selector = (source: string, destination: string, more: Partial<Selector> = {}): Selector => ({
  source: Prefix.parse(source),
  destination: Prefix.parse(destination),
  protocol: 0,
  ...more,
});

export function saSpec(more: Partial<SaSpec> = {}): SaSpec {
  return {
    direction: "out",
    protocol: "esp",
    mode: "tunnel",
    spi: 0x1001,
    source: LEFT,
    destination: RIGHT,
    reqid: 1,
    encryption: { algorithm: "aes-gcm-16", key: createHash("sha512").update("k").digest().subarray(0, 36) },
    esn: false,
    replayWindow: 64,
    encapsulation: { sourcePort: PORT, destinationPort: PORT },
    lifetime: {},
    selectors: [selector("10.1.0.0/16", "10.2.0.0/16")],
    ...more,
  };
}

export const policySpec = (
  more: Partial<PolicySpec> = {},
  level: "require" | "unique" | "use" = "require",
): PolicySpec => ({
  direction: "out",
  selector: selector("10.1.0.0/16", "10.2.0.0/16"),
  action: "encrypt",
  priority: 100,
  ...((more.action ?? "encrypt") === "encrypt" && {
    template: { source: LEFT, destination: RIGHT, protocol: "esp", mode: "tunnel", reqid: 1, level },
  }),
  ...more,
});

export interface Datagram {
  readonly data: Buffer;
  readonly port: number;
  readonly tos: number;
}

function batch(packets: readonly Uint8Array[]): [Buffer, Uint32Array] {
  const slab = Buffer.alloc(packets.length * SLOT);
  const meta = new Uint32Array(packets.length * META_WORDS);
  for (const [i, packet] of packets.entries()) {
    slab.set(packet, i * SLOT + FRONT);
    meta[i * META_WORDS + META.offset] = i * SLOT + FRONT;
    meta[i * META_WORDS + META.length] = packet.length;
    meta[i * META_WORDS + META.family] = (packet[0] as number) >>> 4;
  }
  return [slab, meta];
}

function unbatch(slab: Uint8Array, meta: Uint32Array, count: number, first = 0): { data: Buffer; record: number }[] {
  return Array.from({ length: count }, (_, i) => {
    const record = (first + i) * META_WORDS;
    const at = meta[record + META.offset] as number;
    return { data: Buffer.from(slab.subarray(at, at + (meta[record + META.length] as number))), record };
  });
}

/** The sending and the receiving half of the data plane in memory, with lists in place of device and socket. */
export class Link {
  now = 1000;
  readonly clock: Clock = { now: () => this.now, wall: () => 0 };
  readonly epoch = { number: 0 };
  readonly policies = new PolicyDatabase();
  readonly statistics = new Statistics();
  readonly events: DataPlaneEvent[] = [];
  readonly expired: { spi: number; hard: boolean }[] = [];
  readonly outgoing: OutboundSa[] = [];
  readonly incoming = new Map<number, InboundSa>();
  readonly reserved = new Set<number>();
  /** What left by UDP, by TUN and unprotected. */
  readonly sent: Datagram[] = [];
  readonly delivered: Buffer[] = [];
  readonly passed: Buffer[] = [];
  /** Exceptions that lost a batch. */
  readonly failed: unknown[] = [];
  readonly acquires: Acquires;
  readonly outbound: Outbound;
  readonly inbound: Inbound;
  /** How many datagrams the next sends take. */
  room = Number.POSITIVE_INFINITY;
  /** Whether every packet counts as one from a far network. */
  guarding = false;
  /** How many of the next sends fail. */
  failures = 0;

  constructor() {
    const { clock, epoch, policies, statistics } = this;
    const emit = (event: DataPlaneEvent) => this.events.push(event);
    const failed = (error: unknown) => this.failed.push(error);
    const tun = {
      write: (packet: Uint8Array) => this.delivered.push(Buffer.from(packet)),
      writeBatch: (slab: Uint8Array, meta: Uint32Array, count: number) =>
        this.delivered.push(...unbatch(slab, meta, count).map(({ data }) => data)),
    };
    this.acquires = new Acquires(clock, emit);
    this.outbound = new Outbound({
      ...{ clock, epoch, policies, statistics, tun, failed },
      acquires: this.acquires,
      sasOf: (reqid) => this.outgoing.filter((sa) => sa.spec.reqid === reqid),
      expired: (sa, hard) => this.#expire(sa, hard),
      guards: () => this.guarding,
      pass: (packet) => this.passed.push(Buffer.from(packet)),
    });
    this.inbound = new Inbound({
      ...{ clock, epoch, policies, statistics, tun, emit, failed },
      saOf: (spi) => this.incoming.get(spi),
      reserved: (spi) => this.reserved.has(spi),
      tcpMtu: (reqid) => this.outgoing.find((sa) => sa.spec.reqid === reqid)?.tcpMtu ?? Number.POSITIVE_INFINITY,
      expired: (sa, hard) => this.#expire(sa, hard),
    });
  }

  #expire(sa: InboundSa | OutboundSa, hard: boolean): void {
    this.expired.push({ spi: sa.spec.spi, hard });
    sa.softExpired = true;
    this.epoch.number++;
    if (!hard) return;
    this.incoming.delete(sa.spec.spi);
    const at = this.outgoing.indexOf(sa as OutboundSa);
    if (at >= 0) this.outgoing.splice(at, 1);
  }

  readonly #socket = {
    sendBatch: (slab: Uint8Array, meta: Uint32Array, count: number, first = 0): number => {
      if (this.failures > 0) {
        this.failures--;
        throw new Error("EHOSTUNREACH");
      }
      const taken = Math.min(count, this.room);
      this.room -= taken;
      for (const { data, record } of unbatch(slab, meta, taken, first)) {
        this.sent.push({ data, port: meta[record + META.port] as number, tos: meta[record + META.tos] as number });
      }
      return taken;
    },
  } as unknown as UdpSocket;

  addOutbound(spec: SaSpec = saSpec(), pathMtu = Number.POSITIVE_INFINITY): OutboundSa {
    checkSa(spec);
    const transform = fastestTransform(spec, "out", checkedFraming(spec));
    const sa = new OutboundSa(spec, pathOf(spec), transform, this.now, this.#socket, pathMtu, 1400);
    this.outgoing.push(sa);
    this.epoch.number++;
    return sa;
  }

  addInbound(spec: SaSpec = saSpec({ direction: "in" })): InboundSa {
    checkSa(spec);
    const transform = fastestTransform(spec, "in", checkedFraming(spec));
    const sa = new InboundSa(spec, pathOf(spec), transform, this.now, this.epoch);
    this.incoming.set(spec.spi, sa);
    this.epoch.number++;
    return sa;
  }

  addPolicy(spec: PolicySpec = policySpec()): void {
    this.policies.install(spec);
    this.epoch.number++;
  }

  /** Packets that the TUN device gave in one batch. */
  send(...packets: Uint8Array[]): void {
    const [slab, meta] = batch(packets);
    this.outbound.process(slab, meta, packets.length);
  }

  /** Datagrams that the socket gave in one batch; takes everything sent when none are named. */
  receive(
    datagrams: readonly Uint8Array[] = this.sent.splice(0).map(({ data }) => data),
    from = LEFT,
    port = PORT,
    tos = 0,
  ): void {
    const [slab, meta] = batch(datagrams);
    for (let record = 0; record < meta.length; record += META_WORDS) {
      meta[record + META.family] = from.family;
      meta[record + META.port] = port;
      meta[record + META.tos] = tos;
      meta.set(addressWords(from), record + META.address);
      meta.set(addressWords(RIGHT), record + META.local);
    }
    this.inbound.process(slab, meta, datagrams.length);
  }

  /** Statistics that are not zero. */
  counted(): Record<string, number> {
    const counts = Object.entries(this.statistics.read()).filter(([, count]) => count > 0n);
    return Object.fromEntries(counts.map(([name, count]) => [name, Number(count)]));
  }
}
