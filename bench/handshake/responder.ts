/**
 * Our responder: the agent's own engine host, transport, crypto and userspace data plane. Reads its scenario as one line of JSON
 * from standard input and ends on SIGTERM.
 */
import { X509Certificate } from "node:crypto";
import { createInterface } from "node:readline";
import { IkeEngine } from "@sallyport/ike";
import type { GatewayIntent } from "@sallyport/intent";
import { ANCHOR, configOf, PORTS, type Scenario, SERVER } from "./scenario.ts";

/** The agent is compiled; its types are those of its source. */
const [clock, credentials, engineHost, cryptoPool, carrier, log] = (await Promise.all(
  ["clock", "credentials", "engine-host", "crypto-pool", "carrier", "log"].map(
    (name) => import(new URL(`../../apps/agent/dist/daemon/${name}.js`, import.meta.url).href),
  ),
)) as [
  typeof import("../../apps/agent/src/daemon/clock.ts"),
  typeof import("../../apps/agent/src/daemon/credentials.ts"),
  typeof import("../../apps/agent/src/daemon/engine-host.ts"),
  typeof import("../../apps/agent/src/daemon/crypto-pool.ts"),
  typeof import("../../apps/agent/src/daemon/carrier.ts"),
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

// An orderly end, at which a profile is written.
process.once("SIGTERM", () => process.exit(0));

for await (const line of createInterface({ input: process.stdin })) {
  const scenario = JSON.parse(line) as Scenario;
  const logger = log.createLogger(new log.LogBuffer(), "warn");
  const { transport, dataPlane } = await carrier.openCarrier({
    choice: "userspace",
    ports: PORTS,
    tunName: "bench0",
    clock: clock.systemClock,
    log: logger,
  });
  const rng = new clock.SystemRng();
  const keys = new credentials.Credentials();
  keys.load([{ privateKey: scenario.server.privateKey, certificates: scenario.server.certificate }]);
  const anchor = new X509Certificate(scenario.authority).raw.toString("base64");
  keys.useAnchors({ ...nobody, trustAnchors: [{ id: ANCHOR, der: anchor }] });
  const host = new engineHost.EngineHost({
    engine: new IkeEngine({ rng }),
    clock: clock.systemClock,
    transport,
    dataPlane,
    crypto: new cryptoPool.CryptoPool(keys),
    log: logger,
    onEvent: () => {},
  });
  await host.configure(configOf(scenario, "server"));
  console.log("ready");
}
