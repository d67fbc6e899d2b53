import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { get } from "node:https";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { createRoot, EXTENDED_KEY_USAGE, generateKeys, issueLeaf, MemoryKeyStore, spkiOf, toPem } from "@sallyport/pki";
import { spawnIn } from "@sallyport/testkit";
import { eventually } from "./harness.js";

export interface PebbleOptions {
  /** Pebble's faults, as its environment variables. */
  readonly faults?: Readonly<Record<string, string>>;
  /** Keys of external account bindings by their names, base64url; with any, Pebble demands one. */
  readonly bindings?: Readonly<Record<string, string>>;
  /** `host:port` of what it asks for names; absent: a server by which every name leads to 127.0.0.1. */
  readonly resolver?: string;
  /** Where it runs; absent: here, on loopback, where it asks for answers on ports that are free. */
  readonly place?: PebblePlace;
}

/** A network namespace in which Pebble asks for answers on the usual ports. */
export interface PebblePlace {
  readonly namespace: string;
  /** An address of the namespace, at which it is reached. */
  readonly address: string;
  /** The address that every name leads to. */
  readonly names: string;
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

/** A TLS server's key and certificate for an address, with what they lead to; PEM. */
export async function loopbackTls(address = "127.0.0.1"): Promise<{ key: string; cert: string; roots: string }> {
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
      { type: "ip", value: address },
    ],
  });
  return {
    key: privateKey.export({ format: "pem", type: "pkcs8" }) as string,
    cert: toPem("CERTIFICATE", issued.der),
    roots: toPem("CERTIFICATE", root.certificate.der),
  };
}

/** Let's Encrypt's own test server with its DNS server. */
export class Pebble {
  readonly #processes: ChildProcess[] = [];

  private constructor(
    private readonly directory: string,
    readonly url: string,
    /** What its TLS certificate leads to, PEM. */
    readonly roots: string,
    /** Where it asks for the answers to challenges. */
    readonly ports: { readonly http: number; readonly tls: number },
    /** Of Pebble itself, as `host:port`. */
    private readonly management: string,
  ) {}

  static async start({ faults = {}, bindings = {}, resolver, place }: PebbleOptions = {}): Promise<Pebble> {
    const directory = await mkdtemp(path.join(tmpdir(), "sallyport-pebble-"));
    const [listen = 0, manage = 0, freeHttp = 0, freeTls = 0, dns = 0, management = 0] = await freePorts(6);
    const [http, tls] = place ? [80, 443] : [freeHttp, freeTls];
    const host = place?.address ?? "127.0.0.1";
    const server = await loopbackTls(host);
    const file = (name: string) => path.join(directory, name);
    await writeFile(file("cert.pem"), server.cert);
    await writeFile(file("key.pem"), server.key);
    const pebble = {
      listenAddress: `${host}:${listen}`,
      managementListenAddress: `${host}:${manage}`,
      certificate: file("cert.pem"),
      privateKey: file("key.pem"),
      httpPort: http,
      tlsPort: tls,
      ocspResponderURL: "",
      externalAccountBindingRequired: Object.keys(bindings).length > 0,
      externalAccountMACKeys: bindings,
    };
    await writeFile(file("config.json"), JSON.stringify({ pebble }));
    const made = new Pebble(
      directory,
      `https://${host}:${listen}/dir`,
      server.roots,
      { http, tls },
      `${host}:${manage}`,
    );
    made.#run(place, "pebble-challtestsrv", [
      ...["-dns01", `${host}:${dns}`, "-management", `${host}:${management}`],
      ...["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""],
      ...["-defaultIPv4", place?.names ?? "127.0.0.1"],
    ]);
    const resolvers = ["-dnsserver", resolver ?? `${host}:${dns}`];
    made.#run(place, "pebble", ["-strict", "-config", file("config.json"), ...resolvers], {
      ...{ PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0", PEBBLE_AUTHZREUSE: "0" },
      ...faults,
    });
    await eventually(() =>
      fetch(`http://${host}:${management}/`).then(
        () => true,
        () => false,
      ),
    );
    await eventually(() => answers(host, listen));
    return made;
  }

  #run(
    place: PebblePlace | undefined,
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): void {
    const options = { stdio: "ignore", env: { ...process.env, ...env } } as const;
    const child = place ? spawnIn(place.namespace, command, args, options) : spawn(command, args, options);
    child.on("error", () => undefined);
    this.#processes.push(child);
  }

  /** The root of what it issues, PEM. */
  async issuingRoot(): Promise<string> {
    const url = `https://${this.management}/roots/0`;
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

async function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
