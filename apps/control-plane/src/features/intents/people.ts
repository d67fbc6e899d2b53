import { IpAddress } from "@sallyport/base";
import {
  DEFAULT_PROFILE,
  type ProfileModel,
  type RemoteAccessModel,
  type RoadWarriorModel,
  type TrustAnchorModel,
} from "@sallyport/intent";
import type { Tx } from "../../platform/database/database.js";
import { inPages } from "../../platform/database/pages.js";
import type {
  CertificateAuthority,
  RemoteAccess,
  RemoteAccessGateway,
  RemoteAccessPool,
  RemoteAccessRule,
} from "../../platform/prisma/generated/client.js";
import type { RemoteAccessMethod } from "../../platform/prisma/generated/enums.js";
import { mapInSlices } from "../../platform/slices.js";
import type { Vault } from "../../platform/vault/vault.js";
import { openVerifier } from "../road-warriors/credentials.js";

export interface People {
  readonly roadWarriors: RoadWarriorModel[];
  readonly remoteAccess: RemoteAccessModel[];
  readonly profiles: ProfileModel[];
  /** Beside those of gateways. */
  readonly anchors: TrustAnchorModel[];
}

type Service = RemoteAccess & {
  readonly gateways: readonly RemoteAccessGateway[];
  readonly pools: readonly RemoteAccessPool[];
  readonly rules: readonly RemoteAccessRule[];
};

const METHODS = {
  CERTIFICATE: "certificate",
  EAP_TLS: "eap-tls",
  EAP_MSCHAPV2: "eap-mschapv2",
  CERTIFICATE_AND_EAP_MSCHAPV2: "certificate-and-eap-mschapv2",
} as const satisfies Record<RemoteAccessMethod, RemoteAccessModel["methods"][number]>;

const hasProfile = ({ ikeProposals, espProposals }: RemoteAccess) => ikeProposals.length + espProposals.length > 0;

function toldBy({ ownNetworks, networks, ownDns, dns, ownSplitDns, splitDns, ownPools, poolIds }: RemoteAccessRule) {
  const own = { ...(ownNetworks && { networks }), ...(ownDns && { dns }), ...(ownSplitDns && { splitDns }) };
  return { ...own, ...(ownPools && { poolIds }) };
}

/** An anchor of its own where it is strict: elsewhere another service may not be. A gateway serves one service. */
const anchorId = (rootId: string, { strictRevocation }: RemoteAccess) =>
  strictRevocation ? `${rootId}.strict` : rootId;

/** Whom a service believes: of the roots that it names those that are still trusted; with the gateways' root, all of theirs. */
function trustOf(service: RemoteAccess, roots: ReadonlyMap<string, CertificateAuthority>, internal: readonly string[]) {
  const named = service.authorityIds.flatMap((id) => roots.get(id) ?? []);
  const ofGateways = service.authorityIds.length === 0 || named.some((root) => root.purpose === "GATEWAY_IDENTITY");
  const own = named.filter((root) => root.purpose !== "GATEWAY_IDENTITY" && root.distrustedAt === null);
  return { own, ids: [...own.map(({ id }) => anchorId(id, service)), ...(ofGateways ? internal : [])] };
}

function serviceModel(service: Service, trustAnchorIds: readonly string[]): RemoteAccessModel {
  const { id, name, shares, networks, dns, splitDns } = service;
  const rules = service.rules.toSorted((a, b) => a.preference - b.preference || (a.id < b.id ? -1 : 1));
  return {
    ...{ id, name, shares, networks, dns, splitDns, trustAnchorIds },
    gateways: service.gateways.flatMap(({ gatewayId, share, withdrawnAt }) =>
      withdrawnAt === null ? [{ gatewayId, share }] : [],
    ),
    poolIds: service.pools.toSorted((a, b) => a.preference - b.preference).map((p) => p.poolId),
    // Nobody's certificate leads to nothing.
    methods: service.methods
      .map((method) => METHODS[method])
      .filter((method) => trustAnchorIds.length > 0 || method === "eap-mschapv2"),
    groups: rules.flatMap((rule) => (rule.groupId === null ? [] : [{ groupId: rule.groupId, ...toldBy(rule) }])),
    people: rules.flatMap((rule) =>
      rule.roadWarriorId === null ? [] : [{ personId: rule.roadWarriorId, ...toldBy(rule) }],
    ),
    ...(hasProfile(service) ? { profileId: id } : {}),
  };
}

