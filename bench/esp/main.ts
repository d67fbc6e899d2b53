// Throughput of ESP in user space, ours against strongSwan's, in the same topology and the same run.
//   node bench/esp/main.ts [--rounds 5] [--seconds 4] [--json]
// Needs root, iproute2, iperf3 and Debian's charon-systemd with strongswan-swanctl and libcharon-extra-plugins.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { eventually, Pair, says } from "./namespaces.ts";
import { primitives } from "./primitive.ts";
import { charon, sallyport, type Tunnel } from "./tunnels.ts";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "4" },
    json: { type: "boolean", default: false },
  },
});
const rounds = Number(options.rounds);
/** Of charon's throughput; with less, the benchmark fails. */
const BAR = 1;

interface Sample {
  readonly mbitPerSecond: number;
  readonly retransmits: number;
}

/** One TCP stream through the tunnel for some seconds, and the proof that it went through the tunnel and encrypted. */
async function measure(tunnel: Tunnel): Promise<Sample> {
  const directory = await mkdtemp(path.join(tmpdir(), "sallyport-bench-"));
  const pair = await Pair.create(`spb${process.pid}`);
  const { left, right } = pair;
  try {
    await tunnel.up(pair, directory);
    await eventually(5000, () => pair.run(left, "ping", "-c1", "-W1", "-I", left.inner, right.inner));
    const server = pair.spawn(right, "iperf3", ["--server", "--bind", right.inner, "--one-off", "--forceflush"]);
    await says(server, "listening");
    const before = [await pair.sentBytes(left, tunnel.device), await pair.sentBytes(left, left.device)] as const;
    const client = ["--client", right.inner, "--bind", left.inner, "--time", options.seconds, "--omit", "1", "--json"];
    const { end } = JSON.parse(await pair.run(left, "iperf3", ...client));
    const inner = (await pair.sentBytes(left, tunnel.device)) - before[0];
    const outer = (await pair.sentBytes(left, left.device)) - before[1];
    if (inner < end.sum_received.bytes || outer < inner) {
      throw new Error(
        `${tunnel.name}: ${end.sum_received.bytes} octets received, ${inner} tunnelled, ${outer} on the wire`,
      );
    }
    return { mbitPerSecond: end.sum_received.bits_per_second / 1e6, retransmits: end.sum_sent.retransmits };
  } finally {
    await pair.remove();
    await rm(directory, { recursive: true, force: true });
  }
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

const tunnels = [sallyport(false), sallyport(true), charon];
const samples = new Map<Tunnel, Sample[]>(tunnels.map((tunnel) => [tunnel, []]));
for (let round = 1; round <= rounds; round++) {
  for (const tunnel of tunnels) {
    const sample = await measure(tunnel);
    samples.get(tunnel)?.push(sample);
    if (!options.json) console.error(`round ${round}: ${tunnel.name}: ${sample.mbitPerSecond.toFixed(0)} Mbit/s`);
  }
}

const results = tunnels.map((tunnel) => {
  const taken = samples.get(tunnel) ?? [];
  const rates = taken.map((sample) => sample.mbitPerSecond);
  return {
    name: tunnel.name,
    mbitPerSecond: Math.round(median(rates)),
    least: Math.round(Math.min(...rates)),
    most: Math.round(Math.max(...rates)),
    retransmits: median(taken.map((sample) => sample.retransmits)),
  };
});
const peer = results.at(-1)?.mbitPerSecond ?? Number.NaN;
const limits = primitives();
const ratioOf = (mbitPerSecond: number | undefined) => Number(((mbitPerSecond ?? Number.NaN) / peer).toFixed(2));
const ratio = ratioOf(results[0]?.mbitPerSecond);
const ratioPortable = ratioOf(results[1]?.mbitPerSecond);
/** Of what the slower of sealing and opening would allow by itself. */
function shareOf(kind: string, mbitPerSecond: number | undefined): string {
  const alone = limits.filter(({ name }) => name.endsWith(kind)).map((l) => l.mbitPerSecond);
  return alone.length === 0 ? "" : `${((100 * (mbitPerSecond ?? Number.NaN)) / Math.min(...alone)).toFixed(0)} %`;
}
const shares = [shareOf("native", results[0]?.mbitPerSecond), shareOf("JavaScript", results[1]?.mbitPerSecond)];
const table = [
  ["what", "Mbit/s", "least", "most", "ratio", "ns a packet", "share of the limit"],
  ...results.map((r, i) => [
    r.name,
    ...[r.mbitPerSecond, r.least, r.most].map(String),
    ratioOf(r.mbitPerSecond).toFixed(2),
    "",
    shares[i] ?? "",
  ]),
  ...limits.map((l) => [
    `${l.name}, alone on one core`,
    l.mbitPerSecond.toFixed(0),
    "",
    "",
    "",
    l.nanosecondsPerPacket.toFixed(0),
    "",
  ]),
];
const notes = [
  `One TCP stream with AES-GCM-256 in UDP over a veth pair, packets of 1,400 octets inside; medians of ${rounds} rounds of ${options.seconds} s, taken in turn.`,
  `The ratio is to charon with kernel-libipsec; the bar is ${BAR} for the first row. The limit is what the slower of sealing and opening would allow by itself, on a core of its own.`,
];

if (!options.json) {
  console.log("");
  for (const cells of table) console.log(cells.map((c, i) => (i === 0 ? c.padEnd(40) : c.padStart(14))).join(""));
  for (const note of notes) console.log(note);
}
const ok = ratio >= BAR;
console.log(
  JSON.stringify({
    bench: "esp",
    ok,
    bar: BAR,
    rounds,
    table,
    notes,
    results,
    ratio,
    ratioPortable,
    primitives: limits,
  }),
);
process.exitCode = ok ? 0 : 1;
