import { randomUUIDv7 } from "node:crypto";
import { Injectable } from "@nestjs/common";
import { Fault, faultTable, isFault } from "@sallyport/base";
import { compileEach, type FleetModel, listTunnels, overlapFault, overlapsIn } from "@sallyport/intent";
import type { Tx } from "../../platform/database/database.js";
import { inPages } from "../../platform/database/pages.js";
import { inSlices } from "../../platform/slices.js";
import { SecretService } from "../secrets/secret.service.js";
import { FleetStore } from "./fleet.store.js";
import { Prover } from "./prover.js";

/** Where the thing being written stands in the caller's input, so that a fault names the caller's field. */
export interface Entered {
  /** Id of the site, gateway, network, external peer or address pool that was just written. Its tunnels are proved. */
  readonly ownerId: string;
  /** Where its prefixes stand, e.g. `input.subnets`. */
  readonly subnetsField?: string;
  /** Paths of the model, as compile's and the proof's faults name them, by the field of the input to show instead. */
  readonly fields?: readonly (readonly [pattern: RegExp, field: string])[];
}

interface OverlapRow {
  readonly place: number;
  readonly prefix: string;
  readonly site: string | null;
  readonly peer: string | null;
}

/** The code is libs/intent's, which finds the same in a model. */
const fault = faultTable({ "intent/overlap": { retry: false, expose: true } });

/** Looks at the fleet as it would be after a change that is not committed yet. */
@Injectable()
export class Planner {
  constructor(
    private readonly fleets: FleetStore,
    private readonly prover: Prover,
    private readonly secrets: SecretService,
  ) {}

  /**
   * Refuses a change after which prefixes overlap, intents do not compile, or a tunnel of what was entered would not come up; then brings
   * the organization's tunnels in line with the model.
   * @throws intent/overlap, intent/unreachable, intent/would-not-negotiate and what else `compile` throws
   */
  async settle(tx: Tx, organizationId: string, entered?: Entered): Promise<FleetModel> {
    const loaded = await this.fleets.load(tx, organizationId);
    const model = (await this.#keepTunnelKeys(tx, organizationId, loaded))
      ? await this.fleets.load(tx, organizationId)
      : loaded;
    try {
      const [first] = await inSlices(overlapsIn(model));
      if (first) throw overlapFault(first, first.a.id === entered?.ownerId ? "a" : "b");
      await inSlices(compileEach(model));
      if (entered) await this.prover.proveOwnedBy(model, entered.ownerId);
    } catch (error) {
      throw isFault(error) && entered ? renamed(error, model, entered) : error;
    }
    await this.#keepTunnels(tx, organizationId, model);
    return model;
  }

  /**
   * Refuses prefixes that overlap another of the organization, before they are written. With `settle`, which sees what overlaps
   * after the writing, two equal prefixes would already have met the table's own constraint.
   * @throws intent/overlap with field, value and, in `facts`, the other's owner
   */
  async refuseOverlaps(tx: Tx, organizationId: string, prefixes: readonly string[], field: string): Promise<void> {
    const rows = await tx.$queryRaw<OverlapRow[]>`
      SELECT w.place::int - 1 AS place, s.prefix::text AS prefix, t.name AS site, p.name AS peer
      FROM unnest(${prefixes}::inet[]) WITH ORDINALITY AS w (prefix, place)
      JOIN subnets s ON s.prefix && w.prefix AND s.organization_id = ${organizationId}::uuid
      LEFT JOIN sites t ON t.id = s.site_id
      LEFT JOIN external_peers p ON p.id = s.external_peer_id
      ORDER BY w.place, s.prefix LIMIT 1`;
    const [row] = rows;
    if (!row) return;
    const value = prefixes[row.place] ?? "";
    const owner = row.site === null ? `external peer "${row.peer}"` : `site "${row.site}"`;
    throw fault("intent/overlap", `${value} overlaps ${row.prefix} of ${owner}`, {
      field: `${field}[${row.place}]`,
      value,
      expected: `a prefix that does not overlap ${row.prefix} of ${owner}`,
      facts: { other: `${owner} (${row.prefix})` },
    });
  }

  /** Every tunnel of a network with pre-shared keys has one, and no other tunnel; whether something had to be changed for that. */
  async #keepTunnelKeys(tx: Tx, organizationId: string, model: FleetModel): Promise<boolean> {
    const keyed = new Set(model.networks.flatMap(({ id, auth }) => (auth === "psk" ? [id] : [])));
    const present = new Set(model.tunnelKeys?.keys());
    if (keyed.size === 0 && present.size === 0) return false;
    const ofKeyed = listTunnels(model).filter(({ from }) => from.kind === "network" && keyed.has(from.networkId));
    const wanted = new Set(ofKeyed.map(({ id }) => id));
    const gone = [...present].filter((key) => !wanted.has(key));
    const missing = [...wanted].filter((key) => !present.has(key));
    if (gone.length > 0) await tx.secret.deleteMany({ where: { organizationId, tunnelKey: { in: gone } } });
    for (const tunnelKey of missing) {
      await this.secrets.createTunnelKey(tx, organizationId, { id: randomUUIDv7(), tunnelKey });
    }
    return gone.length + missing.length > 0;
  }

  async #keepTunnels(tx: Tx, organizationId: string, model: FleetModel): Promise<void> {
    const wanted = new Map(listTunnels(model).map((t) => [t.id, t]));
    const present = await inPages(({ after, page }) =>
      tx.tunnel.findMany({
        where: { organizationId, ...after },
        ...page,
        select: { id: true, key: true, name: true, leftGatewayId: true, rightGatewayId: true },
      }),
    );
    const gone = present.filter((row) => {
      const tunnel = wanted.get(row.key);
      return !tunnel || tunnel.a !== row.leftGatewayId || (tunnel.b ?? null) !== row.rightGatewayId;
    });
    if (gone.length > 0)
      await tx.tunnel.deleteMany({ where: { organizationId, id: { in: gone.map((row) => row.id) } } });
    const kept = new Map(present.map((row) => [row.key, row]));
    for (const { key } of gone) kept.delete(key);
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

/** The same fault with the caller's own field. */
function renamed(error: Fault, model: FleetModel, { ownerId, subnetsField, fields = [] }: Entered): Fault {
  const place = /^(sites|externalPeers|pools)\[(\d+)\]\.(?:subnets|remoteSubnets|addresses)\[(\d+)\]$/.exec(
    error.field ?? "",
  );
  if (place && subnetsField !== undefined) {
    const owner = model[place[1] as "sites" | "externalPeers" | "pools"]?.[Number(place[2])];
    if (owner?.id === ownerId) return withField(error, `${subnetsField}[${place[3]}]`);
  }
  const [, field] = fields.find(([pattern]) => pattern.test(error.field ?? "")) ?? [];
  return field === undefined ? error : withField(error, field);
}

function withField(error: Fault, field: string): Fault {
  const { code, message, policy, value, facts, cause } = error;
  const expected = error.expected ?? (facts.theirs ? `what the other end accepts: ${facts.theirs}` : undefined);
  return new Fault(code, message, policy, {
    field,
    ...(value === undefined ? {} : { value }),
    ...(expected === undefined ? {} : { expected }),
    facts,
    cause,
  });
}
