import { Inject, Injectable } from "@nestjs/common";
import { isFault } from "@sallyport/base";
import { type Certificate, commonNameOf, readCertificate } from "@sallyport/pki";
import { Database, type Tx } from "../../platform/database/database.js";
import { ANY_ORGANIZATION } from "../../platform/database/tenancy-guard.js";
import { foreignText } from "../../platform/foreign-text.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Prisma } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { namesOf } from "./inventory.service.js";

/** A certificate that a gateway's agent tells of. */
export interface Sighting {
  /** DER. */
  readonly certificate: Uint8Array;
  /** The connection's id in the gateway's intent; empty: the gateway shows it. */
  readonly connection: string;
  readonly identity: string;
  readonly at: Date;
}

/** Where a certificate was seen. */
export interface SeenAt {
  readonly gatewayId: string;
  readonly gateway: string;
  /** Null: the gateway shows it itself. */
  readonly connection: string | null;
  readonly identity: string | null;
  readonly firstSeenAt: Date;
  readonly lastSeenAt: Date;
}

interface Read {
  readonly sighting: Sighting;
  readonly certificate: Certificate;
}

interface Place {
  readonly organizationId: string;
  readonly gatewayId: string;
}

/** Of one organization, that nobody recorded; what a compromised gateway makes up has an end. */
const MAX_SEEN = 10_000;
const MAX_NAMES = 64;
const MAX_HOLDER = 63;
/** Of one certificate, the newest ones. */
const MAX_SHOWN = 32;

/** Keeps where certificates are in use, and those of foreign authorities that gateways come across. */
@Injectable()
export class CertificateSightings {
  constructor(
    private readonly database: Database,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** What a gateway's agent tells. What is no certificate counts for nothing; of an unknown gateway, nothing is kept. */
  async take(gatewayId: string, sightings: readonly Sighting[]): Promise<void> {
    const read = sightings.flatMap((sighting) => readable(sighting));
    if (read.length === 0) return;
    await this.database.transaction(async (tx) => {
      const gateway = await tx.gateway.findUnique({
        where: { organizationId: ANY_ORGANIZATION, id: gatewayId },
        select: { organizationId: true },
      });
      if (!gateway) return;
      const place = { organizationId: gateway.organizationId, gatewayId };
      const added = await this.#add(tx, place, read);
      await write(tx, place, read);
      if (added.length > 0) await supersede(tx, place, added);
    });
  }

  /** Fingerprints of those that were unknown and are kept now. */
  async #add(tx: Tx, { organizationId, gatewayId }: Place, read: readonly Read[]): Promise<string[]> {
    const wanted = new Map(read.map((one) => [one.certificate.fingerprint, one]));
    const where = { organizationId, fingerprint: { in: [...wanted.keys()] } };
    for (const known of await tx.certificate.findMany({ where, select: { fingerprint: true } })) {
      wanted.delete(known.fingerprint);
    }
    if (wanted.size === 0) return [];
    const room = MAX_SEEN - (await tx.certificate.count({ where: { organizationId, seen: true } }));
    const fresh = [...wanted.values()].slice(0, Math.max(0, room));
    if (fresh.length < wanted.size) this.log.warn({ gatewayId }, "more foreign certificates than are kept were seen");
    await tx.certificate.createMany({
      data: fresh.map((one) => rowOf(one, organizationId, gatewayId)),
      skipDuplicates: true,
    });
    return fresh.map(({ certificate }) => certificate.fingerprint);
  }

