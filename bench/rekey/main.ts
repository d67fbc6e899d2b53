/**
 * How rekeys of 20,000 IKE SAs with a CHILD SA each are spread when all came up together, as after a restart: a whole lifetime in
 * virtual time, with the engine that the agent has and the jitter that an intent gives.
 *
 * `node bench/rekey/main.ts [--sas 20000]`
 */
import { parseArgs } from "node:util";
import { IpAddress, Prefix } from "@sallyport/base";
import type { Effect, IkeConfig, Input, PeerConfig } from "@sallyport/ike";
import { childOf, configOf, peerOf, range, type SimPeer, Simulation } from "@sallyport/testkit";

const { values: options } = parseArgs({ options: { sas: { type: "string", default: "20000" } } });
const SAS = Number(options.sas);
/** Seconds, of the IKE SAs too: so their rekeys and those of the CHILD SAs fall into the same minutes. With the jitter of an intent. */
const LIFETIME = 3_600;
const lifetime = (soft: number) => ({ soft, jitter: Math.floor(soft / 10), hard: soft + Math.ceil(soft / 10) });
const NEVER = { soft: 0, jitter: 0, hard: 0 };
/** IKE SAs a second while all come up. */
const ARRIVALS = 1_000;
/**
 * Percent of all SAs that rekey in the busiest second; CPU time of all steps but one in a thousand, and of all seconds but as many (a
 * fifth of a core): the collector stops now and then for a heap that holds the 20,000 callers too, which is nothing that the gateway does.
 */
const BARS = { peak: 1, stepMs: 10, secondMs: 200 };
const SECRET = new TextEncoder().encode("a secret of some length");
const SERVER = "198.51.100.1";
const CLIENT = "192.0.2.1";
/** Inner addresses of the callers. */
const FIRST = 0x0a80_0000;

const many = 1_000_000;
const limits = (config: IkeConfig): IkeConfig => ({
  ...config,
  limits: { ...config.limits, cookieThreshold: many, halfOpen: many, halfOpenPerSource: many },
});

/** Takes every caller there is, and begins every rekey. */
function server(): IkeConfig {
  const base = peerOf("b");
  const child = childOf("b", { remote: [range("10.128.0.0/9")], lifetime: lifetime(LIFETIME) });
  const peer: PeerConfig = {
    ...base,
    remote: { endpoint: undefined, accept: [Prefix.any(4)] },
    localAuth: [{ method: "psk", identity: { type: "fqdn", name: "gateway.example" }, secret: SECRET }],
    remoteAuth: [{ method: "psk", identity: { match: "any" }, secrets: [SECRET] }],
    passive: true,
    dpdInterval: 0,
    uniqueness: "keep",
    lifetime: lifetime(LIFETIME),
    children: [child],
  };
  return limits(configOf(peer));
}

function caller(n: number): PeerConfig {
  const base = peerOf("a");
  const own = range(`${IpAddress.fromBigInt(4, BigInt(FIRST + n))}/32`);
  return {
    ...base,
    id: `caller-${n}`,
    name: `caller-${n}`,
    localAuth: [{ method: "psk", identity: { type: "fqdn", name: `c${n}.example` }, secret: SECRET }],
    remoteAuth: [{ method: "psk", identity: { match: "any" }, secrets: [SECRET] }],
    dpdInterval: 0,
    initialContact: false,
    uniqueness: "keep",
    lifetime: NEVER,
    children: [childOf("a", { local: [own], lifetime: NEVER, startAction: "none" })],
  };
}

/** Milliseconds of CPU time that an engine's steps take. */
class Meter {
  readonly steps: number[] = [];
  spent = 0;

  /** Only of one engine: the other stands for thousands of machines. */
  constructor(peer: SimPeer) {
    const { engine } = peer;
    const handle = engine.handle.bind(engine);
    engine.handle = (input: Input): readonly Effect[] => {
      const before = process.threadCpuUsage();
      const effects = handle(input);
      const { user, system } = process.threadCpuUsage(before);
      this.spent += (user + system) / 1000;
      this.steps.push((user + system) / 1000);
      return effects;
    };
  }
}

