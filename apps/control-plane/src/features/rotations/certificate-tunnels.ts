import type { Tx } from "../../platform/database/database.js";
import type { Gateway, Tunnel } from "../../platform/prisma/generated/client.js";

export type Joined = Tunnel & { readonly left: Gateway; readonly right: Gateway };

/** Tunnels whose ends are both ours, enrolled, and prove themselves by certificates: of one gateway, or all. */
export async function certificateTunnels(tx: Tx, organizationId: string, gatewayId?: string): Promise<Joined[]> {
  const enrolled = { is: { organizationId, state: "ENROLLED" } } as const;
  const rows = await tx.tunnel.findMany({
    where: {
      organizationId,
      ...(gatewayId === undefined ? {} : { OR: [{ leftGatewayId: gatewayId }, { rightGatewayId: gatewayId }] }),
      network: { is: { organizationId, authentication: "CERTIFICATE" } },
      left: enrolled,
      right: enrolled,
    },
    orderBy: { id: "asc" },
    include: { left: true, right: true },
  });
  return rows.flatMap(({ right, ...row }) => (right === null ? [] : [{ ...row, right }]));
}
