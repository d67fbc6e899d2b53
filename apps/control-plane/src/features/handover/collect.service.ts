import { Injectable } from "@nestjs/common";
import { type Fault, isFault } from "@sallyport/base";
import { caFile, type ProfileFile } from "@sallyport/handover";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import type { Handover } from "../../platform/prisma/generated/client.js";
import { systemContext, type TenantContext } from "../../platform/tenancy.js";
import { Vault } from "../../platform/vault/vault.js";
import { AuditService } from "../audit/audit.service.js";
import { EventService } from "../events/event.service.js";
import { AccessService } from "./access.service.js";
import { Attempts, sourceOf } from "./attempts.js";
import { type Choice, describeFor, isChoice, makeFiles } from "./devices.js";
import { handoverFault } from "./faults.js";
import { GuessAudit } from "./guess-audit.js";
import { HandoverStore, type ShownHandover } from "./handover.store.js";
import { decodeLink, isSecretOf } from "./link.js";
import { ProfileSigner } from "./profile-signer.js";
import { type Collected, newCollector, openFiles, openKey, sealFiles } from "./sealed-key.js";

/** For how long whoever collected a profile may download its files again. */
export const AGAIN_MS = 10 * 60_000;
/** Of one link without a key, which may be used until it ends. */
const MAX_PROFILES = 50;

/** What a browser shows that has collected a profile. */
export interface Collector {
  readonly profileId: string;
  readonly key: Uint8Array;
}

/** What a link leads to. */
export interface Opened {
  readonly row: ShownHandover;
  /** What this browser collected, while it may be downloaded. */
  readonly collected: (Collected & { readonly device: Choice; readonly until: Date }) | undefined;
}

