import { Injectable } from "@nestjs/common";
import {
  DEFAULT_PROFILE,
  type DeclaredPeer,
  type ExternalPeerModel,
  type FleetModel,
  type GatewayModel,
  type Identity,
  type NetworkModel,
  type PreSharedKeys,
  type ProfileModel,
} from "@sallyport/intent";
import type { Tx } from "../../platform/database/database.js";
import { inPages } from "../../platform/database/pages.js";
import type {
  ExternalPeer,
  Gateway,
  Network,
  NetworkMember,
  Secret,
  Subnet,
} from "../../platform/prisma/generated/client.js";
import { mapInSlices } from "../../platform/slices.js";
import { Vault } from "../../platform/vault/vault.js";
import { SecretService } from "../secrets/secret.service.js";
import { GatewayCredentials } from "./gateway-credentials.js";
import { loadPeople } from "./people.js";

/** Reads an organization's model as `compile` wants it. */
export abstract class FleetStore {
  abstract load(tx: Tx, organizationId: string): Promise<FleetModel>;
}

const IDENTITY_TYPES: readonly string[] = ["fqdn", "address", "email", "dn", "key-id"] satisfies Identity["type"][];

/** Out of the column's `type:value`. */
export function readIdentity(text: string): Identity {
  const colon = text.indexOf(":");
  const type = text.slice(0, colon);
  return { type: IDENTITY_TYPES.includes(type) ? (type as Identity["type"]) : "key-id", value: text.slice(colon + 1) };
}

interface Proposals {
  readonly id: string;
  readonly name: string;
  readonly ikeProposals: readonly string[];
  readonly espProposals: readonly string[];
}

const AUTH = { CERTIFICATE: "certificate", PRE_SHARED_KEY: "psk", PUBLIC_CERTIFICATE: "public-certificate" } as const;

const ownProfile = ({ ikeProposals, espProposals }: Proposals) => ikeProposals.length > 0 || espProposals.length > 0;
const filled = (list: readonly string[], otherwise: readonly string[]) => (list.length > 0 ? list : otherwise);

/** Of a network or a peer that has proposals of its own; what it leaves out is the default's. */
function profileOf(owner: Proposals): ProfileModel {
  return {
    ...DEFAULT_PROFILE,
    id: owner.id,
    name: owner.name,
    ikeProposals: filled(owner.ikeProposals, DEFAULT_PROFILE.ikeProposals),
    espProposals: filled(owner.espProposals, DEFAULT_PROFILE.espProposals),
  };
}

function gatewayModel(gateway: Gateway): GatewayModel {
  const { id, name, siteId, identity, host, ikePort, nattPort } = gateway;
  return {
    id,
    name,
    siteId,
    fqdn: identity,
    ...(host === null ? {} : { host }),
    ports: { ike: ikePort, natt: nattPort },
  };
}

function networkModel(network: Network & { members: NetworkMember[] }): NetworkModel {
  const of = (role: NetworkMember["role"]) =>
    network.members
      .filter((m) => m.role === role)
      .toSorted((a, b) => a.preference - b.preference || (a.id < b.id ? -1 : 1))
      .map((m) => m.gatewayId);
  const { id, name, authentication } = network;
  return {
    id,
    name,
    auth: AUTH[authentication],
    hubs: of("HUB"),
    spokes: of("SPOKE"),
    ...(ownProfile(network) ? { profileId: id } : {}),
  };
}

/** Ids of keys by the id of the one that each is accepted beside. */
type Beside = ReadonlyMap<string, string>;

const besideOf = (keys: readonly Secret[]): Beside =>
  new Map(keys.flatMap(({ id, besideId }) => (besideId === null ? [] : [[besideId, id]])));

/** A key with the one that is accepted beside it. */
function keysOf(keyId: string, beside: Beside): PreSharedKeys {
  const other = beside.get(keyId);
  return { keyId, ...(other === undefined ? {} : { alsoAccepted: [other] }) };
}

