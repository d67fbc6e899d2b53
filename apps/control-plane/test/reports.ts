import type { ChildSaReport, IkeSaReport, TunnelReport } from "../src/features/tunnels/tunnel-state.service.js";

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
  childSas,
  ...change,
});

export const upReport = (key: string, spi: string): TunnelReport => ({
  key,
  status: "up",
  changedAt: at("10:00:00"),
  ikeSas: [ikeReport([childReport(spi)])],
  lastError: undefined,
});

export const downReport = (key: string): TunnelReport => ({
  key,
  status: "down",
  changedAt: at("10:05:00"),
  ikeSas: [],
  lastError: {
    code: "ike/no-proposal-chosen",
    message: "the peer refused our proposals",
    ours: "aes256gcm16-prfsha384-x25519",
    theirs: "3des-sha1-modp1024",
    exchange: "IKE_SA_INIT",
    at: at("10:05:00"),
  },
});