/** What people do with links. Nobody here has a token of the API: the link is all they have. */
@Injectable()
export class CollectService {
  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly store: HandoverStore,
    private readonly access: AccessService,
    private readonly signer: ProfileSigner,
    private readonly attempts: Attempts,
    private readonly vault: Vault,
    private readonly audit: AuditService,
    private readonly events: EventService,
    private readonly guesses: GuessAudit,
  ) {}

  /**
   * What may be shown to whoever has the link. It changes nothing: programs open links too, to show what is behind them.
   * @throws handover/unknown-link, handover/used, handover/expired, handover/withdrawn, handover/revoked, api/too-many-attempts
   */
  async open(token: string, collector: Collector | undefined, source: string): Promise<Opened> {
    const row = await this.#find(token, source);
    const collected = collector && (await this.#collected(row, collector));
    if (!collected) await this.#audited(row, source, async () => requireOpen(row));
    return { row, collected };
  }

  /** The root of the gateway alone. */
  async authority(token: string, source: string): Promise<ProfileFile> {
    const row = await this.#find(token, source);
    return this.#audited(row, source, async () => {
      if (row.collectedAt === null) requireOpen(row);
      const access = await this.database.transaction((tx) => this.access.load(tx, row.organizationId, row));
      const { gateway, proposals, organization, service: name } = access;
      return caFile({
        ...{ id: row.id, name, organization, gateway, proposals, person: row.roadWarrior },
        ...{ authentication: "eap-mschapv2", networks: [], dns: [], domains: [] },
      });
    });
  }

  /** Hands a device's profile over, and with it the key, which is here no more afterwards. @throws handover/* */
  async collect(token: string, device: string, source: string): Promise<Collector> {
    const row = await this.#find(token, source);
    return this.#audited(row, source, async () => {
      requireOpen(row);
      const sign = await this.signer.open(row.organizationId);
      const context = linkContext(row, source);
      return this.changes.commit(row, async (tx) => {
        const now = new Date();
        const current = await this.store.shownIn(tx, row.organizationId, row.id);
        if (!current) throw unknownLink();
        requireOpen(current, now);
        const choice = await this.#choice(tx, current, device);
        const credential = openKey(this.vault, current);
        const access = await this.access.load(tx, current.organizationId, current);
        const description = describeFor(choice, access, current.roadWarrior, credential);
        const { gateway, authorities, proposals } = access.fingerprint;
        const profile = await this.store.addProfile(tx, {
          organizationId: current.organizationId,
          handoverId: current.id,
          roadWarriorId: current.roadWarriorId,
          remoteAccessId: current.remoteAccessId,
          gatewayId: current.gatewayId,
          device: choice,
          authentication: description.authentication,
          gatewayPrint: gateway,
          authorityPrint: authorities,
          proposalPrint: proposals,
        });
        const collector = { profileId: profile.id, key: newCollector() };
        const files = sealFiles(collector.key, profile.id, await makeFiles(choice, description, sign));
        const until = new Date(now.getTime() + AGAIN_MS);
        await this.store.keepFiles(tx, current.organizationId, profile.id, files, until);
        await this.store.update(tx, current.organizationId, current.id, {
          ...{ collectedAt: current.collectedAt ?? now, sealed: null, keyId: null },
        });
        await this.#tell(tx, context, current, choice);
        return collector;
      });
    });
  }

  async #choice(tx: Tx, row: ShownHandover, device: string): Promise<Choice> {
    if (!isChoice(device) || !row.devices.includes(device)) {
      const expected = row.devices.join(", ");
      throw handoverFault("handover/not-offered", "this link has nothing for such a device", {
        field: "device",
        value: device.slice(0, 40),
        expected,
      });
    }
    if ((await this.store.profileCount(tx, row.organizationId, row.id)) < MAX_PROFILES) return device;
    throw handoverFault("handover/used", `this link was used ${MAX_PROFILES} times`);
  }

  async #tell(tx: Tx, context: TenantContext, row: ShownHandover, device: Choice): Promise<void> {
    const target = { kind: "handover", id: row.id };
    await this.audit.record(tx, context, { action: "collectHandover", target, after: { device } });
    await this.events.record(tx, row.organizationId, {
      kind: "handover/collected",
      severity: "INFO",
      message: `a profile of ${row.roadWarrior.username} was collected`,
      facts: { handover: row.id, device },
      gatewayId: row.gatewayId,
    });
  }

  async #collected(row: Handover, { profileId, key }: Collector): Promise<Opened["collected"]> {
    const found = await this.store.collected(row.organizationId, row.id, profileId);
    if (!found?.files || !found.filesUntil || !isChoice(found.device)) return undefined;
    try {
      return { ...openFiles(key, found.id, found.files), device: found.device, until: found.filesUntil };
    } catch (error) {
      if (isFault(error, "platform/unsealable")) return undefined;
      throw error;
    }
  }

  /** @throws handover/unknown-link, api/too-many-attempts */
  async #find(token: string, address: string): Promise<ShownHandover> {
    const source = sourceOf(address);
    this.attempts.admit("source", source);
    this.attempts.admitGuess(source);
    const asked = decodeLink(token);
    const row = asked && (await this.store.shown(asked.id));
    if (asked && row && isSecretOf(asked.secret, row.secretHash)) {
      this.attempts.admit("link", row.id);
      return row;
    }
    this.attempts.missed(source);
    // Of what organization a guess is nobody can say, unless the first half of it is a link's.
    if (row) await this.#refused(row, address, unknownLink());
    else await this.guesses.refused(address);
    throw unknownLink();
  }

  async #audited<T>(row: ShownHandover, source: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isFault(error)) await this.#refused(row, source, error);
      throw error;
    }
  }

  async #refused(row: ShownHandover, source: string, { code }: Fault): Promise<void> {
    if (!this.attempts.isNews(row.id)) return;
    const refused = { action: "refuseHandover", target: { kind: "handover", id: row.id }, after: { code } };
    await this.database.transaction((tx) => this.audit.record(tx, linkContext(row, source), refused));
  }
}

const unknownLink = () => handoverFault("handover/unknown-link", "there is no such link", { field: "link" });

const linkContext = ({ organizationId, id }: Handover, origin: string) =>
  systemContext(organizationId, `hand-over ${id}`, { origin });

/** @throws handover/withdrawn, handover/used, handover/expired, handover/revoked */
function requireOpen(row: ShownHandover, now = new Date()): void {
  const { withdrawnAt, certificateId, certificate, expiresAt, collectedAt } = row;
  const at = { field: "link" };
  if (withdrawnAt) throw handoverFault("handover/withdrawn", "this link was withdrawn", at);
  if (certificateId && collectedAt) throw handoverFault("handover/used", "what it led to was collected before", at);
  if (expiresAt <= now) throw handoverFault("handover/expired", "this link has expired", at);
  if (certificate?.revokedAt) {
    throw handoverFault("handover/revoked", "the certificate that it leads to was revoked", at);
  }
}
