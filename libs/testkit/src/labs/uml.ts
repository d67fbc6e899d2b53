import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { kernelAndModules, nextProcessor, SHIM_DIRECTORY, SHIM_SOURCE } from "./uml-parts.js";

export interface UmlOptions {
  /** Directories that the guest may write to; all others of the host it sees read-only. Default: the working directory. */
  readonly writable?: readonly string[];
  /** Where the command starts. Default: the working directory. */
  readonly directory?: string;
  /** Variables of the command, besides PATH, HOME, TERM and NO_COLOR. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Default 120,000. */
  readonly timeoutMs?: number;
  /** Default 1G. */
  readonly memory?: string;
  /** Output as it comes; otherwise it is in the result alone. */
  readonly onOutput?: (chunk: string) => void;
  /** Ends the guest at once. */
  readonly signal?: AbortSignal;
  /** Kernel modules to load beforehand besides those of IPsec, TUN and veth. */
  readonly modules?: readonly string[];
}

export interface UmlResult {
  /** Exit status of the command; 124 after a timeout, 125 when the guest died before the command ended. */
  readonly status: number;
  readonly output: string;
  /** What the guest's kernel printed: its reason when it died. */
  readonly console: string;
}

const run = promisify(execFile);
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const COVERED = ["/tmp/", "/run/", "/mnt/", "/dev/shm/"];
/** They are not loaded on demand. */
const MODULES = ["xfrm_user", "esp4", "esp6", "ah4", "ah6", "tun", "veth"];

let building: Promise<string> | undefined;
/** The preloaded library, built once however many guests start. */
function shim(): Promise<string> {
  building ??= buildShim();
  return building;
}

async function buildShim(): Promise<string> {
  const file = path.join(SHIM_DIRECTORY, `shim-${process.arch}.so`);
  const made = await stat(file).catch(() => undefined);
  if (made && made.mtimeMs > (await stat(SHIM_SOURCE)).mtimeMs) return file;
  await mkdir(SHIM_DIRECTORY, { recursive: true });
  const fresh = `${file}.${process.pid}`;
  await run(process.env.CC || "cc", ["-O2", "-shared", "-fPIC", "-o", fresh, SHIM_SOURCE]);
  await rename(fresh, file);
  return file;
}

/** The guest's first process: mounts, modules, then the command, whose status it leaves behind. */
function initScript(work: string, modules: string, options: UmlOptions, writable: readonly string[]): string {
  const directory = path.resolve(options.directory ?? process.cwd());
  // What lies under a place that the guest covers with its own file system has to be brought back.
  const covered = COVERED.some((place) => directory.startsWith(place)) && !writable.includes(directory);
  const mount = (place: string, mode: string) => [
    `mkdir -p ${quoted(place)}`,
    `mount -t hostfs -o ${mode},${quoted(place)} none ${quoted(place)}`,
  ];
  const mounts = [...(covered ? mount(directory, "ro") : []), ...writable.flatMap((place) => mount(place, "rw"))];
  return `${[
    "#!/bin/sh",
    `export PATH=${PATH} HOME=/root TERM=dumb NO_COLOR=1`,
    "mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /run",
    "mkdir -p /run/modules/lib/modules /run/netns /run/lock",
    `ln -s ${quoted(modules)}/* /run/modules/lib/modules/`,
    "mount -t tmpfs -o mode=1777 tmp /tmp",
    "mkdir -p /dev/shm /dev/pts; mount -t tmpfs shm /dev/shm; mount -t devpts pts /dev/pts",
    `mount -t hostfs -o ${quoted(work)} none /mnt`,
    ...mounts,
    // Modules that are loaded on demand, such as ciphers.
    `printf '#!/bin/sh\\nexec /sbin/modprobe -d /run/modules "$@"\\n' >/run/modprobe; chmod +x /run/modprobe`,
    "echo /run/modprobe >/proc/sys/kernel/modprobe",
    `for module in ${[...MODULES, ...(options.modules ?? [])].join(" ")}; do /run/modprobe -q $module; done`,
    "ip link set lo up",
    "sh /mnt/command </dev/null >/mnt/output 2>&1 &",
    "wait $!; echo $? >/mnt/status",
    "busybox poweroff -f",
  ].join("\n")}\n`;
}

function commandScript(command: readonly string[], options: UmlOptions): string {
  const variables = Object.entries(options.environment ?? {}).map(([name, value]) => `export ${name}=${quoted(value)}`);
  const directory = options.directory ?? process.cwd();
  return `${[...variables, `cd ${quoted(directory)} || exit 126`, `exec ${command.map(quoted).join(" ")}`].join("\n")}\n`;
}

/** Hands on what is appended to a file until stopped; `stop` resolves with all of it. */
function follow(file: string, onOutput: (chunk: string) => void) {
  let at = 0;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let reading = Promise.resolve();
  const decoder = new TextDecoder();
  const read = async () => {
    const handle = await open(file, "r");
    try {
      const room = Buffer.alloc(65536);
      for (let got = 1; got > 0; ) {
        got = (await handle.read(room, 0, room.length, at)).bytesRead;
        at += got;
        if (got > 0) onOutput(decoder.decode(room.subarray(0, got), { stream: true }));
      }
    } finally {
      await handle.close();
    }
  };
  const again = () => {
    if (stopped) return;
    timer = setTimeout(() => {
      reading = read().then(again, again);
    }, 50);
  };
  again();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await reading;
    await read();
  };
}

/** The guest is a group of processes, one for each of its own. */
function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/**
 * Runs a command as root under a User Mode Linux kernel, which has ESP and AH whatever the host's kernel has, and sees the
 * host's files. The guest has no network but what the command makes.
 */
export async function runInUml(command: readonly string[], options: UmlOptions = {}): Promise<UmlResult> {
  const { kernel, modules } = await kernelAndModules();
  const writable = (options.writable ?? [process.cwd()]).map((directory) => path.resolve(directory));
  const work = await mkdtemp(path.join(tmpdir(), "sallyport-uml-"));
  const file = (name: string) => path.join(work, name);
  let output = "";
  try {
    await Promise.all([
      writeFile(file("init"), initScript(work, modules, options, writable), { mode: 0o755 }),
      writeFile(file("command"), commandScript(command, options)),
      writeFile(file("output"), ""),
    ]);
    const log = await open(file("console"), "w");
    const child = spawn(
      "taskset",
      [
        ...["--cpu-list", String(await nextProcessor()), kernel],
        ...["quiet", `mem=${options.memory ?? "1G"}`, "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"],
        ...[`init=${file("init")}`, `uml_dir=${work}/`, "umid=guest", "con=null", "con0=null,fd:1"],
      ],
      {
        env: { ...process.env, LD_PRELOAD: await shim() },
        stdio: ["ignore", log.fd, log.fd],
        detached: true,
      },
    );
    const end = () => endGroup(child);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      end();
    }, options.timeoutMs ?? 120_000);
    process.once("exit", end);
    options.signal?.addEventListener("abort", end, { once: true });
    const stop = follow(file("output"), (chunk) => {
      output += chunk;
      options.onOutput?.(chunk);
    });
    await new Promise<void>((resolve, reject) => child.once("error", reject).once("close", () => resolve()));
    clearTimeout(timer);
    process.removeListener("exit", end);
    options.signal?.removeEventListener("abort", end);
    await stop();
    await log.close();
    const status = await readFile(file("status"), "utf8").then(Number, () => (timedOut ? 124 : 125));
    return { status, output, console: await readFile(file("console"), "utf8") };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
