import type { ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { endProcess, eventually, hasEnded, spawnIn } from "./process.js";
import { type PeerIkeSa, readListing } from "./strongswan-listing.js";
import { Vici } from "./vici.js";
import type { ViciSection } from "./vici-codec.js";

export interface PeerAuthentication {
  readonly auth: "psk" | "pubkey" | `rsa-${string}` | `ecdsa-${string}` | `ike:${string}`;
  readonly id: string;
  /** PEM; the certificate to send (local) or to insist on (remote). */
  readonly certificate?: string;
}

export interface PeerChild {
  readonly name: string;
  readonly localTs: readonly string[];
  readonly remoteTs: readonly string[];
  /** In strongSwan's notation, e.g. `aes256gcm16` or `aes256-sha256-ecp256` (with PFS). */
  readonly proposals: readonly string[];
  readonly startAction?: "none" | "start" | "trap";
  /** Seconds; 0 or absent: never by itself. */
  readonly rekeySeconds?: number;
}

export interface PeerConnection {
  readonly name: string;
  readonly localAddress: string;
  /** `%any` takes whoever comes. */
  readonly remoteAddress: string;
  readonly proposals: readonly string[];
  readonly local: PeerAuthentication;
  readonly remote: PeerAuthentication;
  readonly children: readonly PeerChild[];
  readonly rekeySeconds?: number;
  /** Seconds of silence before a liveness check; absent: no checks. */
  readonly dpdSeconds?: number;
}

export interface PeerSecret {
  /** Identities that it belongs to. */
  readonly owners: readonly string[];
  readonly secret: string | Uint8Array;
}

export interface PeerCredentials {
  readonly secrets?: readonly PeerSecret[];
  /** PEM of trust anchors. */
  readonly authorities?: readonly string[];
  /** PEM (PKCS#8) of private keys; charon finds the certificate's by its public key. */
  readonly privateKeys?: readonly string[];
}

export interface StrongswanOptions extends PeerCredentials {
  readonly namespace: string;
  /** `kernel-libipsec`: userspace ESP over a TUN device, always in UDP. `kernel-netlink`: the kernel's own ESP. */
  readonly dataPlane: "kernel-libipsec" | "kernel-netlink";
  readonly connections?: readonly PeerConnection[];
  /** Where its own folder is made; absent: among the system's temporary files. */
  readonly parent?: string;
  /** Further settings of charon, e.g. `{ cookie_threshold: "1" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Writes no log, which would cost a benchmark's peer some of its speed. */
  readonly silent?: boolean;
}

const PLUGINS = [
  ...["random", "nonce", "x509", "constraints", "pubkey", "pkcs1", "pkcs8", "pem", "openssl", "curve25519"],
  ...["aes", "sha1", "sha2", "hmac", "kdf", "gcm", "ctr", "chapoly", "cmac", "xcbc", "gmp", "mgf1"],
  ...["socket-default", "vici", "updown"],
];

const TEN_YEARS = "3650d";

function configuration(directory: string, options: StrongswanOptions): string {
  const kernel = options.dataPlane === "kernel-libipsec" ? ["kernel-libipsec", "kernel-netlink"] : ["kernel-netlink"];
  const settings = Object.entries(options.settings ?? {}).map(([key, value]) => `  ${key} = ${value}`);
  return `charon-systemd {
  load_modular = no
  load = ${[...PLUGINS.slice(0, -3), ...kernel, ...PLUGINS.slice(-3)].join(" ")}
  install_virtual_ip = no
  retry_initiate_interval = 0
${settings.join("\n")}
  journal { default = -1 }
  filelog {
    log { path = ${directory}/log
      flush_line = yes
      time_format = %H:%M:%S
      time_add_ms = yes
${(options.silent ? ["default = -1"] : ["default = 1", "ike = 2", "cfg = 2"]).map((line) => `      ${line}`).join("\n")}
    }
  }
  plugins {
    vici { socket = unix://${directory}/vici }
    kernel-libipsec { allow_peer_ts = yes }
  }
}
`;
}

const side = ({ auth, id, certificate }: PeerAuthentication): ViciSection => ({
  auth,
  id,
  ...(certificate === undefined ? {} : { certs: [certificate] }),
});

const childSection = (child: PeerChild): ViciSection => ({
  local_ts: child.localTs,
  remote_ts: child.remoteTs,
  esp_proposals: child.proposals,
  start_action: child.startAction ?? "none",
  rekey_time: child.rekeySeconds ? `${child.rekeySeconds}s` : TEN_YEARS,
  dpd_action: "clear",
});

const connectionSection = (connection: PeerConnection): ViciSection => ({
  version: "2",
  local_addrs: [connection.localAddress],
  remote_addrs: [connection.remoteAddress],
  proposals: connection.proposals,
  mobike: "no",
  unique: "no",
  rekey_time: connection.rekeySeconds ? `${connection.rekeySeconds}s` : TEN_YEARS,
  dpd_delay: connection.dpdSeconds ? `${connection.dpdSeconds}s` : "0s",
  "local-1": side(connection.local),
  "remote-1": side(connection.remote),
  children: Object.fromEntries(connection.children.map((child) => [child.name, childSection(child)])),
});

/** One charon of Debian's strongSwan with a configuration of its own in a temporary folder. */
export class Strongswan {
  private constructor(
    readonly pid: number,
    private readonly child: ChildProcess,
    private readonly directory: string,
    private readonly vici: Vici,
  ) {}

  static async start(options: StrongswanOptions): Promise<Strongswan> {
    const directory = await mkdtemp(path.join(options.parent ?? tmpdir(), "sallyport-charon-"));
    const file = path.join(directory, "strongswan.conf");
    await writeFile(file, configuration(directory, options), { mode: 0o600 });
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
      const daemon = new Strongswan(child.pid ?? 0, child, directory, vici);
      await daemon.load(options);
      return daemon;
    } catch (error) {
      const log = await readFile(path.join(directory, "log"), "utf8").catch(() => "(no log)");
      await endProcess(child);
      await rm(directory, { recursive: true, force: true });
      throw new Error(`strongSwan did not start in ${options.namespace}; its log ends:\n${log.slice(-2000)}`, {
        cause: error,
      });
    }
  }

  /** Adds connections and credentials; a connection of the same name is replaced. */
  async load(what: PeerCredentials & { readonly connections?: readonly PeerConnection[] }): Promise<void> {
    for (const { owners, secret } of what.secrets ?? []) {
      await this.vici.call("load-shared", { type: "IKE", data: secret, owners });
    }
    for (const data of what.authorities ?? []) await this.vici.call("load-cert", { type: "X509", flag: "CA", data });
    for (const data of what.privateKeys ?? []) await this.vici.call("load-key", { type: "any", data });
    for (const connection of what.connections ?? []) {
      await this.vici.call("load-conn", { [connection.name]: connectionSection(connection) });
    }
  }

  /** Resolves when the child SA is installed; rejects with charon's reason when it is not within `timeoutMs`. */
  async initiate(child: string, timeoutMs = 10_000): Promise<void> {
    await this.vici.stream("initiate", "control-log", { child, timeout: String(timeoutMs), loglevel: "-1" });
  }

  /** Deletes an IKE SA with its children, or with `child` one CHILD SA. */
  async terminate(what: { ike: string } | { child: string }): Promise<void> {
    await this.vici.stream("terminate", "control-log", { ...what, timeout: "5000", loglevel: "-1" });
  }

  async rekeyChild(child: string): Promise<void> {
    await this.vici.call("rekey", { child });
  }

  async rekeyIke(ike: string): Promise<void> {
    await this.vici.call("rekey", { ike });
  }

  /** What `swanctl --list-sas` would print, of one connection or of all. */
  async listSas(connection?: string): Promise<PeerIkeSa[]> {
    const filter: ViciSection = connection === undefined ? {} : { ike: connection };
    return (await this.vici.stream("list-sas", "list-sa", filter)).flatMap(readListing);
  }

  /** The last `lines` lines of the daemon's log. */
  async log(lines = 50): Promise<string> {
    const content = await readFile(path.join(this.directory, "log"), "utf8");
    return content.trimEnd().split("\n").slice(-lines).join("\n");
  }

  /** Ends the daemon, which deletes its SAs with its peers, and removes its folder. May be called twice. */
  async stop(): Promise<void> {
    this.vici.close();
    await endProcess(this.child);
    await rm(this.directory, { recursive: true, force: true });
  }
}

export const startStrongswan = (options: StrongswanOptions): Promise<Strongswan> => Strongswan.start(options);
