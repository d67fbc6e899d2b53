import { generateKeyPairSync } from "node:crypto";
import { Injectable } from "@nestjs/common";
import { certificatesFromPem, readCertificate, toPem } from "@sallyport/pki";
import { z } from "zod";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page, pageQuery } from "../../platform/graphql/connection.js";
import { checkName, checkText, checkUuid } from "../../platform/input.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import { type AcmeAccount, Prisma } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { Vault } from "../../platform/vault/vault.js";
import { AuditService } from "../audit/audit.service.js";
import { checkCount } from "../certificates/request-input.js";
import { EventService } from "../events/event.service.js";
import { Directory } from "./directory.js";
import { fault } from "./faults.js";
import { REGISTER_ACCOUNT } from "./jobs.js";
import { failureOf } from "./problem.js";

export interface NewAccount {
  readonly name: string;
  readonly directoryUrl: string;
  readonly contacts: readonly string[];
  readonly termsOfServiceAgreed: boolean;
  readonly directoryRoots?: string | null | undefined;
  readonly binding?: { readonly keyId: string; readonly hmacKey: string } | null | undefined;
  readonly ordersPerWeek: number;
}

/** Names what an account's keys are sealed for. */
export const accountPlace = (id: string) => `acme-account/${id}`;

/** What is sealed. */
const secrets = z.object({ key: z.string(), bindingKey: z.string().optional() });

const MAX_CONTACTS = 8;
const MAX_ROOTS_TEXT = 64 * 1024;
const bad = (field: string, value: string, expected: string) =>
  apiFault("api/bad-input", `${field}: expected ${expected}`, { field, value: value.slice(0, 100), expected });

const facts = (a: AcmeAccount) => ({
  name: a.name,
  directoryUrl: a.directoryUrl,
  contacts: a.contacts,
  ordersPerWeek: a.ordersPerWeek,
});

/** Accounts at ACME directories. Their keys are made here and never leave, sealed under the master key. */
@Injectable()
export class AcmeAccountService {
  constructor(
    private readonly changes: Changes,
    private readonly database: Database,
    private readonly vault: Vault,
    private readonly audit: AuditService,
    private readonly events: EventService,
    private readonly outbox: Outbox,
  ) {}

