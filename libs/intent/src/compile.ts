import { fault } from "./faults.js";
import {
  canonicalSubnets,
  DEFAULT_PORTS,
  externalTunnel,
  Fleet,
  type Flow,
  gatewayIdentity,
  type Link,
  unknown,
} from "./fleet.js";
import type { ExternalPeerModel, FleetModel, GatewayModel, PreSharedKeys, ProfileModel } from "./fleet-model.js";
import {
  type ChildIntent,
  type ConnectionIntent,
  type GatewayIntent,
  type Identity,
  INTENT_SCHEMA,
  type IntentOptions,
  type LocalAuth,
  type PeerAuth,
} from "./model.js";
import { remoteAccessOf } from "./remote-access.js";

const DEFAULT_OPTIONS: IntentOptions = { commitConfirmSeconds: 60, reportSeconds: 5 };

/** One octet counts the selectors of a TS payload (RFC 7296 §3.13). */
const MAX_SELECTORS = 255;

/** What a gateway is before anything was compiled for it. */
export function emptyIntent(gateway: GatewayModel): GatewayIntent {
  return {
    schema: INTENT_SCHEMA,
    revision: 0,
    gateway: { id: gateway.id, name: gateway.name },
    identity: gatewayIdentity(gateway),
    ports: gateway.ports ?? DEFAULT_PORTS,
    trustAnchors: [],
    connections: [],
    options: DEFAULT_OPTIONS,
  };
}

/**
 * What one gateway must be. Depends on `model` alone, and on the order of its lists only where that has a meaning.
 * Throws `intent/unknown-reference`, `intent/duplicate`, `intent/unreachable`, `intent/invalid-field` and `base/bad-prefix`.
 */
export function compile(model: FleetModel, gatewayId: string, revision = 0): GatewayIntent {
  return compileIn(new Fleet(model), gatewayId, revision);
}

/** As `compile`, for several gateways of one fleet. */
export function compileAll(
  model: FleetModel,
  gatewayIds: Iterable<string> = model.gateways.map((g) => g.id),
): Map<string, GatewayIntent> {
  return new Map(compileEach(model, gatewayIds));
}

/** As `compileAll`, one gateway after the other: the caller may do something else in between. */
export function* compileEach(
  model: FleetModel,
  gatewayIds: Iterable<string> = model.gateways.map((g) => g.id),
): Generator<readonly [id: string, intent: GatewayIntent]> {
  const fleet = new Fleet(model);
  for (const id of gatewayIds) yield [id, compileIn(fleet, id, 0)];
}

function compileIn(fleet: Fleet, gatewayId: string, revision: number): GatewayIntent {
  const gateway = fleet.gateway(gatewayId, "gateway");
  const links = fleet.links.get(gatewayId) ?? [];
  const externals = fleet.model.externalPeers.filter((p) => p.gatewayId === gatewayId);
  const people = remoteAccessOf(fleet, gateway);
  const connections = [
    ...people.connections,
    ...links.map((link) => networkConnection(fleet, link, gateway)),
    ...externals.map((peer) => externalConnection(fleet, peer, gateway)),
  ];
  connections.sort((a, b) => (a.id < b.id ? -1 : 1));
  const wanted = new Set(
    connections.flatMap(({ peer }) => ("trustAnchorIds" in peer ? (peer.trustAnchorIds ?? []) : [])),
  );
  return {
    ...emptyIntent(gateway),
    revision,
    ...(gateway.certificate ? { certificate: gateway.certificate } : {}),
    trustAnchors: [...wanted].sort().map((id) => {
      const anchor = fleet.trustAnchors.get(id) ?? unknown(id, "trustAnchors", "a trust anchor");
      return { id, der: anchor.der, ...(anchor.revocation && { revocation: anchor.revocation }) };
    }),
    ...(people.pools.length > 0 ? { pools: people.pools } : {}),
    ...(people.eapUsers.length > 0 ? { eapUsers: people.eapUsers } : {}),
    connections,
  };
}

const child = (
  profile: ProfileModel,
  part: Pick<ChildIntent, "id" | "name" | "localSubnets" | "remoteSubnets" | "startAction">,
): ChildIntent => ({
  ...part,
  mode: "tunnel",
  espProposals: profile.espProposals,
  rekeySeconds: profile.lifetimes.childRekeySeconds,
  ...(profile.lifetimes.childRekeyBytes === undefined ? {} : { rekeyBytes: profile.lifetimes.childRekeyBytes }),
});

function flowName({ kind, family }: Pick<Flow, "kind" | "family">): string {
  return family === 4 ? kind : `${kind}-ipv6`;
}

function networkConnection(fleet: Fleet, link: Link, gateway: GatewayModel): ConnectionIntent {
  const calls = link.a.id === gateway.id;
  const peer = calls ? link.b : link.a;
  const field = `networks[${link.network.id}]`;
  const profile = fleet.profile(link.network.profileId, `${field}.profileId`);
  const bothReachable = link.a.host !== undefined && link.b.host !== undefined;
  return {
    id: link.tunnel.id,
    name: peer.name,
    role: bothReachable ? "both" : calls ? "initiator" : "responder",
    remote: { ...(peer.host === undefined ? {} : { host: peer.host }), ports: peer.ports ?? DEFAULT_PORTS },
    ikeProposals: profile.ikeProposals,
    ...networkAuth(fleet, link, gateway, peer),
    ikeRekeySeconds: profile.lifetimes.ikeRekeySeconds,
    dpd: profile.dpd,
    children: link.flows.map((flow) => {
      if (Math.max(flow.a.length, flow.b.length) > MAX_SELECTORS) {
        throw fault("intent/invalid-field", `${field}: ${flow.b.length} subnets do not fit into one tunnel`, {
          field,
          value: String(Math.max(flow.a.length, flow.b.length)),
          expected: `at most ${MAX_SELECTORS} subnets behind a hub, or a network without transit`,
        });
      }
      return child(profile, {
        id: `${link.tunnel.id}.${flowName(flow)}`,
        name: flowName(flow),
        localSubnets: calls ? flow.a : flow.b,
        remoteSubnets: calls ? flow.b : flow.a,
        startAction: calls ? "start" : bothReachable ? "trap" : "none",
      });
    }),
  };
}

