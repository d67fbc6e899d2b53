import { networkInterfaces } from "node:os";
import { type Clock, type Fault, IpAddress, Prefix } from "@sallyport/base";
import type { DataPlane } from "@sallyport/dataplane";
import { type DataPlaneOp, type Failure, type IkeConfig, NOTHING_DECIDED } from "@sallyport/ike";
import { diffIntent, type GatewayIntent, type LocalFacts, toIkeConfig } from "@sallyport/intent";
import { fault } from "../faults.js";
import { checkCapabilities } from "./capability.js";
import type { ConfigOutcome } from "./engine-host.js";
import { localAddressFor, resolveHost } from "./locate.js";
import type { Logger } from "./log.js";

export interface Missing {
  readonly why: Fault;
  readonly at: number;
}

export interface ApplierOptions {
  readonly configure: (config: IkeConfig) => Promise<ConfigOutcome>;
  readonly dataPlane: Pick<DataPlane, "capabilities" | "tryAlgorithm">;
  readonly credential: LocalFacts["credential"];
  /** Addresses that peers gave this gateway, which come and go with their tunnels. */
  readonly virtual?: () => readonly IpAddress[];
  readonly clock: Clock;
  readonly log: Logger;
  /** Whom to ask where a peer is and whence to call it; the system when absent. */
  readonly network?: { readonly resolveHost: typeof resolveHost; readonly localAddressFor: typeof localAddressFor };
  /** The intent without those who are let in no more; asked for whenever something is configured. Absent: all of it. */
  readonly admitted?: (intent: GatewayIntent) => GatewayIntent;
  /** Whether a connection has an IKE SA with its peer that answers as far as is known; then it is asked whether it still does. */
  readonly stands?: (connectionId: string) => boolean;
  /** What is missing may have changed. */
  readonly onMissing: () => void;
}

/** Facts are looked at anew this often: names move, addresses come and go. Sooner while something is missing. */
const REFRESH_MS = 30_000;
const REFRESH_MISSING_MS = 2_000;
/** Names that are looked up at the same time. */
const LOOKUPS = 16;

/** Makes an intent this gateway's configuration. One at a time; a refused one leaves the last good one in force. */
export class IntentApplier {
  #current: GatewayIntent | undefined;
  /** What was configured last, which may be on its way to be `#current`. */
  #configured: { readonly intent: GatewayIntent; readonly facts: LocalFacts } | undefined;
  #closed = false;
  #tail: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #refreshAt = Number.POSITIVE_INFINITY;
  #missing = new Map<string, Missing>();
  /** The last answers, for when name service or routing table has none for a moment: no tunnel may fall for that. */
  readonly #addresses = new Map<string, IpAddress>();
  readonly #locals = new Map<string, IpAddress>();

  constructor(private readonly options: ApplierOptions) {}

  get current(): GatewayIntent | undefined {
    return this.#current;
  }

  /** Connections that cannot be set up, or only to answer, by id: why, and since when by the engine's clock. */
  get missing(): ReadonlyMap<string, Missing> {
    return this.#missing;
  }

