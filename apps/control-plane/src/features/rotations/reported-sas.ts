import { Injectable } from "@nestjs/common";
import { Database } from "../../platform/database/database.js";
import type { IkeSa } from "../../platform/prisma/generated/client.js";

/** States of IKE SAs that carry what is negotiated from now on; others are on their way in or out. */
const LIVE: readonly string[] = ["established", "rekeying"];

/**
 * Who is not proven is authenticated anew after so many seconds: an end ignores it while an authentication is under way, which may have
 * begun too early to show the new, and whose agent is not connected is not told at all.
 */
export const REAUTHENTICATE_AGAIN = 5;

/**
 * `proven`: an IKE SA that carries traffic rests on the key, and none on another but such as are deleted; `settling`: others are on their
 * way out, for which an end may take 30 s; `none`: there is no IKE SA that does; `other`: one rests on another.
 */
export type Verdict = "proven" | "settling" | "none" | "other";

/** Whether it takes another authentication. */
export const isWanting = (verdict: Verdict | undefined) => verdict !== "proven" && verdict !== "settling";

/** One end of a tunnel. */
export interface End {
  readonly tunnelId: string;
  readonly gatewayId: string;
}

type Judged = Pick<IkeSa, "state" | "keyId">;

const nameOf = ({ tunnelId, gatewayId }: End) => `${tunnelId} ${gatewayId}`;

/** What gateways have reported of the IKE SAs of tunnels. */
@Injectable()
export class ReportedSas {
  constructor(private readonly database: Database) {}

  /** Whether the other end has proved itself to each of these by `keyId` alone: in their order. */
  async verdicts(organizationId: string, ends: readonly End[], keyId: string): Promise<Verdict[]> {
    const end = {
      organizationId,
      tunnelId: { in: [...new Set(ends.map((e) => e.tunnelId))] },
      gatewayId: { in: [...new Set(ends.map((e) => e.gatewayId))] },
    };
    const rows = await this.database.client.ikeSa.findMany({
      where: { organizationId, end },
      select: { state: true, keyId: true, end: { select: { tunnelId: true, gatewayId: true } } },
    });
    const sas = Map.groupBy(rows, (row) => nameOf({ ...row.end, tunnelId: row.end.tunnelId ?? "" }));
    return ends.map((e) => verdict(sas.get(nameOf(e)) ?? [], keyId));
  }
}

/** One that is deleted carries nothing; an end keeps it for half a minute to repeat its last answer. */
export function verdict(sas: readonly Judged[], keyId: string): Verdict {
  const others = sas.filter((sa) => sa.state !== "deleting" && sa.keyId !== null && sa.keyId !== keyId);
  const rests = sas.some((sa) => LIVE.includes(sa.state) && sa.keyId === keyId);
  if (others.length === 0) return rests ? "proven" : "none";
  return rests && !others.some((sa) => LIVE.includes(sa.state)) ? "settling" : "other";
}
