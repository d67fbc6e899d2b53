import { Injectable } from "@nestjs/common";
import type { CertificateReference } from "@sallyport/intent";
import type { Tx } from "../../platform/database/database.js";
import { loadPublicCertificates } from "../acme/public-certificates.js";
import { type Credentials, GatewayCredentials } from "../intents/gateway-credentials.js";
import { AuthorityService } from "./authority.service.js";

const base64 = (der: Uint8Array) => Buffer.from(der).toString("base64");

/** Tells the compiler which certificate each gateway shows, and by which anchors gateways accept each other. */
@Injectable()
export class IssuedCredentials extends GatewayCredentials {
  constructor(private readonly authorities: AuthorityService) {
    super();
  }

  override async load(tx: Tx, organizationId: string): Promise<Credentials> {
    const roots = await this.authorities.roots(tx, { purpose: "GATEWAY_IDENTITY", organizationId });
    const issued = await tx.certificate.findMany({
      where: { organizationId, purpose: "GATEWAY_IDENTITY", standby: false, supersededAt: null, revokedAt: null },
      select: {
        gatewayId: true,
        fingerprint: true,
        certificate: true,
        replacesId: true,
        authority: { select: { level: true, certificate: true, crossCertificate: true } },
      },
    });
    const certificates = new Map<string, CertificateReference>();
    for (const { gatewayId, fingerprint, authority, certificate, replacesId } of issued) {
      if (gatewayId === null || authority === null) continue;
      // Who trusts both roots takes the first way that he finds, which has to stand when the old root goes.
      const { level, crossCertificate: cross } = authority;
      const intermediates = level === "ROOT" ? [] : [base64(authority.certificate), ...(cross ? [base64(cross)] : [])];
      // The agent has those that it asked for itself; one of a rotation comes with the intent.
      const leaf = replacesId === null ? {} : { leaf: base64(certificate) };
      certificates.set(gatewayId, { fingerprint, intermediates, ...leaf });
    }
    return {
      certificates,
      publicCertificates: await loadPublicCertificates(tx, organizationId),
      trustAnchors: roots.map((r) => ({ id: r.id, name: r.name.slice(0, 200), der: base64(r.certificate) })),
      internalAnchorIds: roots.map((r) => r.id),
    };
  }
}
