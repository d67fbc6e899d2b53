import { type ChildProcess, execFile } from "node:child_process";
import { access, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { readStates } from "./libreswan-listing.js";
import { LogFile } from "./log-file.js";
import type { IkeView, Peer } from "./peer.js";
import { endProcess, eventually, hasEnded, spawnIn } from "./process.js";

const run = promisify(execFile);

/** Where `npm test` unpacks Debian's package, which cannot be installed beside strongSwan's. */
const PACKAGE = path.resolve(import.meta.dirname, "../../../../.sallyport/debian/libreswan/root");
/** pluto starts programs from this place, so the package's own is mounted over it for the daemon alone. */
const PROGRAMS = "/usr/libexec";

/** A busy guest takes its time. */
const START_MS = 30_000;

/** A conn section of ipsec.conf(5); one for each CHILD SA. */
export interface LibreswanConnection {
  readonly name: string;
  /** Name of the IKE SA, shared by connections whose CHILD SAs belong together. */
  readonly ike: string;
  /** Keys of ipsec.conf(5); `left` is the daemon's own side. */
  readonly settings: Readonly<Record<string, string>>;
}

export interface LibreswanCredential {
  /** Name in its NSS database, for `leftcert`. */
  readonly name: string;
  /** PEM. */
  readonly certificate: string;
  readonly privateKey: string;
}

export interface LibreswanOptions {
  readonly namespace: string;
  readonly connections?: readonly LibreswanConnection[];
  /** Lines of ipsec.secrets(5). */
  readonly secrets?: readonly string[];
  readonly credentials?: readonly LibreswanCredential[];
  /** PEM of trust anchors and of intermediates. */
  readonly authorities?: readonly { readonly name: string; readonly certificate: string; readonly trusted: boolean }[];
  /** DER of lists of revoked certificates, whose issuers are among the authorities. */
  readonly crls?: readonly Uint8Array[];
  /** Keys of `config setup`. */
  readonly setup?: Readonly<Record<string, string>>;
  /** Further arguments of pluto, e.g. `--ocsp-enable`. */
  readonly arguments?: readonly string[];
}

const section = (head: string, settings: Readonly<Record<string, string>>) =>
  [head, ...Object.entries(settings).map(([key, value]) => `  ${key}=${value}`), ""].join("\n");

/** Routes are the topology's business, and a script of a hundred commands for each change is slow in a guest. */
const DEFAULTS = {
  auto: "ignore",
  leftupdown: "%disabled",
  ikelifetime: "24h",
  salifetime: "24h",
  fragmentation: "yes",
};

/** One pluto of Debian's libreswan with files of its own. It needs a kernel with ESP. */
export class Libreswan implements Peer {
  #connections = new Map<string, LibreswanConnection>();
  readonly #log: LogFile;

  private constructor(
    private readonly options: LibreswanOptions,
    private readonly directory: string,
    private child: ChildProcess,
  ) {
    this.#log = new LogFile(path.join(directory, "log"));
  }

  static async start(options: LibreswanOptions): Promise<Libreswan> {
    await access(PACKAGE).catch(() => {
      throw new Error(`no libreswan in ${PACKAGE}: npm test unpacks it there`);
    });
    const directory = await mkdtemp(path.join(tmpdir(), "sallyport-pluto-"));
    await makeDatabase(directory, options);
    await writeFile(path.join(directory, "secrets"), `${(options.secrets ?? []).join("\n")}\n`, { mode: 0o600 });
    await writeFile(path.join(directory, "conf"), section("config setup", options.setup ?? {}));
    const daemon = new Libreswan(options, directory, Libreswan.spawn(options, directory));
    try {
      await daemon.ready();
      await daemon.load(options.connections ?? []);
    } catch (error) {
      const log = await daemon.wholeLog();
      await daemon.stop();
      throw new Error(`libreswan did not start in ${options.namespace}; its log ends:\n${log.slice(-4000)}`, {
        cause: error,
      });
    }
    return daemon;
  }

  private static spawn(options: LibreswanOptions, directory: string): ChildProcess {
    const file = (name: string) => path.join(directory, name);
    const args = [
      ...["--nofork", "--use-xfrm", "--no-dnssec", "--log-no-audit"],
      ...["--config", file("conf"), "--secretsfile", file("secrets"), "--nssdir", file("nss")],
      ...["--ipsecdir", directory, "--rundir", file("run"), "--logfile", file("log"), ...(options.arguments ?? [])],
    ];
    const mounted = `mount --bind ${PACKAGE}${PROGRAMS} ${PROGRAMS} && exec ${PROGRAMS}/ipsec/pluto "$@"`;
    return spawnIn(options.namespace, "sh", ["-c", mounted, "pluto", ...args], { stdio: "ignore" });
  }

  private async ready(): Promise<void> {
    const probe = async () => {
      if (hasEnded(this.child)) throw new Error(`pluto ended with ${this.child.exitCode ?? this.child.signalCode}`);
      await access(path.join(this.directory, "run/pluto.ctl"));
      await this.whack(["--listen"]);
      return true;
    };
    await eventually("pluto answers on its control socket", probe, START_MS);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** What whack prints, whatever its exit status, which is the last message's number. */
  async whack(args: readonly string[], timeoutMs = 20_000): Promise<string> {
    const socket = ["--ctlsocket", path.join(this.directory, "run/pluto.ctl")];
    const outcome = await run(`${PACKAGE}${PROGRAMS}/ipsec/whack`, [...socket, ...args], { timeout: timeoutMs }).catch(
      (error: Error & { stdout?: string; stderr?: string; code?: unknown }) => {
        if (typeof error.code !== "number") throw error;
        return { stdout: error.stdout ?? "", stderr: error.stderr ?? "" };
      },
    );
    if (/Pluto is not running|connect\(pluto_ctl\) failed/.test(outcome.stderr)) throw new Error(outcome.stderr);
    return outcome.stdout + outcome.stderr;
  }

  /** Adds connections; one of the same name is replaced. */
  async load(connections: readonly LibreswanConnection[]): Promise<void> {
    for (const connection of connections) this.#connections.set(connection.name, connection);
    const all = [...this.#connections.values()];
    const sections = all.map(({ name, settings }) => section(`conn ${name}`, { ...DEFAULTS, ...settings }));
    const file = path.join(this.directory, "connections");
    await writeFile(file, sections.join("\n"));
    const args = ["--ctlsocket", path.join(this.directory, "run/pluto.ctl"), "--config", file];
    const before = (await this.wholeLog()).length;
    const names = connections.map((connection) => connection.name);
    const { stdout, stderr } = await run(`${PACKAGE}${PROGRAMS}/ipsec/addconn`, [...args, ...names]);
    const log = (await this.wholeLog()).slice(before);
    const refused = names.filter((name) => !log.includes(`"${name}": added`));
    if (refused.length > 0) throw new Error(`libreswan refused ${refused}: ${stdout}${stderr}${log.slice(-2000)}`);
  }

  async initiate(child: string, timeoutMs = 30_000): Promise<void> {
    // pluto does not let go of it while a request that nobody answers any more is under way.
    await this.whack(["--name", child, "--initiate", "--asynchronous"], timeoutMs);
    await eventually(
      `libreswan has established ${child}`,
      async () => {
        const children = (await this.listSas()).flatMap((sa) => sa.children);
        return children.some((c) => c.name === child && c.state === "INSTALLED") || undefined;
      },
      timeoutMs,
    );
  }

  async rekeyChild(child: string): Promise<void> {
    await this.whack(["--name", child, "--rekey-ipsec", "--asynchronous"]);
  }

  /** The IKE SA is in the name of one of its connections; the others are only told that it is not theirs. */
  async rekeyIke(ike: string): Promise<void> {
    for (const name of this.connectionsOf(ike)) await this.whack(["--name", name, "--rekey-ike", "--asynchronous"]);
  }

  /** Ends all SAs of a connection, or with `child` one CHILD SA (and its IKE SA when it is the last). */
  async terminate(what: { ike: string } | { child: string }): Promise<void> {
    const names = "child" in what ? [what.child] : this.connectionsOf(what.ike);
    for (const name of names) await this.whack(["--name", name, "--terminate"]);
  }

  /** Installs the policies of a connection, so that a packet starts it; `unroute` takes them away. */
  async route(name: string): Promise<void> {
    await this.whack(["--name", name, "--route"]);
  }

  async unroute(name: string): Promise<void> {
    await this.whack(["--name", name, "--unroute"]);
  }

  private connectionsOf(ike: string): string[] {
    return [...this.#connections.values()].filter((c) => c.ike === ike).map((c) => c.name);
  }

  async listSas(ike?: string): Promise<readonly IkeView[]> {
    const shown = {
      // Both at once: what is waited for asks this often, and to start a program takes a guest long.
      status: await this.whack(["--showstates", "--trafficstatus"]),
      log: await this.wholeLog(),
    };
    const all = readStates(shown, (name) => this.#connections.get(name)?.ike ?? name);
    return ike === undefined ? all : all.filter((sa) => sa.name === ike);
  }

  /** What `ipsec status` prints of one connection. */
  async status(connection: string): Promise<string> {
    const lines = (await this.whack(["--status"])).split("\n");
    return lines.filter((line) => line.includes(`"${connection}"`)).join("\n");
  }

  log(): Promise<string> {
    return this.#log.sinceMark();
  }

  wholeLog(): Promise<string> {
    return this.#log.whole();
  }

  /** SIGKILL, as a crash would be; its kernel keeps its SAs. */
  async kill(): Promise<void> {
    await endProcess(this.child, "SIGKILL");
  }

  /** Starts it again after `kill`, with the same connections. */
  async restart(): Promise<void> {
    await rm(path.join(this.directory, "run"), { recursive: true, force: true });
    await mkdir(path.join(this.directory, "run"));
    this.child = Libreswan.spawn(this.options, this.directory);
    await this.ready();
    await this.load([...this.#connections.values()]);
  }

  /** Ends the daemon, which deletes its SAs with its peers, and removes its folder. May be called twice. */
  async stop(): Promise<void> {
    this.#log.close();
    if (!hasEnded(this.child)) await this.whack(["--shutdown"]).catch(() => undefined);
    await endProcess(this.child);
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** An NSS database without a password that holds the certificates and keys. */
async function makeDatabase(directory: string, options: LibreswanOptions): Promise<void> {
  const nss = path.join(directory, "nss");
  await mkdir(nss);
  await mkdir(path.join(directory, "run"));
  const database = ["-d", `sql:${nss}`];
  await run("certutil", ["-N", ...database, "--empty-password"]);
  const temporary = (name: string) => path.join(directory, name);
  for (const { name, certificate, trusted } of options.authorities ?? []) {
    await writeFile(temporary("authority.pem"), certificate);
    const trust = trusted ? "CT,," : ",,";
    await run("certutil", ["-A", ...database, "-n", name, "-t", trust, "-i", temporary("authority.pem")]);
  }
  for (const crl of options.crls ?? []) {
    await writeFile(temporary("list.crl"), crl);
    await run("crlutil", ["-I", ...database, "-i", temporary("list.crl")]);
  }
  for (const { name, certificate, privateKey } of options.credentials ?? []) {
    const [both, bundle] = [temporary("both.pem"), temporary("bundle.p12")];
    await writeFile(both, `${certificate.trimEnd()}\n${privateKey}`, { mode: 0o600 });
    const empty = ["-passout", "pass:"];
    await run("openssl", ["pkcs12", "-export", "-in", both, "-out", bundle, "-name", name, ...empty]);
    await run("pk12util", ["-i", bundle, ...database, "-W", ""]);
    await rm(both);
    await rm(bundle);
  }
}

export const startLibreswan = (options: LibreswanOptions): Promise<Libreswan> => Libreswan.start(options);
