import { type Clock, ENCRYPTION, type EncryptionAlgorithm, INTEGRITY, type IntegrityAlgorithm } from "@sallyport/base";
import type {
  AddressSpec,
  Adopted,
  Capabilities,
  DataPlane,
  DataPlaneEvent,
  PolicyDirection,
  PolicySpec,
  RouteSpec,
  SaId,
  SaSpec,
  SaState,
  Selector,
  SourceNatSpec,
} from "@sallyport/dataplane";
import { createEsp, MAX_REPLAY_WINDOW } from "@sallyport/esp";
import { type IcmpError, META, META_WORDS, RouteNetlink, SourceNat, type UdpSocket } from "@sallyport/linux-io";
import { Acquires } from "./acquire.js";
import { ClearPath } from "./clear-path.js";
import { fault } from "./faults.js";
import type { Epoch } from "./flows.js";
import { Inbound } from "./inbound.js";
import type { UserspaceOptions } from "./options.js";
import { Outbound } from "./outbound.js";
import { PathMtus } from "./path-mtu.js";
import { ROUTING_DEFAULTS, Routing } from "./routing.js";
import { factsOf, InboundSa, OutboundSa, type Path } from "./sa.js";
import { SaDatabase } from "./sad.js";
import { EspSockets } from "./sockets.js";
import { PolicyDatabase } from "./spd.js";
import { checkedFraming, checkPolicy, checkSa, pathOf } from "./spec.js";
import { Statistics } from "./statistics.js";
import { after } from "./timers.js";
import { fastestTransform, portableTransform } from "./transform.js";
import { TunLink } from "./tun-link.js";

/** Before a packet: the ESP header and the longest IV. */
const HEADROOM = 8 + 16;
/** After it: the longest padding, the trailer and the longest ICV. */
const TAILROOM = 16 + 2 + 32;
/** The kernel's own order of size; what nobody listened to is not worth more. */
const KEPT_EVENTS = 1024;

export class UserspaceDataPlane implements DataPlane {
  readonly capabilities: Capabilities = {
    name: "userspace",
    forcesEncapsulation: true,
    ah: false,
    transportMode: false,
    dontFragment: ["set"],
    encryption: Object.keys(ENCRYPTION) as EncryptionAlgorithm[],
    integrity: Object.keys(INTEGRITY) as IntegrityAlgorithm[],
    maxReplayWindow: MAX_REPLAY_WINDOW,
  };
  readonly #clock: Clock;
  readonly #portable: boolean;
  #tun: TunLink | undefined;
  readonly #netlink: RouteNetlink;
  readonly #routing: Routing;
  readonly #nat = new SourceNat();
  readonly #sockets: EspSockets;
  readonly #policies = new PolicyDatabase();
  readonly #sas: SaDatabase;
  readonly #statistics = new Statistics();
  readonly #epoch: Epoch = { number: 0 };
  readonly #acquires: Acquires;
  readonly #clearPath: ClearPath;
  readonly #outbound: Outbound;
  readonly #inbound: Inbound;
  readonly #timers = new Map<InboundSa | OutboundSa, (() => void)[]>();
  /** Of the TUN device. */
  #mtu = 0;
  readonly #pathMtus: PathMtus;
  readonly #kept: DataPlaneEvent[] = [];
  #listener: ((event: DataPlaneEvent) => void) | undefined;
  #closed = false;