  /** By certificate, what was seen last first. */
  async of({ organizationId }: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, SeenAt[]>> {
    const rows = await this.database.client.$queryRaw<(SeenAt & { readonly certificateId: string })[]>`
      SELECT s.certificate_id::text AS "certificateId", s.gateway_id::text AS "gatewayId", g.name AS gateway,
        CASE WHEN s.connection <> '' THEN coalesce(t.name, a.name, s.connection) END AS connection,
        nullif(s.identity, '') AS identity, s.first_seen_at AS "firstSeenAt", s.last_seen_at AS "lastSeenAt"
      FROM (SELECT *, row_number() OVER (PARTITION BY certificate_id ORDER BY last_seen_at DESC, gateway_id, connection) AS place
            FROM certificate_sightings
            WHERE organization_id = ${organizationId}::uuid AND certificate_id = ANY(${[...ids]}::uuid[])) s
        JOIN gateways g ON g.id = s.gateway_id
        LEFT JOIN tunnels t ON t.organization_id = s.organization_id AND t.key = s.connection
        LEFT JOIN tunnel_ends e ON e.gateway_id = s.gateway_id AND e.key = s.connection
        LEFT JOIN remote_access_gateways r ON r.id = e.remote_access_gateway_id
        LEFT JOIN remote_access a ON a.id = r.remote_access_id
      WHERE s.place <= ${MAX_SHOWN} ORDER BY s.certificate_id, s.place`;
    return Map.groupBy(rows, (row) => row.certificateId);
  }
}

function readable(sighting: Sighting): Read[] {
  try {
    return [{ sighting, certificate: readCertificate(sighting.certificate) }];
  } catch (error) {
    if (isFault(error)) return [];
    throw error;
  }
}

function rowOf({ sighting, certificate }: Read, organizationId: string, gatewayId: string) {
  const { serial, fingerprint, subject, issuer, names, kind, der, notBefore, notAfter } = certificate;
  const holder = sighting.identity || commonNameOf(subject) || subject.text;
  return {
    ...{ organizationId, serial, fingerprint, seen: true, keyKind: kind },
    gatewayId: sighting.connection === "" ? gatewayId : null,
    holder: foreignText(holder, MAX_HOLDER),
    subject: foreignText(subject.text),
    issuer: foreignText(issuer.text),
    names: namesOf(names)
      .slice(0, MAX_NAMES)
      .map(({ type, value }) => foreignText(`${type}:${value}`)),
    certificate: Uint8Array.from(der),
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
  };
}

/** In the order of their keys, so that gateways that tell the same at once do not wait for each other in a circle. */
async function write(tx: Tx, { organizationId, gatewayId }: Place, read: readonly Read[]): Promise<void> {
  const last = new Map(read.map((one) => [`${one.certificate.fingerprint} ${one.sighting.connection}`, one]));
  const rows = [...last].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
  const values = rows.map(
    ({ certificate: { fingerprint }, sighting: { connection, identity, at } }) =>
      Prisma.sql`(${fingerprint}, ${connection}, ${identity}, ${at}::timestamptz)`,
  );
  const seen = Prisma.sql`(VALUES ${Prisma.join(values)}) AS v(fingerprint, connection, identity, at)`;
  await tx.$executeRaw`
    INSERT INTO certificate_sightings (organization_id, certificate_id, gateway_id, connection, identity, first_seen_at, last_seen_at)
    SELECT c.organization_id, c.id, ${gatewayId}::uuid, v.connection, v.identity, v.at, v.at
    FROM ${seen} JOIN certificates c ON c.organization_id = ${organizationId}::uuid AND c.fingerprint = v.fingerprint
    ORDER BY c.fingerprint, v.connection
    ON CONFLICT (certificate_id, gateway_id, connection) DO UPDATE
      SET identity = excluded.identity, last_seen_at = greatest(certificate_sightings.last_seen_at, excluded.last_seen_at)`;
  // Whoever shows it still has it, whatever newer ones there are.
  await tx.certificate.updateMany({
    where: {
      ...{ organizationId, seen: true, supersededAt: { not: null } },
      fingerprint: { in: rows.map((one) => one.certificate.fingerprint) },
    },
    data: { supersededAt: null },
  });
}

/** Who shows a newer one at the same connection has renewed: nobody waits for the end of the older one. */
async function supersede(tx: Tx, { organizationId, gatewayId }: Place, added: readonly string[]): Promise<void> {
  await tx.$executeRaw`
    UPDATE certificates o SET superseded_at = now()
    WHERE o.organization_id = ${organizationId}::uuid AND o.seen AND o.superseded_at IS NULL
      AND o.fingerprint <> ALL(${[...added]}::text[])
      AND EXISTS (
        SELECT 1 FROM certificate_sightings s
        JOIN certificate_sightings n ON n.gateway_id = s.gateway_id AND n.connection = s.connection AND n.identity = s.identity
        JOIN certificates c ON c.id = n.certificate_id
        WHERE s.certificate_id = o.id AND s.gateway_id = ${gatewayId}::uuid AND s.connection <> ''
          AND c.fingerprint = ANY(${[...added]}::text[]) AND c.organization_id = o.organization_id AND c.not_after > o.not_after)`;
}