function declaredOf(peer: ExternalPeer): DeclaredPeer | undefined {
  const { declaredIkeProposals: ike, declaredEspProposals: esp } = peer;
  if (ike.length === 0 && esp.length === 0) return undefined;
  return { ...(ike.length > 0 ? { ikeProposals: ike } : {}), ...(esp.length > 0 ? { espProposals: esp } : {}) };
}

function peerModel(peer: ExternalPeer & { subnets: Subnet[] }, beside: Beside): ExternalPeerModel {
  const declared = declaredOf(peer);
  return {
    id: peer.id,
    name: peer.name,
    gatewayId: peer.gatewayId,
    ...(peer.host === null ? {} : { host: peer.host }),
    ports: { ike: peer.ikePort, natt: peer.nattPort },
    role: peer.host === null ? "responder" : "both",
    ...(peer.localIdentity === null ? {} : { localIdentity: readIdentity(peer.localIdentity) }),
    remoteIdentity: readIdentity(peer.remoteIdentity),
    auth: { method: "psk", ...keysOf(peer.secretId, beside) },
    remoteSubnets: peer.subnets.map((s) => s.prefix),
    ...(ownProfile(peer) ? { profileId: peer.id } : {}),
    ...(declared ? { declared } : {}),
  };
}

@Injectable()
export class PrismaFleetStore extends FleetStore {
  constructor(
    private readonly secrets: SecretService,
    private readonly credentials: GatewayCredentials,
    private readonly vault: Vault,
  ) {
    super();
  }

  override async load(tx: Tx, organizationId: string): Promise<FleetModel> {
    const where = { organizationId };
    const organization = await tx.organization.findUniqueOrThrow({ where: { id: organizationId } });
    const sites = await inPages(({ after, page }) =>
      tx.site.findMany({ where: { ...where, ...after }, ...page, include: { subnets: true } }),
    );
    const gateways = await inPages(({ after, page }) =>
      tx.gateway.findMany({ where: { ...where, ...after, state: { not: "RETIRED" } }, ...page }),
    );
    const networks = await tx.network.findMany({ where, include: { members: true } });
    const peers = await inPages(({ after, page }) =>
      tx.externalPeer.findMany({ where: { ...where, ...after }, ...page, include: { subnets: true } }),
    );
    const keys = await inPages(({ after, page }) => tx.secret.findMany({ where: { ...where, ...after }, ...page }));
    const beside = besideOf(keys);
    const pools = await tx.addressPool.findMany({ where });
    const { certificates, publicCertificates, ...anchors } = await this.credentials.load(tx, organizationId);
    const { trustAnchors, internalAnchorIds } = anchors;
    const people = await loadPeople(tx, this.vault, organizationId, internalAnchorIds);
    return {
      organization: { id: organization.id, slug: organization.slug, name: organization.name },
      sites: await mapInSlices(sites, ({ id, name, subnets }) => ({ id, name, subnets: subnets.map((s) => s.prefix) })),
      gateways: await mapInSlices(gateways, (gateway) => {
        const certificate = certificates.get(gateway.id);
        const publicCertificate = publicCertificates.get(gateway.id);
        return {
          ...gatewayModel(gateway),
          ...(certificate ? { certificate } : {}),
          ...(publicCertificate ? { publicCertificate } : {}),
        };
      }),
      networks: networks.map(networkModel),
      externalPeers: await mapInSlices(peers, (peer) => peerModel(peer, beside)),
      profiles: [...[...networks, ...peers].filter(ownProfile).map(profileOf), ...people.profiles],
      roadWarriors: people.roadWarriors,
      remoteAccess: people.remoteAccess,
      internalAnchorIds,
      trustAnchors: [...trustAnchors, ...people.anchors],
      preSharedKeys: await mapInSlices(keys, (row) => ({ id: row.id, secret: this.secrets.open(row) })),
      tunnelKeys: new Map(keys.flatMap((key) => (key.tunnelKey ? [[key.tunnelKey, keysOf(key.id, beside)]] : []))),
      pools: pools.map(({ id, name, addresses, exclusions }) => ({ id, name, addresses, except: exclusions })),
    };
  }
}
