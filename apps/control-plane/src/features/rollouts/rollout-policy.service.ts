import { Injectable } from "@nestjs/common";
import { Changes } from "../../platform/database/changes.js";
import { Database } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { checkUuid } from "../../platform/input.js";
import type { RolloutPolicy } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";

export type PolicyInput = Omit<RolloutPolicy, "organizationId">;

const AT_ONCE: PolicyInput = {
  ...{ mode: "IMMEDIATE", canary: 1, canaryGatewayIds: [], batchPercent: 25 },
  ...{ pauseSeconds: 60, ackSeconds: 60, gateSeconds: 60 },
};

const MAX_CANARIES = 100;
const DAY_SECONDS = 86_400;
const HOUR_SECONDS = 3_600;

/** How an organization's changes reach its gateways. */
@Injectable()
export class RolloutPolicyService {
  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly audit: AuditService,
  ) {}

  async get({ organizationId }: TenantContext): Promise<RolloutPolicy> {
    const policy = await this.database.client.rolloutPolicy.findUnique({ where: { organizationId } });
    return policy ?? { organizationId, ...AT_ONCE };
  }

  /** Rollouts that are under way go on as they began. @throws api/bad-input, api/not-found */
  set(context: TenantContext, input: PolicyInput): Promise<RolloutPolicy> {
    const { organizationId } = context;
    const ids = input.canaryGatewayIds.map((id, i) => checkUuid(id, `input.canaryGatewayIds[${i}]`));
    if (ids.length > MAX_CANARIES || new Set(ids).size < ids.length) {
      throw bad("canaryGatewayIds", `${ids.length} ids`, `at most ${MAX_CANARIES}, each once`);
    }
    const policy = {
      mode: input.mode,
      canary: within(input.canary, 0, MAX_CANARIES, "canary"),
      canaryGatewayIds: ids,
      batchPercent: within(input.batchPercent, 1, 100, "batchPercent"),
      pauseSeconds: within(input.pauseSeconds, 0, DAY_SECONDS, "pauseSeconds"),
      ackSeconds: within(input.ackSeconds, 1, HOUR_SECONDS, "ackSeconds"),
      gateSeconds: within(input.gateSeconds, 1, HOUR_SECONDS, "gateSeconds"),
    };
    return this.changes.commit(context, async (tx) => {
      const rows = await tx.gateway.findMany({ where: { organizationId, id: { in: ids } }, select: { id: true } });
      const known = new Set(rows.map((row) => row.id));
      const missing = ids.findIndex((id) => !known.has(id));
      if (missing >= 0) {
        throw apiFault("api/not-found", "there is no such gateway", {
          field: `input.canaryGatewayIds[${missing}]`,
          value: ids[missing] ?? "",
          expected: "the id of a gateway of the organization",
        });
      }
      const { organizationId: _, ...before } = (await tx.rolloutPolicy.findUnique({ where: { organizationId } })) ?? {
        organizationId,
        ...AT_ONCE,
      };
      const create = { organizationId, ...policy };
      const row = await tx.rolloutPolicy.upsert({ where: { organizationId }, create, update: policy });
      const target = { kind: "rolloutPolicy", id: organizationId };
      await this.audit.record(tx, context, { action: "setRolloutPolicy", target, before, after: policy });
      return row;
    });
  }
}

function within(value: number, min: number, max: number, name: string): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw bad(name, String(value), `${min} to ${max}`);
}

const bad = (name: string, value: string, expected: string) =>
  apiFault("api/bad-input", `input.${name}: expected ${expected}`, { field: `input.${name}`, value, expected });
