/**
 * Our responder: the agent's own engine host, transport, crypto and data plane. Reads its scenario as one line of JSON from standard
 * input, then commands, one a line, each answered with a line; ends on SIGTERM.
 */
import { X509Certificate } from "node:crypto";
import { openSync, readSync } from "node:fs";
import { createInterface } from "node:readline";
import { writeHeapSnapshot } from "node:v8";
import { IkeEngine, usePrimitives } from "@sallyport/ike";
import type { GatewayIntent } from "@sallyport/intent";
import { IkePrimitives } from "@sallyport/linux-io";
import { openBooks } from "./books.ts";
import { ANCHOR, configOf, PORTS, type Scenario, SERVER } from "./scenario.ts";

/** The agent is compiled; its types are those of its source. */
const [clock, credentials, engineHost, cryptoPool, carrier, log, udp] = (await Promise.all(
  ["clock", "credentials", "engine-host", "crypto-pool", "carrier", "log", "udp-transport"].map(
    (name) => import(new URL(`../../apps/agent/dist/daemon/${name}.js`, import.meta.url).href),
  ),
)) as [
  typeof import("../../apps/agent/src/daemon/clock.ts"),
  typeof import("../../apps/agent/src/daemon/credentials.ts"),
  typeof import("../../apps/agent/src/daemon/engine-host.ts"),
  typeof import("../../apps/agent/src/daemon/crypto-pool.ts"),
  typeof import("../../apps/agent/src/daemon/carrier.ts"),
  typeof import("../../apps/agent/src/daemon/log.ts"),
  typeof import("../../apps/agent/src/daemon/udp-transport.ts"),
];

/**
 * Answer to `delay`: the longest that the event loop was held since the last time, in milliseconds. `own`: of CPU time of its thread
 * between two turns; `seen` by the clock, with whatever else had the core meanwhile.
 */
export interface Delay {
  readonly own: number;
  readonly seen: number;
}

/** Answer to `memory`, in octets. */
export interface Memory {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
  readonly ikeSas: number;
}

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
const logger = log.createLogger(new log.LogBuffer(), "warn");

async function openData({ dataPlane }: Scenario) {
  if (dataPlane === "userspace") {
    return carrier.openCarrier({
      choice: "userspace",
      ports: PORTS,
      tunName: "bench0",
      clock: clock.systemClock,
      log: logger,
    });
  }
  const sockets = [PORTS.ike, PORTS.natt].map((port) => udp.openIkeSocket(4, port));
  const transport = new udp.UdpTransport(sockets, PORTS, logger);
  transport.start();
  return { dataPlane: undefined, transport };
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const scenario = JSON.parse((await lines.next()).value as string) as Scenario;
const { transport, dataPlane } = await openData(scenario);
usePrimitives(new IkePrimitives());

/** An engine without an SA. One that was before is forgotten with all that it held. */
async function begin() {
  const keys = new credentials.Credentials();
  keys.load([{ privateKey: scenario.server.privateKey, certificates: scenario.server.certificate }]);
  const anchor = new X509Certificate(scenario.authority).raw.toString("base64");
  keys.useAnchors({ ...nobody, trustAnchors: [{ id: ANCHOR, der: anchor }] });
  const engine = new IkeEngine({ rng: new clock.SystemRng() });
  const host = new engineHost.EngineHost({
    engine,
    clock: clock.systemClock,
    transport,
    dataPlane: dataPlane ?? openBooks(),
    crypto: new cryptoPool.CryptoPool(keys),
    log: logger,
    onEvent: () => {},
    onTrace: () => {},
  });
  await host.configure(configOf(scenario, "server"));
  return { engine, host };
}

/** The kernel's count for this process' first thread, which runs the event loop: nanoseconds on a core. */
const schedstat = openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
const room = Buffer.alloc(64);
const onCore = () =>
  Number.parseInt(room.toString("latin1", 0, readSync(schedstat, room, 0, room.length, 0)), 10) / 1e6;

let held: Delay = { own: 0, seen: 0 };
let last = { own: onCore(), seen: performance.now() };
setInterval(() => {
  const now = { own: onCore(), seen: performance.now() };
  held = { own: Math.max(held.own, now.own - last.own), seen: Math.max(held.seen, now.seen - last.seen) };
  last = now;
}, 1);
// An orderly end, at which a profile is written.
process.once("SIGTERM", () => process.exit(0));

let running = await begin();

const COMMANDS: Readonly<Record<string, (argument: string) => unknown>> = {
  delay(): Delay {
    const delay = held;
    held = { own: 0, seen: 0 };
    return delay;
  },
  memory(): Memory {
    const { rss, heapUsed, external } = process.memoryUsage();
    return { rss, heapUsed, external, ikeSas: running.engine.sizes().ikeSas };
  },
  snapshot(file) {
    return writeHeapSnapshot(file);
  },
  collect() {
    globalThis.gc?.();
    return true;
  },
  /** Back to no SA at all, with all that was compiled; not with the userspace data plane, whose SAs would stay. */
  async renew() {
    running.host.close();
    running = await begin();
    return true;
  },
};

console.log("ready");
for await (const line of lines) {
  const [name = "", argument = ""] = line.split(" ");
  console.log(JSON.stringify((await COMMANDS[name]?.(argument)) ?? null));
}
