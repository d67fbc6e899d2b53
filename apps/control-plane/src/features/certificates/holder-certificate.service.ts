import type { KeyObject } from "node:crypto";
import { Injectable } from "@nestjs/common";
import {
  checkRequest,
  generateKeys,
  type Issued,
  issueLeaf,
  type KeyKind,
  type KeyType,
  kindOf,
  namesAsked,
  readCertificate,
  requestFromPem,
  requireWithinProfile,
  type Subject,
  type SubjectName,
  spkiOf,
} from "@sallyport/pki";
import { Changes } from "../../platform/database/changes.js";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { checkName, checkUuid } from "../../platform/input.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import type { Certificate, CertificateProfile } from "../../platform/prisma/generated/client.js";
import type { RevocationReason } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { EventService } from "../events/event.service.js";
import { afterRevocation, COMPILE_INTENTS } from "../intents/jobs.js";
import { AuthorityService } from "./authority.service.js";
import { fault } from "./faults.js";
import { IssuedCertificates } from "./issued-certificates.js";
import { ProfileService, rulesOf } from "./profile.service.js";
import { checkCount, checkNames, daysMs } from "./request-input.js";

/** What is asked for, beside the key. */
export interface HolderRequest {
  readonly profileId: string;
  readonly holder: string;
  /** Absent or empty: those that the request asks for. */
  readonly names?: readonly SubjectName[] | null | undefined;
  readonly validDays?: number | null | undefined;
}

/** What is asked for a person: the certificate proves the user name. */
export interface PersonRequest {
  readonly profileId: string;
  readonly username: string;
  readonly validDays?: number | null | undefined;
}

/** A certificate on its way to its holder. */
export interface HandedOver {
  readonly certificate: Certificate;
  /** DER, leaf first, root last. */
  readonly chain: readonly Uint8Array[];
  /** PKCS#8, PEM; it is kept nowhere. Absent: the holder has it. */
  readonly privateKey?: string;
}

interface Subscriber {
  readonly holder: string;
  readonly names: readonly SubjectName[];
  readonly validDays: number;
  readonly spki: Uint8Array;
  readonly kind: KeyKind;
  readonly replaces?: Certificate;
}

/** Certificates for people, devices and gateways that are not ours, by profile. */
@Injectable()
export class HolderCertificateService {
  constructor(
    private readonly changes: Changes,
    private readonly authorities: AuthorityService,
    private readonly profiles: ProfileService,
    private readonly issued: IssuedCertificates,
    private readonly audit: AuditService,
    private readonly events: EventService,
    private readonly outbox: Outbox,
  ) {}

  /** For a key that the holder has: the request proves it. */
  signCsr(context: TenantContext, input: HolderRequest & { readonly csr: string }): Promise<HandedOver> {
    const asked = checkRequest(requestFromPem(input.csr, "input.csr"), "input.csr");
    const wanted = namesAsked(asked.names);
    const names = input.names?.length ? input.names : wanted;
    const other = wanted.find((name) => !names.some((n) => isSame(n, name)));
    if (other) throw otherName("input.csr", other.value, names.map((n) => n.value).join(", "));
    return this.#issue(context, "signCsr", input, names, asked);
  }

  /** With a key that is made here, handed over once and forgotten. */
  async issue(
    context: TenantContext,
    input: HolderRequest & { readonly keyType: KeyType; readonly passphrase?: string | null | undefined },
  ): Promise<HandedOver> {
    const { publicKey, privateKey } = await generateKeys(input.keyType);
    const key = { spki: spkiOf(publicKey), kind: kindOf(input.keyType) };
    const made = await this.#issue(context, "issueCertificate", input, input.names ?? [], key);
    return { ...made, privateKey: pkcs8(privateKey, input.passphrase) };
  }

