import { Injectable } from "@nestjs/common";
import { Fault, isFault } from "@sallyport/base";
import { compileAll, type FleetModel, findOverlaps, listTunnels, overlapFault } from "@sallyport/intent";
import type { Tx } from "../../platform/database/database.js";
import { FleetStore } from "./fleet.store.js";

/** Where the thing being written stands in the caller's input, so that a fault names the caller's field. */
export interface Entered {
  /** Id of the site or external peer whose prefixes were just entered. */
  readonly ownerId: string;
  /** E.g. `subnets`. */
  readonly subnetsField: string;
  /** Paths of the model, as compile's and the proof's faults name them, by the field of the input to show instead. */
  readonly fields?: readonly (readonly [pattern: RegExp, field: string])[];
}

/** Looks at the fleet as it would be after a change that is not committed yet. */
@Injectable()
export class Planner {
  constructor(private readonly fleets: FleetStore) {}

  /**
   * Refuses a change after which prefixes overlap, intents do not compile, or a tunnel of `prove` would not come up; then brings
   * the organization's tunnels in line with the model.
   * @throws intent/overlap, intent/unreachable, intent/would-not-negotiate and what else `compile` throws
   */
  async settle(tx: Tx, organizationId: string, entered?: Entered): Promise<FleetModel> {
    const model = await this.fleets.load(tx, organizationId);
    try {
      refuseOverlaps(model, entered?.ownerId);
      compileAll(model);
    } catch (error) {
      throw isFault(error) && entered ? renamed(error, model, entered) : error;
    }
    await this.#keepTunnels(tx, organizationId, model);
    return model;
  }

  async #keepTunnels(tx: Tx, organizationId: string, model: FleetModel): Promise<void> {
    const wanted = new Map(listTunnels(model).map((t) => [t.id, t]));
    const present = await tx.tunnel.findMany({
      where: { organizationId },
      select: { id: true, key: true, name: true, leftGatewayId: true, rightGatewayId: true },
    });
    const gone = present.filter((row) => {
      const tunnel = wanted.get(row.key);
      return !tunnel || tunnel.a !== row.leftGatewayId || (tunnel.b ?? null) !== row.rightGatewayId;
    });
    if (gone.length > 0)
      await tx.tunnel.deleteMany({ where: { organizationId, id: { in: gone.map((row) => row.id) } } });
    const kept = new Map(present.filter((row) => !gone.includes(row)).map((row) => [row.key, row]));
    for (const tunnel of wanted.values()) {
      const row = kept.get(tunnel.id);
      if (row) {
        if (row.name !== tunnel.name) {
          await tx.tunnel.update({
            where: { organizationId, id: row.id },
            data: { name: tunnel.name },
            select: { id: true },
          });
        }
        continue;
      }
      const ends = [tunnel.a, ...(tunnel.b === undefined ? [] : [tunnel.b])];
      await tx.tunnel.create({
        data: {
          organizationId,
          key: tunnel.id,
          name: tunnel.name,
          networkId: tunnel.from.kind === "network" ? tunnel.from.networkId : null,
          externalPeerId: tunnel.from.kind === "external" ? tunnel.from.peerId : null,
          leftGatewayId: tunnel.a,
          rightGatewayId: tunnel.b ?? null,
          ends: { create: ends.map((gatewayId) => ({ organizationId, gatewayId })) },
        },
        select: { id: true },
      });
    }
  }
}

function refuseOverlaps(model: FleetModel, ownerId: string | undefined): void {
  const [first] = findOverlaps(model);
  if (first) throw overlapFault(first, first.a.id === ownerId ? "a" : "b");
}

/** The same fault with the caller's own field. */
function renamed(error: Fault, model: FleetModel, { ownerId, subnetsField, fields = [] }: Entered): Fault {
  const place = /^(sites|externalPeers)\[(\d+)\]\.(?:subnets|remoteSubnets)\[(\d+)\]$/.exec(error.field ?? "");
  if (place) {
    const owner = (place[1] === "sites" ? model.sites : model.externalPeers)[Number(place[2])];
    if (owner?.id === ownerId) return withField(error, `${subnetsField}[${place[3]}]`);
  }
  const [, field] = fields.find(([pattern]) => pattern.test(error.field ?? "")) ?? [];
  return field === undefined ? error : withField(error, field);
}

function withField(error: Fault, field: string): Fault {
  const { code, message, policy, value, expected, facts, cause } = error;
  return new Fault(code, message, policy, {
    field,
    ...(value === undefined ? {} : { value }),
    ...(expected === undefined ? {} : { expected }),
    facts,
    cause,
  });
}
