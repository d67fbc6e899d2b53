import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { get } from "node:https";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { createRoot, EXTENDED_KEY_USAGE, generateKeys, issueLeaf, MemoryKeyStore, spkiOf, toPem } from "@sallyport/pki";
import { eventually } from "./harness.js";

export interface PebbleOptions {
  /** Pebble's faults, as its environment variables. */
  readonly faults?: Readonly<Record<string, string>>;
  /** Keys of external account bindings by their names, base64url; with any, Pebble demands one. */
  readonly bindings?: Readonly<Record<string, string>>;
  /** `host:port` of what it asks for names; absent: a server by which every name leads to 127.0.0.1. */
  readonly resolver?: string;
}

/** Ports that are free now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

/** A TLS server's key and certificate for 127.0.0.1, with what they lead to; PEM. */
export async function loopbackTls(): Promise<{ key: string; cert: string; roots: string }> {
  const store = new MemoryKeyStore();
  const root = await createRoot(store, { commonName: "Pebble's TLS root", organization: "Test" }, Date.now());
  const { publicKey, privateKey } = await generateKeys();
  const issued = await issueLeaf(store, root, {
    subject: [["CN", "localhost"]],
    spki: spkiOf(publicKey),
    now: Date.now(),
    notAfter: Date.now() + 3_600_000,
    extendedKeyUsage: [EXTENDED_KEY_USAGE.serverAuth],
    names: [
      { type: "dns", value: "localhost" },
      { type: "ip", value: "127.0.0.1" },
    ],
  });
  return {
    key: privateKey.export({ format: "pem", type: "pkcs8" }) as string,
    cert: toPem("CERTIFICATE", issued.der),
    roots: toPem("CERTIFICATE", root.certificate.der),
  };
}

/** Let's Encrypt's own test server with its DNS server, on loopback. */
export class Pebble {
  readonly #processes: ChildProcess[] = [];

  private constructor(
    private readonly directory: string,
    readonly url: string,
    /** What its TLS certificate leads to, PEM. */
    readonly roots: string,
    /** Where it asks for the answers to challenges. */
    readonly ports: { readonly http: number; readonly tls: number },
    private readonly management: number,
  ) {}

  static async start({ faults = {}, bindings = {}, resolver }: PebbleOptions = {}): Promise<Pebble> {
    const directory = await mkdtemp(path.join(tmpdir(), "sallyport-pebble-"));
    const [listen = 0, manage = 0, http = 0, tls = 0, dns = 0, management = 0] = await freePorts(6);
    const server = await loopbackTls();
    const file = (name: string) => path.join(directory, name);
    await writeFile(file("cert.pem"), server.cert);
    await writeFile(file("key.pem"), server.key);
    const pebble = {
      listenAddress: `127.0.0.1:${listen}`,
      managementListenAddress: `127.0.0.1:${manage}`,
      certificate: file("cert.pem"),
      privateKey: file("key.pem"),
      httpPort: http,
      tlsPort: tls,
      ocspResponderURL: "",
      externalAccountBindingRequired: Object.keys(bindings).length > 0,
      externalAccountMACKeys: bindings,
    };
    await writeFile(file("config.json"), JSON.stringify({ pebble }));
    const made = new Pebble(directory, `https://127.0.0.1:${listen}/dir`, server.roots, { http, tls }, manage);
    made.#run("pebble-challtestsrv", [
      ...["-dns01", `127.0.0.1:${dns}`, "-management", `127.0.0.1:${management}`],
      ...["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""],
    ]);
    made.#run("pebble", ["-strict", "-config", file("config.json"), "-dnsserver", resolver ?? `127.0.0.1:${dns}`], {
      ...{ PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0", PEBBLE_AUTHZREUSE: "0" },
      ...faults,
    });
    await eventually(() =>
      fetch(`http://127.0.0.1:${management}/`).then(
        () => true,
        () => false,
      ),
    );
    await eventually(() => answers(listen));
    return made;
  }

  #run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
    const child = spawn(command, args, { stdio: "ignore", env: { ...process.env, ...env } });
    child.on("error", () => undefined);
    this.#processes.push(child);
  }

  /** The root of what it issues, PEM. */
  async issuingRoot(): Promise<string> {
    const url = `https://127.0.0.1:${this.management}/roots/0`;
    const [answer] = await once(get(url, { ca: this.roots }), "response");
    return text(answer);
  }

  async stop(): Promise<void> {
    const running = this.#processes.filter((p) => p.exitCode === null && p.signalCode === null && p.pid !== undefined);
    const gone = running.map((p) => once(p, "exit"));
    for (const p of running) p.kill("SIGTERM");
    await Promise.all(gone);
    await rm(this.directory, { recursive: true, force: true });
  }
}

async function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
