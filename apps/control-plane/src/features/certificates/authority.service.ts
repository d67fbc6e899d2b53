import { Injectable } from "@nestjs/common";
import {
  type Authority,
  type Certificate,
  createIssuing,
  createRoot,
  type KeyKind,
  type KeyStore,
  readCertificate,
} from "@sallyport/pki";
import type { Tx } from "../../platform/database/database.js";
import type { CertificateAuthority } from "../../platform/prisma/generated/client.js";
import { Vault } from "../../platform/vault/vault.js";
import { DatabaseKeyStore } from "./database-key-store.js";

/** Whose CA, and what for. The control channel's is the installation's, the others are one organization's each. */
export type AuthorityScope =
  | { readonly purpose: "CONTROL_CHANNEL" }
  | { readonly purpose: "GATEWAY_IDENTITY"; readonly organizationId: string };

/** A CA that can sign. */
export interface OpenAuthority {
  readonly id: string;
  readonly authority: Authority;
  readonly store: KeyStore;
}

const organizationOf = (scope: AuthorityScope) => ("organizationId" in scope ? scope.organizationId : null);

/**
 * The built-in CAs: a root that signs one issuing CA, and that one everything else. They are made when they are first asked for,
 * which is at the first start.
 */
@Injectable()
export class AuthorityService {
  constructor(private readonly vault: Vault) {}

  /** The CA that issues now. */
  async issuing(tx: Tx, scope: AuthorityScope): Promise<OpenAuthority> {
    const rows = await this.#rows(tx, scope);
    const row = rows.find((r) => r.level === "ISSUING" && r.retiredAt === null);
    const store = new DatabaseKeyStore(tx, this.vault, organizationOf(scope));
    if (row !== undefined) return { id: row.id, authority: open(row, rows), store };
    return this.#make(tx, scope, store);
  }

  /** Roots that are trusted in this scope, retired ones too, newest first. */
  async roots(tx: Tx, scope: AuthorityScope): Promise<readonly CertificateAuthority[]> {
    const rows = await this.#rows(tx, scope);
    if (rows.length === 0) {
      await this.issuing(tx, scope);
      return this.roots(tx, scope);
    }
    return rows.filter((r) => r.level === "ROOT");
  }

  /** Every CA that concerns an organization: its own, and the installation's. */
  async list(tx: Tx, organizationId: string): Promise<readonly CertificateAuthority[]> {
    await this.roots(tx, { purpose: "GATEWAY_IDENTITY", organizationId });
    const own = await this.#rows(tx, { purpose: "GATEWAY_IDENTITY", organizationId });
    return [...own, ...(await this.#rows(tx, { purpose: "CONTROL_CHANNEL" }))];
  }

  async #rows(tx: Tx, scope: AuthorityScope): Promise<CertificateAuthority[]> {
    return tx.certificateAuthority.findMany({
      where: { organizationId: organizationOf(scope), purpose: scope.purpose },
      orderBy: { id: "desc" },
    });
  }

  async #make(tx: Tx, scope: AuthorityScope, store: KeyStore): Promise<OpenAuthority> {
    const organizationId = organizationOf(scope);
    // Replicas that start at the same time must end up with one CA.
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`authority/${scope.purpose}/${organizationId}`}, 0))`;
    const rows = await this.#rows(tx, scope);
    const made = rows.find((r) => r.level === "ISSUING" && r.retiredAt === null);
    if (made !== undefined) return { id: made.id, authority: open(made, rows), store };

    const owner = await ownerName(tx, organizationId);
    const name = (what: string) => ({ commonName: `${owner} ${what}`, organization: owner });
    const use = scope.purpose === "CONTROL_CHANNEL" ? "control channel" : "gateways";
    const now = Date.now();
    const root = await createRoot(store, name(`${use} root CA`), now);
    const rootRow = await this.#save(tx, scope, root, undefined);
    const issuing = await createIssuing(store, root, name(`${use} issuing CA`), now);
    const row = await this.#save(tx, scope, issuing, rootRow.id);
    return { id: row.id, authority: issuing, store };
  }

  async #save(tx: Tx, scope: AuthorityScope, made: Authority, parentId: string | undefined) {
    const { certificate, key } = made;
    return tx.certificateAuthority.create({
      data: {
        organizationId: organizationOf(scope),
        purpose: scope.purpose,
        level: parentId === undefined ? "ROOT" : "ISSUING",
        parentId: parentId ?? null,
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
}

async function ownerName(tx: Tx, organizationId: string | null): Promise<string> {
  if (organizationId === null) return "Sallyport";
  const organization = await tx.organization.findUniqueOrThrow({ where: { id: organizationId } });
  return organization.name;
}

function open(row: CertificateAuthority, rows: readonly CertificateAuthority[]): Authority {
  const certificate = readCertificate(row.certificate);
  const above: Certificate[] = [];
  for (let id = row.parentId; id !== null; ) {
    const parent = rows.find((r) => r.id === id);
    if (parent === undefined) break;
    above.push(readCertificate(parent.certificate));
    id = parent.parentId;
  }
  return { certificate, key: { ref: row.keyRef, kind: row.keyKind as KeyKind, spki: certificate.spki }, above };
}
