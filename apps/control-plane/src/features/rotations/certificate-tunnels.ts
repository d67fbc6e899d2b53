import type { Tx } from "../../platform/database/database.js";
import type { Gateway, Tunnel } from "../../platform/prisma/generated/client.js";

export type Joined = Tunnel & { readonly left: Gateway; readonly right: Gateway };

/**
 * Tunnels whose ends are both ours, enrolled, and prove themselves by certificates of the built-in CA: all, or those in which one gateway
 * does.
 */
export async function certificateTunnels(tx: Tx, organizationId: string, gatewayId?: string): Promise<Joined[]> {
  const enrolled = { is: { organizationId, state: "ENROLLED" } } as const;
  // Where a public authority's certificate would do, who has none shows its own.
  const bare = { is: { organizationId, acmeCertificate: null } };
  const ends =
    gatewayId === undefined
      ? [{ left: bare }, { right: bare }]
      : [
          { leftGatewayId: gatewayId, left: bare },
          { rightGatewayId: gatewayId, right: bare },
        ];
  const rows = await tx.tunnel.findMany({
    where: {
      organizationId,
      ...(gatewayId === undefined ? {} : { OR: [{ leftGatewayId: gatewayId }, { rightGatewayId: gatewayId }] }),
      AND: [
        {
          OR: [
            { network: { is: { organizationId, authentication: "CERTIFICATE" } } },
            { network: { is: { organizationId, authentication: "PUBLIC_CERTIFICATE" } }, OR: ends },
          ],
        },
        { left: enrolled, right: enrolled },
      ],
    },
    orderBy: { id: "asc" },
    include: { left: true, right: true },
  });
  return rows.flatMap(({ right, ...row }) => (right === null ? [] : [{ ...row, right }]));
}
