import { Injectable } from "@nestjs/common";
import {
  type Authority,
  type AuthorityName,
  authoritySubject,
  certifyAuthority,
  createIssuing,
  createRoot,
} from "@sallyport/pki";
import type { Tx } from "../../platform/database/database.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import type { CertificateAuthority } from "../../platform/prisma/generated/client.js";
import { AuthorityService, ownerName } from "./authority.service.js";
import { IssuanceLogService } from "./issuance-log.service.js";
import { PUBLISH_LISTS } from "./jobs.js";

const PURPOSE = "GATEWAY_IDENTITY";
const FIELD = "authority";

/** Of an organization. */
export type OrganizationAuthority = CertificateAuthority & { readonly organizationId: string };
type Kept = Pick<CertificateAuthority, "level" | "parentId" | "standby"> & { readonly id?: string };

/** How an organization's CAs for gateways follow one another. Each change may be made twice: a new one has an id chosen beforehand. */
@Injectable()
export class AuthoritySuccession {
  constructor(
    private readonly authorities: AuthorityService,
    private readonly log: IssuanceLogService,
    private readonly outbox: Outbox,
  ) {}

  find(tx: Tx, organizationId: string, id: string): Promise<OrganizationAuthority | null> {
    const where = { organizationId, id, purpose: PURPOSE } as const;
    return tx.certificateAuthority.findFirst({ where }) as Promise<OrganizationAuthority | null>;
  }

  /** The one that issues now; with `ROOT`, the root above it. */
  async present(tx: Tx, organizationId: string, level: "ISSUING" | "ROOT"): Promise<OrganizationAuthority> {
    const { id } = await this.authorities.issuing(tx, { purpose: PURPOSE, organizationId });
    const wanted = level === "ISSUING" ? id : await this.authorities.rootOf(tx, organizationId, id);
    return (await this.find(tx, organizationId, wanted)) as OrganizationAuthority;
  }

  /**
   * A CA below the same root that issues nothing yet; its list is published.
   * @throws certificates/cannot-sign when the root's key is not here
   */
  async introduceIssuing(
    tx: Tx,
    { organizationId, parentId }: OrganizationAuthority,
    id: string,
    by: string,
  ): Promise<void> {
    if (await this.find(tx, organizationId, id)) return;
    const name = await this.#name(tx, organizationId, "ISSUING");
    await this.#makeIssuing(tx, organizationId, parentId ?? "", { id, name, standby: true }, by);
    await this.outbox.add(tx, organizationId, PUBLISH_LISTS, { authorityId: id });
  }

  /** It issues from now on, in the place of all others. */
  async switchIssuing(tx: Tx, { organizationId, id }: OrganizationAuthority): Promise<void> {
    const others = { organizationId, purpose: PURPOSE, level: "ISSUING", retiredAt: null, id: { not: id } } as const;
    await tx.certificateAuthority.updateMany({ where: others, data: { retiredAt: new Date() } });
    await tx.certificateAuthority.update({ where: { organizationId, id }, data: { standby: false } });
  }

  /** A root that is trusted from now on and has issued nothing. */
  async introduceRoot(tx: Tx, old: OrganizationAuthority, id: string, by: string): Promise<void> {
    const { organizationId } = old;
    if (await this.find(tx, organizationId, id)) return;
    const name = await this.#name(tx, organizationId, "ROOT");
    const root = await createRoot(this.authorities.keys(tx, organizationId), name, Date.now());
    await this.#save(tx, organizationId, root, { id, level: "ROOT", parentId: null, standby: false }, by);
  }

  /**
   * A new issuing CA below the new root takes the place of those below the old one, which certifies its key too: who trusts the old root
   * alone still finds a way to it. Not the new root's key: a root allows one CA below it.
   */
  async switchRoot(tx: Tx, old: OrganizationAuthority, newRootId: string, by: string): Promise<void> {
    const { organizationId } = old;
    if (old.retiredAt !== null) return;
    const name = await this.#name(tx, organizationId, "ISSUING");
    const made = await this.#makeIssuing(tx, organizationId, newRootId, { name, standby: false }, by);
    const { authority, store } = await this.authorities.open(tx, organizationId, old.id, FIELD);
    const cross = await certifyAuthority(store, made.authority.key, authority, {
      subject: authoritySubject(name),
      now: Date.now(),
      notAfter: Math.min(made.authority.certificate.notAfter, authority.certificate.notAfter),
      pathLength: 0,
      places: this.authorities.places(old.id),
    });
    await this.#tell(tx, organizationId, cross, by);
    const data = { crossCertificate: Uint8Array.from(cross.certificate.der) };
    const row = await tx.certificateAuthority.update({ where: { organizationId, id: made.id }, data });
    await this.switchIssuing(tx, row as OrganizationAuthority);
    await tx.certificateAuthority.update({ where: { organizationId, id: old.id }, data: { retiredAt: new Date() } });
  }

