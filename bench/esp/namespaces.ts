// Two network namespaces joined by a veth pair, and the processes in them. Everything goes away with `remove`.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface End {
  readonly namespace: string;
  readonly device: string;
  readonly outer: string;
  readonly inner: string;
}

export async function ip(...words: string[]): Promise<string> {
  return (await run("ip", words)).stdout;
}

export class Pair {
  readonly left: End;
  readonly right: End;
  readonly #children = new Set<ChildProcess>();

  private constructor(name: string) {
    this.left = { namespace: `${name}-l`, device: "wire0", outer: "192.0.2.1", inner: "10.77.1.1" };
    this.right = { namespace: `${name}-r`, device: "wire0", outer: "192.0.2.2", inner: "10.77.2.1" };
  }

  static async create(name: string): Promise<Pair> {
    const pair = new Pair(name);
    const { left, right } = pair;
    for (const { namespace } of [left, right]) await ip("netns", "add", namespace);
    const far = ["peer", "name", right.device, "netns", right.namespace];
    await ip("-n", left.namespace, "link", "add", left.device, "type", "veth", ...far);
    for (const { namespace, device, outer, inner } of [left, right]) {
      await ip("-n", namespace, "link", "set", "lo", "up");
      await ip("-n", namespace, "addr", "add", `${outer}/24`, "dev", device);
      await ip("-n", namespace, "addr", "add", `${inner}/32`, "dev", "lo");
      await ip("-n", namespace, "link", "set", device, "up");
    }
    return pair;
  }

  spawn(end: End, command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn("ip", ["netns", "exec", end.namespace, command, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }

  async run(end: End, command: string, ...args: string[]): Promise<string> {
    const { stdout } = await run("ip", ["netns", "exec", end.namespace, command, ...args], { maxBuffer: 1 << 26 });
    return stdout;
  }

  /** Octets that a device has sent. */
  async sentBytes(end: End, device: string): Promise<number> {
    const [link] = JSON.parse(await ip("-n", end.namespace, "-s", "-j", "link", "show", "dev", device));
    return link.stats64.tx.bytes;
  }

  async stop(children: Iterable<ChildProcess> = this.#children): Promise<void> {
    for (const child of [...children]) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      await Promise.race([gone, sleep(3000).then(() => child.kill("SIGKILL"))]);
    }
  }

  async remove(): Promise<void> {
    await this.stop();
    for (const { namespace } of [this.left, this.right]) await ip("netns", "del", namespace).catch(() => undefined);
  }
}

/** Resolves when the child has written `text`; rejects with what it said when it ends or takes longer than 10 s. */
export async function says(child: ChildProcess, text: string): Promise<void> {
  let said = "";
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no "${text}" within 10 s: ${said}`)), 10_000);
    const hear = (chunk: Buffer) => {
      said += chunk;
      if (!said.includes(text)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("exit", (code) => {
      clearTimeout(timer);
      reject(new Error(`ended with ${code}: ${said}`));
    });
  });
}

/** Tries until `attempt` does not reject, for at most `ms`. */
export async function eventually<T>(ms: number, attempt: () => Promise<T>): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(100);
    }
  }
}
