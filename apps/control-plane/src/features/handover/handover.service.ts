import { randomBytes } from "node:crypto";
import { Injectable } from "@nestjs/common";
import { isFault, newPassphrase } from "@sallyport/base";
import type { ClientCredential } from "@sallyport/handover";
import { generateKeys, type KeyKind, type KeyType, kindOf, spkiOf } from "@sallyport/pki";
import { Changes } from "../../platform/database/changes.js";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { checkUuid } from "../../platform/input.js";
import type { Handover } from "../../platform/prisma/generated/client.js";
import { PublicUrl } from "../../platform/public-url.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { Vault } from "../../platform/vault/vault.js";
import { AuditService } from "../audit/audit.service.js";
import { HolderCertificateService } from "../certificates/holder-certificate.service.js";
import { IssuedCertificates } from "../certificates/issued-certificates.js";
import { EventService } from "../events/event.service.js";
import { RoadWarriorService } from "../road-warriors/road-warrior.service.js";
import { type Access, AccessService } from "./access.service.js";
import { type Caller, CHOICES, type Choice, requireChoice } from "./devices.js";
import { handoverFault } from "./faults.js";
import { type HandoverFilter, HandoverStore } from "./handover.store.js";
import { encodeLink, hashOf, LINK_PATH, newSecret, qrCode } from "./link.js";
import { credentialOf, sealKey } from "./sealed-key.js";

export interface NewHandover {
  readonly roadWarriorId: string;
  readonly remoteAccessId: string;
  readonly gatewayId?: string | null | undefined;
  readonly devices?: readonly Choice[] | null | undefined;
  readonly certificate?: NewCertificate | null | undefined;
  readonly expiresInMinutes: number;
}

export interface NewCertificate {
  readonly profileId: string;
  readonly keyType: KeyType;
  readonly validDays?: number | null | undefined;
}

/** A device that the link does not offer. */
export interface Unavailable {
  readonly device: Choice;
  readonly code: string;
  readonly message: string;
}

/** What nobody sees again. */
export interface CreatedHandover {
  readonly handover: Handover;
  readonly link: string;
  /** SVG. */
  readonly qrCode: string;
  /** Opens the key; it is in none of the files and not on the page. Undefined: there is no key. */
  readonly passphrase: string | undefined;
  readonly unavailable: readonly Unavailable[];
}

export type HandoverState = "PENDING" | "COLLECTED" | "EXPIRED" | "WITHDRAWN";

export function stateOf({ withdrawnAt, collectedAt, expiresAt }: Handover, now = Date.now()): HandoverState {
  if (withdrawnAt !== null) return "WITHDRAWN";
  if (collectedAt !== null) return "COLLECTED";
  return expiresAt.getTime() <= now ? "EXPIRED" : "PENDING";
}

const MIN_MINUTES = 5;
const MAX_MINUTES = 7 * 24 * 60;

/** Links that operators make and take back. */
@Injectable()
export class HandoverService {
  constructor(
    private readonly changes: Changes,
    private readonly store: HandoverStore,
    private readonly access: AccessService,
    private readonly people: RoadWarriorService,
    private readonly certificates: HolderCertificateService,
    private readonly issued: IssuedCertificates,
    private readonly vault: Vault,
    private readonly publicUrl: PublicUrl,
    private readonly audit: AuditService,
    private readonly events: EventService,
  ) {}

  /** @throws handover/*, pki/outside-profile, certificates/cannot-sign */
  async create(context: TenantContext, input: NewHandover): Promise<CreatedHandover> {
    const { organizationId, actor } = context;
    const expiresAt = new Date(Date.now() + checkMinutes(input.expiresInMinutes) * 60_000);
    const remoteAccessId = checkUuid(input.remoteAccessId, "input.remoteAccessId");
    const gatewayId = input.gatewayId ? checkUuid(input.gatewayId, "input.gatewayId") : undefined;
    const key = input.certificate ? await newKey(input.certificate) : undefined;
    const secret = newSecret();
    const made = await this.changes.commit(context, async (tx) => {
      const person = await this.people.getIn(tx, organizationId, input.roadWarriorId, "input.roadWarriorId");
      const access = await this.access.load(tx, organizationId, { remoteAccessId, gatewayId });
      const issued = key && (await this.#certify(tx, context, access, person, key));
      const { devices, unavailable } = offer(input.devices ?? undefined, access, person, issued?.credential);
      const handover = await this.store.create(tx, {
        ...{ organizationId, remoteAccessId, expiresAt, devices },
        roadWarriorId: person.id,
        gatewayId: access.gatewayId,
        certificateId: issued?.certificateId ?? null,
        secretHash: hashOf(secret),
        createdBy: actor.name,
      });
      if (issued) {
        const sealed = sealKey(this.vault, handover.id, { ...issued.credential, chain: issued.chain });
        await this.store.update(tx, organizationId, handover.id, sealed);
      }
      await this.audit.record(tx, context, {
        action: "createHandover",
        target: { kind: "handover", id: handover.id },
        after: { ...facts(handover), devices, expiresAt },
      });
      return { handover, unavailable };
    });
    const link = `${this.publicUrl.get()}/${LINK_PATH}/${encodeLink({ id: made.handover.id, secret })}`;
    return { ...made, link, qrCode: qrCode(link), passphrase: key?.passphrase };
  }

  async #certify(
    tx: Tx,
    context: TenantContext,
    access: Access,
    { username }: Caller,
    { request, spki, kind, pkcs8, passphrase }: NewKey,
  ) {
    const issued = await this.certificates.issueTo(tx, context, { ...request, username }, { spki, kind });
    const credential = credentialOf(pkcs8, issued.chain, passphrase);
    const root = credential.above.at(-1) ?? credential.certificate;
    if (!access.trusted.has(root.fingerprint)) {
      throw handoverFault(
        "handover/authority-not-trusted",
        `${access.service} trusts nothing of ${root.subject.text}`,
        {
          field: "input.certificate.profileId",
          value: root.subject.text,
          expected:
            "a profile of an authority below a root that the service trusts (authorityIds; usually that of the gateways)",
        },
      );
    }
    return { certificateId: issued.certificate.id, chain: issued.chain, credential };
  }