  /** Gateways trust a root no more, and show nothing that it has certified. */
  async distrust(tx: Tx, { organizationId, id, retiredAt }: OrganizationAuthority): Promise<void> {
    const now = new Date();
    const data = { retiredAt: retiredAt ?? now, distrustedAt: now };
    await tx.certificateAuthority.update({ where: { organizationId, id }, data });
    const crossed = { organizationId, purpose: PURPOSE, crossCertificate: { not: null } } as const;
    await tx.certificateAuthority.updateMany({ where: crossed, data: { crossCertificate: null } });
  }

  /** A CA that waits is not wanted any more. */
  async takeBack(tx: Tx, { organizationId, id }: OrganizationAuthority): Promise<void> {
    await tx.certificateAuthority.update({ where: { organizationId, id }, data: { retiredAt: new Date() } });
  }

  /** Has its list written anew. */
  async publish(tx: Tx, { organizationId, id }: OrganizationAuthority): Promise<void> {
    await tx.certificateAuthority.update({ where: { organizationId, id }, data: { listsDueAt: null } });
    await this.outbox.add(tx, organizationId, PUBLISH_LISTS, { authorityId: id });
  }

  /** Ids of gateways that show certificates of CAs that issue no more. */
  async leftBehind(tx: Tx, organizationId: string): Promise<string[]> {
    const rows = await tx.certificate.findMany({
      where: {
        ...{ organizationId, purpose: PURPOSE, standby: false, supersededAt: null, revokedAt: null },
        gateway: { is: { organizationId, state: "ENROLLED" } },
        authority: { is: { retiredAt: { not: null } } },
      },
      orderBy: { gatewayId: "asc" },
      select: { gatewayId: true },
    });
    return rows.flatMap(({ gatewayId }) => gatewayId ?? []);
  }

  async #makeIssuing(
    tx: Tx,
    organizationId: string,
    rootId: string,
    { name, ...more }: { readonly id?: string; readonly name: AuthorityName; readonly standby: boolean },
    by: string,
  ) {
    const root = await this.authorities.open(tx, organizationId, rootId, FIELD);
    const authority = await createIssuing(root.store, root.authority, name, Date.now());
    const row = await this.#save(tx, organizationId, authority, { ...more, level: "ISSUING", parentId: rootId }, by);
    return { id: row.id, authority };
  }

  async #name(tx: Tx, organizationId: string, level: "ISSUING" | "ROOT"): Promise<AuthorityName> {
    const owner = await ownerName(tx, organizationId);
    const count = await tx.certificateAuthority.count({ where: { organizationId, purpose: PURPOSE, level } });
    const what = level === "ROOT" ? "root" : "issuing";
    return { commonName: `${owner} gateways ${what} CA ${count + 1}`, organization: owner };
  }

  async #save(tx: Tx, organizationId: string, made: Authority, kept: Kept, by: string): Promise<CertificateAuthority> {
    const { certificate, key } = made;
    await this.#tell(tx, organizationId, made, by);
    return tx.certificateAuthority.create({
      data: {
        ...kept,
        organizationId,
        purpose: PURPOSE,
        name: certificate.subject.text,
        certificate: Uint8Array.from(certificate.der),
        fingerprint: certificate.fingerprint,
        keyRef: key.ref,
        keyKind: key.kind,
        notBefore: new Date(certificate.notBefore),
        notAfter: new Date(certificate.notAfter),
      },
    });
  }

  #tell(tx: Tx, organizationId: string, { certificate }: Authority, by: string): Promise<void> {
    const { fingerprint, serial, subject, issuer, notAfter } = certificate;
    return this.log.append(tx, organizationId, {
      event: "authority-created",
      ...{ fingerprint, serial, subject: subject.text, issuer: issuer.text },
      notAfter: new Date(notAfter).toISOString(),
      by,
    });
  }
}
