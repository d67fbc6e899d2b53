import { Injectable } from "@nestjs/common";
import { IpAddress, Prefix } from "@sallyport/base";
import { type Authentication, type Description, type Fingerprint, fingerprintOf } from "@sallyport/handover";
import {
  type ConnectionIntent,
  compile,
  DEFAULT_PORTS,
  type FleetModel,
  type GatewayModel,
  isHostName,
  type PublicCertificate,
} from "@sallyport/intent";
import { type Certificate, type PeerIdentity, proves, readCertificate } from "@sallyport/pki";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { publicRoot } from "../acme/public-certificates.js";
import { FleetStore } from "../intents/fleet.store.js";
import { handoverFault } from "./faults.js";

type Told = Pick<Description, "networks" | "dns" | "domains">;

/** A way into one gateway of a service, as the gateway itself is told it. */
export interface Access {
  readonly remoteAccessId: string;
  readonly gatewayId: string;
  readonly organization: string;
  readonly service: string;
  readonly gateway: Description["gateway"];
  readonly proposals: Description["proposals"];
  readonly methods: readonly Authentication[];
  /** Of roots by which people's certificates are judged, as libs/pki names them. */
  readonly trusted: ReadonlySet<string>;
  readonly fingerprint: Fingerprint;
  /** What a person is told; undefined: he does not get in. */
  told(username: string): Told | undefined;
}

/** Which service, at which of its gateways; absent: the first. */
export interface Place {
  readonly remoteAccessId: string;
  readonly gatewayId?: string | undefined;
}

const der = (base64: string) => readCertificate(Uint8Array.from(Buffer.from(base64, "base64")));

/** Reads ways into gateways out of the very intents that the gateways get. */
@Injectable()
export class AccessService {
  constructor(private readonly fleets: FleetStore) {}

  fleet(tx: Tx, organizationId: string): Promise<FleetModel> {
    return this.fleets.load(tx, organizationId);
  }

  /** @throws api/not-found with the field of `input`, handover/gateway-not-ready, handover/other-ports */
  async load(tx: Tx, organizationId: string, place: Place): Promise<Access> {
    const fleet = await this.fleet(tx, organizationId);
    const access = await this.find(tx, organizationId, fleet, place);
    if (access) return access;
    const field = place.gatewayId === undefined ? "input.remoteAccessId" : "input.gatewayId";
    const value = place.gatewayId ?? place.remoteAccessId;
    const expected = "a remote access, and a gateway that serves it";
    throw apiFault("api/not-found", "no gateway serves this remote access", { field, value, expected });
  }

  /** Undefined where the gateway does not serve. @throws handover/gateway-not-ready, handover/other-ports */
  async find(tx: Tx, organizationId: string, fleet: FleetModel, place: Place): Promise<Access | undefined> {
    const service = fleet.remoteAccess?.find((s) => s.id === place.remoteAccessId);
    const [served] = (service?.gateways ?? []).filter((g) => (place.gatewayId ?? g.gatewayId) === g.gatewayId);
    const gateway = fleet.gateways.find((g) => g.id === served?.gatewayId);
    if (!service || !gateway || gateway.host === undefined) return undefined;
    requireUsualPorts(gateway);
    // A gateway serves one service at most, so that these are its own.
    const connections = compile(fleet, gateway.id, 1).connections.filter((c) => c.modeConfig?.onlyUsers);
    const [connection] = connections;
    if (!connection) return undefined;
    const described = {
      gateway: await this.#gateway(tx, organizationId, fleet, gateway, gateway.host),
      proposals: {
        ike: connection.ikeProposals ?? [],
        esp: connection.children[0]?.espProposals ?? [],
      },
    };
    const anchors = fleet.trustAnchors.filter((a) => service.trustAnchorIds.includes(a.id));
    return {
      ...described,
      remoteAccessId: service.id,
      gatewayId: gateway.id,
      organization: fleet.organization.name,
      service: service.name,
      methods: service.methods,
      trusted: new Set(anchors.map((a) => der(a.der).fingerprint)),
      fingerprint: fingerprintOf(described),
      told: (username) => toldTo(connection, username),
    };
  }

