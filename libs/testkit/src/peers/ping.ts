import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { hasEnded, spawnIn } from "./process.js";

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  readonly lossPct: number;
  /** Mean round trip in milliseconds; undefined when nothing came back. */
  readonly rttMs: number | undefined;
  /** The longest run of packets without reply, as time. */
  readonly longestGapMs: number;
}

export interface PingOptions {
  readonly source?: string;
  readonly intervalMs?: number;
  readonly count?: number;
  /** How long to wait for the reply of each packet. */
  readonly waitMs?: number;
  /** Octets of ICMP payload. */
  readonly size?: number;
  /** Forbids fragmentation. */
  readonly dontFragment?: boolean;
}

/** Replies may come late where the machine, or the end that answers, stands still for a while; whoever expects none waits less. */
const REPLY_MS = 8_000;

/**
 * Calls `over` after `ms` in which this process ran, in steps: when the machine stands still, so do those whose replies are waited for.
 * Gives what ends the wait.
 */
function afterWaiting(ms: number, over: () => void): () => void {
  const STEP_MS = 20;
  let left = Math.ceil(ms / STEP_MS);
  const timer = setInterval(() => {
    if (--left > 0) return;
    clearInterval(timer);
    over();
  }, STEP_MS);
  return () => clearInterval(timer);
}

/** Calls `heard` for each line with a sequence number, with that and whether it tells of a reply; ends with the process. */
function listen(child: ChildProcess, heard: (sequence: number, isReply: boolean) => void): void {
  let rest = "";
  child.stdout?.on("data", (chunk: unknown) => {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const sequence = Number(/icmp_seq=(\d+)/.exec(line)?.[1] ?? 0);
      if (sequence > 0) heard(sequence, line.includes("bytes from"));
    }
  });
}

/**
 * Stops a ping that has no count of its own when `count` requests are answered, or are out and have had `waitMs` for their replies.
 * Left to itself, ping waits for the last replies no longer than twice the longest round trip so far; with a deadline of its own it
 * sends fewer than asked for on a busy machine.
 */
function stopAfter(child: ChildProcess, count: number, waitMs: number): void {
  const answered = new Set<number>();
  let endWait: (() => void) | undefined;
  const stop = () => {
    endWait?.();
    child.kill("SIGINT");
  };
  listen(child, (sequence, isReply) => {
    if (isReply && sequence <= count) answered.add(sequence);
    if (answered.size === count) stop();
    else if (sequence >= count) endWait ??= afterWaiting(waitMs, stop);
  });
  child.once("exit", () => endWait?.());
}

function start(namespace: string, target: string, options: PingOptions): ChildProcess {
  const { source, intervalMs = 10, count, waitMs = REPLY_MS, size, dontFragment } = options;
  const args = ["-n", "-i", String(intervalMs / 1000), "-W", String(waitMs / 1000)];
  if (source !== undefined) args.push("-I", source);
  // Says of every request that it was sent, also of those that stay without a reply.
  args.push(...(count === undefined ? ["-O"] : ["-c", String(count)]));
  if (size !== undefined) args.push("-s", String(size));
  if (dontFragment) args.push("-M", "do");
  return spawnIn(namespace, "ping", [...args, target], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, LC_ALL: "C" },
  });
}

/**
 * What ping printed. Of `count` requests, more may have been sent; without `count` it was stopped. If that was when the path was known
 * to be alive, requests after the last reply were on the way and do not count.
 */
