import { Injectable } from "@nestjs/common";
import { isFault } from "@sallyport/base";
import {
  type AskedCertificate,
  buildOcspResponse,
  certIdDer,
  issueResponder,
  issuerHash,
  type KeyKind,
  type OcspHash,
  type OcspQuestion,
  type OcspSigner,
  type OcspStatement,
  ocspError,
  ocspSigner,
  readCertificate,
  readOcspRequest,
} from "@sallyport/pki";
import { Database, type Tx } from "../../platform/database/database.js";
import { ANY_ORGANIZATION } from "../../platform/database/tenancy-guard.js";
import { AuthorityService } from "./authority.service.js";
import { PublishedAuthorities, type PublishedAuthority } from "./published-authorities.js";
import { REASON_NAMES } from "./revocation-list.service.js";

/** How long an answer counts; those that are signed ahead are signed again at half of that. */
const LIFE_MS = 12 * 3_600_000;
const BACKDATE_MS = 10 * 60_000;
/** Requests that are being signed for at a time; others are told to come again. */
const MOST_AT_ONCE = 64;
/** Answers that are signed ahead in one transaction. */
const BATCH = 200;

export interface OcspReply {
  readonly der: Uint8Array;
  /** When it may be given to others as well, until when. */
  readonly cacheUntil?: Date;
}

/** Answers OCSP requests (RFC 6960) about what our CAs issued: from the database when it was signed ahead, else it signs. */
@Injectable()
export class OcspService {
  #signing = 0;

  constructor(
    private readonly database: Database,
    private readonly authorities: AuthorityService,
    private readonly published: PublishedAuthorities,
  ) {}

  async reply(authorityId: string, request: Uint8Array): Promise<OcspReply> {
    let question: OcspQuestion;
    try {
      question = readOcspRequest(request);
    } catch (error) {
      if (isFault(error, "pki/malformed")) return { der: ocspError("malformedRequest") };
      throw error;
    }
    const authority = await this.published.find(authorityId);
    const { asked, nonce } = question;
    const ours = (a: AskedCertificate) => authority && a.issuer === issuerHash(authority.certificate, a.hash);
    if (!authority || asked.length === 0 || !asked.every(ours)) return { der: ocspError("unauthorized") };
    const [only, ...more] = asked as [AskedCertificate];
    const alone = nonce === undefined && more.length === 0 ? only : undefined;
    const ahead = alone && (await this.#ahead(authority, alone));
    if (ahead) return ahead;
    if (this.#signing >= MOST_AT_ONCE) return { der: ocspError("tryLater") };
    this.#signing++;
    try {
      return await this.#sign(authority, asked, nonce, alone);
    } finally {
      this.#signing--;
    }
  }

  async #ahead({ id, organizationId }: PublishedAuthority, { serial, hash }: AskedCertificate) {
    const row = await this.database.client.ocspAnswer.findFirst({
      where: { organizationId, authorityId: id, serial, hash, nextUpdate: { gt: new Date() } },
    });
    return row ? { der: row.answer, cacheUntil: row.nextUpdate } : undefined;
  }

  #sign(
    authority: PublishedAuthority,
    asked: readonly AskedCertificate[],
    nonce: Uint8Array | undefined,
    keep: AskedCertificate | undefined,
  ): Promise<OcspReply> {
    return this.database.transaction(async (tx) => {
      const signer = await this.#signer(tx, authority);
      if (signer === undefined) return { der: ocspError("unauthorized") };
      const statements = await this.#statements(tx, authority, asked);
      const now = Date.now();
      const times = { thisUpdate: now - BACKDATE_MS, nextUpdate: now + LIFE_MS };
      const store = this.authorities.keys(tx, authority.organizationId);
      const der = await buildOcspResponse(store, signer, statements, times, nonce);
      // What nobody issued is not kept: anybody may ask for it, with any number.
      if (keep === undefined || statements[0]?.status === "unknown") return { der };
      await this.#keep(tx, authority, keep, der, now);
      return { der, cacheUntil: new Date(times.nextUpdate) };
    });
  }