type Proofs = { readonly local: LocalAuth; readonly peer: PeerAuth };

function networkAuth(fleet: Fleet, { network, tunnel }: Link, gateway: GatewayModel, peer: GatewayModel): Proofs {
  const [ours, theirs] = [gatewayIdentity(gateway), gatewayIdentity(peer)];
  if (network.auth === "psk") {
    const field = `tunnelKeys[${tunnel.id}]`;
    const keys = fleet.model.tunnelKeys?.get(tunnel.id) ?? unknown(tunnel.id, field, "a tunnel with a key");
    return keyAuth(fleet, keys, field, ours, theirs);
  }
  const trustAnchorIds = [...new Set(fleet.model.internalAnchorIds)].sort();
  const [shown, pinned] =
    network.auth === "public-certificate" ? [gateway.publicCertificate, peer.publicCertificate] : [];
  return {
    local: { method: "certificate", identity: ours, ...(shown ? { certificates: [shown.reference] } : {}) },
    peer: {
      ...{ method: "certificate", identity: theirs, trustAnchorIds },
      // Anybody can have a certificate of a public authority: what counts is which one it is.
      ...(pinned ? { fingerprints: [...pinned.pins].sort() } : {}),
    },
  };
}

/** Both ends prove themselves by the same key, and take others besides. */
function keyAuth(
  fleet: Fleet,
  { keyId, alsoAccepted = [] }: PreSharedKeys,
  field: string,
  ours: Identity,
  theirs: Identity,
): Proofs {
  const keyOf = (id: string, part: string) => {
    const key = fleet.preSharedKeys.get(id) ?? unknown(id, `${field}.${part}`, "a key");
    return { keyId: key.id, secret: key.secret };
  };
  const psk = { method: "psk", ...keyOf(keyId, "keyId") } as const;
  const others = alsoAccepted.map((id, i) => keyOf(id, `alsoAccepted[${i}]`));
  return {
    local: { ...psk, identity: ours },
    peer: { ...psk, identity: theirs, ...(others.length > 0 ? { alsoAccepted: others } : {}) },
  };
}

function externalConnection(fleet: Fleet, peer: ExternalPeerModel, gateway: GatewayModel): ConnectionIntent {
  const field = `externalPeers[${peer.id}]`;
  const profile = fleet.profile(peer.profileId, `${field}.profileId`);
  const { id } = externalTunnel(peer);
  if (peer.host === undefined && peer.role !== "responder") {
    throw fault("intent/unreachable", `${peer.name} cannot be called without an address`, {
      field: `${field}.host`,
      expected: "an address or a DNS name, or role responder",
    });
  }
  const local = peer.localSubnets ?? fleet.site(gateway).subnets;
  const families = [4, 6] as const;
  const children = families.flatMap((family) => {
    const localSubnets = canonicalSubnets(local, family);
    const remoteSubnets = canonicalSubnets(peer.remoteSubnets, family);
    if (localSubnets.length === 0 || remoteSubnets.length === 0) return [];
    const name = flowName({ kind: "site", family });
    const startAction = peer.role === "responder" ? "none" : "start";
    return [child(profile, { id: `${id}.${name}`, name, localSubnets, remoteSubnets, startAction })];
  });
  if (children.length === 0) {
    throw fault("intent/invalid-field", `${peer.name}: no subnet of one side has the other's address family`, {
      field: `${field}.remoteSubnets`,
      value: peer.remoteSubnets.join(", "),
      expected: `prefixes of the family of ${local.join(", ") || "the site's subnets (it has none)"}`,
    });
  }
  return {
    id,
    name: peer.name,
    role: peer.role,
    remote: { ...(peer.host === undefined ? {} : { host: peer.host }), ports: peer.ports ?? DEFAULT_PORTS },
    ikeProposals: profile.ikeProposals,
    ...externalAuth(fleet, peer, gateway),
    ikeRekeySeconds: profile.lifetimes.ikeRekeySeconds,
    dpd: profile.dpd,
    children,
  };
}

function externalAuth(
  fleet: Fleet,
  { id, auth, localIdentity, remoteIdentity }: ExternalPeerModel,
  gateway: GatewayModel,
): Proofs {
  const ours = localIdentity ?? gatewayIdentity(gateway);
  if (auth.method === "certificate") {
    return {
      local: { method: "certificate", identity: ours },
      peer: {
        method: "certificate",
        identity: remoteIdentity,
        trustAnchorIds: [...new Set(auth.trustAnchorIds)].sort(),
      },
    };
  }
  return keyAuth(fleet, auth, `externalPeers[${id}].auth`, ours, remoteIdentity);
}