  async #gateway(
    tx: Tx,
    organizationId: string,
    fleet: FleetModel,
    { id, name, fqdn, certificate, publicCertificate }: GatewayModel,
    address: string,
  ): Promise<Description["gateway"]> {
    if (publicCertificate) return this.#publicly(tx, organizationId, { id, name, address }, publicCertificate);
    const row =
      certificate &&
      (await tx.certificate.findFirst({ where: { organizationId, fingerprint: certificate.fingerprint } }));
    const leaf = row && readCertificate(row.certificate);
    const authorities = leaf && chainAbove(leaf, certificate.intermediates.map(der), fleet);
    if (!leaf || !authorities) {
      throw handoverFault("handover/gateway-not-ready", `${name} has no certificate to be known by`, {
        field: "gatewayId",
        value: name,
        expected: "a gateway whose agent is enrolled",
      });
    }
    const identity = { type: "fqdn", value: fqdn } as const;
    return { address, identity, authorities, provesAddress: proves(leaf, addressIdentity(address)) };
  }

  /** The root alone: authorities issue now from this intermediate, now from that one, and the gateway sends it. */
  async #publicly(
    tx: Tx,
    organizationId: string,
    { id, name, address }: { readonly id: string; readonly name: string; readonly address: string },
    { name: shown, reference }: PublicCertificate,
  ): Promise<Description["gateway"]> {
    const leaf = der(reference.leaf ?? "");
    const root = await publicRoot(tx, organizationId, id, reference.intermediates.map(der).at(-1) ?? leaf);
    if (root === undefined) {
      throw handoverFault("handover/gateway-not-ready", `${name} shows a certificate of an unknown authority`, {
        field: "gatewayId",
        value: leaf.issuer.text,
        expected: "a public authority's certificate, or its root among the account's `directoryRoots`",
      });
    }
    const identity = { type: "fqdn", value: shown } as const;
    return { address, identity, authorities: [root], provesAddress: proves(leaf, addressIdentity(address)) };
  }
}

/** What devices are told has no place for others. */
function requireUsualPorts({ name, ports = DEFAULT_PORTS }: GatewayModel): void {
  if (ports.ike === DEFAULT_PORTS.ike && ports.natt === DEFAULT_PORTS.natt) return;
  throw handoverFault("handover/other-ports", `${name} is reached at ports that devices do not call`, {
    field: "gatewayId",
    value: `${ports.ike}, ${ports.natt}`,
    expected: `${DEFAULT_PORTS.ike}, ${DEFAULT_PORTS.natt}`,
  });
}

function addressIdentity(address: string): PeerIdentity {
  if (isHostName(address)) return { type: "fqdn", name: address };
  const ip = IpAddress.parse(address);
  return { type: ip.family === 4 ? "ipv4" : "ipv6", address: ip };
}

/** The root is one of those by which gateways accept each other. While it is rotated there are two ways up: the first is the new one's. */
function chainAbove(leaf: Certificate, intermediates: readonly Certificate[], fleet: FleetModel) {
  const roots = fleet.trustAnchors.filter((a) => fleet.internalAnchorIds.includes(a.id)).map((a) => der(a.der));
  const path: Certificate[] = [];
  for (let top: Certificate | undefined = leaf; top && path.length <= intermediates.length; ) {
    const { issuer } = top;
    const above = (c: Certificate) => c.subject.text === issuer.text;
    const root = roots.find(above);
    if (root) return [...path, root];
    top = intermediates.find(above);
    if (top) path.push(top);
  }
  return undefined;
}

function toldTo({ modeConfig }: ConnectionIntent, username: string): Told | undefined {
  const user = modeConfig?.users?.find((u) => u.identity.value === username);
  if (!modeConfig || !user) return undefined;
  const networks = (user.splitInclude ?? modeConfig.splitInclude ?? []).map((text) => Prefix.parse(text));
  return {
    // Nothing but everything has a prefix of no bits.
    networks: networks.some((prefix) => prefix.length === 0) ? [] : networks,
    dns: (user.dns ?? modeConfig.dns ?? []).map((text) => IpAddress.parse(text)),
    domains: user.splitDns ?? modeConfig.splitDns ?? [],
  };
}
