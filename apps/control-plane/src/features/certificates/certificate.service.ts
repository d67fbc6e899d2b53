import { Injectable } from "@nestjs/common";
import { isHostName } from "@sallyport/intent";
import { type Chain, checkRequest, issueAgent, issueGateway, type SubjectName } from "@sallyport/pki";
import type { Tx } from "../../platform/database/database.js";
import type { RevocationReason } from "../../platform/prisma/generated/enums.js";
import { AuthorityService } from "./authority.service.js";
import { IssuedCertificates } from "./issued-certificates.js";

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

export interface CertifiedGateway {
  readonly id: string;
  readonly organizationId: string;
  readonly identity: string;
}

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
    const organization = await tx.organization.findUniqueOrThrow({ where: { id: organizationId } });

    if (options.revokeEarlier) await this.revokeAll(tx, organizationId, gateway.id, "SUPERSEDED");
    await tx.certificate.updateMany({
      where: { organizationId, gatewayId: gateway.id, supersededAt: null },
      data: { supersededAt: new Date(now) },
    });
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
      spki: identityKey.spki,
      now,
      places: this.authorities.places(gateways.id),
    });
    const whose = { organizationId, gatewayId: gateway.id, holder: gateway.identity, by: gateway.identity };
    await this.issued.save(tx, gateways, identity, {
      ...whose,
      purpose: "GATEWAY_IDENTITY",
      names: [{ type: "dns", value: gateway.identity }, ...(address ? [address] : [])],
    });
    const channel = await this.authorities.issuing(tx, { purpose: "CONTROL_CHANNEL" });
    const control = await issueAgent(channel.store, channel.authority, {
      gatewayId: gateway.id,
      spki: controlKey.spki,
      now,
    });
    await this.issued.save(tx, channel, control, { ...whose, purpose: "CONTROL_CHANNEL", names: [] });
    return { identity: identity.chain, control: control.chain };
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
