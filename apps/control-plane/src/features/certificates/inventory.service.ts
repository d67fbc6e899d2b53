import { Injectable } from "@nestjs/common";
import { certificatesFromPem, namesAsked, readCertificate, type SubjectName } from "@sallyport/pki";
import { Changes } from "../../platform/database/changes.js";
import { Database } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import type { Connection, PageArgs } from "../../platform/graphql/connection.js";
import { checkName, checkUuid } from "../../platform/input.js";
import type { Certificate, CertificateAuthority } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { fault } from "./faults.js";

export const CERTIFICATE_STATES = ["VALID", "HELD", "REVOKED", "EXPIRED"] as const;
export type CertificateState = (typeof CERTIFICATE_STATES)[number];

export interface InventoryFilter {
  readonly expiresBefore?: Date | null | undefined;
  readonly states?: readonly CertificateState[] | null | undefined;
  readonly gatewayId?: string | null | undefined;
  readonly authorityId?: string | null | undefined;
}

/** A row of either table. */
export type InventoryRow = { readonly certificate: Certificate } | { readonly authority: CertificateAuthority };

interface Place {
  readonly id: string;
  readonly authority: boolean;
  readonly notAfter: Date;
}

const MAX_PAGE = 200;
const cursorOf = ({ id, notAfter }: Place) => Buffer.from(`${notAfter.getTime()}:${id}`).toString("base64url");

function readCursor(text: string): { at: Date; id: string } {
  const [, at, id] = /^(\d{1,15}):([0-9a-f-]{36})$/.exec(Buffer.from(text, "base64url").toString("latin1")) ?? [];
  if (at !== undefined && id !== undefined) return { at: new Date(Number(at)), id: checkUuid(id, "after") };
  throw apiFault("api/bad-input", "not a cursor", { field: "after", value: text, expected: "an endCursor of a page" });
}

