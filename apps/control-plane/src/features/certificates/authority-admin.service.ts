import type { KeyObject } from "node:crypto";
import { Injectable } from "@nestjs/common";
import {
  type Certificate,
  certificatesFromPem,
  certifyAuthority,
  checkRequest,
  createAuthorityRequest,
  generateKeys,
  type KeyHandle,
  type KeyStore,
  type KeyType,
  type NameRules,
  readCertificate,
  readPrivateKeyPem,
  requireAuthorityChain,
  type Subject,
} from "@sallyport/pki";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page, pageQuery } from "../../platform/graphql/connection.js";
import { checkName, checkUuid } from "../../platform/input.js";
import type { AuthorityRequest, CertificateAuthority } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { AuthorityService } from "./authority.service.js";
import { KeyStoreName } from "./authority-keys.js";
import { fault } from "./faults.js";
import { HardwareKeys } from "./hardware-keys.js";
import { IssuanceLogService } from "./issuance-log.service.js";
import { checkCount, checkNameRules, daysMs } from "./request-input.js";

export interface NewAuthority {
  readonly name: string;
  readonly organizationName?: string | null | undefined;
  readonly keyType: KeyType;
  readonly keyStore: KeyStoreName;
  readonly parentId?: string | null | undefined;
  readonly pathLength?: number | null | undefined;
  readonly nameConstraints?: NameRules | null | undefined;
  readonly validDays?: number | null | undefined;
}

const ROOT_DAYS = 3650;
const ISSUING_DAYS = 1825;
const LONGEST_DAYS = 9125;
const MAX_PEM = 64 * 1024;

