import { createHash } from "node:crypto";
import { type Family, type Fault, Prefix } from "@sallyport/base";
import { fault } from "./faults.js";
import type {
  AddressPoolModel,
  ExternalPeerModel,
  FleetModel,
  GatewayModel,
  NetworkModel,
  PreSharedKeyModel,
  ProfileModel,
  SiteModel,
  TrustAnchorModel,
  TunnelModel,
} from "./fleet-model.js";
import type { Identity, Ports } from "./model.js";
import { DEFAULT_PROFILE } from "./profiles.js";

export const DEFAULT_PORTS: Ports = { ike: 500, natt: 4500 };

/** The name in a gateway's certificate: `gw-<gateway>.<organization>.sallyport`, both DNS labels. */
export function gatewayFqdn(organizationSlug: string, gatewaySlug: string): string {
  return `gw-${gatewaySlug}.${organizationSlug}.sallyport`;
}

export function gatewayIdentity(gateway: GatewayModel): Identity {
  return { type: "fqdn", value: gateway.fqdn };
}

/** A tunnel's id depends on what it joins alone, so that it outlives every edit. */
export function tunnelId(...parts: readonly string[]): string {
  return `tun-${createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 24)}`;
}

/** Canonical texts of `texts`, each once, in the order of the addresses, of one family when that is given. */
export function canonicalSubnets(texts: readonly string[], family?: Family): string[] {
  const prefixes = texts
    .map((t) => Prefix.parse(t, "subnet"))
    .filter((p) => family === undefined || p.family === family);
  prefixes.sort(comparePrefixes);
  return [...new Set(prefixes.map(String))];
}

/** Order of first address, then the wider first; IPv4 before IPv6. */
export function comparePrefixes(a: Prefix, b: Prefix): number {
  if (a.family !== b.family) return a.family - b.family;
  const [x, y] = [a.first.toBigInt(), b.first.toBigInt()];
  return x === y ? a.length - b.length : x < y ? -1 : 1;
}

/** What joins two of our gateways: everything that the intents of both ends are made from. */
export interface Link {
  readonly tunnel: TunnelModel;
  readonly network: NetworkModel;
  readonly a: GatewayModel;
  readonly b: GatewayModel;
  /** `site`: between the two sites themselves; `transit`: between a spoke (a's side) and the other spokes behind the hub. */
  readonly flows: readonly Flow[];
}

export interface Flow {
  readonly kind: "site" | "transit";
  readonly family: Family;
  /** Subnets that are reached through `a`, and through `b`. */
  readonly a: readonly string[];
  readonly b: readonly string[];
}

interface Behind {
  readonly siteId: string;
  readonly family: Family;
  readonly text: string;
}

const FAMILIES = [4, 6] as const;

/** The fleet with its ids resolved. Throws `intent/duplicate` and `intent/unknown-reference` when they cannot be. */
export class Fleet {
  readonly sites: ReadonlyMap<string, SiteModel>;
  readonly gateways: ReadonlyMap<string, GatewayModel>;
  readonly networks: ReadonlyMap<string, NetworkModel>;
  readonly externalPeers: ReadonlyMap<string, ExternalPeerModel>;
  readonly profiles: ReadonlyMap<string, ProfileModel>;
  readonly trustAnchors: ReadonlyMap<string, TrustAnchorModel>;
  readonly preSharedKeys: ReadonlyMap<string, PreSharedKeyModel>;
  readonly pools: ReadonlyMap<string, AddressPoolModel>;
  #links: ReadonlyMap<string, readonly Link[]> | undefined;
  readonly #bySite = new Map<string, Readonly<Record<Family, readonly string[]>>>();

  constructor(readonly model: FleetModel) {
    this.sites = index(model.sites, "sites");
    this.gateways = index(model.gateways, "gateways");
    this.networks = index(model.networks, "networks");
    this.externalPeers = index(model.externalPeers, "externalPeers");
    this.profiles = index(model.profiles, "profiles");
    this.trustAnchors = index(model.trustAnchors, "trustAnchors");
    this.preSharedKeys = index(model.preSharedKeys, "preSharedKeys");
    this.pools = index(model.pools ?? [], "pools");
  }

  gateway(id: string, field: string): GatewayModel {
    return this.gateways.get(id) ?? unknown(id, field, "a gateway");
  }

  site(gateway: GatewayModel): SiteModel {
    return this.sites.get(gateway.siteId) ?? unknown(gateway.siteId, `gateways[${gateway.id}].siteId`, "a site");
  }

  profile(id: string | undefined, field: string): ProfileModel {
    if (id === undefined) return this.profiles.get(DEFAULT_PROFILE.id) ?? DEFAULT_PROFILE;
    return this.profiles.get(id) ?? unknown(id, field, "a profile");
  }

  /** Links of every gateway, by gateway id; each link is listed under both of its ends. */
  get links(): ReadonlyMap<string, readonly Link[]> {
    this.#links ??= this.#joinAll();
    return this.#links;
  }

