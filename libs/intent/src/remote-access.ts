import { IpAddress } from "@sallyport/base";
import { fault } from "./faults.js";
import { canonicalSubnets, DEFAULT_PORTS, type Fleet, gatewayIdentity, tunnelId, unknown } from "./fleet.js";
import type { AddressPoolModel, GatewayModel, RemoteAccessModel, RoadWarriorModel, ToldModel } from "./fleet-model.js";
import type { ConnectionIntent, EapUserSetIntent, Identity, LocalAuth, PoolIntent, UserIntent } from "./model.js";
import { givenRanges, isGiven, poolSize, shareOf } from "./ranges.js";

/** What remote access adds to a gateway's intent. */
export interface RemoteAccessPart {
  readonly pools: readonly PoolIntent[];
  readonly eapUsers: readonly EapUserSetIntent[];
  readonly connections: readonly ConnectionIntent[];
}

/** One octet counts the selectors of a TS payload (RFC 7296 §3.13). */
const MAX_SELECTORS = 255;

/** How callers prove themselves in one connection: by a certificate in IKE, by EAP, or by one after the other (RFC 4739). */
const WAYS = ["certificate", "eap", "certificate-and-eap"] as const;
type Way = (typeof WAYS)[number];
const NAMED: Readonly<Record<Way, string>> = {
  certificate: "",
  eap: " (EAP)",
  "certificate-and-eap": " (certificate and EAP)",
};

/**
 * The connections of the services that a gateway serves, with its shares of their pools and the people who get in.
 * Throws `intent/unknown-reference`, `intent/unreachable` for a gateway that nobody can call, `intent/invalid-field` for a pool that is too small.
 */
export function remoteAccessOf(fleet: Fleet, gateway: GatewayModel): RemoteAccessPart {
  const parts = (fleet.model.remoteAccess ?? []).flatMap((service) => {
    const place = service.gateways.find((g) => g.gatewayId === gateway.id);
    return place ? [partOf(fleet, service, gateway, place.share)] : [];
  });
  return {
    pools: parts.flatMap((p) => p.pools),
    eapUsers: parts.flatMap((p) => p.eapUsers),
    connections: parts.flatMap((p) => p.connections),
  };
}

function partOf(fleet: Fleet, service: RemoteAccessModel, gateway: GatewayModel, share: number): RemoteAccessPart {
  const field = `remoteAccess[${service.id}]`;
  if (gateway.host === undefined) {
    throw fault("intent/unreachable", `${service.name}: nobody can call ${gateway.name}, which has no address`, {
      field: `${field}.gateways`,
      value: gateway.name,
      expected: "a gateway with a host",
    });
  }
  const pools = service.poolIds.map((id, i) => {
    const at = `${field}.poolIds[${i}]`;
    const pool = fleet.pools.get(id) ?? unknown(id, at, "an address pool");
    return shareIn(pool, service, share, at);
  });
  for (const { poolIds = [] } of [...service.groups, ...service.people]) {
    const strange = poolIds.find((id) => !service.poolIds.includes(id));
    if (strange !== undefined) unknown(strange, `${field}.poolIds`, "one of the service's own pools");
  }
  const members = membersOf(fleet.model.roadWarriors ?? [], service);
  const everything = canonicalSubnets([
    ...service.networks,
    ...[...service.groups, ...service.people].flatMap((told) => told.networks ?? []),
  ]);
  if (everything.length === 0 || everything.length > MAX_SELECTORS) {
    throw fault("intent/invalid-field", `${service.name}: ${everything.length} networks to reach`, {
      field: `${field}.networks`,
      value: `${everything.length} networks`,
      expected: `1 to ${MAX_SELECTORS} networks, those of groups and people counted`,
    });
  }
  const users = members.map((person) => userOf(person, service, everything, pools));
  const set: EapUserSetIntent = {
    id: `people-${service.id}`,
    users: members.flatMap(({ username, verifier }) =>
      verifier ? [{ name: username, secret: verifier, verifier: "nt-hash" as const }] : [],
    ),
  };
  const { methods } = service;
  const [byPassword, byBoth] = [methods.includes("eap-mschapv2"), methods.includes("certificate-and-eap-mschapv2")];
  const ways: Way[] = [
    ...(methods.includes("certificate") ? (["certificate"] as const) : []),
    ...(byPassword || methods.includes("eap-tls") ? (["eap"] as const) : []),
    ...(byBoth ? (["certificate-and-eap"] as const) : []),
  ];
  const shared = { fleet, service, gateway, pools, users, everything, setId: set.id };
  return {
    pools,
    eapUsers: byPassword || byBoth ? [set] : [],
    connections: ways.map((way) => connectionOf(shared, way)),
  };
}

interface Shared {
  readonly fleet: Fleet;
  readonly service: RemoteAccessModel;
  readonly gateway: GatewayModel;
  readonly pools: readonly PoolIntent[];
  readonly users: readonly UserIntent[];
  readonly everything: readonly string[];
  readonly setId: string;
}

/** Ids of the connections that a service has on each of its gateways, one for each way in which people may prove who they are. */
export const remoteAccessConnectionIds = (serviceId: string): string[] =>
  WAYS.map((way) => connectionId(serviceId, way));

const connectionId = (serviceId: string, way: Way) => tunnelId("remote-access", serviceId, way);

