import { Injectable } from "@nestjs/common";
import { Changes } from "../../platform/database/changes.js";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { checkName, checkUuid } from "../../platform/input.js";
import type { RoadWarrior } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { Vault } from "../../platform/vault/vault.js";
import { AuditService } from "../audit/audit.service.js";
import { IntentService } from "../intents/intent.service.js";
import { afterRevocation } from "../intents/jobs.js";
import { RevocationRegister } from "../revocations/revocation-register.js";
import { checkPassword, checkUsername, newPassword, sealVerifier } from "./credentials.js";
import { personFault } from "./faults.js";
import { GroupService } from "./group.service.js";
import { type PersonFilter, RoadWarriorStore } from "./road-warrior.store.js";

export interface NewPerson {
  readonly name: string;
  readonly username: string;
  readonly groupIds: readonly string[];
  readonly sessionLimit: number;
  readonly enabled: boolean;
}

export interface PersonChanges {
  readonly id: string;
  readonly name?: string | null | undefined;
  readonly groupIds?: readonly string[] | null | undefined;
  readonly sessionLimit?: number | null | undefined;
  readonly enabled?: boolean | null | undefined;
}

export interface SetPassword {
  readonly roadWarrior: RoadWarrior;
  /** Undefined when the operator chose it. */
  readonly password: string | undefined;
}

const MAX_SESSIONS = 64;
const MAX_GROUPS = 64;

const facts = ({ name, username, enabled, sessionLimit }: RoadWarrior, groupIds: readonly string[]) => ({
  ...{ name, username, enabled, sessionLimit, groupIds },
});

/** People who call from anywhere. Their passwords go in and never come out again. */
@Injectable()
export class RoadWarriorService {
  constructor(
    private readonly changes: Changes,
    private readonly store: RoadWarriorStore,
    private readonly groups: GroupService,
    private readonly intents: IntentService,
    private readonly register: RevocationRegister,
    private readonly vault: Vault,
    private readonly audit: AuditService,
  ) {}

  create(context: TenantContext, input: NewPerson): Promise<RoadWarrior> {
    const { organizationId } = context;
    const name = checkName(input.name, "input.name");
    const username = checkUsername(input.username, "input.username");
    const sessionLimit = checkSessions(input.sessionLimit, "input.sessionLimit");
    return this.changes.commit(context, async (tx) => {
      if (await this.store.usernameTaken(tx, organizationId, username)) {
        const expected = "a user name that no other road warrior of the organization has";
        const detail = { field: "input.username", value: username, expected };
        throw personFault("person/username-taken", "there is a road warrior with this user name", detail);
      }
      const data = { organizationId, name, username, sessionLimit, enabled: input.enabled };
      const person = await this.store.create(tx, data);
      await this.#admit(tx, person);
      const groupIds = await this.#join(tx, organizationId, person.id, input.groupIds);
      await this.intents.recompile(tx, organizationId);
      const target = { kind: "roadWarrior", id: person.id };
      await this.audit.record(tx, context, { action: "createRoadWarrior", target, after: facts(person, groupIds) });
      return person;
    });
  }