  #joinAll(): Map<string, Link[]> {
    const all = new Map<string, Link[]>();
    const pairs = new Map<string, NetworkModel>();
    const add = (link: Link | undefined) => {
      if (!link) return;
      const pair = [link.a.id, link.b.id].sort().join(" ");
      const other = pairs.get(pair);
      if (other) throw twice(link, other);
      pairs.set(pair, link.network);
      for (const end of [link.a.id, link.b.id]) {
        const list = all.get(end);
        if (list) list.push(link);
        else all.set(end, [link]);
      }
    };
    for (const network of [...this.networks.values()].sort((x, y) => (x.id < y.id ? -1 : 1))) {
      const field = `networks[${network.id}]`;
      const members = new Set<string>();
      const repeated = [...network.hubs, ...network.spokes].find((id) => members.size === members.add(id).size);
      if (repeated !== undefined) {
        throw fault("intent/duplicate", `${field}: gateway ${repeated} is named twice`, { field, value: repeated });
      }
      const hubs = network.hubs.map((id, i) => this.gateway(id, `${field}.hubs[${i}]`));
      const spokes = network.spokes.map((id, i) => this.gateway(id, `${field}.spokes[${i}]`));
      spokes.sort((x, y) => (x.id < y.id ? -1 : 1));
      hubs.forEach((hub, i) => {
        for (const other of hubs.slice(i + 1)) {
          const [a, b] = [hub, other].sort(
            (x, y) => (x.host === undefined ? 0 : 1) - (y.host === undefined ? 0 : 1) || (x.id < y.id ? -1 : 1),
          );
          add(this.#join(network, a as GatewayModel, b as GatewayModel, []));
        }
        const behind = i === 0 && network.transit !== false ? this.#behindHub(spokes) : [];
        for (const spoke of spokes) add(this.#join(network, spoke, hub, behind));
      });
    }
    return all;
  }

  #subnets(gateway: GatewayModel, family: Family): readonly string[] {
    const site = this.site(gateway);
    let known = this.#bySite.get(site.id);
    if (!known) {
      known = { 4: canonicalSubnets(site.subnets, 4), 6: canonicalSubnets(site.subnets, 6) };
      this.#bySite.set(site.id, known);
    }
    return known[family];
  }

  /** Subnets of the spokes' sites in canonical order, found once for all of them. */
  #behindHub(spokes: readonly GatewayModel[]): Behind[] {
    const sites = new Map(spokes.map((g) => [g.siteId, g]));
    const all = [...sites].flatMap(([siteId, g]) =>
      FAMILIES.flatMap((family) =>
        this.#subnets(g, family).map((text) => ({ siteId, family, text, prefix: Prefix.parse(text) })),
      ),
    );
    return all.sort((x, y) => comparePrefixes(x.prefix, y.prefix));
  }

  /** `behind`: what lies behind `b` besides its own site; `a` reaches the part that is not its own. */
  #join(network: NetworkModel, a: GatewayModel, b: GatewayModel, behind: readonly Behind[]): Link | undefined {
    const flows = FAMILIES.flatMap((family): Flow[] => {
      const here = this.#subnets(a, family);
      const there = this.#subnets(b, family);
      const others = behind.filter((x) => x.family === family && x.siteId !== a.siteId).map((x) => x.text);
      const transit = [...new Set(others)];
      if (here.length === 0) return [];
      return [
        ...(there.length > 0 ? [{ kind: "site" as const, family, a: here, b: there }] : []),
        ...(transit.length > 0 ? [{ kind: "transit" as const, family, a: here, b: transit }] : []),
      ];
    });
    if (flows.length === 0) return undefined;
    if (a.host === undefined && b.host === undefined) {
      const field = `networks[${network.id}]`;
      throw fault(
        "intent/unreachable",
        `${field}: neither ${a.name} nor ${b.name} has an address that the other can call`,
        {
          field,
          value: `${a.name}, ${b.name}`,
          expected: "a host for at least one of them",
          facts: { a: a.id, b: b.id },
        },
      );
    }
    // The one that is reachable answers.
    const [caller, answerer] = b.host === undefined ? [b, a] : [a, b];
    const tunnel: TunnelModel = {
      id: tunnelId("network", network.id, ...[a.id, b.id].sort()),
      name: `${a.name} – ${b.name}`,
      from: { kind: "network", networkId: network.id },
      a: caller.id,
      b: answerer.id,
    };
    return caller === a
      ? { tunnel, network, a, b, flows }
      : { tunnel, network, a: b, b: a, flows: flows.map((f) => ({ ...f, a: f.b, b: f.a })) };
  }
}

export function externalTunnel(peer: ExternalPeerModel): TunnelModel {
  return {
    id: tunnelId("external", peer.id),
    name: peer.name,
    from: { kind: "external", peerId: peer.id },
    a: peer.gatewayId,
    b: undefined,
  };
}

/** Every tunnel of the fleet, by id. Throws what `Fleet` throws and `intent/unreachable`. */
export function listTunnels(model: FleetModel): TunnelModel[] {
  const fleet = new Fleet(model);
  const tunnels = new Map<string, TunnelModel>();
  for (const links of fleet.links.values()) for (const { tunnel } of links) tunnels.set(tunnel.id, tunnel);
  for (const peer of model.externalPeers) {
    const tunnel = externalTunnel(peer);
    tunnels.set(tunnel.id, tunnel);
  }
  return [...tunnels.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function index<T extends { readonly id: string }>(list: readonly T[], field: string): ReadonlyMap<string, T> {
  const map = new Map<string, T>();
  list.forEach((item, i) => {
    if (map.has(item.id)) {
      throw fault("intent/duplicate", `${field}[${i}].id: ${item.id} is taken`, {
        field: `${field}[${i}].id`,
        value: item.id,
        expected: "an id that is not taken",
      });
    }
    map.set(item.id, item);
  });
  return map;
}

export function unknown(id: string, field: string, what: string): never {
  throw fault("intent/unknown-reference", `${field}: there is no ${id}`, {
    field,
    value: id,
    expected: `the id of ${what}`,
  });
}

function twice({ a, b, network }: Link, other: NetworkModel): Fault {
  return fault("intent/duplicate", `${a.name} and ${b.name} are joined by both ${other.name} and ${network.name}`, {
    field: `networks[${network.id}]`,
    value: network.name,
    expected: "one tunnel between two gateways",
    facts: { a: a.id, b: b.id, networks: `${other.id}, ${network.id}` },
  });
}