function anchorOf(root: CertificateAuthority, service: RemoteAccess): TrustAnchorModel {
  const der = Buffer.from(root.certificate).toString("base64");
  const strict = service.strictRevocation ? ({ revocation: "strict" } as const) : {};
  return { id: anchorId(root.id, service), name: root.name.slice(0, 200), der, ...strict };
}

function profileOf({ id, name, ikeProposals, espProposals }: RemoteAccess): ProfileModel {
  return {
    ...{ ...DEFAULT_PROFILE, id, name },
    ikeProposals: ikeProposals.length > 0 ? ikeProposals : DEFAULT_PROFILE.ikeProposals,
    espProposals: espProposals.length > 0 ? espProposals : DEFAULT_PROFILE.espProposals,
  };
}

/** Remote access of an organization and who gets in: the people who are enabled. Nobody is read where there is no service. */
export async function loadPeople(
  tx: Tx,
  vault: Vault,
  organizationId: string,
  internalAnchorIds: readonly string[],
): Promise<People> {
  const where = { organizationId };
  // One after the other: a transaction has one connection.
  const rows = await tx.remoteAccess.findMany({ where });
  if (rows.length === 0) return { roadWarriors: [], remoteAccess: [], profiles: [], anchors: [] };
  const gateways = Map.groupBy(await tx.remoteAccessGateway.findMany({ where }), (g) => g.remoteAccessId);
  const pools = Map.groupBy(await tx.remoteAccessPool.findMany({ where }), (p) => p.remoteAccessId);
  const rules = Map.groupBy(await tx.remoteAccessRule.findMany({ where }), (r) => r.remoteAccessId);
  const people = await inPages(({ after, page }) =>
    tx.roadWarrior.findMany({ where: { ...where, ...after, enabled: true }, ...page }),
  );
  const members = await inPages(({ after, page }) =>
    tx.roadWarriorGroupMember.findMany({ where: { ...where, ...after }, ...page }),
  );
  const groups = Map.groupBy(members, (m) => m.roadWarriorId);
  const fixed = await inPages(({ after, page }) => tx.staticLease.findMany({ where: { ...where, ...after }, ...page }));
  const leases = Map.groupBy(fixed, (l) => l.roadWarriorId);
  const services = rows.map((row): Service => {
    const { id } = row;
    return { ...row, gateways: gateways.get(id) ?? [], pools: pools.get(id) ?? [], rules: rules.get(id) ?? [] };
  });
  const roadWarriors = await mapInSlices(people, (row): RoadWarriorModel => {
    const verifier = openVerifier(vault, row);
    return {
      id: row.id,
      username: row.username,
      groupIds: (groups.get(row.id) ?? []).map((m) => m.groupId),
      sessions: row.sessionLimit,
      addresses: (leases.get(row.id) ?? []).map((lease) => IpAddress.parse(lease.address).toString()),
      ...(verifier && { verifier }),
    };
  });
  const ids = services.flatMap((service) => service.authorityIds);
  const named =
    ids.length === 0 ? [] : await tx.certificateAuthority.findMany({ where: { ...where, id: { in: ids } } });
  const roots = new Map(named.map((root) => [root.id, root]));
  const trusts = services.map((service) => ({ service, ...trustOf(service, roots, internalAnchorIds) }));
  const anchors = trusts.flatMap(({ service, own }) => own.map((root) => anchorOf(root, service)));
  return {
    roadWarriors,
    remoteAccess: trusts.map(({ service, ids: trusted }) => serviceModel(service, trusted)),
    profiles: services.filter(hasProfile).map(profileOf),
    anchors: [...new Map(anchors.map((anchor) => [anchor.id, anchor])).values()],
  };
}
