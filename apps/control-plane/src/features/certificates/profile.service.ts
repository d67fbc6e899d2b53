import { Injectable } from "@nestjs/common";
import { Prefix } from "@sallyport/base";
import { isHostName } from "@sallyport/intent";
import { EXTENDED_KEY_USAGE, type KeyKind, type ProfileRules } from "@sallyport/pki";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page, pageQuery } from "../../platform/graphql/connection.js";
import { checkName, checkUuid } from "../../platform/input.js";
import type { CertificateProfile } from "../../platform/prisma/generated/client.js";
import type { ProfileKind } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { AuthorityService } from "./authority.service.js";
import { checkCount, daysMs, requireFew } from "./request-input.js";

export interface NewProfile {
  readonly name: string;
  readonly kind: ProfileKind;
  readonly authorityId: string;
  readonly dnsNames: readonly string[];
  readonly emailHosts: readonly string[];
  readonly addresses: readonly string[];
  readonly keyKinds?: readonly KeyKind[] | null | undefined;
  readonly extendedKeyUsages?: readonly (keyof typeof EXTENDED_KEY_USAGE)[] | null | undefined;
  readonly validDays?: number | null | undefined;
}

const { serverAuth, clientAuth, ikeIntermediate } = EXTENDED_KEY_USAGE;
const ALL_KINDS: readonly KeyKind[] = ["rsa", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519"];
const LONGEST_DAYS = 1826;

/** What a profile of each kind has when nothing else is said. */
const DEFAULTS: Readonly<Record<ProfileKind, { readonly validDays: number; readonly usages: readonly string[] }>> = {
  GATEWAY: { validDays: 90, usages: [serverAuth, clientAuth, ikeIntermediate] },
  ROAD_WARRIOR: { validDays: 365, usages: [clientAuth, ikeIntermediate] },
  OPERATOR: { validDays: 30, usages: [clientAuth] },
};

/** What operators let their authorities issue. */
@Injectable()
export class ProfileService {
  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly authorities: AuthorityService,
    private readonly audit: AuditService,
  ) {}

  list(context: TenantContext, args: PageArgs): Promise<Connection<CertificateProfile>> {
    return page(args, (request) => {
      const { where, ...rest } = pageQuery(request, "asc");
      const { organizationId } = context;
      return this.database.client.certificateProfile.findMany({ where: { organizationId, ...where }, ...rest });
    });
  }

  create(context: TenantContext, input: NewProfile): Promise<CertificateProfile> {
    const { organizationId } = context;
    const columns = checked(input);
    return this.changes.commit(context, async (tx) => {
      const name = { organizationId, name: columns.name };
      if (await tx.certificateProfile.findFirst({ where: name })) {
        throw apiFault("api/name-taken", "there is a certificate profile with this name", {
          field: "input.name",
          value: columns.name,
          expected: "a name that no other profile of the organization has",
        });
      }
      const { id: authorityId } = await this.authorities.open(
        tx,
        organizationId,
        columns.authorityId,
        "input.authorityId",
      );
      const row = await tx.certificateProfile.create({ data: { ...columns, organizationId, authorityId } });
      const target = { kind: "certificateProfile", id: row.id };
      await this.audit.record(tx, context, { action: "createCertificateProfile", target, after: columns });
      return row;
    });
  }

  remove(context: TenantContext, rawId: string): Promise<CertificateProfile> {
    const { organizationId } = context;
    const id = checkUuid(rawId, "id");
    return this.changes.commit(context, async (tx) => {
      const row = await this.get(tx, organizationId, id, "id");
      if (await tx.certificate.findFirst({ where: { organizationId, profileId: id }, select: { id: true } })) {
        throw apiFault("api/in-use", "certificates were issued by this profile", { field: "id", value: id });
      }
      await tx.certificateProfile.delete({ where: { organizationId, id } });
      const { name, kind, authorityId } = row;
      const target = { kind: "certificateProfile", id };
      await this.audit.record(tx, context, {
        action: "removeCertificateProfile",
        target,
        before: { name, kind, authorityId },
      });
      return row;
    });
  }

  async get(tx: Tx, organizationId: string, id: string, field: string): Promise<CertificateProfile> {
    const row = await tx.certificateProfile.findFirst({ where: { organizationId, id } });
    if (row !== null) return row;
    throw apiFault("api/not-found", "there is no such certificate profile", { field, value: id });
  }
}

export const rulesOf = (profile: CertificateProfile): ProfileRules => ({
  dnsNames: profile.dnsNames,
  emailHosts: profile.emailHosts,
  addresses: profile.addresses,
  keyKinds: profile.keyKinds as KeyKind[],
  longest: daysMs(profile.validDays),
});

function checked(input: NewProfile) {
  const { validDays, usages } = DEFAULTS[input.kind];
  const host = (value: string, field: string) => {
    if (value === "*" || isHostName(value)) return value.toLowerCase();
    throw apiFault("api/bad-input", `${field}: expected a DNS name or *`, { field, value: value.slice(0, 100) });
  };
  const hosts = (list: readonly string[], field: string) =>
    requireFew(list, field).map((value, i) => host(value, `${field}[${i}]`));
  const addresses = requireFew(input.addresses, "input.addresses");
  return {
    name: checkName(input.name, "input.name"),
    kind: input.kind,
    authorityId: checkUuid(input.authorityId, "input.authorityId"),
    dnsNames: hosts(input.dnsNames, "input.dnsNames"),
    emailHosts: hosts(input.emailHosts, "input.emailHosts"),
    addresses: addresses.map((value, i) => Prefix.parse(value, `input.addresses[${i}]`).toString()),
    keyKinds: [...(input.keyKinds ?? ALL_KINDS)],
    extendedKeyUsages: input.extendedKeyUsages?.map((usage) => EXTENDED_KEY_USAGE[usage]) ?? [...usages],
    validDays: checkCount(input.validDays ?? validDays, "input.validDays", 1, LONGEST_DAYS),
  };
}