  /** What was not collected is worthless from now on; what was collected is the certificate's business. */
  withdraw(context: TenantContext, rawId: string): Promise<Handover> {
    const { organizationId } = context;
    const id = checkUuid(rawId, "id");
    return this.changes.commit(context, async (tx) => {
      const before = await this.store.byId(tx, organizationId, id);
      if (!before) {
        const expected = "the id of a hand-over";
        throw apiFault("api/not-found", "there is no such hand-over", { field: "id", value: id, expected });
      }
      if (before.withdrawnAt) return before;
      const after = await this.close(tx, before, { withdrawnAt: new Date() }, context.actor.name);
      const target = { kind: "handover", id };
      await this.audit.record(tx, context, { action: "withdrawHandover", target, before: facts(before) });
      return after;
    });
  }

  /** Ends a link whose key nobody collected in time. A link that has ended meanwhile stays as it is. */
  expire(context: TenantContext, id: string, now: Date): Promise<void> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const before = await this.store.byId(tx, organizationId, id);
      if (!before?.sealed || before.expiresAt > now) return;
      await this.close(tx, before, { expiredAt: now }, context.actor.name);
      await this.audit.record(tx, context, { action: "expireHandover", target: { kind: "handover", id } });
      await this.events.record(tx, organizationId, {
        kind: "handover/expired",
        severity: "WARNING",
        message: "nobody collected what was handed over; its key is wiped and its certificate revoked",
        facts: { handover: id },
        gatewayId: before.gatewayId,
      });
    });
  }

  /** Wipes what it holds. The certificate of a key that nobody has is revoked. */
  async close(tx: Tx, row: Handover, how: { withdrawnAt: Date } | { expiredAt: Date }, by: string): Promise<Handover> {
    const { organizationId, id, certificateId } = row;
    await this.store.wipeFiles(tx, organizationId, id);
    if (certificateId !== null && row.collectedAt === null) {
      const where = { organizationId, id: certificateId, revokedAt: null };
      await this.issued.revoke(tx, await tx.certificate.findMany({ where }), "CESSATION_OF_OPERATION", by);
    }
    return this.store.update(tx, organizationId, id, { ...how, sealed: null, keyId: null });
  }

  list(context: TenantContext, args: PageArgs, filter: HandoverFilter): Promise<Connection<Handover>> {
    return page(args, (request) => this.store.page(context.organizationId, request, filter));
  }
}

interface NewKey {
  readonly request: NewCertificate;
  readonly spki: Uint8Array;
  readonly kind: KeyKind;
  readonly pkcs8: Uint8Array;
  readonly passphrase: string;
}

/** Made before the transaction: a large RSA key takes seconds, and others wait for the organization's row. */
async function newKey(request: NewCertificate): Promise<NewKey> {
  const { publicKey, privateKey } = await generateKeys(request.keyType);
  const pkcs8 = Uint8Array.from(privateKey.export({ format: "der", type: "pkcs8" }));
  const passphrase = newPassphrase({ bytes: randomBytes });
  return { request, spki: spkiOf(publicKey), kind: kindOf(request.keyType), pkcs8, passphrase };
}

export const facts = ({ roadWarriorId, remoteAccessId, gatewayId, certificateId }: Handover) => ({
  ...{ roadWarriorId, remoteAccessId, gatewayId, certificateId },
});

function checkMinutes(value: number): number {
  if (Number.isInteger(value) && value >= MIN_MINUTES && value <= MAX_MINUTES) return value;
  const [field, expected] = ["input.expiresInMinutes", `${MIN_MINUTES} to ${MAX_MINUTES} minutes`];
  throw apiFault("api/bad-input", `${field}: expected ${expected}`, { field, value: String(value), expected });
}

/** Those that were asked for, all of which have to do; else all that do. @throws handover/* */
function offer(
  wanted: readonly Choice[] | undefined,
  access: Access,
  person: Caller,
  credential: ClientCredential | undefined,
): { readonly devices: Choice[]; readonly unavailable: Unavailable[] } {
  const devices: Choice[] = [];
  const unavailable: Unavailable[] = [];
  for (const device of new Set(wanted?.length ? wanted : CHOICES)) {
    try {
      requireChoice(device, access, person, credential);
      devices.push(device);
    } catch (error) {
      if (wanted?.length || !isFault(error) || error.code === "handover/not-a-user") throw error;
      unavailable.push({ device, code: error.code, message: error.message });
    }
  }
  if (devices.length > 0) return { devices, unavailable };
  throw handoverFault("handover/no-device", "no device can do what the gateway asks for", {
    field: "input",
    facts: Object.fromEntries(unavailable.map(({ device, message }) => [device, message])),
  });
}
