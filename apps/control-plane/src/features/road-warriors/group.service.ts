import { Injectable } from "@nestjs/common";
import { Changes } from "../../platform/database/changes.js";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { checkName, checkUuid } from "../../platform/input.js";
import type { RoadWarriorGroup } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { type GroupOfPerson, GroupStore } from "./group.store.js";

/** Groups of road warriors: what remote access gives, it gives by group. */
@Injectable()
export class GroupService {
  constructor(
    private readonly changes: Changes,
    private readonly store: GroupStore,
    private readonly audit: AuditService,
  ) {}

  create(context: TenantContext, rawName: string): Promise<RoadWarriorGroup> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const name = await this.#freeName(tx, organizationId, rawName, "name");
      const group = await this.store.create(tx, organizationId, name);
      const target = { kind: "roadWarriorGroup", id: group.id };
      await this.audit.record(tx, context, { action: "createRoadWarriorGroup", target, after: { name } });
      return group;
    });
  }

  rename(context: TenantContext, rawId: string, rawName: string): Promise<RoadWarriorGroup> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const before = await this.getIn(tx, organizationId, rawId, "id");
      if (rawName === before.name) return before;
      const name = await this.#freeName(tx, organizationId, rawName, "name");
      const group = await this.store.rename(tx, organizationId, before.id, name);
      const target = { kind: "roadWarriorGroup", id: group.id };
      const change = { action: "renameRoadWarriorGroup", target, before: { name: before.name }, after: { name } };
      await this.audit.record(tx, context, change);
      return group;
    });
  }

  /** Its members stay, without it. @throws api/in-use while a remote access lets it in */
  remove(context: TenantContext, rawId: string): Promise<RoadWarriorGroup> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const group = await this.getIn(tx, organizationId, rawId, "id");
      const user = await this.store.userOf(tx, organizationId, group.id);
      if (user !== undefined) {
        const detail = { field: "id", value: group.id, expected: "a group that no remote access names" };
        throw apiFault("api/in-use", `the remote access ${user} lets ${group.name} in`, detail);
      }
      await this.store.remove(tx, organizationId, group.id);
      const target = { kind: "roadWarriorGroup", id: group.id };
      const change = { action: "deleteRoadWarriorGroup", target, before: { name: group.name } };
      await this.audit.record(tx, context, change);
      return group;
    });
  }

  /** @throws api/not-found */
  async getIn(tx: Tx, organizationId: string, rawId: string, field: string): Promise<RoadWarriorGroup> {
    const id = checkUuid(rawId, field);
    const group = await this.store.byId(tx, organizationId, id);
    if (group) return group;
    const expected = "the id of a group of road warriors";
    throw apiFault("api/not-found", "there is no such group", { field, value: id, expected });
  }

  async byIds(context: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, RoadWarriorGroup>> {
    return new Map((await this.store.byIds(context.organizationId, ids)).map((g) => [g.id, g]));
  }

  /** By person's id. */
  async ofPeople(context: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, GroupOfPerson[]>> {
    return Map.groupBy(await this.store.ofPeople(context.organizationId, ids), (g) => g.roadWarriorId);
  }

  list(context: TenantContext, args: PageArgs): Promise<Connection<RoadWarriorGroup>> {
    return page(args, (request) => this.store.page(context.organizationId, request));
  }

  async #freeName(tx: Tx, organizationId: string, raw: string, field: string): Promise<string> {
    const name = checkName(raw, field);
    if (!(await this.store.nameTaken(tx, organizationId, name))) return name;
    throw apiFault("api/name-taken", "there is a group with this name", {
      field,
      value: name,
      expected: "a name that no other group of road warriors has",
    });
  }
}
