import { Buffer } from "node:buffer";
import { type ChildProcess, execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { LogFile } from "./log-file.js";
import type { Peer } from "./peer.js";
import { endProcess, eventually, hasEnded, spawnIn } from "./process.js";
import {
  connectionSection,
  daemonSettings,
  type PeerConnection,
  type PeerCredentials,
  type PeerPool,
  poolSection,
  revocationSection,
  type StrongswanOptions,
} from "./strongswan-config.js";
import { type PeerIkeSa, readListing } from "./strongswan-listing.js";
import { Vici } from "./vici.js";
import type { ViciReply, ViciSection } from "./vici-codec.js";

const run = promisify(execFile);

/** Either end may stand still for seconds, and each of its messages be repeated. */
const PATIENCE_MS = 30_000;

/** One charon of Debian's strongSwan with a configuration of its own in a temporary folder. */
export class Strongswan implements Peer<PeerIkeSa> {
  private constructor(
    readonly pid: number,
    private readonly child: ChildProcess,
    private readonly directory: string,
    private readonly vici: Vici,
    private readonly logFile: LogFile,
  ) {}

  static async start(options: StrongswanOptions): Promise<Strongswan> {
    const directory = await mkdtemp(path.join(options.parent ?? tmpdir(), "sallyport-charon-"));
    const file = path.join(directory, "strongswan.conf");
    const logFile = new LogFile(path.join(directory, "log"));
    await writeFile(file, daemonSettings(directory, options), { mode: 0o600 });
    const child = spawnIn(options.namespace, "charon-systemd", [], {
      stdio: "ignore",
      env: { PATH: process.env.PATH, STRONGSWAN_CONF: file },
    });
    const failed = new Promise<never>((_, reject) => child.once("error", reject));
    try {
      const vici = await Promise.race([
        failed,
        eventually("charon answers on its control socket", () => {
          if (hasEnded(child)) throw new Error(`charon ended with ${child.exitCode ?? child.signalCode}`);
          return Vici.connect(path.join(directory, "vici"));
        }),
      ]);
      const daemon = new Strongswan(child.pid ?? 0, child, directory, vici, logFile);
      await daemon.load(options);
      return daemon;
    } catch (error) {
      const log = await logFile.whole();
      logFile.close();
      await endProcess(child);
      await rm(directory, { recursive: true, force: true });
      throw new Error(`strongSwan did not start in ${options.namespace}; its log ends:\n${log.slice(-2000)}`, {
        cause: error,
      });
    }
  }

  /** Adds connections, pools and credentials; a connection or a pool of the same name is replaced. */
  async load(
    what: PeerCredentials & { readonly connections?: readonly PeerConnection[]; readonly pools?: readonly PeerPool[] },
  ): Promise<void> {
    for (const { type = "IKE", owners, secret } of what.secrets ?? []) {
      await this.vici.call("load-shared", { type, data: secret, owners });
    }
    for (const data of what.authorities ?? []) await this.vici.call("load-cert", { type: "X509", flag: "CA", data });
    for (const data of what.certificates ?? []) await this.vici.call("load-cert", { type: "X509", data });
    for (const data of what.crls ?? []) await this.vici.call("load-cert", { type: "X509_CRL", data });
    for (const data of what.privateKeys ?? []) await this.vici.call("load-key", { type: "any", data });
    for (const place of what.revocation ?? []) {
      await this.vici.call("load-authority", { [place.name]: revocationSection(place) });
    }
    for (const pool of what.pools ?? []) await this.vici.call("load-pool", { [pool.name]: poolSection(pool) });
    for (const connection of what.connections ?? []) {
      await this.vici.call("load-conn", { [connection.name]: connectionSection(connection) });
    }
  }

  /** Forgets a connection, its traps and shunts; SAs stay. */
  async unload(connection: string): Promise<void> {
    await this.vici.call("unload-conn", { name: connection });
  }

  /** Forgets all pre-shared keys, passwords, private keys and certificates that were loaded. */
  async clearCredentials(): Promise<void> {
    await this.vici.call("clear-creds");
  }

  /** Resolves when the child SA is installed; rejects with charon's reason when it is not within `timeoutMs`. */
  async initiate(child: string, timeoutMs = PATIENCE_MS): Promise<void> {
    await this.vici.stream("initiate", "control-log", { child, timeout: String(timeoutMs), loglevel: "-1" });
  }

  /** The same for an IKE SA without a child (RFC 6023). */
  async initiateIke(ike: string, timeoutMs = PATIENCE_MS): Promise<void> {
    await this.vici.stream("initiate", "control-log", { ike, timeout: String(timeoutMs), loglevel: "-1" });
  }

  /**
   * Deletes an IKE SA with its children, or with `child` one CHILD SA (by connection name; `ikeId`, `childId`: by unique id).
   * `force` does not wait for the far end's answer.
   */
  async terminate(
    what: { ike: string } | { child: string } | { ikeId: string } | { childId: string },
    options: { readonly force?: boolean; readonly timeoutMs?: number } = {},
  ): Promise<void> {
    const { force = false, timeoutMs = PATIENCE_MS } = options;
    await this.vici.stream("terminate", "control-log", {
      ...byId(what),
      force: force ? "yes" : "no",
      timeout: String(timeoutMs),
      loglevel: "-1",
    });
  }

  async rekeyChild(child: string): Promise<void> {
    await this.vici.call("rekey", { child });
  }

  async rekeyIke(ike: string): Promise<void> {
    await this.vici.call("rekey", { ike });
  }

  /** Authenticates anew, as its settings say: make-before-break or break-before-make. */
  async reauthenticate(ike: string): Promise<void> {
    await this.vici.call("rekey", { ike, reauth: "yes" });
  }

  /** Sends an established peer elsewhere (RFC 5685 §5). */
  async redirect(ike: string, gateway: string): Promise<void> {
    await this.vici.call("redirect", { ike, gateway });
  }

  /** Installs the trap of a child whatever its start action says, and takes it away. */
  async installTrap(child: string): Promise<void> {
    await this.vici.call("install", { child });
  }

  async uninstallTrap(child: string): Promise<void> {
    await this.vici.call("uninstall", { child });
  }

  /** What `swanctl --list-sas` would print, of one connection or of all. */
  async listSas(connection?: string): Promise<PeerIkeSa[]> {
    const filter: ViciSection = connection === undefined ? {} : { ike: connection };
    return (await this.vici.stream("list-sas", "list-sa", filter)).flatMap(readListing);
  }

  /** Installed traps and shunts, by `connection/child`. */
  async listPolicies(): Promise<Record<string, ViciReply>> {
    const events = await this.vici.stream("list-policies", "list-policy", { trap: "yes", drop: "yes", pass: "yes" });
    return Object.fromEntries(
      events.flatMap((event) =>
        Object.entries(event).flatMap(([name, value]) =>
          typeof value === "object" && !Array.isArray(value) ? [[name, value]] : [],
        ),
      ),
    );
  }

  /** DER of certificates (and CRLs, OCSP responses) that it holds, received ones included. */
  async listCertificates(type: "X509" | "X509_CRL" | "OCSP_RESPONSE" | "ANY" = "ANY"): Promise<Buffer[]> {
    const events = await this.vici.stream("list-certs", "list-cert", { type });
    return events.map(({ data }) => Buffer.from(typeof data === "string" ? data : "", "latin1"));
  }

  /** Empties the cache of received certificates, CRLs and OCSP responses. */
  async flushCertificates(type: "X509" | "X509_CRL" | "OCSP_RESPONSE" | "ANY" = "ANY"): Promise<void> {
    await this.vici.call("flush-certs", { type });
  }

  /** Leases of its pools by name. */
  async pools(): Promise<ViciReply> {
    return this.vici.call("get-pools", { leases: "yes" });
  }

  /** Any other command of its control socket. */
  command(name: string, message: ViciSection = {}): Promise<ViciReply> {
    return this.vici.call(name, message);
  }

  /** Debian's `swanctl` speaks with this daemon; `folder` is what /etc/swanctl is to its users. Gives what it prints. */
  async swanctl(folder: string, ...args: readonly string[]): Promise<string> {
    const uri = `unix://${path.join(this.directory, "vici")}`;
    const env = { ...process.env, SWANCTL_DIR: folder };
    return (await run("swanctl", [...args, "--uri", uri], { env })).stdout;
  }

  log(): Promise<string> {
    return this.logFile.sinceMark();
  }

  wholeLog(): Promise<string> {
    return this.logFile.whole();
  }

  /** SIGKILL, as a crash would be: its peers are told nothing. `stop` removes what it leaves. */
  kill(): Promise<void> {
    this.vici.close();
    return endProcess(this.child, "SIGKILL");
  }

  /** Ends the daemon, which deletes its SAs with its peers, and removes its folder. May be called twice. */
  async stop(): Promise<void> {
    this.logFile.close();
    this.vici.close();
    await endProcess(this.child);
    await rm(this.directory, { recursive: true, force: true });
  }
}

function byId(what: Parameters<Strongswan["terminate"]>[0]): ViciSection {
  if ("ikeId" in what) return { "ike-id": what.ikeId };
  return "childId" in what ? { "child-id": what.childId } : what;
}

export const startStrongswan = (options: StrongswanOptions): Promise<Strongswan> => Strongswan.start(options);