function connectionOf(
  { fleet, service, gateway, pools, users, everything, setId }: Shared,
  way: Way,
): ConnectionIntent {
  const id = connectionId(service.id, way);
  const profile = fleet.profile(service.profileId, `remoteAccess[${service.id}].profileId`);
  const { dns, splitDns } = service;
  return {
    id,
    name: `${service.name}${NAMED[way]}`,
    role: "responder",
    remote: { ports: DEFAULT_PORTS },
    ikeProposals: profile.ikeProposals,
    local: shownBy(gateway),
    ...provenBy(service, way, setId),
    ikeRekeySeconds: profile.lifetimes.ikeRekeySeconds,
    dpd: profile.dpd,
    uniqueness: "keep",
    sasPerIdentity: 1,
    modeConfig: {
      poolIds: pools.map((p) => p.id),
      ...(dns.length > 0 ? { dns: [...dns] } : {}),
      ...(splitDns.length > 0 ? { splitDns: [...splitDns] } : {}),
      splitInclude: canonicalSubnets(service.networks),
      users,
      onlyUsers: true,
      peopleId: setId,
    },
    children: [
      {
        id: `${id}.people`,
        name: "people",
        mode: "tunnel",
        // Narrowed for every caller: to its address, and to what of these it may reach.
        localSubnets: everything,
        remoteSubnets: [],
        espProposals: profile.espProposals,
        rekeySeconds: profile.lifetimes.childRekeySeconds,
        ...(profile.lifetimes.childRekeyBytes === undefined ? {} : { rekeyBytes: profile.lifetimes.childRekeyBytes }),
        startAction: "none",
      },
    ],
  };
}

function shownBy(gateway: GatewayModel): LocalAuth {
  const { publicCertificate: shown } = gateway;
  if (shown === undefined) return { method: "certificate", identity: gatewayIdentity(gateway) };
  return {
    method: "certificate",
    identity: { type: "fqdn", value: shown.name },
    certificates: [shown.reference],
  };
}

function provenBy(
  { methods, trustAnchorIds }: RemoteAccessModel,
  way: Way,
  userSetId: string,
): Pick<ConnectionIntent, "peer" | "peerRounds"> {
  const identity = { type: "any" } as const;
  const trusted = { trustAnchorIds: [...new Set(trustAnchorIds)].sort() };
  const certificate = { method: "certificate", identity, ...trusted } as const;
  if (way === "certificate") return { peer: certificate };
  if (way === "certificate-and-eap") {
    const password = { method: "eap", identity, methods: ["mschapv2"], userSetId, samePerson: true } as const;
    return { peer: certificate, peerRounds: [password] };
  }
  const [tls, password] = [methods.includes("eap-tls"), methods.includes("eap-mschapv2")];
  return {
    peer: {
      method: "eap",
      identity,
      methods: [...(tls ? (["tls"] as const) : []), ...(password ? (["mschapv2"] as const) : [])],
      ...(tls ? trusted : {}),
      ...(password ? { userSetId } : {}),
    },
  };
}

function shareIn(pool: AddressPoolModel, { shares }: RemoteAccessModel, share: number, field: string): PoolIntent {
  const { id, name, except = [] } = pool;
  const own = { addresses: shares === 1 ? [...pool.addresses] : shareOf(pool.addresses, shares, share), except };
  if (own.addresses.length === 0 || poolSize(own) === 0n) {
    throw fault("intent/invalid-field", `${name} is too small for ${shares} shares`, {
      field,
      value: name,
      expected: `a pool that leaves addresses in share ${share + 1} of ${shares}, or fewer shares`,
    });
  }
  return { id, name, addresses: own.addresses, ...(except.length > 0 ? { except: [...except] } : {}) };
}

/** By user name: those in one of the service's groups, or everybody where it names none. */
function membersOf(people: readonly RoadWarriorModel[], { groups }: RemoteAccessModel): RoadWarriorModel[] {
  const wanted = new Set(groups.map((g) => g.groupId));
  return people
    .filter((p) => wanted.size === 0 || p.groupIds.some((id) => wanted.has(id)))
    .sort((a, b) => (a.username < b.username ? -1 : 1));
}

function identityOf(username: string): Identity {
  return { type: username.includes("@") ? "email" : "fqdn", value: username };
}

/** What is different for one person. The person's own settings stand before those of groups, in the service's order of these. */
function userOf(
  person: RoadWarriorModel,
  service: RemoteAccessModel,
  everything: readonly string[],
  pools: readonly PoolIntent[],
): UserIntent {
  const groups = service.groups.filter((g) => person.groupIds.includes(g.groupId));
  const own = service.people.find((p) => p.personId === person.id);
  const first = <K extends keyof ToldModel>(key: K) => [own, ...groups].find((told) => told?.[key])?.[key];
  const [dns, splitDns, poolIds] = [first("dns"), first("splitDns"), first("poolIds")];
  const networks = own?.networks ?? groups.flatMap((g) => g.networks ?? service.networks);
  const reach = canonicalSubnets(groups.length > 0 || own?.networks ? networks : service.networks);
  const isAll = reach.length === everything.length && reach.every((text, i) => text === everything[i]);
  // Only this gateway gives them: nobody else has this share.
  const addresses = person.addresses.filter((a) => pools.some((p) => isGiven(givenRanges(p), IpAddress.parse(a))));
  return {
    identity: identityOf(person.username),
    sessions: person.sessions,
    ...(addresses.length > 0 ? { addresses: [...addresses].sort() } : {}),
    ...(isAll ? {} : { reach, splitInclude: reach }),
    ...(dns ? { dns: [...dns] } : {}),
    ...(splitDns ? { splitDns: [...splitDns] } : {}),
    ...(poolIds ? { poolIds: [...poolIds] } : {}),
  };
}
