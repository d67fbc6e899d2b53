import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { text } from "node:stream/consumers";
import { spawnIn } from "@sallyport/testkit";

const MAIN = path.join(import.meta.dirname, "tcp-main.ts");
const node = (namespace: string, ...args: readonly (string | number)[]) =>
  spawnIn(namespace, process.execPath, [MAIN, ...args.map(String)], {
    stdio: ["ignore", "pipe", "inherit"],
  });

/** A server that answers as many octets as it is sent; end it with `endProcess`. */
export async function startTcpServer(namespace: string, port: number): Promise<ChildProcess> {
  const server = node(namespace, "serve", port);
  if (server.stdout) await once(server.stdout, "data");
  return server;
}

export interface Transfer {
  readonly namespace: string;
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly octets: number;
}

/** Octets that came back of those that were sent; NaN when that took longer than `timeoutMs`. */
export async function transfer({ namespace, from, to, port, octets }: Transfer, timeoutMs = 60_000): Promise<number> {
  const child = node(namespace, "send", from, to, port, octets);
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const out = child.stdout ? await text(child.stdout) : "";
  clearTimeout(timer);
  return Number(out || Number.NaN);
}
