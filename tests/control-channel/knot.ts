import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TsigKey } from "@sallyport/dns";
import { textsAt } from "../../apps/control-plane/src/features/dns-zones/name-server.js";
import { eventually } from "./harness.js";
import { freePorts } from "./pebble.js";

const CONFIGURATION = (folder: string, port: number, key: TsigKey) => `
server:
    rundir: "${folder}"
    listen: 127.0.0.1@${port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "${folder}"
    journal-db-max-size: 2M
    timer-db-max-size: 2M
key:
  - id: ${key.name}
    algorithm: ${key.algorithm}
    secret: ${Buffer.from(key.secret).toString("base64")}
acl:
  - id: updates
    key: ${key.name}
    action: update
    update-type: TXT
zone:
  - domain: example.org
    storage: "${folder}"
    file: zone
    acl: updates
    journal-max-usage: 1M
`;
const ZONE = `$TTL 60
@ SOA ns admin 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
vpn A 127.0.0.1
`;

/** Debian's Knot DNS on loopback, with the zone example.org, whose texts a key may change. */
export class Knot {
  private constructor(
    private readonly folder: string,
    private readonly process: ChildProcess,
    /** `host:port`. */
    readonly server: string,
    private readonly key: TsigKey,
  ) {}

  static async start(key: TsigKey): Promise<Knot> {
    const folder = await mkdtemp(path.join(tmpdir(), "sallyport-knot-"));
    const [port = 0] = await freePorts(1);
    const configuration = path.join(folder, "knot.conf");
    await writeFile(configuration, CONFIGURATION(folder, port, key));
    await writeFile(path.join(folder, "zone"), ZONE);
    const child = spawn("knotd", ["-c", configuration], { stdio: "ignore" });
    child.on("error", () => undefined);
    const made = new Knot(folder, child, `127.0.0.1:${port}`, key);
    await eventually(() =>
      made.texts("vpn.example.org").then(
        () => true,
        () => false,
      ),
    );
    return made;
  }

  texts(name: string): Promise<string[]> {
    return textsAt(this.server, name);
  }

  /** A program that changes the zone, as operators would write one. */
  async program(file: string): Promise<void> {
    const ours = new URL("../../apps/control-plane/dist/features/dns-zones/name-server.js", import.meta.url);
    const { name, algorithm, secret } = this.key;
    const text = `#!${process.execPath}
const [change, zone, name, text] = process.argv.slice(2);
const key = { name: "${name}", algorithm: "${algorithm}", secret: Buffer.from("${Buffer.from(secret).toString("hex")}", "hex") };
import("${ours}").then(({ updateZone }) => updateZone("${this.server}", key, zone, [{ change, name, text, ttl: 1 }]));
`;
    await writeFile(file, text, { mode: 0o755 });
  }

  async stop(): Promise<void> {
    const { exitCode, signalCode, pid } = this.process;
    if (exitCode === null && signalCode === null && pid !== undefined) {
      const gone = once(this.process, "exit");
      this.process.kill("SIGTERM");
      await gone;
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}
