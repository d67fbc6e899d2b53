import { networkInterfaces } from "node:os";
import { IpAddress, type Prefix } from "@sallyport/base";
import type { Capabilities } from "@sallyport/dataplane";
import type { DataPlaneOp, Failure, IkeConfig } from "@sallyport/ike";
import { type Credential, type GatewayIntent, type LocalFacts, toIkeConfig } from "@sallyport/intent";
import { fault } from "../faults.js";
import { checkCapabilities } from "./capability.js";
import type { ConfigOutcome } from "./engine-host.js";
import { localAddressFor, resolveHost } from "./locate.js";
import type { Logger } from "./log.js";

export interface ApplierOptions {
  readonly configure: (config: IkeConfig) => Promise<ConfigOutcome>;
  readonly capabilities: Capabilities;
  /** The certificate and key that an intent names. */
  readonly credential: (intent: GatewayIntent) => Credential | undefined;
  readonly log: Logger;
}

/** Facts are looked at anew this often: names move, addresses come and go. Sooner while something is missing. */
const REFRESH_MS = 30_000;
const REFRESH_MISSING_MS = 2_000;

/** Makes an intent this gateway's configuration. One at a time; a refused one leaves the last good one in force. */
export class IntentApplier {
  #current: GatewayIntent | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #missing = new Set<string>();

  constructor(private readonly options: ApplierOptions) {}

  get current(): GatewayIntent | undefined {
    return this.#current;
  }

  /**
   * Throws `agent/unsupported-proposal`, `agent/data-plane-refused` (with field, value and the kernel's word) and what `toIkeConfig`
   * throws; then nothing has changed.
   */
  apply(intent: GatewayIntent): Promise<void> {
    return this.#alone(async () => {
      checkCapabilities(intent, this.options.capabilities);
      const before = this.#current;
      const { failures } = await this.options.configure(await this.#config(intent));
      const [first] = failures;
      if (first) {
        if (before) await this.options.configure(await this.#config(before));
        else await this.options.configure(await this.#config({ ...intent, connections: [] }));
        throw refusal(intent, first);
      }
      this.#current = intent;
    });
  }

  /** Looks at names and addresses anew. */
  refresh(): Promise<void> {
    return this.#alone(async () => {
      if (this.#current) await this.options.configure(await this.#config(this.#current));
    });
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #alone<T>(action: () => Promise<T>): Promise<T> {
    const mine = this.#tail.then(action);
    this.#tail = mine.catch(() => {});
    return mine;
  }

  async #config(intent: GatewayIntent): Promise<IkeConfig> {
    const { config, missing } = toIkeConfig(intent, await this.#facts(intent));
    for (const [id, why] of missing) {
      if (!this.#missing.has(id)) this.options.log.warn({ tunnel: id, code: why.code, field: why.field }, why.message);
    }
    this.#missing = new Set(missing.keys());
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.refresh().catch((err: unknown) => this.options.log.error({ err }, "looking at the network anew failed"));
      },
      missing.size > 0 ? REFRESH_MISSING_MS : REFRESH_MS,
    ).unref();
    return config;
  }

  async #facts(intent: GatewayIntent): Promise<LocalFacts> {
    const hosts = [...new Set(intent.connections.flatMap((c) => c.remote.host ?? []))];
    const resolved = new Map<string, IpAddress>();
    const locals = new Map<string, IpAddress>();
    await Promise.all(
      hosts.map(async (host) => {
        const [address] = await resolveHost(host).catch(() => []);
        if (!address) return;
        resolved.set(host, address);
        const local = await localAddressFor(address).catch(() => undefined);
        if (local) locals.set(address.toString(), local);
      }),
    );
    return {
      credential: this.options.credential(intent),
      resolved,
      localAddress: (remote) => locals.get(remote.toString()),
      ownAddresses: Object.values(networkInterfaces()).flatMap((list) =>
        (list ?? []).filter((a) => !a.scopeid && !isLoopback(a.address)).map((a) => IpAddress.parse(a.address)),
      ),
      forcesEncapsulation: this.options.capabilities.forcesEncapsulation,
    };
  }
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
      const k = child.remoteSubnets.findIndex((s) => wanted.has(s));
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
