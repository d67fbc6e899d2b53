import { Injectable } from "@nestjs/common";
import { z } from "zod";
import type { Tx } from "../../platform/database/database.js";
import type { Rollout } from "../../platform/prisma/generated/client.js";
import { TunnelState } from "../../platform/prisma/generated/enums.js";
import { HeldRevisions } from "../intents/held-revisions.js";
import type { Failure } from "./faults.js";
import type { Push } from "./rollout-rollback.js";

/** How the stage is that was pushed last: `unsent` are revisions that nobody has taken from us yet. */
export type Verdict =
  | { readonly is: "passed" }
  | { readonly is: "waiting"; readonly until: number; readonly unsent: readonly Push[] }
  | { readonly is: "failed"; readonly why: Failure };

/** What is waited for is looked at so often. */
const LOOK_MS = 500;

const RANK: Readonly<Record<TunnelState, number>> = { PENDING: 0, DOWN: 0, CONNECTING: 0, DEGRADED: 1, UP: 2 };
const watchedTunnels = z.record(z.uuid(), z.enum(TunnelState));

/** The health gate: whether agents took what they were sent, and tunnels that were up are up. */
@Injectable()
export class StageWatch {
  constructor(private readonly held: HeldRevisions) {}

  /** Tunnels of these gateways that are up now, at one end at least. */
  async tunnelsUp(tx: Tx, organizationId: string, gatewayIds: readonly string[]): Promise<Record<string, TunnelState>> {
    const ids = { in: [...gatewayIds] };
    const rows = await tx.tunnel.findMany({
      where: {
        organizationId,
        state: { in: ["UP", "DEGRADED"] },
        OR: [{ leftGatewayId: ids }, { rightGatewayId: ids }],
      },
      select: { id: true, state: true },
    });
    return Object.fromEntries(rows.map(({ id, state }) => [id, state]));
  }

  async judge(tx: Tx, rollout: Rollout, pushedAt: Date): Promise<Verdict> {
    const { organizationId, id: rolloutId, ackSeconds, gateSeconds } = rollout;
    const where = { organizationId, rolloutId, state: "PUSHED" } as const;
    const items = await tx.rolloutItem.findMany({
      where,
      include: { gateway: { select: { name: true, state: true } } },
    });
    const pushed = items.map(({ gatewayId, revision: number }) => ({ gatewayId, number }));
    const rows = new Map((await this.held.answersTo(tx, organizationId, pushed)).map((row) => [row.gatewayId, row]));
    const gone: string[] = [];
    const open: (Push & { readonly name: string; readonly isSent: boolean })[] = [];
    for (const { id, gatewayId, revision, gateway } of items) {
      const row = rows.get(gatewayId);
      if (row === undefined || row.status === "SUPERSEDED" || gateway.state === "RETIRED") {
        gone.push(id);
      } else if (row.status === "NACKED" || row.status === "REVERTED") {
        const [code, did] = row.status === "NACKED" ? refused : reverted;
        const { nackCode, nackReason, nackField: field } = row;
        const message = `${gateway.name} ${did} revision ${revision}: ${nackReason ?? "no reason was given"}`;
        const facts = { ...(nackCode ? { refusal: nackCode } : {}), ...(field ? { field } : {}) };
        return { is: "failed", why: { code, message, gatewayId, facts } };
      } else if (row.status !== "ACKED") {
        open.push({ gatewayId, revision, name: gateway.name, isSent: row.status === "PUSHED" });
      }
    }
    const data = { state: "SUPERSEDED" } as const;
    if (gone.length > 0) await tx.rolloutItem.updateMany({ where: { organizationId, id: { in: gone } }, data });
    if (gone.length === items.length) return { is: "passed" };
    const now = Date.now();
    const [first] = open;
    if (first) {
      if (now - pushedAt.getTime() < ackSeconds * 1000) {
        return { is: "waiting", until: now + LOOK_MS, unsent: open.filter((push) => !push.isSent) };
      }
      const message = `${first.name} did not acknowledge revision ${first.revision} within ${ackSeconds} s`;
      return { is: "failed", why: { code: "rollout/not-acknowledged", message, gatewayId: first.gatewayId } };
    }
    const ackedAt = rollout.ackedAt ?? new Date(now);
    if (!rollout.ackedAt) await tx.rollout.update({ where: { organizationId, id: rolloutId }, data: { ackedAt } });
    const end = ackedAt.getTime() + gateSeconds * 1000;
    // An agent may still go back from it.
    if (now < end) return { is: "waiting", until: Math.min(end, now + LOOK_MS), unsent: [] };
    const why = await this.#down(tx, rollout);
    return why ? { is: "failed", why } : { is: "passed" };
  }

  /** Of the tunnels that were up before the stage, the first that is worse now. One that the change took away is no loss. */
  async #down(tx: Tx, { organizationId, watched, gateSeconds }: Rollout): Promise<Failure | undefined> {
    const before = watchedTunnels.parse(watched);
    const tunnels = await tx.tunnel.findMany({
      where: { organizationId, id: { in: Object.keys(before) } },
      orderBy: { id: "asc" },
      include: { ends: { include: { gateway: { select: { name: true } } } } },
    });
    const worse = tunnels.find(({ id, state }) => RANK[state] < RANK[before[id] ?? "DOWN"]);
    if (!worse) return undefined;
    const { id: tunnelId, name, state, ends } = worse;
    const end = ends
      .filter((each) => each.lastErrorCode !== null && each.state !== "UP")
      .toSorted((x, y) => (y.lastErrorAt?.getTime() ?? 0) - (x.lastErrorAt?.getTime() ?? 0))[0];
    const why = end ? `: ${end.gateway.name}: ${end.lastErrorMessage}` : "";
    const message = `${name} was ${before[tunnelId]} and is ${state} ${gateSeconds} s after the change${why}`;
    const told = { error: end?.lastErrorCode, ours: end?.lastErrorOurs, theirs: end?.lastErrorTheirs };
    const facts = Object.fromEntries(Object.entries(told).flatMap(([k, v]) => (v ? [[k, v]] : [])));
    return { code: "rollout/tunnel-down", message, tunnelId, facts };
  }
}

const refused = ["rollout/refused", "refused"] as const;
const reverted = ["rollout/reverted", "went back from"] as const;
