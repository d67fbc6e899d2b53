import { Injectable } from "@nestjs/common";
import { type Certificate, readCertificate } from "@sallyport/pki";
import { Database } from "../../platform/database/database.js";

/** A CA as strangers may ask for it. */
export interface PublishedAuthority {
  readonly id: string;
  /** Null: the installation's. */
  readonly organizationId: string | null;
  readonly certificate: Certificate;
}

const MOST = 1024;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Finds CAs by the id that is in their places, whosever they are. What is kept of them never changes. */
@Injectable()
export class PublishedAuthorities {
  readonly #known = new Map<string, PublishedAuthority>();

  constructor(private readonly database: Database) {}

  async find(id: string): Promise<PublishedAuthority | undefined> {
    if (!UUID.test(id)) return undefined;
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const [row] = await this.database.client.$queryRaw<{ organizationId: string | null; certificate: Uint8Array }[]>`
      SELECT organization_id AS "organizationId", certificate FROM certificate_authorities WHERE id = ${id}::uuid`;
    if (row === undefined) return undefined;
    const { organizationId } = row;
    const found = { id, organizationId, certificate: readCertificate(row.certificate) };
    this.#known.set(id, found);
    if (this.#known.size > MOST) this.#known.delete(this.#known.keys().next().value as string);
    return found;
  }

  /** Those whose lists are due, of all organizations. */
  async due(now: Date, take: number): Promise<string[]> {
    const rows = await this.database.client.$queryRaw<{ id: string }[]>`
      SELECT id::text, organization_id::text AS "organizationId" FROM certificate_authorities
      WHERE key_ref IS NOT NULL AND not_after > ${now}
        AND (lists_due_at IS NULL OR lists_due_at < ${now})
      ORDER BY id LIMIT ${take}`;
    return rows.map((row) => row.id);
  }

  /** Those of all organizations that issue here. */
  async signing(now: Date): Promise<string[]> {
    const rows = await this.database.client.$queryRaw<{ id: string }[]>`
      SELECT id::text, organization_id::text AS "organizationId" FROM certificate_authorities
      WHERE key_ref IS NOT NULL AND not_after > ${now}
      ORDER BY id`;
    return rows.map((row) => row.id);
  }
}
