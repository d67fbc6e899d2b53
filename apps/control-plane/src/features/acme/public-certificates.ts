import { X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";
import type { PublicCertificate } from "@sallyport/intent";
import { type Certificate, certificatesFromPem, readCertificate } from "@sallyport/pki";
import type { Tx } from "../../platform/database/database.js";

/** Read when they are needed for the first time: there are many. */
let publicRoots: readonly X509Certificate[] | undefined;

/** As many as an intent may name. */
const MAX_PINS = 16;

const base64 = (der: Uint8Array) => Buffer.from(der).toString("base64");

/** What gateways show, by gateway id. One that was enrolled anew since has lost the key. */
export async function loadPublicCertificates(
  tx: Tx,
  organizationId: string,
): Promise<ReadonlyMap<string, PublicCertificate>> {
  const rows = await tx.acmeOrder.findMany({
    where: { organizationId, shownAt: { not: null }, certificate: { revokedAt: null } },
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
  const taken = await loadPins(tx, organizationId);
  const found = new Map<string, PublicCertificate>();
  for (const { createdAt, names, intermediates, certificate, acmeCertificate } of rows) {
    const { gatewayId, gateway } = acmeCertificate;
    const [name] = names;
    if (certificate === null || name === undefined || createdAt < (gateway.enrolledAt ?? createdAt)) continue;
    const { fingerprint, certificate: leaf } = certificate;
    found.set(gatewayId, {
      name,
      reference: { fingerprint, intermediates: intermediates.map(base64), leaf: base64(leaf) },
      pins: [...new Set([fingerprint, ...(taken.get(gatewayId) ?? [])])].slice(0, MAX_PINS),
    });
  }
  return found;
}

/** By gateway id: certificates that are announced, and those that were shown and that peers still need. */
async function loadPins(tx: Tx, organizationId: string): Promise<ReadonlyMap<string, string[]>> {
  const rows = await tx.acmeOrder.findMany({
    where: {
      organizationId,
      OR: [{ showAt: { not: null }, shownAt: null }, { retireAt: { not: null } }],
      certificate: { revokedAt: null },
    },
    orderBy: { id: "desc" },
    select: {
      createdAt: true,
      certificate: { select: { fingerprint: true } },
      acmeCertificate: { select: { gatewayId: true, gateway: { select: { enrolledAt: true } } } },
    },
  });
  const good = rows.flatMap(({ createdAt, certificate, acmeCertificate: { gatewayId, gateway } }) =>
    certificate && createdAt >= (gateway.enrolledAt ?? createdAt) ? [{ gatewayId, ...certificate }] : [],
  );
  const byGateway = Map.groupBy(good, (pin) => pin.gatewayId);
  return new Map([...byGateway].map(([id, pins]) => [id, pins.map((pin) => pin.fingerprint)]));
}

/**
 * The root above the last certificate of a gateway's chain: one that the account's directory is trusted by, or a public one. Undefined
 * when it is neither.
 */
export async function publicRoot(
  tx: Tx,
  organizationId: string,
  gatewayId: string,
  last: Certificate,
): Promise<Certificate | undefined> {
  const row = await tx.acmeCertificate.findFirst({
    where: { organizationId, gatewayId },
    select: { account: { select: { directoryRoots: true } } },
  });
  const own = row?.account.directoryRoots;
  const issued = new X509Certificate(last.der);
  publicRoots ??= rootCertificates.map((pem) => new X509Certificate(pem));
  const known = [...(own ? certificatesFromPem(own).map((root) => new X509Certificate(root)) : []), ...publicRoots];
  const found = known.find((root) => issued.checkIssued(root) && issued.verify(root.publicKey));
  return found && readCertificate(found.raw);
}
