/**
 * Our responder: the agent's own engine host, transport and crypto, over a data plane that carries nothing. Reads its scenario as
 * one line of JSON from standard input and ends on SIGTERM.
 */
import { X509Certificate } from "node:crypto";
import { createInterface } from "node:readline";
import type { DataPlane } from "@sallyport/dataplane";
import { IkeEngine } from "@sallyport/ike";
import type { GatewayIntent } from "@sallyport/intent";
import { ANCHOR, configOf, PORTS, type Scenario, SERVER } from "./scenario.ts";

/** The agent is compiled; its types are those of its source. */
const [clock, credentials, engineHost, cryptoPool, udpTransport, log] = (await Promise.all(
  ["clock", "credentials", "engine-host", "crypto-pool", "udp-transport", "log"].map(
    (name) => import(new URL(`../../apps/agent/dist/daemon/${name}.js`, import.meta.url).href),
  ),
)) as [
  typeof import("../../apps/agent/src/daemon/clock.ts"),
  typeof import("../../apps/agent/src/daemon/credentials.ts"),
  typeof import("../../apps/agent/src/daemon/engine-host.ts"),
  typeof import("../../apps/agent/src/daemon/crypto-pool.ts"),
  typeof import("../../apps/agent/src/daemon/udp-transport.ts"),
  typeof import("../../apps/agent/src/daemon/log.ts"),
];

const nobody: GatewayIntent = {
  schema: 1,
  revision: 0,
  gateway: { id: "bench", name: "bench" },
  identity: { type: "fqdn", value: SERVER.id },
  ports: PORTS,
  trustAnchors: [],
  connections: [],
  options: { commitConfirmSeconds: 60, reportSeconds: 60 },
};

let spi = 0x1000;
const done = async () => {};
const nothing: DataPlane = {
  capabilities: {
    name: "userspace",
    forcesEncapsulation: true,
    ah: false,
    transportMode: false,
    encryption: ["aes-gcm-16"],
    integrity: [],
    maxReplayWindow: 128,
  },
  adopt: async () => ({ sas: [], policies: [] }),
  allocateSpi: async () => spi++,
  installSa: done,
  moveSa: done,
  removeSa: done,
  querySa: async () => undefined,
  listSas: async () => [],
  installPolicy: done,
  removePolicy: done,
  listPolicies: async () => [],
  installRoute: done,
  removeRoute: done,
  installAddress: done,
  removeAddress: done,
  listen: () => {},
  statistics: async () => ({}),
  flush: done,
  close: done,
};

// An orderly end, at which a profile is written.
process.once("SIGTERM", () => process.exit(0));

for await (const line of createInterface({ input: process.stdin })) {
  const scenario = JSON.parse(line) as Scenario;
  const logger = log.createLogger(new log.LogBuffer(), "warn");
  const sockets = [PORTS.ike, PORTS.natt].map((port) => udpTransport.openIkeSocket(4, port));
  const transport = new udpTransport.UdpTransport(sockets, PORTS, logger);
  const rng = new clock.SystemRng();
  const keys = new credentials.Credentials();
  keys.load([{ privateKey: scenario.server.privateKey, certificates: scenario.server.certificate }]);
  const anchor = new X509Certificate(scenario.authority).raw.toString("base64");
  keys.useAnchors({ ...nobody, trustAnchors: [{ id: ANCHOR, der: anchor }] });
  const host = new engineHost.EngineHost({
    engine: new IkeEngine({ rng }),
    clock: clock.systemClock,
    transport,
    dataPlane: nothing,
    crypto: new cryptoPool.CryptoPool(keys),
    log: logger,
    onEvent: () => {},
  });
  await host.configure(configOf(scenario, "server"));
  transport.start();
  console.log("ready");
}
