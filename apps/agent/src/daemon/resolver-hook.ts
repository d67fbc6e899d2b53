import { spawn } from "node:child_process";
import type { IkeEvent, IkeStatus } from "@sallyport/ike";
import type { Logger } from "./log.js";

const TIMEOUT_MS = 10_000;

/** What the hook reads from its standard input, as one line of JSON. */
export interface ResolverChange {
  readonly tunnel: string;
  /** Empty when the tunnel is gone. */
  readonly servers: readonly string[];
  /** Domains that are asked of these servers; empty: all names. */
  readonly domains: readonly string[];
}

/**
 * Hands the name servers that peers give to a program of the operator's, which alone knows how names are resolved here. Nothing of
 * what a peer says becomes part of a command line. One run at a time; of what comes meanwhile only the newest of a tunnel counts.
 */
export class ResolverHook {
  /** What is in force, and what is to be, by tunnel. */
  readonly #told = new Map<string, string>();
  readonly #wanted = new Map<string, ResolverChange>();
  #running = false;

  constructor(
    private readonly program: string,
    private readonly log: Logger,
  ) {}

  /** Takes note of an engine event. */
  onEvent(event: IkeEvent): void {
    if (event.event === "child-up" || event.event === "ike-rekeyed") this.#want(event.ike, true);
    else if (event.event === "ike-down" && event.reason !== "replaced") this.#want(event.ike, false);
  }

  #want({ peer, virtual }: IkeStatus, up: boolean): void {
    if (peer === undefined || !virtual || virtual.local.length === 0) return;
    const servers = up ? virtual.dns.map(String) : [];
    const domains = up ? virtual.domains : [];
    this.#wanted.set(peer, { tunnel: peer, servers, domains });
    if (!this.#running) void this.#work();
  }

  async #work(): Promise<void> {
    this.#running = true;
    for (const [tunnel, change] of this.#wanted) {
      this.#wanted.delete(tunnel);
      const line = JSON.stringify(change);
      const before = this.#told.get(tunnel);
      if (line === before || (before === undefined && change.servers.length === 0)) continue;
      const failure = await this.#run(line);
      if (failure === undefined && change.servers.length > 0) this.#told.set(tunnel, line);
      else this.#told.delete(tunnel);
      if (failure !== undefined) {
        this.log.warn({ tunnel, program: this.program }, `the resolver hook failed: ${failure}`);
      }
    }
    this.#running = false;
  }

  #run(line: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      const child = spawn(this.program, [], { stdio: ["pipe", "ignore", "ignore"], timeout: TIMEOUT_MS });
      child.once("error", (error) => resolve(error.message));
      child.once("close", (code, signal) => resolve(code === 0 ? undefined : `ended with ${code ?? signal}`));
      child.stdin.on("error", () => undefined);
      child.stdin.end(`${line}\n`);
    });
  }
}
