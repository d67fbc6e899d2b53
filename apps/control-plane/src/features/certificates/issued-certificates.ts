import { Injectable } from "@nestjs/common";
import type { Issued, SubjectName } from "@sallyport/pki";
import type { Tx } from "../../platform/database/database.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import type { Certificate } from "../../platform/prisma/generated/client.js";
import type { AuthorityPurpose, RevocationReason } from "../../platform/prisma/generated/enums.js";
import { RevocationRegister } from "../revocations/revocation-register.js";
import type { OpenAuthority } from "./authority.service.js";
import { IssuanceLogService } from "./issuance-log.service.js";
import { PUBLISH_LISTS } from "./jobs.js";

/** Whose a new certificate is, and how it came to be. */
export interface Issuance {
  readonly organizationId: string;
  readonly purpose: AuthorityPurpose;
  readonly holder: string;
  readonly names: readonly SubjectName[];
  /** Who had it issued: an operator's address, an agent's name. */
  readonly by: string;
  readonly gatewayId?: string;
  readonly profileId?: string;
  /** The one that it was renewed or re-keyed from. */
  readonly replacesId?: string;
  /** Chosen beforehand, so that who does it twice finds what the first time has made. */
  readonly id?: string;
  /** It waits beside the one that its gateway shows. */
  readonly standby?: boolean;
}

/** Rows of certificates that our CAs issued. Every way to issue or revoke one leads through here, and so into the log. */
@Injectable()
export class IssuedCertificates {
  constructor(
    private readonly log: IssuanceLogService,
    private readonly outbox: Outbox,
    private readonly register: RevocationRegister,
  ) {}

  async save(tx: Tx, authority: OpenAuthority, issued: Issued, issuance: Issuance): Promise<Certificate> {
    const { by, names, ...columns } = issuance;
    const { certificate } = issued;
    const texts = names.map(({ type, value }) => `${type}:${value}`);
    const row = await tx.certificate.create({
      data: {
        ...columns,
        names: texts,
        authorityId: authority.id,
        serial: certificate.serial,
        fingerprint: certificate.fingerprint,
        subject: certificate.subject.text,
        issuer: certificate.issuer.text,
        keyKind: certificate.kind,
        certificate: Uint8Array.from(certificate.der),
        notBefore: new Date(certificate.notBefore),
        notAfter: new Date(certificate.notAfter),
      },
    });
    await this.log.append(tx, issuance.organizationId, {
      event: "issued",
      ...facts(row),
      names: texts,
      notBefore: row.notBefore.toISOString(),
      notAfter: row.notAfter.toISOString(),
      ...(issuance.replacesId === undefined ? {} : { replaces: issuance.replacesId }),
      by,
    });
    return row;
  }

  /** Revokes for good, or puts on hold. What is revoked for good stays as it is. */
  async revoke(
    tx: Tx,
    rows: readonly Certificate[],
    reason: RevocationReason,
    by: string,
    at = new Date(),
  ): Promise<Certificate[]> {
    const revoked: Certificate[] = [];
    for (const row of rows) {
      const { id, organizationId } = row;
      // From hold to revoked: the time stays that of the hold.
      const data = { revokedAt: row.revokedAt ?? at, revocationReason: reason };
      revoked.push(await tx.certificate.update({ where: { organizationId, id }, data }));
      const event = reason === "CERTIFICATE_HOLD" ? "held" : "revoked";
      await this.log.append(tx, organizationId, { event, ...facts(row), reason, by });
      await this.#tell(tx, row);
    }
    // Who goes from hold to revoked is refused already.
    const fresh = revoked.filter((_, i) => rows[i]?.revokedAt === null);
    for (const [organizationId, own] of Map.groupBy(fresh, (row) => row.organizationId)) {
      await this.register.certificates(tx, organizationId, own, false);
    }
    return revoked;
  }

  /** Takes a certificate off hold. */
  async release(tx: Tx, row: Certificate, by: string): Promise<Certificate> {
    const { id, organizationId } = row;
    const data = { revokedAt: null, revocationReason: null, releasedAt: new Date() };
    const released = await tx.certificate.update({ where: { organizationId, id }, data });
    await this.log.append(tx, organizationId, { event: "released", ...facts(row), by });
    await this.#tell(tx, row);
    await this.register.certificates(tx, organizationId, [released], true);
    return released;
  }

  /** What was said of it is worth nothing from the commit on: the next one who asks is answered anew. */
  async #tell(tx: Tx, { organizationId, authorityId, serial }: Certificate): Promise<void> {
    if (authorityId === null) return;
    await tx.$executeRaw`
      DELETE FROM ocsp_answers WHERE authority_id = ${authorityId}::uuid AND serial = ${serial}
        AND (organization_id = ${organizationId}::uuid OR organization_id IS NULL)`;
    await this.outbox.add(tx, organizationId, PUBLISH_LISTS, { authorityId });
  }
}

const facts = ({ fingerprint, serial, subject, issuer, holder }: Certificate) => ({
  fingerprint,
  serial,
  subject,
  issuer,
  holder,
});