/** What an operator does with CAs: make, import, have one certified elsewhere. */
@Injectable()
export class AuthorityAdminService {
  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly authorities: AuthorityService,
    private readonly hardware: HardwareKeys,
    private readonly log: IssuanceLogService,
    private readonly audit: AuditService,
  ) {}

  /** Newest first: the organization's own, and the installation's. */
  list(context: TenantContext, args: PageArgs): Promise<Connection<CertificateAuthority>> {
    return page(args, async (request) => {
      const { where, ...rest } = pageQuery(request, "desc");
      const of = (organizationId: string | null) =>
        this.database.client.certificateAuthority.findMany({ where: { organizationId, ...where }, ...rest });
      const [own, installation] = await Promise.all([of(context.organizationId), of(null)]);
      return [...own, ...installation].sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, request.take);
    });
  }

  requests(context: TenantContext, args: PageArgs): Promise<Connection<AuthorityRequest>> {
    return page(args, (request) => {
      const { where, ...rest } = pageQuery(request, "desc");
      const { organizationId } = context;
      return this.database.client.authorityRequest.findMany({ where: { organizationId, ...where }, ...rest });
    });
  }

  /** A root, or a CA below one whose key is here. */
  async create(context: TenantContext, input: NewAuthority): Promise<CertificateAuthority> {
    const { organizationId } = context;
    const parentId = input.parentId ? checkUuid(input.parentId, "input.parentId") : undefined;
    const days = checkCount(
      input.validDays ?? (parentId ? ISSUING_DAYS : ROOT_DAYS),
      "input.validDays",
      1,
      LONGEST_DAYS,
    );
    const pathLength = input.pathLength ?? (parentId ? 0 : undefined);
    if (pathLength !== undefined) checkCount(pathLength, "input.pathLength", 0, 6);
    const names = input.nameConstraints && checkNameRules(input.nameConstraints, "input.nameConstraints");
    return this.#withKey(context, input, async (tx, keys, key) => {
      const subject = await subjectOf(tx, organizationId, input);
      const parent = parentId && (await this.authorities.open(tx, organizationId, parentId, "input.parentId"));
      const now = Date.now();
      const { certificate } = await certifyAuthority(keys, key, parent ? parent.authority : undefined, {
        subject,
        now,
        notAfter: now + daysMs(days),
        pathLength,
        names: names ?? undefined,
        places: parent ? this.authorities.places(parent.id) : undefined,
      });
      const row = await save(tx, organizationId, certificate, key.ref, parentId ?? null);
      return this.#record(tx, context, "createCertificateAuthority", "authority-created", row, certificate);
    });
  }

  /** Makes a key here and a request for a CA elsewhere: a root that stays offline. */
  async request(
    context: TenantContext,
    input: Pick<NewAuthority, "name" | "organizationName" | "keyType" | "keyStore">,
  ): Promise<AuthorityRequest> {
    const { organizationId } = context;
    return this.#withKey(context, input, async (tx, keys, key) => {
      const subject = await subjectOf(tx, organizationId, input);
      const request = await createAuthorityRequest(keys, key, subject);
      const name = subject
        .map(([type, text]) => `${type}=${text}`)
        .reverse()
        .join(",");
      const row = await tx.authorityRequest.create({
        data: { organizationId, name, keyRef: key.ref, keyKind: key.kind, request: Uint8Array.from(request) },
      });
      await this.audit.record(tx, context, {
        action: "requestCertificateAuthority",
        target: { kind: "certificateAuthorityRequest", id: row.id },
        after: { name, keyKind: key.kind },
      });
      return row;
    });
  }

  /** Takes what the CA elsewhere made of a request. */
  complete(context: TenantContext, rawId: string, pem: string): Promise<CertificateAuthority> {
    const { organizationId } = context;
    const id = checkUuid(rawId, "input.requestId");
    const given = readChain(pem);
    return this.changes.commit(context, async (tx) => {
      const request = await tx.authorityRequest.findFirst({ where: { organizationId, id } });
      if (request === null) {
        throw apiFault("api/not-found", "there is no such request", { field: "input.requestId", value: id });
      }
      requireKey(given[0] as Certificate, checkRequest(request.request).spki);
      const row = await this.#adopt(tx, organizationId, given, request.keyRef);
      await tx.authorityRequest.deleteMany({ where: { organizationId, id } });
      const [certificate] = given as [Certificate];
      return this.#record(tx, context, "completeCertificateAuthority", "authority-completed", row, certificate);
    });
  }

  /** Takes a CA with its key. */
  import(
    context: TenantContext,
    input: {
      readonly certificates: string;
      readonly privateKey: string;
      readonly passphrase?: string | null;
      readonly keyStore: KeyStoreName;
    },
  ): Promise<CertificateAuthority> {
    const { organizationId } = context;
    const given = readChain(input.certificates);
    const { privateKey, spki } = readPrivateKeyPem(input.privateKey, input.passphrase ?? undefined, "input.privateKey");
    requireKey(given[0] as Certificate, spki);
    return this.#withKey(context, { keyStore: input.keyStore, privateKey }, async (tx, _keys, key) => {
      const row = await this.#adopt(tx, organizationId, given, key.ref);
      const [certificate] = given as [Certificate];
      return this.#record(tx, context, "importCertificateAuthority", "authority-imported", row, certificate);
    });
  }

  /**
   * Commits what `work` makes of a new key. The key is made before the transaction, for a large one takes seconds and others wait
   * for the organization's row; one in a token that no committed CA needs is destroyed.
   */
  async #withKey<T>(
    context: TenantContext,
    made: { readonly keyStore: KeyStoreName } & ({ readonly keyType: KeyType } | { readonly privateKey: KeyObject }),
    work: (tx: Tx, keys: KeyStore, key: KeyHandle) => Promise<T>,
  ): Promise<T> {
    const { organizationId } = context;
    if (made.keyStore === KeyStoreName.DATABASE) {
      const key = "keyType" in made ? (await generateKeys(made.keyType)).privateKey : made.privateKey;
      return this.changes.commit(context, async (tx) => {
        const keys = this.authorities.keys(tx, organizationId);
        return work(tx, keys, await importKey(keys, key));
      });
    }
    const token = await this.hardware.store("input.keyStore");
    const key = "keyType" in made ? await token.generate(made.keyType) : await importKey(token, made.privateKey);
    try {
      return await this.changes.commit(context, (tx) => work(tx, this.authorities.keys(tx, organizationId), key));
    } catch (error) {
      await this.hardware.discard(key.ref);
      throw error;
    }
  }

  /** Keeps a CA and, without keys, those above it that are not known yet. The chain may stop short of a CA that is known. */
  async #adopt(tx: Tx, organizationId: string, given: readonly Certificate[], keyRef: string) {
    const chain = [...given];
    for (let top = chain.at(-1) as Certificate; ; top = chain.at(-1) as Certificate) {
      if (top.issuer.text === top.subject.text) break;
      const known = await tx.certificateAuthority.findFirst({ where: { organizationId, name: top.issuer.text } });
      if (known === null || chain.length > given.length + 8) break;
      chain.push(readCertificate(known.certificate, "known"));
    }
    requireAuthorityChain(chain, Date.now());
    let parentId: string | null = null;
    for (const certificate of chain.slice(1).reverse()) {
      const { fingerprint } = certificate;
      const known = await tx.certificateAuthority.findFirst({ where: { organizationId, fingerprint } });
      parentId = (known ?? (await save(tx, organizationId, certificate, null, parentId))).id;
    }
    const [own] = chain as [Certificate];
    const known = await tx.certificateAuthority.findFirst({ where: { organizationId, fingerprint: own.fingerprint } });
    if (known === null) return save(tx, organizationId, own, keyRef, parentId);
    if (known.keyRef !== null) {
      throw fault("certificates/known", "this authority is here already", {
        field: "input.certificates",
        value: known.id,
      });
    }
    return tx.certificateAuthority.update({ where: { organizationId, id: known.id }, data: { keyRef } });
  }

  async #record(
    tx: Tx,
    context: TenantContext,
    action: string,
    event: "authority-created" | "authority-imported" | "authority-completed",
    row: CertificateAuthority,
    certificate: Certificate,
  ): Promise<CertificateAuthority> {
    const { fingerprint, serial, subject, issuer } = certificate;
    await this.log.append(tx, context.organizationId, {
      event,
      fingerprint,
      serial,
      subject: subject.text,
      issuer: issuer.text,
      notAfter: row.notAfter.toISOString(),
      by: context.actor.name,
    });
    const { name, level, keyKind, parentId, notAfter } = row;
    await this.audit.record(tx, context, {
      action,
      target: { kind: "certificateAuthority", id: row.id },
      after: { name, level, keyKind, parentId, notAfter, fingerprint },
    });
    return row;
  }
}

