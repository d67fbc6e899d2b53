import { Injectable } from "@nestjs/common";
import { Database } from "../../platform/database/database.js";
import type { Gateway, IkeSa, Tunnel } from "../../platform/prisma/generated/client.js";

/** States of IKE SAs that carry what is negotiated from now on; others are on their way in or out. */
const LIVE: readonly string[] = ["established", "rekeying"];

/** What gateways have reported of the IKE SAs of a tunnel. */
@Injectable()
export class ReportedSas {
  constructor(private readonly database: Database) {}

  /**
   * Whether the other end proved itself to this gateway by `keyId` alone: `proven`, with an IKE SA that carries traffic; `none`, there
   * is no IKE SA at all; `other`, one rests on something else.
   */
  async provenBy(
    { organizationId, id: tunnelId }: Pick<Tunnel, "organizationId" | "id">,
    gateway: Pick<Gateway, "id">,
    keyId: string,
  ): Promise<"proven" | "none" | "other"> {
    const sas = await this.database.client.ikeSa.findMany({
      where: { organizationId, end: { organizationId, tunnelId, gatewayId: gateway.id } },
    });
    return verdict(sas, keyId);
  }
}

export function verdict(sas: readonly Pick<IkeSa, "state" | "keyId">[], keyId: string): "proven" | "none" | "other" {
  if (sas.some((sa) => sa.keyId !== null && sa.keyId !== keyId)) return "other";
  return sas.some((sa) => LIVE.includes(sa.state) && sa.keyId === keyId) ? "proven" : "none";
}
