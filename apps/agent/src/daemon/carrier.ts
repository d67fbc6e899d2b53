import type { Clock } from "@sallyport/base";
import { type Family, IpAddress, isFault } from "@sallyport/base";
import type { DataPlane } from "@sallyport/dataplane";
import type { UdpSocket } from "@sallyport/linux-io";
import { openEspSocket, ROUTING_DEFAULTS, UserspaceDataPlane } from "@sallyport/userspace";
import { KernelDataPlane, prepareIkeSocket, ROUTE_TABLE } from "@sallyport/xfrm";
import { fault } from "../faults.js";
import type { Logger } from "./log.js";
import type { IkePorts } from "./transport.js";
import { openIkeSocket, UdpTransport } from "./udp-transport.js";

/** A defect that comes with every batch is logged this often at most. */
const LOG_EVERY_MS = 5_000;

export type DataPlaneChoice = "auto" | "kernel" | "userspace";

export interface CarrierOptions {
  readonly choice: DataPlaneChoice;
  readonly ports: IkePorts;
  readonly tunName: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What carries IKE messages and what carries packets: they share the NAT-T port. */
export interface Carrier {
  readonly dataPlane: DataPlane;
  readonly transport: UdpTransport;
  /** Sockets through which the kernel decapsulates ESP in UDP; empty with the userspace data plane. */
  readonly encapsulating: readonly UdpSocket[];
  /** Routing tables that only the data plane writes to. */
  readonly ownTables: readonly number[];
}

/** What was opened so far, to be closed when a later step fails. */
class Opened {
  readonly #closers: (() => void)[] = [];

  /** IPv6 is left out where the machine has none. */
  perFamily(open: (family: Family) => UdpSocket): UdpSocket[] {
    const sockets: UdpSocket[] = [];
    for (const family of [4, 6] as const) {
      try {
        const socket = open(family);
        this.#closers.push(() => socket.close());
        sockets.push(socket);
      } catch (error) {
        if (family === 4 || !isFault(error) || error.facts.errno !== "EAFNOSUPPORT") throw error;
      }
    }
    return sockets;
  }

  close(): void {
    for (const close of this.#closers) close();
  }
}

async function openKernel({ ports, log }: CarrierOptions, opened: Opened): Promise<Carrier> {
  const dataPlane = await KernelDataPlane.open({
    onUnclamped: (reason) => log.warn({ reason }, "TCP's maximum segment size is not lowered on this machine"),
  });
  try {
    const ike = opened.perFamily((family) => openIkeSocket(family, ports.ike));
    const natt = opened.perFamily((family) => openIkeSocket(family, ports.natt));
    for (const socket of ike) prepareIkeSocket(socket);
    for (const socket of natt) prepareIkeSocket(socket, { encapsulation: true });
    const transport = new UdpTransport([...ike, ...natt], ports, log);
    transport.start();
    return { dataPlane, transport, encapsulating: natt, ownTables: [ROUTE_TABLE] };
  } catch (error) {
    await dataPlane.close({ keep: true });
    throw error;
  }
}

async function openUserspace({ ports, tunName, clock, log }: CarrierOptions, opened: Opened): Promise<Carrier> {
  const ike = opened.perFamily((family) => openIkeSocket(family, ports.ike, ROUTING_DEFAULTS.bypassMark));
  const natt = opened.perFamily((family) => openEspSocket({ address: IpAddress.any(family), port: ports.natt }));
  const transport = new UdpTransport([...ike, ...natt], ports, log);
  const thinned = new Map(natt.map((socket) => [socket, transport.thinned(socket)]));
  let loggedAt = Number.NEGATIVE_INFINITY;
  const dataPlane = await UserspaceDataPlane.create({
    tunName,
    sockets: natt,
    clock,
    letsIke: (slab, at, length, socket) => thinned.get(socket)?.(slab, at, length) ?? true,
    onIke: ({ from, to, data, truncated }) => {
      if (!truncated) transport.deliver(to, from, data.subarray(4));
    },
    onTunLost: (error) => log.warn({ err: error }, "the TUN device went away and is made anew"),
    onFailure: (error) => {
      const now = clock.now();
      if (now - loggedAt < LOG_EVERY_MS) return;
      loggedAt = now;
      log.error({ err: error }, "a defect lost a batch of packets");
    },
  });
  transport.start(natt);
  const { table } = ROUTING_DEFAULTS;
  return { dataPlane, transport, encapsulating: [], ownTables: [table, table + 1] };
}

/** `auto`: the kernel's data plane where the kernel has ESP, else userspace. Throws `agent/no-data-plane` or the adapter's fault. */
export async function openCarrier(options: CarrierOptions): Promise<Carrier> {
  if (process.platform !== "linux") {
    throw fault("agent/no-data-plane", `a gateway needs Linux, this is ${process.platform}`, {
      value: process.platform,
      expected: "linux",
    });
  }
  const opened = new Opened();
  try {
    return await open(options, opened);
  } catch (error) {
    opened.close();
    throw error;
  }
}

async function open(options: CarrierOptions, opened: Opened): Promise<Carrier> {
  if (options.choice === "userspace") return openUserspace(options, opened);
  try {
    return await openKernel(options, opened);
  } catch (error) {
    if (options.choice === "kernel" || !isFault(error, "dataplane/unsupported")) throw error;
    options.log.info({ reason: error.message }, "the kernel has no ESP: using the userspace data plane");
    return openUserspace(options, opened);
  }
}
