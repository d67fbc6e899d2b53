export type { GatewayModule, GatewayPlace, OpenedGateway } from "./labs/gateway-module.js";
export { makePair, type PairOptions } from "./labs/pair.js";
export { runInUml, type UmlOptions, type UmlResult } from "./labs/uml.js";
export { Agent, type AgentOptions, type AgentStatus, startAgent } from "./peers/agent.js";
export { type Authority, type CertificateKind, type Credential, createAuthority } from "./peers/certificates.js";
export {
  Libreswan,
  type LibreswanConnection,
  type LibreswanCredential,
  type LibreswanOptions,
  startLibreswan,
} from "./peers/libreswan.js";
export { logged, markLogs, recentLogs } from "./peers/log-file.js";
export type { ChildView, IkeView, Peer } from "./peers/peer.js";
export { firstReply, type PingOptions, type PingResult, ping, type RunningPing, startPing } from "./peers/ping.js";
export { endProcess, eventually, hasEnded, spawnIn } from "./peers/process.js";
export { Stopwatch } from "./peers/stopwatch.js";
export { Strongswan, startStrongswan } from "./peers/strongswan.js";
export type {
  PeerAuthentication,
  PeerChild,
  PeerConnection,
  PeerCredentials,
  PeerPool,
  PeerRevocation,
  PeerSecret,
  StrongswanOptions,
} from "./peers/strongswan-config.js";
export type { PeerChildSa, PeerIkeSa } from "./peers/strongswan-listing.js";
export { layOut, type NamespaceSpec, type Port, remove, type Topology } from "./peers/topology.js";
export * from "./sim/index.js";
