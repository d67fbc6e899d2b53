import { Injectable } from "@nestjs/common";
import type { CertificateReference } from "@sallyport/intent";
import type { Tx } from "../../platform/database/database.js";
import { inPages } from "../../platform/database/pages.js";
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
    const good = {
      organizationId,
      ...({ purpose: "GATEWAY_IDENTITY", standby: false, supersededAt: null, revokedAt: null } as const),
    };
    const issued = await inPages(({ after, page }) =>
      tx.certificate.findMany({
        where: { ...good, ...after },
        ...page,
        select: { id: true, gatewayId: true, fingerprint: true, authorityId: true },
      }),
    );
    // The agent has those that it asked for itself; one of a rotation comes with the intent.
    const rotated = await inPages(({ after, page }) =>
      tx.certificate.findMany({
        where: { ...good, ...after, replacesId: { not: null } },
        ...page,
        select: { id: true, certificate: true },
      }),
    );
    const leaves = new Map(rotated.map((row) => [row.id, row.certificate]));
    const intermediates = await this.#intermediates(tx, organizationId, new Set(issued.map((row) => row.authorityId)));
    const certificates = new Map<string, CertificateReference>();
    for (const { id, gatewayId, fingerprint, authorityId } of issued) {
      const above = authorityId === null ? undefined : intermediates.get(authorityId);
      if (gatewayId === null || above === undefined) continue;
      const own = leaves.get(id);
      certificates.set(gatewayId, { fingerprint, intermediates: above, ...(own && { leaf: base64(own) }) });
    }
    return {
      certificates,
      publicCertificates: await loadPublicCertificates(tx, organizationId),
      trustAnchors: roots.map((r) => ({ id: r.id, name: r.name.slice(0, 200), der: base64(r.certificate) })),
      internalAnchorIds: roots.map((r) => r.id),
    };
  }

  /** What a gateway shows besides its own certificate, by the id of the authority that issued it. */
  async #intermediates(tx: Tx, organizationId: string, ids: ReadonlySet<string | null>) {
    const rows = await tx.certificateAuthority.findMany({
      where: { organizationId, id: { in: [...ids].flatMap((id) => id ?? []) } },
      select: { id: true, level: true, certificate: true, crossCertificate: true },
    });
    // Who trusts both roots takes the first way that he finds, which has to stand when the old root goes.
    const above = ({ level, certificate, crossCertificate: cross }: (typeof rows)[number]) =>
      level === "ROOT" ? [] : [base64(certificate), ...(cross ? [base64(cross)] : [])];
    return new Map(rows.map((row) => [row.id, above(row)]));
  }
}