  async #keep(
    tx: Tx,
    { id, organizationId }: PublishedAuthority,
    { serial, hash }: Pick<AskedCertificate, "serial" | "hash">,
    der: Uint8Array,
    now: number,
  ): Promise<void> {
    const times = { thisUpdate: new Date(now), nextUpdate: new Date(now + LIFE_MS) };
    const answer = Uint8Array.from(der);
    await tx.ocspAnswer.deleteMany({ where: { organizationId, authorityId: id, serial, hash } });
    await tx.ocspAnswer.createMany({
      data: [{ organizationId, authorityId: id, serial, hash, answer, ...times }],
      skipDuplicates: true,
    });
  }

  async #statements(
    tx: Tx,
    authority: PublishedAuthority,
    asked: readonly AskedCertificate[],
  ): Promise<OcspStatement[]> {
    // The rows are held until the answer is kept, so that no revocation slips in between.
    const serials = asked.map((a) => a.serial);
    await tx.$queryRaw`
      SELECT 1 FROM certificates WHERE organization_id IS NOT NULL AND authority_id = ${authority.id}::uuid
        AND serial = ANY(${serials}::text[]) FOR SHARE`;
    const rows = await tx.certificate.findMany({
      where: { organizationId: ANY_ORGANIZATION, authorityId: authority.id, serial: { in: serials } },
      select: { serial: true, revokedAt: true, revocationReason: true },
    });
    const below = await tx.certificateAuthority.findMany({
      where: { organizationId: authority.organizationId, parentId: authority.id },
      select: { certificate: true },
    });
    const authorities = new Set(below.map((row) => readCertificate(row.certificate).serial));
    return asked.map(({ id, serial }) => {
      const row = rows.find((r) => r.serial === serial);
      if (row === undefined) return { id, status: authorities.has(serial) ? "good" : "unknown" };
      const { revokedAt, revocationReason } = row;
      if (revokedAt === null) return { id, status: "good" };
      return { id, status: { at: revokedAt.getTime(), reason: REASON_NAMES[revocationReason ?? "UNSPECIFIED"] } };
    });
  }

  /** The responder's key and certificate, made anew at half of the certificate's life. Undefined: the CA's key is elsewhere. */
  async #signer(tx: Tx, { id, organizationId }: PublishedAuthority): Promise<OcspSigner | undefined> {
    const where = { organizationId, authorityId: id };
    const good = { ...where, notAfter: { gt: new Date(Date.now() + LIFE_MS) } };
    const opened = (row: { keyRef: string; keyKind: string; certificate: Uint8Array }) => {
      const certificate = readCertificate(row.certificate);
      return ocspSigner({ ref: row.keyRef, kind: row.keyKind as KeyKind, spki: certificate.spki }, certificate);
    };
    const known = await tx.ocspResponder.findFirst({ where: good });
    if (known) return opened(known);
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`ocsp-responder/${id}`}, 0))`;
    const made = await tx.ocspResponder.findFirst({ where: good });
    if (made) return opened(made);
    const authority = await tx.certificateAuthority.findFirst({ where: { organizationId, id } });
    const now = Date.now();
    if (!authority || authority.keyRef === null || authority.notAfter.getTime() < now) return undefined;
    const by = await this.authorities.open(tx, organizationId, id, "authorityId", "retired too");
    const key = await by.store.generate("ecdsa-p256");
    const { certificate } = await issueResponder(by.store, by.authority, { spki: key.spki, now });
    const old = await tx.ocspResponder.findFirst({ where });
    await tx.ocspResponder.deleteMany({ where });
    if (old) await by.store.destroy(old.keyRef);
    const columns = { keyRef: key.ref, keyKind: key.kind, certificate: Uint8Array.from(certificate.der) };
    await tx.ocspResponder.create({
      data: { ...columns, organizationId, authorityId: id, notAfter: new Date(certificate.notAfter) },
    });
    return ocspSigner(key, certificate);
  }

  /** Signs ahead what has no answer or one that is half over. Gives how many it signed. */
  async signAhead(authorityId: string): Promise<number> {
    const authority = await this.published.find(authorityId);
    if (authority === undefined) return 0;
    const soon = new Date(Date.now() + LIFE_MS / 2);
    const hash: OcspHash = "sha1";
    const rows = await this.database.client.$queryRaw<{ serial: string }[]>`
      SELECT c.serial FROM certificates c
      LEFT JOIN ocsp_answers a ON a.authority_id = c.authority_id AND a.serial = c.serial AND a.hash = ${hash}
      WHERE c.organization_id IS NOT NULL AND c.authority_id = ${authorityId}::uuid AND c.not_after > now()
        AND (a.serial IS NULL OR a.next_update < ${soon})
      ORDER BY c.id LIMIT ${BATCH}`;
    for (const { serial } of rows) {
      const issuer = issuerHash(authority.certificate, hash);
      const asked = { hash, issuer, serial, id: certIdDer(authority.certificate, hash, serial) };
      await this.#sign(authority, [asked], undefined, asked);
    }
    return rows.length;
  }
}