  /**
   * Throws `agent/unsupported-proposal`, `agent/data-plane-refused` (with field, value and the kernel's word) and what `toIkeConfig`
   * throws; then nothing has changed.
   */
  apply(intent: GatewayIntent): Promise<void> {
    return this.#alone(async () => {
      await checkCapabilities(intent, this.options.dataPlane);
      const before = this.#current;
      const { failures } = await this.#configure(intent);
      const [first] = failures;
      if (first) {
        await (before ? this.#configure(before) : this.#configureNothing());
        throw refusal(intent, first);
      }
      if (before) this.#tellDiff(before, intent);
      this.#current = intent;
    });
  }

  /** Back to no intent at all. */
  clear(): Promise<void> {
    return this.#alone(async () => {
      clearTimeout(this.#timer);
      this.#current = undefined;
      this.#missing = new Map();
      await this.#configureNothing();
    });
  }

  /** Looks at names and addresses anew. */
  refresh(): Promise<void> {
    return this.#alone(async () => {
      if (this.#current) await this.#configure(this.#current);
    });
  }

  /** Somebody is let in no more, or again. Waits for nothing that is being looked up or applied; resolves when it is in force. */
  async admitAnew(): Promise<void> {
    if (this.#configured) await this.options.configure(this.#config(this.#configured));
  }

  async #configure(intent: GatewayIntent): Promise<ConfigOutcome> {
    this.#configured = { intent, facts: await this.#facts(intent) };
    return this.options.configure(this.#config(this.#configured));
  }

  #configureNothing(): Promise<ConfigOutcome> {
    this.#configured = undefined;
    return this.options.configure(NOTHING_DECIDED);
  }

  /** What a new intent changes, for the log. */
  #tellDiff(before: GatewayIntent, after: GatewayIntent): void {
    for (const { id, name, change, impact, fields, children } of diffIntent(before, after).connections) {
      const changed = [
        ...fields.map((c) => c.field),
        ...children.flatMap((c) => c.fields.map((x) => `${c.name}: ${x.field}`)),
      ];
      this.options.log.info({ tunnel: id, change, impact, fields: changed }, `${name}: ${change}, ${impact}`);
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #alone<T>(action: () => Promise<T>): Promise<T> {
    const mine = this.#tail.then(action);
    this.#tail = mine.catch(() => {});
    return mine;
  }

  #config({ intent, facts }: { readonly intent: GatewayIntent; readonly facts: LocalFacts }): IkeConfig {
    const { config, missing } = toIkeConfig(this.options.admitted?.(intent) ?? intent, facts);
    const before = this.#missing;
    this.#missing = new Map(
      [...missing].map(([id, why]) => [id, before.get(id) ?? { why, at: this.options.clock.now() }]),
    );
    for (const [id, { why }] of this.#missing) {
      if (!before.has(id)) this.options.log.warn({ tunnel: id, code: why.code, field: why.field }, why.message);
    }
    if (before.size > 0 || missing.size > 0) this.options.onMissing();
    this.#refreshIn(missing.size > 0 ? REFRESH_MISSING_MS : REFRESH_MS);
    return config;
  }

  /** A peer does not answer: it may have another address by now (PEER-01). */
  doubt(): void {
    if (this.#refreshAt - this.options.clock.now() > REFRESH_MISSING_MS) this.#refreshIn(REFRESH_MISSING_MS);
  }

  #refreshIn(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#refreshAt = this.options.clock.now() + ms;
    this.#timer = setTimeout(() => {
      this.#refreshAt = Number.POSITIVE_INFINITY;
      this.refresh().catch((err: unknown) => this.options.log.error({ err }, "looking at the network anew failed"));
    }, ms).unref();
  }

  async #facts(intent: GatewayIntent): Promise<LocalFacts> {
    const hosts = [...new Set(intent.connections.flatMap((c) => c.remote.host ?? []))];
    for (const host of this.#addresses.keys()) if (!hosts.includes(host)) this.#addresses.delete(host);
    for (let i = 0; i < hosts.length; i += LOOKUPS) {
      await Promise.all(hosts.slice(i, i + LOOKUPS).map((host) => this.#locate(host, intent)));
    }
    const inUse = new Set([...this.#addresses.values()].map(String));
    for (const address of this.#locals.keys()) if (!inUse.has(address)) this.#locals.delete(address);
    return {
      credential: this.options.credential,
      resolved: this.#addresses,
      localAddress: (remote) => this.#locals.get(remote.toString()),
      ...ownNetwork(this.options.virtual?.() ?? []),
      forcesEncapsulation: this.options.dataPlane.capabilities.forcesEncapsulation,
    };
  }

  /**
   * An address that is still among the name's stays, whatever order they come in. One that is not stays as long as a tunnel to it
   * answers: the peer has proved itself there, and name service proves nothing (hostile input 27).
   */
  async #locate(host: string, intent: GatewayIntent): Promise<void> {
    const network = this.options.network ?? { resolveHost, localAddressFor };
    const found = await network.resolveHost(host).catch(() => []);
    const known = this.#addresses.get(host);
    const listed = found.find((a) => known?.equals(a));
    const stays = known && (listed !== undefined || found.length === 0 || this.#stands(host, intent));
    const address = stays ? known : found[0];
    if (!address) return;
    if (known && !known.equals(address)) this.options.log.info({ host, from: known, to: address }, `${host} has moved`);
    this.#addresses.set(host, address);
    const local = await network.localAddressFor(address).catch(() => undefined);
    if (local) this.#locals.set(address.toString(), local);
  }

  #stands(host: string, { connections }: GatewayIntent): boolean {
    const concerned = connections.filter((c) => c.remote.host === host);
    return concerned.filter((c) => this.options.stands?.(c.id)).length > 0;
  }
}

/** The gateway's addresses but for those that peers gave it, and the networks of more than one address that they are in. */
function ownNetwork(virtual: readonly IpAddress[]): Pick<LocalFacts, "ownAddresses" | "ownNetworks"> {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const given = new Set(virtual.map(String));
  const own = all.filter((a) => !a.scopeid && !isLoopback(a.address) && !given.has(a.address));
  return {
    ownAddresses: own.map((a) => IpAddress.parse(a.address)),
    ownNetworks: own.flatMap(({ address, cidr }) => {
      const length = Number(cidr?.split("/")[1]);
      const parsed = IpAddress.parse(address);
      return length < parsed.bytes.length * 8 ? [Prefix.of(parsed, length)] : [];
    }),
  };
}

/** Other addresses of the loopback device are this gateway's own as much as any. */
const isLoopback = (address: string) => address === "::1" || address.startsWith("127.");

/** The field of the intent that led to a data plane call. */
function fieldOf(intent: GatewayIntent, op: DataPlaneOp): string {
  const wanted = new Set<string>();
  const add = (prefix: Prefix) => wanted.add(prefix.toString());
  if (op.op === "installPolicy") [op.args[0].selector.source, op.args[0].selector.destination].forEach(add);
  else if (op.op === "installRoute") add(op.args[0].destination);
  for (const [i, connection] of intent.connections.entries()) {
    for (const [j, child] of connection.children.entries()) {
      const k = child.remoteSubnets.findIndex((s) => wanted.has(s.replace(/\[.*/, "")));
      if (k >= 0) return `connections[${i}].children[${j}].remoteSubnets[${k}]`;
    }
  }
  return "connections";
}

function refusal(intent: GatewayIntent, failure: Failure & { readonly op: DataPlaneOp }) {
  return fault("agent/data-plane-refused", failure.message, {
    field: fieldOf(intent, failure.op),
    ...(failure.value === undefined ? {} : { value: failure.value }),
    facts: { call: failure.op.op, code: failure.code },
  });
}