export function evaluate(output: string, intervalMs: number, count?: number, alive = false): PingResult | undefined {
  const sentText = /(\d+) packets transmitted/.exec(output)?.[1];
  if (sentText === undefined) return undefined;
  const wanted = Math.min(Number(sentText), count ?? Number.POSITIVE_INFINITY);
  const replies = [...output.matchAll(/bytes from .*icmp_seq=(\d+) /g)].map((m) => Number(m[1]));
  const answered = new Set(replies.filter((sequence) => sequence <= wanted));
  const last = Math.max(...answered);
  const sent = alive ? last : wanted;
  let gap = 0;
  let longest = 0;
  for (let sequence = 1; sequence <= sent; sequence++) {
    gap = answered.has(sequence) ? 0 : gap + 1;
    longest = Math.max(longest, gap);
  }
  const received = answered.size;
  const mean = /= [\d.]+\/([\d.]+)\//.exec(output)?.[1];
  return {
    sent,
    received,
    lossPct: sent === 0 ? 100 : Math.round(((sent - received) / sent) * 10_000) / 100,
    rttMs: mean === undefined ? undefined : Number(mean),
    longestGapMs: longest * intervalMs,
  };
}

async function result(
  child: ChildProcess,
  intervalMs = 10,
  count?: number,
  isAlive = () => false,
): Promise<PingResult> {
  const { stdout, stderr } = child;
  if (!stdout || !stderr) throw new Error("ping runs without its output");
  const [output, errors] = await Promise.all([text(stdout), text(stderr), hasEnded(child) || once(child, "exit")]);
  const outcome = evaluate(output, intervalMs, count, isAlive());
  if (!outcome) throw new Error(`ping gave no result: ${errors || output}`);
  return outcome;
}

/** Sends `count` (default 10) echo requests and gives what came back; rejects only when ping itself cannot run. */
export function ping(namespace: string, target: string, options: PingOptions = {}): Promise<PingResult> {
  const { count = 10, waitMs = REPLY_MS, ...more } = options;
  const child = start(namespace, target, count === 1 ? options : { ...more, waitMs });
  if (count > 1) stopAfter(child, count, waitMs);
  return result(child, options.intervalMs, count);
}

export interface RunningPing {
  /** Ends it as soon as one more reply is here, or none will come, and gives the counts. */
  stop(): Promise<PingResult>;
}

/** Pings until it is stopped, 100 packets a second unless said otherwise. Resolves when the first request is out. */
export async function startPing(
  namespace: string,
  target: string,
  options: Omit<PingOptions, "count"> = {},
): Promise<RunningPing> {
  const child = start(namespace, target, options);
  let [newest, alive] = [0, false];
  let awaited: { readonly after: number; readonly arrived: () => void } | undefined;
  listen(child, (sequence, isReply) => {
    newest = Math.max(newest, sequence);
    if (isReply && awaited && sequence > awaited.after) awaited.arrived();
  });
  const outcome = result(child, options.intervalMs, undefined, () => alive);
  outcome.catch(() => undefined);
  // Before its first line ping does not mind signals yet; that line comes with the first request.
  await Promise.race([child.stdout && once(child.stdout, "data"), outcome]);
  return {
    async stop(): Promise<PingResult> {
      alive = await new Promise<boolean>((resolve) => {
        const endWait = afterWaiting(options.waitMs ?? REPLY_MS, () => resolve(false));
        const arrived = () => {
          endWait();
          resolve(true);
        };
        awaited = { after: newest, arrived };
        outcome.then(arrived, arrived);
      });
      child.kill("SIGINT");
      return outcome;
    },
  };
}

/** Pings every 20 ms until the first reply and gives the milliseconds that it took; rejects after `timeoutMs`. */
export async function firstReply(
  namespace: string,
  target: string,
  options: { source?: string; timeoutMs?: number } = {},
): Promise<number> {
  const { source, timeoutMs = 20_000 } = options;
  const since = performance.now();
  const args = ["-n", "-i", "0.02", "-w", String(Math.ceil(timeoutMs / 1000)), ...(source ? ["-I", source] : [])];
  const child = spawnIn(namespace, "ping", [...args, target], {
    stdio: ["ignore", "pipe", "ignore"],
    env: { PATH: process.env.PATH, LC_ALL: "C" },
  });
  const ended = once(child, "exit");
  try {
    for await (const chunk of child.stdout ?? []) {
      if (String(chunk).includes(" bytes from ")) return performance.now() - since;
    }
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
  throw new Error(`no reply from ${target} to ${namespace} within ${timeoutMs} ms`);
}