  /** The directory is asked afterwards: `state` tells what it said. */
  create(context: TenantContext, input: NewAccount): Promise<AcmeAccount> {
    const { organizationId } = context;
    const name = checkName(input.name, "input.name");
    const checked = checkAccount(input);
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const plain = {
      key: privateKey.export({ format: "pem", type: "pkcs8" }) as string,
      ...(input.binding ? { bindingKey: input.binding.hmacKey } : {}),
    };
    return this.changes.commit(context, async (tx) => {
      if (await tx.acmeAccount.findFirst({ where: { organizationId, name } })) {
        throw apiFault("api/name-taken", "there is an account with this name", {
          field: "input.name",
          value: name,
          expected: "a name that no other account of the organization has",
        });
      }
      const unsealed = { sealed: new Uint8Array(), keyId: this.vault.keyId };
      const { id } = await tx.acmeAccount.create({ data: { ...checked, organizationId, name, ...unsealed } });
      const account = await tx.acmeAccount.update({ where: { organizationId, id }, data: this.#seal(id, plain) });
      await this.outbox.add(tx, organizationId, REGISTER_ACCOUNT, { accountId: account.id });
      const target = { kind: "acmeAccount", id: account.id };
      await this.audit.record(tx, context, { action: "createAcmeAccount", target, after: facts(account) });
      return account;
    });
  }

  /** @throws api/in-use while certificates are ordered with it */
  remove(context: TenantContext, rawId: string): Promise<AcmeAccount> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const account = await this.get(tx, organizationId, rawId, "id");
      const used = await tx.acmeCertificate.findFirst({ where: { organizationId, accountId: account.id } });
      if (used) {
        throw apiFault("api/in-use", `certificates are ordered with ${account.name}`, {
          field: "id",
          value: account.id,
          expected: "an account with which no certificate is ordered",
        });
      }
      await tx.acmeAccount.delete({ where: { organizationId, id: account.id } });
      const target = { kind: "acmeAccount", id: account.id };
      await this.audit.record(tx, context, { action: "deleteAcmeAccount", target, before: facts(account) });
      return account;
    });
  }

  /** @throws api/not-found */
  async get(tx: Tx, organizationId: string, rawId: string, field: string): Promise<AcmeAccount> {
    const id = checkUuid(rawId, field);
    const account = await tx.acmeAccount.findFirst({ where: { organizationId, id } });
    if (account) return account;
    const expected = "the id of an account";
    throw apiFault("api/not-found", "there is no such account", { field, value: id, expected });
  }

  list({ organizationId }: TenantContext, args: PageArgs): Promise<Connection<AcmeAccount>> {
    return page(args, (request) => {
      const { where, ...rest } = pageQuery(request, "asc");
      return this.database.client.acmeAccount.findMany({ where: { organizationId, ...where }, ...rest });
    });
  }

  async byIds({ organizationId }: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, AcmeAccount>> {
    const rows = await this.database.client.acmeAccount.findMany({ where: { organizationId, id: { in: [...ids] } } });
    return new Map(rows.map((row) => [row.id, row]));
  }

  /**
   * The account at its directory, where it is made unless it is there.
   * @throws acme/account-failed, and what `Directory.register` throws
   */
  async open(organizationId: string, accountId: string): Promise<Directory> {
    const { client } = this.database;
    const account = await client.acmeAccount.findFirstOrThrow({ where: { organizationId, id: accountId } });
    if (account.state === "FAILED") {
      throw fault("acme/account-failed", `the directory refused the account ${account.name}`, { value: account.name });
    }
    const { key, bindingKey } = secrets.parse(
      JSON.parse(this.vault.unseal(accountPlace(account.id), account).toString("utf8")),
    );
    const at = { directoryUrl: account.directoryUrl, key, roots: account.directoryRoots ?? undefined };
    if (account.accountUrl !== null) return Directory.open({ ...at, accountUrl: account.accountUrl });
    const { bindingKeyId } = account;
    const binding =
      bindingKeyId !== null && bindingKey !== undefined ? { keyId: bindingKeyId, hmacKey: bindingKey } : undefined;
    const directory = await Directory.open({ ...at, binding });
    const accountUrl = await directory.register(account.contacts);
    await client.acmeAccount.updateMany({
      where: { organizationId, id: accountId },
      // The binding's key has done what it is for.
      data: { accountUrl, state: "READY", failure: Prisma.DbNull, ...this.#seal(accountId, { key }) },
    });
    return directory;
  }

  /** Of a registration that will not come to anything. */
  async failed(organizationId: string, accountId: string, error: unknown): Promise<void> {
    const failure = failureOf(error);
    await this.database.transaction(async (tx) => {
      const where = { organizationId, id: accountId };
      const { name } = await tx.acmeAccount.update({ where, data: { state: "FAILED", failure } });
      await this.events.record(tx, organizationId, {
        kind: "acme/account-failed",
        severity: "ERROR",
        message: `${name}: ${failure.message}`,
        facts: { account: name, code: failure.code },
      });
    });
  }

  /** A failed one is tried again. */
  retry(context: TenantContext, rawId: string): Promise<AcmeAccount> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const { id } = await this.get(tx, organizationId, rawId, "id");
      const where = { organizationId, id };
      await tx.acmeAccount.updateMany({ where: { ...where, state: "FAILED" }, data: { state: "REGISTERING" } });
      await this.outbox.add(tx, organizationId, REGISTER_ACCOUNT, { accountId: id });
      const target = { kind: "acmeAccount", id };
      await this.audit.record(tx, context, { action: "registerAcmeAccount", target });
      return tx.acmeAccount.findFirstOrThrow({ where });
    });
  }

  #seal(id: string, plain: z.infer<typeof secrets>) {
    return this.vault.seal(accountPlace(id), JSON.stringify(plain));
  }
}

function checkAccount(input: NewAccount) {
  const { directoryUrl, contacts, directoryRoots, binding } = input;
  if (URL.parse(directoryUrl)?.protocol !== "https:" || directoryUrl.length > 500) {
    throw bad("input.directoryUrl", directoryUrl, "a URL that starts with https://");
  }
  if (!input.termsOfServiceAgreed)
    throw bad("input.termsOfServiceAgreed", "false", "true: without it there is no account");
  if (contacts.length > MAX_CONTACTS) throw bad("input.contacts", `${contacts.length}`, `at most ${MAX_CONTACTS}`);
  contacts.forEach((contact, i) => {
    const mailbox = /^mailto:[!-~]{1,64}@[a-z0-9.-]{1,253}$/i;
    if (!mailbox.test(contact)) throw bad(`input.contacts[${i}]`, contact, "a mailbox, as mailto:name@example.org");
  });
  if (binding) {
    checkText(binding.keyId, "input.externalAccountBinding.keyId", 1, 256);
    if (!/^[A-Za-z0-9_-]{16,512}={0,2}$/.test(binding.hmacKey)) {
      // Not the value: it is a secret.
      throw bad("input.externalAccountBinding.hmacKey", `${binding.hmacKey.length} characters`, "a key as base64url");
    }
  }
  return {
    directoryUrl,
    contacts: [...contacts],
    directoryRoots: directoryRoots ? checkRoots(directoryRoots) : null,
    bindingKeyId: binding?.keyId ?? null,
    ordersPerWeek: checkCount(input.ordersPerWeek, "input.ordersPerWeek", 1, 100_000),
  };
}

/** @throws pki/malformed */
function checkRoots(pem: string): string {
  const field = "input.directoryRoots";
  if (pem.length > MAX_ROOTS_TEXT) throw bad(field, `${pem.length} characters`, `at most ${MAX_ROOTS_TEXT}`);
  const roots = certificatesFromPem(pem, field);
  return roots.map((der) => toPem("CERTIFICATE", readCertificate(der, field).der)).join("");
}
