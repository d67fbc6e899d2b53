import { Inject, Injectable } from "@nestjs/common";
import {
  type Authority,
  type Certificate,
  createIssuing,
  createRoot,
  type IssuerPlaces,
  type KeyKind,
  type KeyStore,
  readCertificate,
} from "@sallyport/pki";
import { CONFIG, type Config } from "../../platform/config/config.js";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import type { CertificateAuthority } from "../../platform/prisma/generated/client.js";
import { Vault } from "../../platform/vault/vault.js";
import { AuthorityKeys } from "./authority-keys.js";
import { DatabaseKeyStore } from "./database-key-store.js";
import { fault } from "./faults.js";
import { HardwareKeys } from "./hardware-keys.js";

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
  constructor(
    private readonly vault: Vault,
    private readonly hardware: HardwareKeys,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** The keys of an organization's CAs; null: the installation's. */
  keys(tx: Tx, organizationId: string | null): KeyStore {
    return new AuthorityKeys(new DatabaseKeyStore(tx, this.vault, organizationId), this.hardware);
  }

  /** What certificates that this CA signs say of where its list, its responder and its own certificate are. */
  places(authorityId: string): IssuerPlaces | undefined {
    const { pkiUrl } = this.config;
    if (pkiUrl === undefined) return undefined;
    const at = (what: string) => `${pkiUrl}/pki/${what}/${authorityId}`;
    return { crl: at("crl"), ocsp: at("ocsp"), issuer: at("ca") };
  }

  /**
   * A CA by its id, ready to sign. One that was retired issues nothing, but still says what it revoked.
   * @throws api/not-found, certificates/cannot-sign with the caller's field
   */
  async open(
    tx: Tx,
    organizationId: string | null,
    id: string,
    field: string,
    which: "issuing" | "retired too" = "issuing",
  ): Promise<OpenAuthority> {
    const row = await tx.certificateAuthority.findFirst({ where: { organizationId, id } });
    if (row === null) {
      throw apiFault("api/not-found", "there is no such certificate authority", { field, value: id });
    }
    if (row.keyRef === null || (row.retiredAt !== null && which === "issuing")) {
      const why = row.keyRef === null ? "its key is elsewhere" : "it was retired";
      throw fault("certificates/cannot-sign", `${row.name} issues nothing here: ${why}`, { field, value: id });
    }
    return { id, authority: open(row, await above(tx, row)), store: this.keys(tx, organizationId) };
  }

  /** Certificates (DER) of a CA and of those above it, the root last. */
  async chain(tx: Tx, organizationId: string | null, id: string): Promise<readonly Uint8Array[]> {
    const row = await tx.certificateAuthority.findFirstOrThrow({ where: { organizationId, id } });
    return [row, ...(await above(tx, row))].map((r) => r.certificate);
  }

  /** The id of the root above a CA, its own when it is one. */
  async rootOf(tx: Tx, organizationId: string | null, id: string): Promise<string> {
    const row = await tx.certificateAuthority.findFirstOrThrow({ where: { organizationId, id } });
    return (await above(tx, row)).at(-1)?.id ?? row.id;
  }

  /** The CA that issues now. */
  async issuing(tx: Tx, scope: AuthorityScope): Promise<OpenAuthority> {
    const rows = await this.#rows(tx, scope);
    const row = rows.find(issuesNow);
    const store = this.keys(tx, organizationOf(scope));
    if (row !== undefined) return { id: row.id, authority: open(row, rows), store };
    return this.#make(tx, scope, store);
  }

  /** Roots that are trusted in this scope, newest first: those that issue no more too, until nobody needs them. */
  async roots(tx: Tx, scope: AuthorityScope): Promise<readonly CertificateAuthority[]> {
    const rows = await this.#rows(tx, scope);
    if (rows.length === 0) {
      await this.issuing(tx, scope);
      return this.roots(tx, scope);
    }
    return rows.filter((r) => r.level === "ROOT" && r.distrustedAt === null);
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
    const made = rows.find(issuesNow);
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

const issuesNow = ({ level, standby, retiredAt }: CertificateAuthority) =>
  level === "ISSUING" && !standby && retiredAt === null;

export async function ownerName(tx: Tx, organizationId: string | null): Promise<string> {
  if (organizationId === null) return "Sallyport";
  const organization = await tx.organization.findUniqueOrThrow({ where: { id: organizationId } });
  return organization.name;
}

/** The CAs above one, the next one first. */
async function above(tx: Tx, row: CertificateAuthority): Promise<CertificateAuthority[]> {
  const rows: CertificateAuthority[] = [];
  for (let id = row.parentId; id !== null; ) {
    const parent = await tx.certificateAuthority.findFirst({ where: { organizationId: row.organizationId, id } });
    if (parent === null) break;
    rows.push(parent);
    id = parent.parentId;
  }
  return rows;
}

function open(row: CertificateAuthority, rows: readonly CertificateAuthority[]): Authority {
  const certificate = readCertificate(row.certificate);
  const chain: Certificate[] = [];
  for (let id = row.parentId; id !== null; ) {
    const parent = rows.find((r) => r.id === id);
    if (parent === undefined) break;
    chain.push(readCertificate(parent.certificate));
    id = parent.parentId;
  }
  const key = { ref: row.keyRef ?? "", kind: row.keyKind as KeyKind, spki: certificate.spki };
  return { certificate, key, above: chain };
}
