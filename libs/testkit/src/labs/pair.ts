import path from "node:path";
import { type Family, IpAddress, Prefix } from "@sallyport/base";
import type {
  Capabilities,
  DataPlane,
  DataPlaneEvent,
  GatewayUnderTest,
  HostUnderTest,
  PairUnderTest,
  WireUnderTest,
} from "@sallyport/dataplane";
import { layOut, remove, type Topology } from "../peers/topology.js";
import type { GatewayPlace } from "./gateway-module.js";
import { RemoteProcess } from "./rpc.js";

const SIDES = {
  left: { wan: "192.0.2", wan6: "2001:db8:1:", lan: "10.1.0", lan6: "fd01:" },
  right: { wan: "198.51.100", wan6: "2001:db8:2:", lan: "10.2.0", lan6: "fd02:" },
} as const;
type Side = keyof typeof SIDES;

const both = (v4: string, v6: string): Record<Family, IpAddress> => ({
  4: IpAddress.parse(v4),
  6: IpAddress.parse(v6),
});
/** A compiled module beside this one: processes of their own run what is built. */
const script = (name: string) =>
  path.join(import.meta.dirname.replace(`${path.sep}src${path.sep}`, `${path.sep}dist${path.sep}`), `${name}.js`);

function topology(prefix: string): Topology {
  const ends = (Object.keys(SIDES) as Side[]).map((side) => {
    const { wan, wan6, lan, lan6 } = SIDES[side];
    const [gateway, host] = [`${prefix}-${side}`, `${prefix}-${side}-host`];
    const wire = `${prefix}-wire`;
    return {
      namespaces: [
        { name: gateway, forwards: true, gateway: `${wan}.254`, routes: [{ to: "::/0", via: `${wan6}:fe` }] },
        { name: host, gateway: `${lan}.1`, routes: [{ to: "::/0", via: `${lan6}:1` }] },
      ],
      cables: [
        [
          { namespace: wire, device: side, addresses: [`${wan}.254/24`, `${wan6}:fe/64`] },
          {
            namespace: gateway,
            device: "wan",
            addresses: [`${wan}.1/24`, `${wan}.11/24`, `${wan6}:1/64`, `${wan6}:11/64`],
          },
        ],
        [
          { namespace: gateway, device: "lan", addresses: [`${lan}.1/24`, `${lan6}:1/64`] },
          { namespace: host, device: "eth0", addresses: [`${lan}.2/24`, `${lan6}:2/64`] },
        ],
      ] as const,
      routes: [
        { to: `${lan}.0/24`, via: `${wan}.1` },
        { to: `${lan6}:/64`, via: `${wan6}:1` },
      ],
    };
  });
  const wire = { name: `${prefix}-wire`, forwards: true, routes: ends.flatMap((end) => end.routes) };
  return {
    ipv6: true,
    namespaces: [wire, ...ends.flatMap((end) => end.namespaces)],
    cables: ends.flatMap((end) => end.cables),
  };
}

/** The port, spoken to a data plane in another process. Events come as notices. */
function remotePlane(remote: RemoteProcess, capabilities: Capabilities): DataPlane {
  const call =
    (method: string) =>
    (...values: unknown[]) =>
      remote.call(method, ...values);
  return new Proxy({ capabilities } as DataPlane, {
    // A promise must not take the object for another promise.
    get: (target, name: string) =>
      name === "capabilities" ? target.capabilities : name === "then" ? undefined : call(name),
  });
}

interface Waiting {
  accepts(event: DataPlaneEvent): boolean;
  resolve(event: DataPlaneEvent): void;
}

class Gateway implements GatewayUnderTest {
  readonly outer: Record<Family, IpAddress>;
  readonly alternate: Record<Family, IpAddress>;
  readonly network: Record<Family, Prefix>;
  readonly self: HostUnderTest;
  readonly events: DataPlaneEvent[] = [];
  foreign?: NonNullable<GatewayUnderTest["foreign"]>;
  ike?: NonNullable<GatewayUnderTest["ike"]>;
  dataPlane!: DataPlane;
  readonly #waiting = new Set<Waiting>();
  #remote: RemoteProcess | undefined;