/** Every certificate that the fleet has to do with. */
@Injectable()
export class InventoryService {
  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly audit: AuditService,
  ) {}

  /** Those that expire first come first: the organization's, its authorities' and the installation's authorities'. */
  async list(
    { organizationId }: TenantContext,
    { first, after }: PageArgs,
    filter: InventoryFilter,
  ): Promise<Connection<InventoryRow>> {
    if (first < 1 || first > MAX_PAGE) {
      throw apiFault("api/bad-input", "a page that is too large or empty", {
        field: "first",
        value: String(first),
        expected: `1 to ${MAX_PAGE}`,
      });
    }
    const from = after ? readCursor(after) : { at: new Date(0), id: "00000000-0000-0000-0000-000000000000" };
    const before = filter.expiresBefore ?? null;
    const states = [...(filter.states ?? CERTIFICATE_STATES)];
    const gatewayId = filter.gatewayId ? checkUuid(filter.gatewayId, "filter.gatewayId") : null;
    const authorityId = filter.authorityId ? checkUuid(filter.authorityId, "filter.authorityId") : null;
    const places = await this.database.client.$queryRaw<Place[]>`
      SELECT id, authority, not_after AS "notAfter" FROM (
        SELECT id::text AS id, FALSE AS authority, not_after, gateway_id, authority_id AS issuer_id,
          CASE WHEN revocation_reason = 'CERTIFICATE_HOLD' THEN 'HELD' WHEN revoked_at IS NOT NULL THEN 'REVOKED'
            WHEN not_after < now() THEN 'EXPIRED' ELSE 'VALID' END AS state
        FROM certificates WHERE organization_id = ${organizationId}::uuid
        UNION ALL
        SELECT id::text, TRUE, not_after, NULL, parent_id, CASE WHEN not_after < now() THEN 'EXPIRED' ELSE 'VALID' END
        FROM certificate_authorities WHERE organization_id = ${organizationId}::uuid OR organization_id IS NULL) c
      WHERE (not_after, id) > (${from.at}, ${from.id}) AND state = ANY(${states}::text[])
        AND (${before}::timestamptz IS NULL OR not_after < ${before})
        AND (${gatewayId}::uuid IS NULL OR gateway_id = ${gatewayId}::uuid)
        AND (${authorityId}::uuid IS NULL OR issuer_id = ${authorityId}::uuid)
      ORDER BY not_after, id LIMIT ${first + 1}`;
    const shown = places.slice(0, first);
    const rows = await this.#rows(organizationId, shown);
    const edges = shown.flatMap((place) => {
      const node = rows.get(place.id);
      return node ? [{ cursor: cursorOf(place), node }] : [];
    });
    return { edges, pageInfo: { hasNextPage: places.length > first, endCursor: edges.at(-1)?.cursor ?? null } };
  }

  async #rows(organizationId: string, places: readonly Place[]): Promise<ReadonlyMap<string, InventoryRow>> {
    const ids = (authority: boolean) => places.filter((p) => p.authority === authority).map((p) => p.id);
    const { client } = this.database;
    const id = { in: ids(true) };
    const [certificates, own, installation] = await Promise.all([
      client.certificate.findMany({ where: { organizationId, id: { in: ids(false) } } }),
      client.certificateAuthority.findMany({ where: { organizationId, id } }),
      client.certificateAuthority.findMany({ where: { organizationId: null, id } }),
    ]);
    return new Map<string, InventoryRow>([
      ...certificates.map((row) => [row.id, { certificate: row }] as const),
      ...[...own, ...installation].map((row) => [row.id, { authority: row }] as const),
    ]);
  }

  /** Keeps a certificate that somebody else's CA issued, so that it is seen to expire. */
  record(
    context: TenantContext,
    input: { readonly pem: string; readonly holder: string; readonly gatewayId?: string | null | undefined },
  ): Promise<Certificate> {
    const { organizationId } = context;
    const holder = checkName(input.holder, "input.holder");
    const [der] = certificatesFromPem(input.pem, "input.pem") as [Uint8Array];
    const certificate = readCertificate(der, "input.pem");
    const gatewayId = input.gatewayId ? checkUuid(input.gatewayId, "input.gatewayId") : null;
    return this.changes.commit(context, async (tx) => {
      const { fingerprint } = certificate;
      if (gatewayId && !(await tx.gateway.findFirst({ where: { organizationId, id: gatewayId } }))) {
        throw apiFault("api/not-found", "there is no such gateway", { field: "input.gatewayId", value: gatewayId });
      }
      const known = await tx.certificate.findFirst({ where: { organizationId, fingerprint } });
      if (known && !known.seen) {
        throw fault("certificates/known", "this certificate is here already", {
          field: "input.pem",
          value: fingerprint,
        });
      }
      // One that gateways came across is somebody's from now on.
      const adopted = { holder, seen: false, ...(gatewayId !== null && { gatewayId }) };
      const row = await (known
        ? tx.certificate.update({ where: { organizationId, id: known.id }, data: adopted })
        : tx.certificate.create({
            data: {
              organizationId,
              gatewayId,
              holder,
              serial: certificate.serial,
              fingerprint,
              subject: certificate.subject.text,
              issuer: certificate.issuer.text,
              names: namesOf(certificate.names).map(({ type, value }) => `${type}:${value}`),
              keyKind: certificate.kind,
              certificate: Uint8Array.from(certificate.der),
              notBefore: new Date(certificate.notBefore),
              notAfter: new Date(certificate.notAfter),
            },
          }));
      const { subject, issuer, notAfter } = row;
      const target = { kind: "certificate", id: row.id };
      const after = { holder, subject, issuer, notAfter, fingerprint };
      await this.audit.record(tx, context, { action: "recordCertificate", target, after });
      return row;
    });
  }

  /** Forgets a foreign one. */
  forget(context: TenantContext, rawId: string): Promise<Certificate> {
    const { organizationId } = context;
    const id = checkUuid(rawId, "id");
    return this.changes.commit(context, async (tx) => {
      const row = await tx.certificate.findFirst({ where: { organizationId, id } });
      if (row === null) throw apiFault("api/not-found", "there is no such certificate", { field: "id", value: id });
      if (row.authorityId !== null) {
        throw fault("certificates/wrong-state", `${row.subject}: what was issued here is not forgotten`, {
          field: "id",
          value: id,
        });
      }
      await tx.certificate.delete({ where: { organizationId, id } });
      const { holder, subject, fingerprint } = row;
      const target = { kind: "certificate", id };
      await this.audit.record(tx, context, {
        action: "forgetCertificate",
        target,
        before: { holder, subject, fingerprint },
      });
      return row;
    });
  }

  /** Names of gateways by id. */
  async gateways({ organizationId }: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const rows = await this.database.client.gateway.findMany({
      where: { organizationId, id: { in: [...ids] } },
      select: { id: true, name: true },
    });
    return new Map(rows.map((row) => [row.id, row.name]));
  }

  /** Names of the tunnels between gateways, by the gateway at either end: what rests on their identities' certificates. */
  async tunnels({ organizationId }: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, string[]>> {
    const gateway = { in: [...ids] };
    const rows = await this.database.client.tunnel.findMany({
      where: {
        organizationId,
        networkId: { not: null },
        OR: [{ leftGatewayId: gateway }, { rightGatewayId: gateway }],
      },
      select: { name: true, leftGatewayId: true, rightGatewayId: true },
      orderBy: { name: "asc" },
    });
    return new Map(
      ids.map((id) => [id, rows.filter((r) => r.leftGatewayId === id || r.rightGatewayId === id).map((r) => r.name)]),
    );
  }
}

/** Those forms of name that are shown; a foreign CA may have certified others too. */
export function namesOf(names: ReturnType<typeof readCertificate>["names"]): SubjectName[] {
  return namesAsked({ ...names, directory: [], other: [] });
}