  private constructor(options: UserspaceOptions, netlink: RouteNetlink, routing: Routing) {
    this.#clock = options.clock;
    this.#portable = options.portable ?? false;
    this.#netlink = netlink;
    this.#pathMtus = new PathMtus(options.clock, netlink);
    this.#routing = routing;
    this.#sockets = new EspSockets(options);
    this.#sas = new SaDatabase(options.clock);
    this.#clearPath = new ClearPath(options.routing?.bypassMark ?? ROUTING_DEFAULTS.bypassMark, this.#statistics);
    const emit = (event: DataPlaneEvent) => this.#emit(event);
    this.#acquires = new Acquires(options.clock, emit);
    const common = {
      clock: options.clock,
      epoch: this.#epoch,
      policies: this.#policies,
      statistics: this.#statistics,
      tun: {
        write: (packet: Uint8Array) => this.#tun?.write(packet),
        writeBatch: (slab: Uint8Array, meta: Uint32Array, count: number) => this.#tun?.writeBatch(slab, meta, count),
      },
      expired: (sa: InboundSa | OutboundSa, hard: boolean) => this.#expire(sa, hard),
      failed: (error: unknown) => options.onFailure?.(error),
    };
    this.#outbound = new Outbound({
      ...common,
      acquires: this.#acquires,
      sasOf: (reqid) => this.#sas.outbound(reqid),
      pass: this.#clearPath.send,
      guards: (packet) => routing.guard.covers(packet),
    });
    this.#inbound = new Inbound({
      ...common,
      saOf: (spi) => this.#sas.inbound(spi),
      reserved: (spi) => this.#sas.reserved(spi),
      tcpMtu: (reqid) => this.#sas.outbound(reqid)[0]?.tcpMtu ?? Number.POSITIVE_INFINITY,
      emit,
    });
  }

  /** Opens the TUN device and starts carrying packets. Needs CAP_NET_ADMIN. */
  static async create(options: UserspaceOptions): Promise<UserspaceDataPlane> {
    const netlink = RouteNetlink.open();
    let routing: Routing | undefined;
    try {
      routing = await Routing.open(netlink, { ...ROUTING_DEFAULTS, ...options.routing });
      const plane = new UserspaceDataPlane(options, netlink, routing);
      await plane.#start(options);
      return plane;
    } catch (error) {
      await routing?.close();
      netlink.close();
      throw error;
    }
  }

  /** Name of the TUN device, as the kernel gave it. */
  get tunName(): string {
    return this.#tun?.name ?? "";
  }

  async #start({ tunName, mtu = 1400, onTunLost, onFailure }: UserspaceOptions): Promise<void> {
    this.#mtu = mtu;
    const slotBytes = Math.ceil((mtu + HEADROOM + TAILROOM) / 64) * 64;
    this.#tun = await TunLink.open({
      device: { name: tunName, headroom: HEADROOM, slots: 64, slotBytes },
      onBatch: (slab, meta, count) => this.#outbound.process(slab, meta, count),
      onLost: (error) => onTunLost?.(error),
      setUp: (name) => this.#routing.attach(name, mtu),
    });
    for (const socket of this.#sockets.sockets) {
      socket.onIcmp((error) => this.#learnPathMtu(error));
      socket.onBatch((slab, meta, count) => {
        const esp = this.#sockets.takeOthersOut(socket, slab, meta, count);
        if (esp > 0 && !this.#closed) this.#inbound.process(slab, meta, esp);
      }, onFailure);
    }
  }

  async tryAlgorithm(algorithm: EncryptionAlgorithm | IntegrityAlgorithm): Promise<string | undefined> {
    const { encryption, integrity } = this.capabilities;
    return ([...encryption, ...integrity] as string[]).includes(algorithm) ? undefined : "EOPNOTSUPP";
  }

  /** Nothing survives the end of the process that carried it. */
  async adopt(): Promise<Adopted> {
    await this.#nat.clear();
    return { sas: [], policies: [], addresses: [] };
  }

  async allocateSpi(): Promise<number> {
    return this.#sas.reserve();
  }

  async installSa(spec: SaSpec): Promise<void> {
    this.#alive();
    checkSa(spec);
    const path = pathOf(spec);
    const framing = checkedFraming(spec);
    const transform = this.#portable
      ? portableTransform(createEsp(spec))
      : fastestTransform(spec, spec.direction, framing);
    const now = this.#clock.now();
    const sa =
      spec.direction === "in"
        ? new InboundSa(factsOf(spec), path, transform, now, this.#epoch)
        : new OutboundSa(
            factsOf(spec),
            path,
            transform,
            now,
            this.#socketOf(path),
            this.#pathMtus.told(path.destination),
            this.#mtu,
          );
    this.#sas.add(sa);
    this.#startTimers(sa);
    this.#changed();
    if (!(sa instanceof OutboundSa)) return;
    this.#sendWaiting(spec.reqid);
    void this.#measure(sa);
  }

  async moveSa(id: SaId, to: Pick<SaSpec, "source" | "destination" | "encapsulation">): Promise<void> {
    this.#alive();
    const sa = this.#sas.get(id);
    if (!sa) throw fault("dataplane/refused", `no SA with SPI ${id.spi}`, { field: "spi", value: "ESRCH" });
    const path = pathOf(to);
    const clash = this.#sas.get({ ...id, destination: path.destination });
    if (clash && clash !== sa) {
      throw fault("dataplane/refused", "the destination has an SA of this SPI", {
        field: "destination",
        value: "EEXIST",
      });
    }
    if (sa instanceof OutboundSa) {
      sa.takePath(path, this.#socketOf(path));
      sa.pathMtu = this.#pathMtus.told(path.destination);
    } else {
      sa.takePath(path);
    }
    this.#sas.rename(id, sa);
    this.#changed();
    if (sa instanceof OutboundSa) void this.#measure(sa);
  }

  async removeSa(id: SaId): Promise<void> {
    const sa = this.#sas.get(id);
    if (sa) this.#drop(sa);
  }

  async querySa(id: SaId): Promise<SaState | undefined> {
    return this.#sas.get(id)?.state(this.#clock);
  }

  async listSas(): Promise<SaState[]> {
    return this.#sas.states();
  }

  async installPolicy(policy: PolicySpec): Promise<void> {
    this.#alive();
    checkPolicy(policy);
    await this.#routing.guard.add(policy);
    const { replaced } = this.#policies.install(policy);
    if (replaced) this.#acquires.forget(replaced);
    this.#changed();
    if (replaced) await this.#routing.guard.remove(replaced.spec);
  }

  async removePolicy(direction: PolicyDirection, selector: Selector): Promise<void> {
    const removed = this.#policies.remove(direction, selector);
    if (!removed) return;
    this.#acquires.forget(removed);
    this.#changed();
    await this.#routing.guard.remove(removed.spec);
  }

  async listPolicies(): Promise<PolicySpec[]> {
    return this.#policies.list();
  }

  async installRoute(route: RouteSpec): Promise<void> {
    this.#alive();
    await this.#routing.installRoute(route);
  }

  async removeRoute(route: RouteSpec): Promise<void> {
    await this.#routing.removeRoute(route);
  }

  async installAddress(address: AddressSpec): Promise<void> {
    this.#alive();
    await this.#routing.installAddress(address);
  }

  async removeAddress(address: AddressSpec): Promise<void> {
    await this.#routing.removeAddress(address);
  }

  async installSourceNat(nat: SourceNatSpec): Promise<void> {
    try {
      await this.#nat.install(nat);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw fault("dataplane/unsupported", message, { field: "sourceNat", value: String(nat.to ?? nat.source), cause });
    }
  }

  async removeSourceNat(nat: SourceNatSpec): Promise<void> {
    await this.#nat.remove(nat);
  }

  listen(listener: (event: DataPlaneEvent) => void): void {
    this.#listener = listener;
    for (const event of this.#kept.splice(0)) listener(event);
  }

  async statistics(): Promise<Readonly<Record<string, bigint>>> {
    return this.#statistics.read();
  }

  async flush(): Promise<void> {
    for (const sa of this.#sas.all()) this.#drop(sa);
    this.#policies.clear();
    this.#acquires.clear();
    this.#changed();
    await this.#routing.flush();
    await this.#nat.clear();
  }

  /** Nothing can be kept: the packets went through this process. */
  async close(_options: { keep: boolean }): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const sa of this.#sas.all()) this.#drop(sa);
    this.#policies.clear();
    this.#acquires.clear();
    this.#tun?.close();
    this.#clearPath.close();
    await this.#routing.close();
    await this.#nat.clear();
    this.#netlink.close();
  }

  #alive(): void {
    if (this.#closed) throw fault("dataplane/closed", "the data plane is closed");
  }

  #changed(): void {
    this.#epoch.number++;
  }

  #emit(event: DataPlaneEvent): void {
    if (this.#listener) this.#listener(event);
    else if (this.#kept.length < KEPT_EVENTS) this.#kept.push(event);
  }

  #socketOf(path: Path): UdpSocket {
    return this.#sockets.socketFor(path.source, path.encapsulation.sourcePort, "encapsulation.sourcePort");
  }

  #startTimers(sa: InboundSa | OutboundSa): void {
    const { softSeconds, hardSeconds } = sa.spec.lifetime;
    const expiries = [
      { seconds: softSeconds, hard: false },
      { seconds: hardSeconds, hard: true },
    ];
    const cancels = expiries.flatMap(({ seconds, hard }) =>
      seconds === undefined ? [] : [after(seconds * 1000, () => this.#expire(sa, hard))],
    );
    this.#timers.set(sa, cancels);
  }

  #expire(sa: InboundSa | OutboundSa, hard: boolean): void {
    if (!this.#sas.has(sa) || (sa.softExpired && !hard)) return;
    const { protocol, spi, reqid } = sa.spec;
    if (hard) this.#drop(sa);
    sa.softExpired = true;
    this.#changed();
    this.#emit({ on: "expire", sa: { destination: sa.path.destination, protocol, spi }, reqid, hard });
  }

  #drop(sa: InboundSa | OutboundSa): void {
    for (const cancel of this.#timers.get(sa) ?? []) cancel();
    this.#timers.delete(sa);
    this.#sas.delete(sa);
    this.#changed();
    sa.transform.wipe();
  }

  /** Sends what waited for an SA through the ordinary path, as if it came from the device now. */
  #sendWaiting(reqid: number): void {
    const packets = this.#acquires.release(reqid);
    if (packets.length === 0) return;
    const slot = Math.max(this.#mtu, ...packets.map((packet) => packet.length)) + HEADROOM + TAILROOM;
    const slab = Buffer.alloc(packets.length * slot);
    const meta = new Uint32Array(packets.length * META_WORDS);
    for (const [i, packet] of packets.entries()) {
      packet.copy(slab, i * slot + HEADROOM);
      meta[i * META_WORDS + META.offset] = i * slot + HEADROOM;
      meta[i * META_WORDS + META.length] = packet.length;
      meta[i * META_WORDS + META.family] = (packet[0] as number) >>> 4;
    }
    this.#outbound.process(slab, meta, packets.length);
  }

  /** Takes the outgoing link into account as soon as it is known: an SA need not wait for it, and others not behind it. */
  async #measure(sa: OutboundSa): Promise<void> {
    const { path } = sa;
    const link = await this.#pathMtus.ofLink(path);
    if (sa.path === path) sa.pathMtu = Math.min(link, this.#pathMtus.told(path.destination));
  }

  /** ICMP told how much fits on the way to a peer: senders inside hear of it by `packetTooBig`. */
  #learnPathMtu({ destination, mtu }: IcmpError): void {
    if (mtu === undefined) return;
    const told = this.#pathMtus.learn(destination.address, mtu);
    for (const sa of this.#sas.outgoing()) {
      if (sa.path.destination.equals(destination.address)) sa.pathMtu = Math.min(sa.pathMtu, told);
    }
  }
}