  constructor(
    readonly name: Side,
    readonly namespace: string,
    readonly module: string,
    readonly host: HostUnderTest,
  ) {
    const { wan, wan6, lan, lan6 } = SIDES[name];
    this.outer = both(`${wan}.1`, `${wan6}:1`);
    this.alternate = both(`${wan}.11`, `${wan6}:11`);
    this.self = {
      address: this.outer,
      echo: (request) => this.#remote?.call("echo", request) as ReturnType<HostUnderTest["echo"]>,
    };
    this.network = { 4: Prefix.parse(`${lan}.0/24`), 6: Prefix.parse(`${lan6}:/64`) };
  }

  async start(): Promise<void> {
    const place: GatewayPlace = { name: this.name, outer: [this.outer[4].toString(), this.outer[6].toString()] };
    const values = [this.module, JSON.stringify(place)];
    const remote = await RemoteProcess.start(this.namespace, script("gateway-process"), values, (notice) =>
      this.#received(notice as DataPlaneEvent),
    );
    this.#remote = remote;
    this.dataPlane = remotePlane(remote, (await remote.call("capabilities")) as Capabilities);
    if (await remote.call("hasIke")) this.ike = (to) => remote.call("ike", to) as Promise<boolean>;
    if (!(await remote.call("hasForeign"))) return;
    this.foreign = {
      add: () => remote.call("foreignAdd") as Promise<void>,
      count: () => remote.call("foreignCount") as Promise<number>,
      remove: () => remote.call("foreignRemove") as Promise<void>,
    };
  }

  #received(event: DataPlaneEvent): void {
    this.events.push(event);
    for (const waiting of this.#waiting) {
      if (!waiting.accepts(event)) continue;
      this.#waiting.delete(waiting);
      waiting.resolve(event);
    }
  }

  event<E extends DataPlaneEvent>(wanted: (event: DataPlaneEvent) => event is E, timeoutMs = 20_000): Promise<E> {
    const past = this.events.find(wanted);
    if (past) return Promise.resolve(past);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(waiting);
        reject(new Error(`${this.name}: no such event within ${timeoutMs} ms; seen: ${this.#seen()}`));
      }, timeoutMs);
      const waiting: Waiting = {
        accepts: wanted,
        resolve: (event) => {
          clearTimeout(timer);
          resolve(event as E);
        },
      };
      this.#waiting.add(waiting);
    });
  }

  #seen(): string {
    return this.events.map((event) => event.on).join(", ") || "nothing";
  }

  async reset(): Promise<void> {
    await this.dataPlane.flush();
    this.events.length = 0;
  }

  async crash(): Promise<void> {
    await this.#remote?.kill();
    await this.start();
  }

  async end(): Promise<void> {
    await this.#remote?.end();
  }
}

export interface PairOptions {
  /** Compiled file of a `GatewayModule`. */
  readonly gatewayModule: string;
}

let made = 0;

/** Two gateways with a host behind each, in namespaces that `close` removes. Needs root. */
export async function makePair(options: PairOptions): Promise<PairUnderTest> {
  const prefix = `sp${process.pid}x${made++}`;
  const plan = topology(prefix);
  await layOut(plan);
  const processes: { end(): Promise<void> }[] = [];
  const started = <P extends { end(): Promise<void> }>(process: P): P => {
    processes.push(process);
    return process;
  };
  const close = async () => {
    await Promise.all(processes.map((one) => one.end()));
    await remove(plan);
  };
  const side = async (name: Side) => {
    const { lan, lan6 } = SIDES[name];
    const host = started(await RemoteProcess.start(`${prefix}-${name}-host`, script("host-process")));
    const address = both(`${lan}.2`, `${lan6}:2`);
    const echo: HostUnderTest["echo"] = (request) => host.call("echo", request) as ReturnType<HostUnderTest["echo"]>;
    const gateway = started(new Gateway(name, `${prefix}-${name}`, options.gatewayModule, { address, echo }));
    await gateway.start();
    return gateway;
  };
  try {
    const watching = RemoteProcess.start(`${prefix}-wire`, script("wire-process"), ["left"]);
    const [left, right, watcher] = await Promise.all([side("left"), side("right"), watching]);
    started(watcher);
    const wire: WireUnderTest = {
      capture: () => watcher.call("capture") as Promise<void>,
      captured: () => watcher.call("captured") as Promise<Uint8Array[]>,
      inject: (packet) => watcher.call("inject", packet) as Promise<void>,
    };
    return { left, right, wire, close };
  } catch (error) {
    await close();
    throw error;
  }
}
