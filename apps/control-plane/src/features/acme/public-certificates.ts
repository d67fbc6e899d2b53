import type { PublicCertificate } from "@sallyport/intent";
import type { Tx } from "../../platform/database/database.js";

const base64 = (der: Uint8Array) => Buffer.from(der).toString("base64");

/** What gateways show to road warriors, by gateway id. One that was enrolled anew since has lost the key. */
export async function loadPublicCertificates(
  tx: Tx,
  organizationId: string,
): Promise<ReadonlyMap<string, PublicCertificate>> {
  const rows = await tx.acmeOrder.findMany({
    where: { organizationId, state: "ISSUED", certificate: { revokedAt: null } },
    orderBy: { id: "desc" },
    distinct: ["acmeCertificateId"],
    select: {
      createdAt: true,
      names: true,
      intermediates: true,
      certificate: { select: { fingerprint: true, certificate: true } },
      acmeCertificate: { select: { gatewayId: true, gateway: { select: { enrolledAt: true } } } },
    },
  });
  const found = new Map<string, PublicCertificate>();
  for (const { createdAt, names, intermediates, certificate, acmeCertificate } of rows) {
    const { gatewayId, gateway } = acmeCertificate;
    const [name] = names;
    if (certificate === null || name === undefined || createdAt < (gateway.enrolledAt ?? createdAt)) continue;
    const { fingerprint, certificate: leaf } = certificate;
    found.set(gatewayId, {
      name,
      reference: { fingerprint, intermediates: intermediates.map(base64), leaf: base64(leaf) },
    });
  }
  return found;
}