  async #issue(
    context: TenantContext,
    action: string,
    input: HolderRequest,
    rawNames: readonly SubjectName[],
    { spki, kind }: Pick<Subscriber, "spki" | "kind">,
  ): Promise<HandedOver> {
    const profileId = checkUuid(input.profileId, "input.profileId");
    const holder = checkName(input.holder, "input.holder");
    const names = checkNames(rawNames, "input.names");
    return this.changes.commit(context, async (tx) => {
      const profile = await this.profiles.get(tx, context.organizationId, profileId, "input.profileId");
      if (profile.kind === "ROAD_WARRIOR") requireOwn(holder, names);
      const validDays = checkCount(input.validDays ?? profile.validDays, "input.validDays", 1, 3650);
      return this.#certify(tx, context, action, profile, { holder, names, validDays, spki, kind });
    });
  }

  /** For a person, as part of a larger change. @throws pki/outside-profile, certificates/cannot-sign */
  async issueTo(
    tx: Tx,
    context: TenantContext,
    { profileId, username, validDays }: PersonRequest,
    { spki, kind }: Pick<Subscriber, "spki" | "kind">,
  ): Promise<HandedOver> {
    const field = "input.certificate";
    const id = checkUuid(profileId, `${field}.profileId`);
    const profile = await this.profiles.get(tx, context.organizationId, id, `${field}.profileId`);
    if (profile.kind !== "ROAD_WARRIOR") {
      const expected = "a profile for road warriors";
      const detail = { field: `${field}.profileId`, value: profile.name, expected };
      throw apiFault("api/bad-input", `${profile.name} is no profile for people`, detail);
    }
    const type = username.includes("@") ? "email" : "dns";
    return this.#certify(tx, context, "issueCertificate", profile, {
      // Some devices say the common name as EAP identity.
      holder: username,
      names: [{ type, value: username }],
      validDays: checkCount(validDays ?? profile.validDays, `${field}.validDays`, 1, 3650),
      ...{ spki, kind },
    });
  }

  /** The same key and names for another while. The old certificate stays good until it expires. */
  renew(context: TenantContext, id: string): Promise<HandedOver> {
    return this.#again(context, "renewCertificate", id, undefined);
  }

  /** The same names with a new key: the request's, or one that is made here. */
  async rekey(
    context: TenantContext,
    input: {
      readonly id: string;
      readonly csr?: string | null;
      readonly keyType: KeyType;
      readonly passphrase?: string | null;
    },
  ): Promise<HandedOver> {
    const again = (key: Pick<Subscriber, "spki" | "kind">) => this.#again(context, "rekeyCertificate", input.id, key);
    if (input.csr) return again(checkRequest(requestFromPem(input.csr, "input.csr"), "input.csr"));
    const { publicKey, privateKey } = await generateKeys(input.keyType);
    const made = await again({ spki: spkiOf(publicKey), kind: kindOf(input.keyType) });
    return { ...made, privateKey: pkcs8(privateKey, input.passphrase) };
  }

  #again(
    context: TenantContext,
    action: string,
    rawId: string,
    key: Pick<Subscriber, "spki" | "kind"> | undefined,
  ): Promise<HandedOver> {
    const { organizationId } = context;
    const id = checkUuid(rawId, "id");
    return this.changes.commit(context, async (tx) => {
      const old = await this.#get(tx, organizationId, id);
      if (old.profileId === null || old.revokedAt !== null) {
        const why = old.profileId === null ? "no profile issued it" : "it is revoked";
        throw fault("certificates/wrong-state", `it cannot be renewed: ${why}`, { field: "id", value: id });
      }
      const profile = await this.profiles.get(tx, organizationId, old.profileId, "id");
      const { spki, kind } = key ?? readCertificate(old.certificate);
      const names = old.names.map((text): SubjectName => {
        const at = text.indexOf(":");
        return { type: text.slice(0, at) as SubjectName["type"], value: text.slice(at + 1) };
      });
      const whose = { holder: old.holder, names, validDays: profile.validDays, replaces: old };
      const made = await this.#certify(tx, context, action, profile, { ...whose, spki, kind });
      await tx.certificate.updateMany({
        where: { organizationId, id, supersededAt: null },
        data: { supersededAt: new Date() },
      });
      return made;
    });
  }

  async #certify(
    tx: Tx,
    context: TenantContext,
    action: string,
    profile: CertificateProfile,
    subscriber: Subscriber,
  ): Promise<HandedOver> {
    const { organizationId, actor } = context;
    const { holder, names, spki, kind, validDays, replaces } = subscriber;
    requireWithinProfile(rulesOf(profile), { names, kind, lifetime: daysMs(validDays) });
    const by = await this.authorities.open(tx, organizationId, profile.authorityId, "input.profileId");
    const owner = await tx.organization.findUniqueOrThrow({ where: { id: organizationId } });
    const subject: Subject = [
      ["O", owner.name],
      ["CN", holder],
    ];
    const now = Date.now();
    const issued: Issued = await issueLeaf(by.store, by.authority, {
      subject,
      spki,
      now,
      notAfter: now + daysMs(validDays),
      extendedKeyUsage: profile.extendedKeyUsages,
      names,
      places: this.authorities.places(by.id),
    });
    const certificate = await this.issued.save(tx, by, issued, {
      organizationId,
      purpose: "PROFILES",
      holder,
      names,
      by: actor.name,
      profileId: profile.id,
      ...(replaces === undefined ? {} : { replacesId: replaces.id }),
    });
    const { id, serial, fingerprint, notAfter } = certificate;
    await this.audit.record(tx, context, {
      action,
      target: { kind: "certificate", id },
      after: { holder, names: certificate.names, serial, fingerprint, notAfter, profile: profile.name },
    });
    return { certificate, chain: issued.chain };
  }

  /** For good. @throws certificates/wrong-state */
  revoke(context: TenantContext, id: string, reason: RevocationReason): Promise<Certificate> {
    return this.#change(context, "revokeCertificate", id, async (tx, row) => {
      if (row.revokedAt !== null && row.revocationReason !== "CERTIFICATE_HOLD")
        throw wrong(row, "it is revoked already");
      if (reason === "CERTIFICATE_HOLD") throw wrong(row, "a hold is not for good: hold it instead");
      return this.#revoke(tx, context, row, reason);
    });
  }

  /** For good, all of ours that prove a name and have not expired, in the caller's transaction; gives those that it has revoked. */
  async revokeAllOf(
    tx: Tx,
    context: TenantContext,
    name: SubjectName,
    reason: RevocationReason,
  ): Promise<Certificate[]> {
    const found = await tx.$queryRaw<{ id: string }[]>`
      SELECT id FROM certificates
      WHERE organization_id = ${context.organizationId}::uuid AND purpose = 'PROFILES' AND authority_id IS NOT NULL
        AND not_after > now() AND (revoked_at IS NULL OR revocation_reason = 'CERTIFICATE_HOLD')
        AND lower(${`${name.type}:${name.value}`}) IN (SELECT lower(n) FROM unnest(names) n)
      ORDER BY id`;
    const where = { organizationId: context.organizationId, id: { in: found.map((row) => row.id) } };
    const revoked: Certificate[] = [];
    for (const row of await tx.certificate.findMany({ where, orderBy: { id: "asc" } })) {
      const after = await this.#revoke(tx, context, row, reason);
      await this.#note(tx, context, "revokeCertificate", row, after);
      revoked.push(after);
    }
    return revoked;
  }

  async #revoke(tx: Tx, context: TenantContext, row: Certificate, reason: RevocationReason): Promise<Certificate> {
    const [revoked] = await this.issued.revoke(tx, [row], reason, context.actor.name);
    return revoked as Certificate;
  }

  /** Until it is released or revoked. */
  hold(context: TenantContext, id: string): Promise<Certificate> {
    return this.#change(context, "holdCertificate", id, async (tx, row) => {
      if (row.revokedAt !== null) throw wrong(row, "it is revoked or on hold already");
      const [held] = await this.issued.revoke(tx, [row], "CERTIFICATE_HOLD", context.actor.name);
      return held as Certificate;
    });
  }

  release(context: TenantContext, id: string): Promise<Certificate> {
    return this.#change(context, "releaseCertificate", id, async (tx, row) => {
      if (row.revocationReason !== "CERTIFICATE_HOLD") throw wrong(row, "it is not on hold");
      return this.issued.release(tx, row, context.actor.name);
    });
  }

  #change(
    context: TenantContext,
    action: string,
    rawId: string,
    work: (tx: Tx, row: Certificate) => Promise<Certificate>,
  ): Promise<Certificate> {
    const { organizationId } = context;
    const id = checkUuid(rawId, "id");
    return this.changes.commit(context, async (tx) => {
      const row = await this.#get(tx, organizationId, id);
      if (row.authorityId === null) throw wrong(row, "a foreign authority issued it");
      if (row.notAfter.getTime() < Date.now()) throw wrong(row, "it has expired");
      const after = await work(tx, row);
      await this.#note(tx, context, action, row, after);
      return after;
    });
  }

  async #note(tx: Tx, context: TenantContext, action: string, row: Certificate, after: Certificate): Promise<void> {
    const { organizationId } = context;
    const state = ({ revokedAt, revocationReason }: Certificate) => ({ revokedAt, revocationReason });
    const target = { kind: "certificate", id: row.id };
    await this.audit.record(tx, context, { action, target, before: state(row), after: state(after) });
    const what =
      after.revokedAt === null ? "released" : after.revocationReason === "CERTIFICATE_HOLD" ? "held" : "revoked";
    await this.events.record(tx, organizationId, {
      kind: `certificate/${what}`,
      severity: what === "released" ? "INFO" : "WARNING",
      message: `the certificate of ${row.holder} was ${what}`,
      facts: { serial: row.serial, subject: row.subject, reason: after.revocationReason ?? "" },
      gatewayId: row.gatewayId ?? undefined,
    });
    // What a gateway shows and what others take from it are parts of intents.
    const notBefore = after.revokedAt === null ? undefined : afterRevocation();
    if (row.gatewayId !== null) await this.outbox.add(tx, organizationId, COMPILE_INTENTS, {}, notBefore);
  }

  async #get(tx: Tx, organizationId: string, id: string): Promise<Certificate> {
    const row = await tx.certificate.findFirst({ where: { organizationId, id } });
    if (row !== null) return row;
    throw apiFault("api/not-found", "there is no such certificate", { field: "id", value: id });
  }
}

const isSame = (a: SubjectName, b: SubjectName) => a.type === b.type && a.value.toLowerCase() === b.value.toLowerCase();

const otherName = (field: string, value: string, expected: string) =>
  fault("certificates/other-name", "this is somebody else's name", { field, value, expected });

/** Who is called by a mailbox proves no other one. */
function requireOwn(holder: string, names: readonly SubjectName[]): void {
  if (!holder.includes("@")) return;
  for (const [i, { type, value }] of names.entries()) {
    if (type === "email" && value.toLowerCase() !== holder.toLowerCase()) {
      throw otherName(`input.names[${i}]`, value, holder);
    }
  }
}

const wrong = (row: Certificate, why: string) =>
  fault("certificates/wrong-state", `${row.subject}: ${why}`, { field: "id", value: row.id });

function pkcs8(key: KeyObject, passphrase: string | null | undefined): string {
  const form = { format: "pem", type: "pkcs8" } as const;
  return String(key.export(passphrase ? { ...form, cipher: "aes-256-cbc", passphrase } : form));
}
