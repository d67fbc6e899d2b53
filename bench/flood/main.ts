/**
 * A gateway under a flood of spoofed IKE_SA_INITs: what becomes of a standing tunnel, of a newcomer, and of memory.
 *
 * `node bench/flood/main.ts [--port 500|4500] [--rate 20000] [--seconds 60]`
 */
import { hash, randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { BARS, shortfalls, underFlood } from "../../tests/chaos/flood.ts";
import { cost } from "../handshake/limit.ts";

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "500" },
    rate: { type: "string", default: "20000" },
    seconds: { type: "string", default: "60" },
  },
});
const report = await underFlood("spb-flood", {
  port: options.port === "4500" ? 4500 : 500,
  rate: Number(options.rate),
  seconds: Number(options.seconds),
});
const short = shortfalls(report);

const middle = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const ms = (value: number) => value.toFixed(0);
const share = (count: number) => `${((100 * count) / report.sent).toFixed(1)} %`;
const percent = (value: number) => `${(100 * value).toFixed(0)} %`;
/** Nonce, address, SPI and secret. */
const material = randomBytes(32 + 5 + 8 + 32);
/** Microseconds. */
const digest = cost(() => hash("sha256", material, "binary"));
const table = [
  ["what", "measured", "bar"],
  [`IKE_SA_INITs a second to port ${options.port}, for ${options.seconds} s`, ms(report.perSecond), ""],
  ["answered with a cookie", share(report.cookies), ""],
  ["dropped by the agent, lost in its sockets", `${share(report.dropped)}, ${share(report.overflown)}`, ""],
  ["half-open IKE SAs, most at a time", String(report.halfOpen), `≤ ${BARS.halfOpen}`],
  [
    `a peer connects, slowest of ${report.connects.length}, ms`,
    ms(Math.max(...report.connects)),
    `≤ ${BARS.connectMs}`,
  ],
  ["the same, median, ms", ms(middle(report.connects)), ""],
  [`a rekey of the standing tunnel, slowest of ${report.rekeys.length}, ms`, ms(Math.max(...report.rekeys)), ""],
  ["the same, median, ms", ms(middle(report.rekeys)), ""],
  ["packets lost in the standing tunnel", `${report.traffic.lossPct} %`, `≤ ${BARS.lossPct} %`],
  ["VmRSS before and at most, MiB", `${ms(report.rssBefore)}, ${ms(report.rssMost)}`, `≤ ${BARS.rssMiB}`],
  ["lines in the log that are not about the two peers", String(report.logLines), `≤ ${BARS.logLines}`],
  ["share of a core that the agent took", percent(report.cpu), `≤ ${percent(BARS.cpu)}`],
  ["the same for the digests of the cookies alone", percent((report.perSecond * digest) / 1e6), ""],
];
const notes = [
  "The agent as a process with the userspace data plane; sources are drawn from four million addresses. The standing tunnel and the newcomer are strongSwan's; rekeys are of the CHILD SA and of the IKE SA, begun by either end in turn. All share the machine's cores with the flood itself.",
];
for (const row of table) console.error(row.join("  "));
for (const what of short) console.error(`falls short: ${what}`);
console.log(JSON.stringify({ bench: "flood", ok: short.length === 0, bars: BARS, table, notes, report }));
process.exitCode = short.length === 0 ? 0 : 1;
