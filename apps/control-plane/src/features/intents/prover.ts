import { createHash } from "node:crypto";
import { setImmediate as breathe } from "node:timers/promises";
import { Injectable } from "@nestjs/common";
import type { Fault } from "@sallyport/base";
import {
  compile,
  type FleetModel,
  type GatewayIntent,
  listTunnels,
  prove,
  proveExternal,
  serializeIntent,
  type TunnelModel,
} from "@sallyport/intent";

const MAX_KNOWN = 20_000;
/** So many tunnels of one change are proved before it is committed; the job proves the others before it pushes. */
const MAX_AT_ONCE = 16;

export interface RefusedTunnel {
  readonly tunnel: TunnelModel;
  readonly fault: Fault;
}

/** Lets the real engines of both ends negotiate in memory, once for each pair of connections. */
@Injectable()
export class Prover {
  /** Digests of pairs that were proved. The first in is the first out. */
  readonly #known = new Set<string>();

  /**
   * Proves the tunnels of a site, a gateway, a network or an external peer.
   * @throws intent/would-not-negotiate for the first that would not come up
   */
  proveOwnedBy(model: FleetModel, ownerId: string): void {
    const gateways = new Set(model.gateways.filter((g) => g.siteId === ownerId || g.id === ownerId).map((g) => g.id));
    const owned = listTunnels(model).filter(
      ({ a, b, from }) =>
        gateways.has(a) ||
        (b !== undefined && gateways.has(b)) ||
        ownerId === (from.kind === "network" ? from.networkId : from.peerId),
    );
    for (const tunnel of owned.slice(0, MAX_AT_ONCE)) {
      const fault = this.#prove(model, tunnel, (id) => compile(model, id));
      if (fault) throw fault;
    }
  }

  /** Those of the given gateways' tunnels that would not come up. Lets other work run in between. */
  async refused(
    model: FleetModel,
    intents: ReadonlyMap<string, GatewayIntent>,
    gatewayIds: ReadonlySet<string>,
  ): Promise<RefusedTunnel[]> {
    const found: RefusedTunnel[] = [];
    const intentOf = (id: string) => intents.get(id) ?? compile(model, id);
    for (const tunnel of listTunnels(model)) {
      if (!gatewayIds.has(tunnel.a) && !(tunnel.b !== undefined && gatewayIds.has(tunnel.b))) continue;
      const fault = this.#prove(model, tunnel, intentOf);
      if (fault) found.push({ tunnel, fault });
      await breathe();
    }
    return found;
  }

  #prove(model: FleetModel, tunnel: TunnelModel, intentOf: (id: string) => GatewayIntent): Fault | undefined {
    const a = only(intentOf(tunnel.a), tunnel.id);
    const b = tunnel.b === undefined ? undefined : only(intentOf(tunnel.b), tunnel.id);
    const { from } = tunnel;
    const declared =
      from.kind === "external" ? model.externalPeers.find((p) => p.id === from.peerId)?.declared : undefined;
    const digest = createHash("sha256")
      .update(serializeIntent(a))
      .update(b ? serializeIntent(b) : JSON.stringify(declared ?? null))
      .digest("base64");
    if (this.#known.has(digest)) return undefined;
    const proof = b ? prove(a, b, tunnel.id) : proveExternal(a, tunnel.id, declared);
    if (!proof.ok) return proof.fault;
    this.#known.add(digest);
    const [oldest] = this.#known;
    if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    return undefined;
  }
}

/** What the proof of one connection depends on: its number and its neighbours do not matter. */
function only(intent: GatewayIntent, connectionId: string): GatewayIntent {
  const { certificate: _, ...rest } = intent;
  return { ...rest, revision: 0, connections: intent.connections.filter((c) => c.id === connectionId) };
}
