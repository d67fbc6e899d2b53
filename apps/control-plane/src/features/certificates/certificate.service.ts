import { Injectable } from "@nestjs/common";
import { type Chain, checkRequest, type Issued, issueAgent, issueGateway } from "@sallyport/pki";
import type { Tx } from "../../platform/database/database.js";
import type { AuthorityPurpose } from "../../platform/prisma/generated/enums.js";
import { AuthorityService, type OpenAuthority } from "./authority.service.js";

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
  constructor(private readonly authorities: AuthorityService) {}

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

    await tx.certificate.updateMany({
      where: {
        organizationId,
        gatewayId: gateway.id,
        revokedAt: null,
        ...(options.revokeEarlier ? {} : { supersededAt: null }),
      },
      data: { supersededAt: new Date(now), ...(options.revokeEarlier ? { revokedAt: new Date(now) } : {}) },
    });
    const gateways = await this.authorities.issuing(tx, { purpose: "GATEWAY_IDENTITY", organizationId });
    const identity = await issueGateway(gateways.store, gateways.authority, {
      fqdn: gateway.identity,
      organization: organization.name,
      spki: identityKey.spki,
      now,
    });
    await save(tx, gateway, gateways, "GATEWAY_IDENTITY", identity);
    const channel = await this.authorities.issuing(tx, { purpose: "CONTROL_CHANNEL" });
    const control = await issueAgent(channel.store, channel.authority, {
      gatewayId: gateway.id,
      spki: controlKey.spki,
      now,
    });
    await save(tx, gateway, channel, "CONTROL_CHANNEL", control);
    return { identity: identity.chain, control: control.chain };
  }

  /** Makes every certificate of a gateway worthless. */
  async revokeAll(tx: Tx, organizationId: string, gatewayId: string): Promise<void> {
    await tx.certificate.updateMany({
      where: { organizationId, gatewayId, revokedAt: null },
      data: { revokedAt: new Date() },
    });
  }
}

async function save(
  tx: Tx,
  gateway: CertifiedGateway,
  by: OpenAuthority,
  purpose: AuthorityPurpose,
  { certificate }: Issued,
): Promise<void> {
  await tx.certificate.create({
    data: {
      organizationId: gateway.organizationId,
      authorityId: by.id,
      gatewayId: gateway.id,
      purpose,
      serial: certificate.serial,
      fingerprint: certificate.fingerprint,
      subject: certificate.subject.text,
      certificate: Uint8Array.from(certificate.der),
      notBefore: new Date(certificate.notBefore),
      notAfter: new Date(certificate.notAfter),
    },
  });
}
