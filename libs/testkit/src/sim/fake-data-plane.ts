import { Fault } from "@sallyport/base";
import type { PolicySpec, RouteSpec, SaId, SaSpec, SaState, SourceNatSpec } from "@sallyport/dataplane";
import type { DataPlaneOp } from "@sallyport/ike";

function idText(id: Pick<SaId, "destination" | "spi">): string {
  return `${id.destination}/${id.spi.toString(16)}`;
}

function policyKey({ direction, selector: s }: Pick<PolicySpec, "direction" | "selector">): string {
  const [from, to] = [
    `${s.sourcePort ?? "*"}/${s.sourcePortBits}`,
    `${s.destinationPort ?? "*"}/${s.destinationPortBits}`,
  ];
  return `${direction} ${s.source}[${from}] ${s.destination}[${to}] ${s.protocol}`;
}

function natKey({ source, destination, to }: SourceNatSpec): string {
  return `${source} > ${destination} ${to ? `as ${to}` : "held back"}`;
}

function refused(message: string, field: string): Fault {
  return new Fault("dataplane/refused", message, { retry: false, expose: true }, { field, value: "EEXIST" });
}

/** Keys are overwritten once they are handed over. */
function ownCopy(sa: SaSpec): SaSpec {
  const { encryption, integrity } = sa;
  return {
    ...sa,
    encryption: { ...encryption, key: Uint8Array.from(encryption.key) },
    ...(integrity && { integrity: { ...integrity, key: Uint8Array.from(integrity.key) } }),
  };
}

/** A data plane that only keeps books, and refuses what a kernel would. */
export class FakeDataPlane {
  readonly sas = new Map<string, SaSpec>();
  readonly policies = new Map<string, PolicySpec>();
  readonly routes = new Map<string, RouteSpec>();
  readonly addresses = new Set<string>();
  readonly nats = new Set<string>();
  readonly reserved = new Set<string>();
  /** Packets that came, by inbound SPI. */
  readonly arrived = new Map<number, number>();
  /** Ops in order, for tests about order. */
  readonly log: string[] = [];
  /** Throws in the place of an operation. */
  refuse: ((op: DataPlaneOp) => Fault | undefined) | undefined;
  #spi = 0x1000;

  run(op: DataPlaneOp): unknown {
    this.log.push(op.op);
    const fault = this.refuse?.(op);
    if (fault) throw fault;
    switch (op.op) {
      case "allocateSpi":
        this.reserved.add(idText({ ...op.args[0], spi: ++this.#spi }));
        return this.#spi;
      case "installSa":
        return this.#install(op.args[0]);
      case "moveSa":
        return this.#move(op.args[0], op.args[1]);
      case "removeSa":
        this.reserved.delete(idText(op.args[0]));
        this.sas.delete(idText(op.args[0]));
        return undefined;
      case "querySa":
        return this.listSas().find((sa) => idText(sa) === idText(op.args[0]));
      case "installPolicy":
        this.policies.set(policyKey(op.args[0]), op.args[0]);
        return undefined;
      case "removePolicy":
        if (!this.policies.delete(policyKey({ direction: op.args[0], selector: op.args[1] }))) {
          throw refused("no such policy", "selector");
        }
        return undefined;
      case "installRoute":
        this.routes.set(op.args[0].destination.toString(), op.args[0]);
        return undefined;
      case "removeRoute":
        this.routes.delete(op.args[0].destination.toString());
        return undefined;
      case "installAddress":
        this.addresses.add(op.args[0].address.toString());
        return undefined;
      case "removeAddress":
        this.addresses.delete(op.args[0].address.toString());
        return undefined;
      case "installSourceNat":
        this.nats.add(natKey(op.args[0]));
        return undefined;
      case "removeSourceNat":
        this.nats.delete(natKey(op.args[0]));
        return undefined;
    }
  }

  #install(sa: SaSpec): void {
    const id = idText(sa);
    if (this.sas.has(id)) throw refused(`SA ${id} is there already`, "spi");
    if (sa.direction === "in" && !this.reserved.delete(id)) throw refused(`SPI ${sa.spi} was not reserved`, "spi");
    this.sas.set(id, ownCopy(sa));
  }

  #move(id: SaId, to: Pick<SaSpec, "source" | "destination" | "encapsulation">): void {
    const sa = this.sas.get(idText(id));
    if (!sa) throw refused(`no SA ${idText(id)}`, "spi");
    const { encapsulation: _, ...rest } = sa;
    this.sas.delete(idText(id));
    this.sas.set(idText({ destination: to.destination, spi: id.spi }), { ...rest, ...to });
  }

  /** What an adapter's `adopt` gives. */
  listSas(): SaState[] {
    return [...this.sas.values()].map(
      ({ destination, source, protocol, spi, direction, mode, reqid, replayWindow }) => ({
        ...{ destination, source, protocol, spi, direction, mode, reqid, replayWindow },
        bytes: 0n,
        packets: BigInt(this.arrived.get(spi) ?? 0),
        replayed: 0,
        integrityFailures: 0,
        outOfWindow: 0,
        ageSeconds: 0,
        idleSeconds: undefined,
        sequence: 0n,
      }),
    );
  }

  inbound(): SaSpec[] {
    return [...this.sas.values()].filter((sa) => sa.direction === "in");
  }

  outbound(): SaSpec[] {
    return [...this.sas.values()].filter((sa) => sa.direction === "out");
  }

  /** The SA that a packet would leave on: the newest of the policy's reqid. */
  sending(reqid: number): SaSpec | undefined {
    return this.outbound()
      .filter((sa) => sa.reqid === reqid)
      .at(-1);
  }
}
