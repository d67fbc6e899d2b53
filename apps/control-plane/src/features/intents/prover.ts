import { createHash } from "node:crypto";
import { Injectable } from "@nestjs/common";
import type { Fault } from "@sallyport/base";
import {
  compile,
  type DeclaredPeer,
  type FleetModel,
  type GatewayIntent,
  listTunnels,
  prove,
  proveExternal,
  serializeIntent,
  type TunnelModel,
} from "@sallyport/intent";
import { Slice } from "../../platform/slices.js";

const MAX_KNOWN = 20_000;
/** So many tunnels of one change are proved before it is committed; the job proves the others before it pushes. */
const MAX_AT_ONCE = 16;

/** A tunnel as it would be: what its proof depends on, and nothing else. */
export interface Claim {
  readonly tunnel: TunnelModel;
  readonly a: GatewayIntent;
  /** Undefined: an external peer, of whom only `declared` is known. */
  readonly b: GatewayIntent | undefined;
  readonly declared: DeclaredPeer | undefined;
  readonly digest: string;
}

/** Why tunnels would not come up, undefined for those that would, by the digest of their claim. */
export type Verdicts = ReadonlyMap<string, Fault | undefined>;

/** Lets the real engines of both ends negotiate in memory, once for each pair of connections. */
@Injectable()
export class Prover {
  /** Digests of pairs that were proved. The first in is the first out. */
  readonly #known = new Set<string>();

  /**
   * Proves the tunnels of a site, a gateway, a network or an external peer.
   * @throws intent/would-not-negotiate for the first that would not come up
   */
  async proveOwnedBy(model: FleetModel, ownerId: string): Promise<void> {
    const gateways = new Set(model.gateways.filter((g) => g.siteId === ownerId || g.id === ownerId).map((g) => g.id));
    const owned = listTunnels(model).filter(
      ({ a, b, from }) =>
        gateways.has(a) ||
        (b !== undefined && gateways.has(b)) ||
        ownerId === (from.kind === "network" ? from.networkId : from.peerId),
    );
    const slice = new Slice();
    for (const tunnel of owned.slice(0, MAX_AT_ONCE)) {
      const fault = this.#judge(claimOf(model, tunnel, (id) => compile(model, id)));
      if (fault) throw fault;
      if (slice.isOver) await slice.next();
    }
  }

  /** A few milliseconds for each that was not proved before. Lets other work run in between, so never call it with a lock held. */
  async judge(claims: readonly Claim[]): Promise<Verdicts> {
    const verdicts = new Map<string, Fault | undefined>();
    const slice = new Slice();
    for (const claim of claims) {
      verdicts.set(claim.digest, this.#judge(claim));
      if (slice.isOver) await slice.next();
    }
    return verdicts;
  }

  #judge({ tunnel, a, b, declared, digest }: Claim): Fault | undefined {
    if (this.#known.has(digest)) return undefined;
    const proof = b ? prove(a, b, tunnel.id) : proveExternal(a, tunnel.id, declared);
    if (!proof.ok) return proof.fault;
    this.#known.add(digest);
    const [oldest] = this.#known;
    if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    return undefined;
  }
}

export function claimOf(model: FleetModel, tunnel: TunnelModel, intentOf: (id: string) => GatewayIntent): Claim {
  const a = only(intentOf(tunnel.a), tunnel.id);
  const b = tunnel.b === undefined ? undefined : only(intentOf(tunnel.b), tunnel.id);
  const { from } = tunnel;
  const declared =
    from.kind === "external" ? model.externalPeers.find((p) => p.id === from.peerId)?.declared : undefined;
  const digest = createHash("sha256")
    .update(serializeIntent(a))
    .update(b ? serializeIntent(b) : JSON.stringify(declared ?? null))
    .digest("base64");
  return { tunnel, a, b, declared, digest };
}

/** Whether two intents of a gateway are the same as far as one connection's proof goes. */
export function sameConnection(was: GatewayIntent, is: GatewayIntent, connectionId: string): boolean {
  return serializeIntent(only(was, connectionId)) === serializeIntent(only(is, connectionId));
}

/** What the proof of one connection depends on: the intent's number, its neighbours and the leaf's renewal do not matter. */
function only({ certificate, ...rest }: GatewayIntent, connectionId: string): GatewayIntent {
  const connections = rest.connections.filter((c) => c.id === connectionId);
  const shown = certificate !== undefined && connections.some((c) => c.local.method === "certificate");
  return {
    ...rest,
    ...(shown ? { certificate: { ...certificate, fingerprint: "" } } : {}),
    revision: 0,
    connections,
  };
}
