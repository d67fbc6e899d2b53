import { Injectable } from "@nestjs/common";
import { isHostName } from "@sallyport/intent";
import { type Chain, checkRequest, type Issued, issueAgent, issueGateway, type SubjectName } from "@sallyport/pki";
import type { Tx } from "../../platform/database/database.js";
import type { Certificate } from "../../platform/prisma/generated/client.js";
import type { AuthorityPurpose, RevocationReason } from "../../platform/prisma/generated/enums.js";
import { AuthorityService } from "./authority.service.js";
import { type Issuance, IssuedCertificates } from "./issued-certificates.js";

const nameOf = (host: string): SubjectName => ({ type: isHostName(host) ? "dns" : "ip", value: host });

/** Certificate requests of one gateway, PKCS#10 DER. */
export interface GatewayRequests {
  readonly identity: Uint8Array;
  readonly control: Uint8Array;
}

/** DER, leaf first, root last. */
export interface GatewayChains {
  readonly identity: Chain;
  readonly control: Chain;
}

export type GatewayPurpose = Extract<AuthorityPurpose, "GATEWAY_IDENTITY" | "CONTROL_CHANNEL">;

type Beside = Pick<Issuance, "id" | "replacesId" | "standby">;

export interface CertifiedGateway {
  readonly id: string;
  readonly organizationId: string;
  readonly identity: string;
}

const whose = ({ organizationId, id, identity }: CertifiedGateway) => ({
  ...{ organizationId, gatewayId: id, holder: identity, by: identity },
});

/**
 * Certificates of gateways. Each has two, with a key of its own each: the identity that its IKE peers see, from its organization's
 * CA, and the control channel's, from the installation's CA. They are revoked for different reasons, the identity may come from
 * somebody else's CA one day, and neither key ever signs in the other's protocol.
 */
@Injectable()
export class CertificateService {
  constructor(
    private readonly authorities: AuthorityService,
    private readonly issued: IssuedCertificates,
  ) {}

  /**
   * Issues both. Earlier ones are superseded, and with `revokeEarlier` worthless at once: the gateway's machine was replaced.
   * @throws pki/malformed, pki/weak-key, pki/bad-algorithm, pki/bad-signature with the request as field
   */
  async issue(
    tx: Tx,
    gateway: CertifiedGateway,
    requests: GatewayRequests,
    options: { readonly revokeEarlier: boolean },
  ): Promise<GatewayChains> {
    const identityKey = checkRequest(requests.identity, "identityCsr");
    const controlKey = checkRequest(requests.control, "controlCsr");
    const now = Date.now();
    const { organizationId } = gateway;
    if (options.revokeEarlier) await this.revokeAll(tx, organizationId, gateway.id, "SUPERSEDED");
    await tx.certificate.updateMany({
      where: { organizationId, gatewayId: gateway.id, supersededAt: null },
      data: { supersededAt: new Date(now) },
    });
    const identity = await this.#identity(tx, gateway, identityKey.spki, now, {});
    const control = await this.#control(tx, gateway, controlKey.spki, now, {});
    return { identity: identity.chain, control: control.chain };
  }

  /**
   * Issues a certificate that waits beside the gateway's present one until `takePlace`. Its row gets the id that is given.
   * @throws pki/malformed, pki/weak-key, pki/bad-algorithm, pki/bad-signature with `csr` as field
   */
  async issueBeside(
    tx: Tx,
    gateway: CertifiedGateway,
    purpose: GatewayPurpose,
    { id, csr, replacesId }: { readonly id: string; readonly csr: Uint8Array; readonly replacesId: string },
  ): Promise<void> {
    const { spki } = checkRequest(csr, "csr");
    const beside = { id, replacesId, standby: true };
    if (purpose === "GATEWAY_IDENTITY") await this.#identity(tx, gateway, spki, Date.now(), beside);
    else await this.#control(tx, gateway, spki, Date.now(), beside);
  }

  /** The gateway shows the waiting certificate from now on; the one before stays good. */
  async takePlace(tx: Tx, { organizationId, gatewayId, purpose, id }: Certificate): Promise<void> {
    const present = { organizationId, gatewayId, purpose, standby: false, supersededAt: null };
    await tx.certificate.updateMany({ where: present, data: { supersededAt: new Date() } });
    await tx.certificate.update({ where: { organizationId, id }, data: { standby: false } });
  }

  /** Makes worthless what the gateway does not show any more. */
  async revokeOthers(tx: Tx, organizationId: string, gatewayId: string, purpose: GatewayPurpose): Promise<void> {
    const where = { organizationId, gatewayId, purpose, revokedAt: null, supersededAt: { not: null } };
    await this.issued.revoke(tx, await tx.certificate.findMany({ where }), "SUPERSEDED", "system");
  }

  /** A waiting certificate that is not wanted any more. */
  async takeBack(tx: Tx, row: Certificate): Promise<void> {
    const { organizationId, id } = row;
    await tx.certificate.update({ where: { organizationId, id }, data: { supersededAt: new Date() } });
    await this.issued.revoke(tx, [row], "CESSATION_OF_OPERATION", "system");
  }

  async #identity(tx: Tx, gateway: CertifiedGateway, spki: Uint8Array, now: number, more: Beside): Promise<Issued> {
    const { organizationId } = gateway;
    const organization = await tx.organization.findUniqueOrThrow({ where: { id: organizationId } });
    const { host } = await tx.gateway.findUniqueOrThrow({
      where: { organizationId, id: gateway.id },
      select: { host: true },
    });
    const address = host === null ? undefined : nameOf(host);
    const gateways = await this.authorities.issuing(tx, { purpose: "GATEWAY_IDENTITY", organizationId });
    const identity = await issueGateway(gateways.store, gateways.authority, {
      fqdn: gateway.identity,
      address,
      organization: organization.name,
      spki,
      now,
      places: this.authorities.places(gateways.id),
    });
    await this.issued.save(tx, gateways, identity, {
      ...whose(gateway),
      ...more,
      purpose: "GATEWAY_IDENTITY",
      names: [{ type: "dns", value: gateway.identity }, ...(address ? [address] : [])],
    });
    return identity;
  }

  async #control(tx: Tx, gateway: CertifiedGateway, spki: Uint8Array, now: number, more: Beside): Promise<Issued> {
    const channel = await this.authorities.issuing(tx, { purpose: "CONTROL_CHANNEL" });
    const control = await issueAgent(channel.store, channel.authority, { gatewayId: gateway.id, spki, now });
    await this.issued.save(tx, channel, control, { ...whose(gateway), ...more, purpose: "CONTROL_CHANNEL", names: [] });
    return control;
  }

  /** Makes every certificate of a gateway worthless. */
  async revokeAll(
    tx: Tx,
    organizationId: string,
    gatewayId: string,
    reason: RevocationReason = "CESSATION_OF_OPERATION",
  ): Promise<void> {
    const rows = await tx.certificate.findMany({ where: { organizationId, gatewayId, revokedAt: null } });
    await this.issued.revoke(tx, rows, reason, "system");
  }
}