async function importKey(keys: KeyStore, privateKey: KeyObject): Promise<KeyHandle> {
  const pkcs8 = privateKey.export({ format: "der", type: "pkcs8" });
  try {
    return await keys.import(pkcs8);
  } finally {
    pkcs8.fill(0);
  }
}

async function subjectOf(tx: Tx, organizationId: string, input: Pick<NewAuthority, "name" | "organizationName">) {
  const owner = await tx.organization.findUniqueOrThrow({ where: { id: organizationId } });
  const organization = input.organizationName ?? owner.name;
  const subject: Subject = [
    ["O", checkName(organization, "input.organizationName")],
    ["CN", checkName(input.name, "input.name")],
  ];
  return subject;
}

function readChain(pem: string): Certificate[] {
  const field = "input.certificates";
  if (pem.length > MAX_PEM) {
    throw apiFault("api/bad-input", "too long", { field, expected: `at most ${MAX_PEM} characters` });
  }
  return certificatesFromPem(pem, field).map((der, i) => readCertificate(der, `${field}[${i}]`));
}

function requireKey({ spki, subject }: Certificate, wanted: Uint8Array): void {
  if (Buffer.compare(spki, wanted) === 0) return;
  throw fault("certificates/other-key", `${subject.text} is certified for another key`, {
    field: "input.certificates",
    expected: "the certificate of this authority's own key first, then those above it",
  });
}

function save(
  tx: Tx,
  organizationId: string,
  certificate: Certificate,
  keyRef: string | null,
  parentId: string | null,
): Promise<CertificateAuthority> {
  return tx.certificateAuthority.create({
    data: {
      organizationId,
      purpose: "PROFILES",
      level: parentId === null ? "ROOT" : "ISSUING",
      parentId,
      name: certificate.subject.text,
      certificate: Uint8Array.from(certificate.der),
      fingerprint: certificate.fingerprint,
      keyRef,
      keyKind: certificate.kind,
      notBefore: new Date(certificate.notBefore),
      notAfter: new Date(certificate.notAfter),
    },
  });
}