const sim = new Simulation(1);
const b = sim.addPeer("b", SERVER);
const a = sim.addPeer("a", CLIENT);
const meter = new Meter(b);
b.configure(server());
a.configure(limits(configOf(...Array.from({ length: SAS }, (_, n) => caller(n)))));
const say = (text: string) => console.error(text);

interface Second {
  readonly ike: number;
  readonly child: number;
  readonly ms: number;
}

function second(): Second {
  sim.run(1);
  const of = (name: string) => b.events.filter(({ event }) => event === name).length;
  const counted = { ike: of("ike-rekeyed"), child: of("child-rekeyed"), ms: meter.spent };
  for (const peer of [a, b]) peer.events.length = 0;
  meter.spent = 0;
  return counted;
}

for (let n = 0; n < SAS; ) {
  for (let i = 0; i < ARRIVALS && n < SAS; i++) a.command({ command: "initiate", peer: `caller-${n++}` });
  second();
}
second();
if (b.engine.sizes().ikeSas !== SAS) throw new Error(`${b.engine.sizes().ikeSas} IKE SAs of ${SAS}`);
say(`${SAS} IKE SAs are up`);
meter.steps.length = 0;
const seconds: Second[] = [];
for (let n = 0; n < LIFETIME; n++) seconds.push(second());
const { ikeSas } = b.engine.sizes();

const most = (values: readonly number[]) => values.reduce((x, y) => Math.max(x, y), 0);
const total = (values: readonly number[]) => values.reduce((x, y) => x + y, 0);
const mean = (values: readonly number[]) => total(values) / values.length;
function spread(kind: "ike" | "child") {
  const values = seconds.map((s) => s[kind]);
  return {
    count: total(values),
    most: most(values),
    mean: total(values) / LIFETIME,
    peak: (100 * most(values)) / SAS,
  };
}
const spreads = { child: spread("child"), ike: spread("ike") };
/** That of all but one in a thousand. */
function nearlyMost(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  return sorted[Math.floor(sorted.length * 0.999)] ?? Number.NaN;
}
const { steps } = meter;
const stepMs = nearlyMost(steps);
const secondMs = nearlyMost(seconds.map((s) => s.ms));
const row = (what: string, { count, most, mean, peak }: ReturnType<typeof spread>) => [
  what,
  String(count),
  mean.toFixed(1),
  String(most),
  (most / mean).toFixed(1),
  `${peak.toFixed(2)} %`,
  `≤ ${BARS.peak} %`,
];
const table = [
  ["what", "in all", "mean a second", "most in a second", "most / mean", "of all SAs", "bar"],
  row("rekeys of CHILD SAs", spreads.child),
  row("rekeys of IKE SAs", spreads.ike),
  [
    "CPU time of the engine in a second, all but one in a thousand, ms",
    "",
    mean(seconds.map((s) => s.ms)).toFixed(1),
    secondMs.toFixed(1),
    "",
    "",
    `≤ ${BARS.secondMs}`,
  ],
  [
    "CPU time of one step, all but one in a thousand, ms",
    "",
    mean(steps).toFixed(2),
    stepMs.toFixed(1),
    "",
    "",
    `≤ ${BARS.stepMs}`,
  ],
];
const notes = [
  `${SAS} callers of one gateway, ${ARRIVALS} a second at first, in virtual time; the gateway begins every rekey, at a random moment in the last tenth of the lifetime. Lifetimes are ${LIFETIME} s, of IKE SAs too. All came up within the first seconds, so all first rekeys fall into that tenth, "mean a second" is over the whole lifetime. No IKE SA was lost: ${ikeSas} stood at the end.`,
];
for (const cells of table) say(cells.join("  "));
const ok =
  Object.values(spreads).every((s) => s.peak <= BARS.peak) &&
  secondMs <= BARS.secondMs &&
  stepMs <= BARS.stepMs &&
  ikeSas >= SAS;
console.log(JSON.stringify({ bench: "rekey", ok, bars: BARS, sas: SAS, table, notes, spreads, secondMs, stepMs }));
process.exitCode = ok ? 0 : 1;
