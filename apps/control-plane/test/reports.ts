import { randomUUID } from "node:crypto";
import type { ChildSaReport, IkeSaReport, TunnelReport } from "../src/features/tunnels/tunnel-state.service.js";
import { TunnelStateService } from "../src/features/tunnels/tunnel-state.service.js";
import type { TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";

/** A tunnel with all its IKE SAs. */
export interface WholeTunnel {
  readonly tunnel: TunnelReport;
  readonly ikeSas: readonly IkeSaReport[];
}

const at = (text: string) => new Date(`2026-01-01T${text}Z`);

export const childReport = (spi: string, change: Partial<ChildSaReport> = {}): ChildSaReport => ({
  name: "site",
  protocol: "esp",
  mode: "tunnel",
  inboundSpi: spi,
  outboundSpi: "c0000001",
  localSelectors: ["10.1.0.0/16"],
  remoteSelectors: ["10.2.0.0/16"],
  proposal: "aes-gcm-16-256/x25519",
  encapsulated: true,
  establishedAt: at("10:00:00"),
  nextRekeyAt: at("11:00:00"),
  expiresAt: at("11:06:00"),
  ...change,
});

export const ikeReport = (childSas: readonly ChildSaReport[], change: Partial<IkeSaReport> = {}): IkeSaReport => ({
  initiatorSpi: "0123456789abcdef",
  responderSpi: "fedcba9876543210",
  version: 2,
  initiator: false,
  state: "established",
  localEndpoint: "198.51.100.1:4500",
  remoteEndpoint: "203.0.113.5:31245",
  localIdentity: "gw-headquarters.default.sallyport",
  remoteIdentity: "gw-vienna.default.sallyport",
  proposal: "aes-gcm-16-256/prf-hmac-sha2-384/x25519",
  natLocal: false,
  natRemote: true,
  establishedAt: at("10:00:00"),
  nextRekeyAt: at("14:00:00"),
  nextReauthAt: undefined,
  localVirtual: [],
  remoteVirtual: [],
  user: undefined,
  keyId: undefined,
  childSas,
  ...change,
});

export const upReport = (key: string, spi: string): WholeTunnel => ({
  tunnel: { key, status: "up", changedAt: at("10:00:00"), lastError: undefined },
  ikeSas: [ikeReport([childReport(spi)])],
});

export const downReport = (key: string): WholeTunnel => ({
  tunnel: {
    key,
    status: "down",
    changedAt: at("10:05:00"),
    lastError: {
      code: "ike/no-proposal-chosen",
      message: "the peer refused our proposals",
      ours: "aes256gcm16-prfsha384-x25519",
      theirs: "3des-sha1-modp1024",
      exchange: "IKE_SA_INIT",
      at: at("10:05:00"),
    },
  },
  ikeSas: [],
});

/** Reports tunnels with all their SAs, on a new stream of the gateway. With `complete` it has no others. */
export async function tell(
  cp: TestControlPlane,
  gatewayId: string,
  told: readonly WholeTunnel[],
  { complete = false } = {},
): Promise<void> {
  const [stream, mark] = [randomUUID(), randomUUID()];
  await query(cp.connection, "UPDATE gateways SET report_stream = $2 WHERE id = $1", [gatewayId, stream]);
  await cp.application.nest.get(TunnelStateService, { strict: false }).report(gatewayId, stream, {
    mark,
    tunnels: told.map((t) => t.tunnel),
    removedKeys: [],
    ikeSas: told.flatMap(({ tunnel: { key }, ikeSas }) => ikeSas.map((sa) => ({ key, mark, sa }))),
    removedIkeSas: [],
    settled: new Map(told.map(({ tunnel }) => [tunnel.key, mark])),
    completes: complete ? "tunnels" : "no",
  });
}