  /** Who is disabled is out at once wherever a gateway is connected, and cannot come back. */
  update(context: TenantContext, input: PersonChanges): Promise<RoadWarrior> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const before = await this.getIn(tx, organizationId, input.id, "input.id");
      const hadGroups = await this.store.groupIds(tx, organizationId, before.id);
      const person = await this.store.update(tx, organizationId, before.id, {
        name: input.name ? checkName(input.name, "input.name") : before.name,
        enabled: input.enabled ?? before.enabled,
        sessionLimit: checkSessions(input.sessionLimit ?? before.sessionLimit, "input.sessionLimit"),
      });
      await this.#admit(tx, person);
      const groupIds = input.groupIds ? await this.#join(tx, organizationId, person.id, input.groupIds) : hadGroups;
      await this.#recompile(tx, person);
      const target = { kind: "roadWarrior", id: person.id };
      const [was, is] = [facts(before, hadGroups), facts(person, groupIds)];
      await this.audit.record(tx, context, { action: "updateRoadWarrior", target, before: was, after: is });
      return person;
    });
  }

  /** Who is revoked is disabled, in the caller's transaction. @throws api/not-found */
  async revoke(tx: Tx, context: TenantContext, rawId: string): Promise<RoadWarrior> {
    const { organizationId } = context;
    const before = await this.getIn(tx, organizationId, rawId, "input.id");
    const person = await this.store.update(tx, organizationId, before.id, { enabled: false });
    await this.#admit(tx, person);
    await this.#recompile(tx, person);
    const target = { kind: "roadWarrior", id: person.id };
    const was = { enabled: before.enabled };
    await this.audit.record(tx, context, {
      action: "revokeRoadWarrior",
      target,
      before: was,
      after: { enabled: person.enabled },
    });
    return person;
  }

  remove(context: TenantContext, rawId: string): Promise<RoadWarrior> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const person = await this.getIn(tx, organizationId, rawId, "id");
      const groupIds = await this.store.groupIds(tx, organizationId, person.id);
      await this.store.remove(tx, organizationId, person.id);
      const gone = { ...person, enabled: false };
      await this.#admit(tx, gone);
      await this.#recompile(tx, gone);
      const target = { kind: "roadWarrior", id: person.id };
      await this.audit.record(tx, context, { action: "deleteRoadWarrior", target, before: facts(person, groupIds) });
      return person;
    });
  }

  /** Sets the password for EAP-MSCHAPv2: the given one, or one that is made and shown this once. */
  setPassword(context: TenantContext, rawId: string, given: string | undefined): Promise<SetPassword> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const { id, username } = await this.getIn(tx, organizationId, rawId, "id");
      const password = given === undefined ? newPassword() : checkPassword(given, username, "password");
      const data = { ...sealVerifier(this.vault, id, password), passwordSetAt: new Date() };
      const roadWarrior = await this.store.update(tx, organizationId, id, data);
      await this.intents.recompile(tx, organizationId);
      const after = { made: given === undefined };
      const target = { kind: "roadWarrior", id };
      await this.audit.record(tx, context, { action: "setRoadWarriorPassword", target, after });
      return { roadWarrior, password: given === undefined ? password : undefined };
    });
  }

  removePassword(context: TenantContext, rawId: string): Promise<RoadWarrior> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const { id } = await this.getIn(tx, organizationId, rawId, "id");
      const data = { sealed: null, keyId: null, passwordSetAt: null };
      const person = await this.store.update(tx, organizationId, id, data);
      await this.intents.recompile(tx, organizationId);
      const target = { kind: "roadWarrior", id };
      await this.audit.record(tx, context, { action: "removeRoadWarriorPassword", target });
      return person;
    });
  }

  /** @throws api/not-found */
  async getIn(tx: Tx, organizationId: string, rawId: string, field: string): Promise<RoadWarrior> {
    const id = checkUuid(rawId, field);
    const person = await this.store.byId(tx, organizationId, id);
    if (person) return person;
    const expected = "the id of a road warrior";
    throw apiFault("api/not-found", "there is no such road warrior", { field, value: id, expected });
  }

  async byIds(context: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, RoadWarrior>> {
    return new Map((await this.store.byIds(context.organizationId, ids)).map((p) => [p.id, p]));
  }

  list(context: TenantContext, args: PageArgs, filter: PersonFilter): Promise<Connection<RoadWarrior>> {
    return page(args, (request) => this.store.page(context.organizationId, request, filter));
  }

  /** Gateways hear at once who gets in no more, or again: no intent is waited for. */
  async #admit(tx: Tx, person: RoadWarrior): Promise<void> {
    const { organizationId } = person;
    const refused = await this.register.refuses(tx, organizationId, person);
    if (refused === person.enabled) await this.register.person(tx, organizationId, person, person.enabled);
  }

  #recompile(tx: Tx, { organizationId, enabled }: RoadWarrior): Promise<void> {
    return this.intents.recompile(tx, organizationId, enabled ? undefined : afterRevocation());
  }

  async #join(tx: Tx, organizationId: string, personId: string, rawIds: readonly string[]): Promise<string[]> {
    if (rawIds.length > MAX_GROUPS) {
      const detail = { field: "input.groupIds", value: `${rawIds.length} groups`, expected: `at most ${MAX_GROUPS}` };
      throw apiFault("api/bad-input", "too many groups", detail);
    }
    const ids = new Set<string>();
    for (const [i, id] of rawIds.entries()) {
      ids.add((await this.groups.getIn(tx, organizationId, id, `input.groupIds[${i}]`)).id);
    }
    await this.store.setGroups(tx, organizationId, personId, [...ids]);
    return [...ids].sort();
  }
}

function checkSessions(value: number, field: string): number {
  if (Number.isInteger(value) && value >= 1 && value <= MAX_SESSIONS) return value;
  const expected = `1 to ${MAX_SESSIONS}`;
  throw apiFault("api/bad-input", `${field}: expected ${expected}`, { field, value: String(value), expected });
}
