import { execFile } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { type Credential, endProcess, spawnIn } from "@sallyport/testkit";

const run = promisify(execFile);
const openssl = (...args: readonly string[]) => run("openssl", args);

const DAY_MS = 86_400_000;
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"] as const;

/** Where certificates say that they are to be asked about. */
export interface Places {
  readonly crl?: string;
  readonly ocsp?: string;
}

interface AuthorityOptions {
  /** CAs that may stand below it. */
  readonly pathLength?: number;
  readonly above?: RevokingAuthority;
}

/** Octets as `openssl ca` wants times. */
const stamp = (at: number) => `${new Date(at).toISOString().replace(/[-:T]|\.\d+/g, "")}`;

async function credentialOf(file: string): Promise<Credential> {
  const certificate = await readFile(`${file}.pem`, "utf8");
  const der = Buffer.from(new X509Certificate(certificate).raw);
  return {
    kind: "ecdsa",
    certificate,
    der,
    fingerprint: createHash("sha256").update(der).digest("hex"),
    privateKey: await readFile(`${file}.key`, "utf8"),
  };
}

/** A CA with OpenSSL's own database, lists and OCSP responder. */
export class RevokingAuthority {
  readonly #directory: string;
  readonly own: Credential;

  private constructor(directory: string, own: Credential) {
    this.#directory = directory;
    this.own = own;
  }

  static async create(parent: string, name: string, options: AuthorityOptions = {}): Promise<RevokingAuthority> {
    const directory = path.join(parent, name);
    await mkdir(directory, { mode: 0o700 });
    const file = (f: string) => path.join(directory, f);
    await writeFile(file("index.txt"), "");
    await writeFile(file("crlnumber"), "01\n");
    const length = options.pathLength === undefined ? "" : `,pathlen:${options.pathLength}`;
    await writeFile(
      file("conf"),
      `[ca]
default_ca = here
[here]
database = ${file("index.txt")}
new_certs_dir = ${directory}
certificate = ${file("ca.pem")}
private_key = ${file("ca.key")}
crlnumber = ${file("crlnumber")}
rand_serial = yes
unique_subject = no
default_md = sha256
default_days = 30
default_crl_days = 30
policy = any
crl_extensions = list
[any]
commonName = supplied
[list]
authorityKeyIdentifier = keyid
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:true${length}
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
`,
    );
    const made = ["-config", file("conf"), "-keyout", file("ca.key"), "-subj", `/CN=${name}`];
    const { above } = options;
    if (above) {
      await openssl("req", ...NEW_KEY, ...made, "-out", file("ca.csr"));
      await above.#sign(
        file("ca"),
        `[authority]\nbasicConstraints = critical,CA:true\nkeyUsage = critical,keyCertSign,cRLSign`,
      );
    } else {
      await openssl(
        "req",
        "-x509",
        ...NEW_KEY,
        ...made,
        "-extensions",
        "authority",
        "-days",
        "30",
        "-out",
        file("ca.pem"),
      );
    }
    return new RevokingAuthority(directory, await credentialOf(file("ca")));
  }

  /** Signs `file`.csr. `extensions`: a section of OpenSSL's configuration, its name first. */
  async #sign(file: string, extensions: string): Promise<void> {
    const [name = ""] = /\w+/.exec(extensions) ?? [];
    await writeFile(`${file}.ext`, `${extensions}\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n`);
    const how = ["-batch", "-notext", "-config", this.#file("conf"), "-startdate", stamp(Date.now() - DAY_MS)];
    await openssl(
      "ca",
      ...how,
      "-in",
      `${file}.csr`,
      "-out",
      `${file}.pem`,
      "-extfile",
      `${file}.ext`,
      "-extensions",
      name,
    );
  }

  #file(name: string): string {
    return path.join(this.#directory, name);
  }

  /** An end entity that proves the DNS names, the first its CN too. */
  async issue(names: readonly [string, ...string[]], { crl, ocsp }: Places = {}): Promise<Credential> {
    const places = [
      ...(crl === undefined ? [] : [`crlDistributionPoints = URI:${crl}`]),
      ...(ocsp === undefined ? [] : [`authorityInfoAccess = OCSP;URI:${ocsp}`]),
    ];
    const altNames = `subjectAltName = ${names.map((name) => `DNS:${name}`).join(",")}`;
    return this.#issue(names[0], ["keyUsage = critical,digitalSignature", altNames, ...places]);
  }

  async #issue(name: string, extensions: readonly string[]): Promise<Credential> {
    const file = this.#file(`${name}-${(await readFile(this.#file("index.txt"), "utf8")).split("\n").length}`);
    const made = [
      "-config",
      this.#file("conf"),
      "-subj",
      `/CN=${name}`,
      "-keyout",
      `${file}.key`,
      "-out",
      `${file}.csr`,
    ];
    await openssl("req", ...NEW_KEY, ...made);
    await this.#sign(file, ["[leaf]", "basicConstraints = CA:false", ...extensions].join("\n"));
    return credentialOf(file);
  }

  async revoke({ certificate }: Credential, reason = "keyCompromise"): Promise<void> {
    await writeFile(this.#file("revoked.pem"), certificate);
    await openssl("ca", "-config", this.#file("conf"), "-revoke", this.#file("revoked.pem"), "-crl_reason", reason);
  }

  /** Takes every revocation back, as of a certificate that was on hold: OpenSSL has no command for it. */
  async restoreAll(): Promise<void> {
    const entries = (await readFile(this.#file("index.txt"), "utf8")).split("\n").map((line) => {
      const [, until, , ...rest] = line.split("\t");
      return line.startsWith("R") ? ["V", until, "", ...rest].join("\t") : line;
    });
    await writeFile(this.#file("index.new"), entries.join("\n"));
    await rename(this.#file("index.new"), this.#file("index.txt"));
  }

  /** The list as it is now, DER. `age` and `life` in seconds. */
  async list({
    age = 60,
    life = 30 * 86_400,
  }: {
    readonly age?: number;
    readonly life?: number;
  } = {}): Promise<Buffer> {
    const from = Date.now() - age * 1000;
    const times = ["-crl_lastupdate", stamp(from), "-crl_nextupdate", stamp(from + life * 1000)];
    await openssl("ca", "-config", this.#file("conf"), "-gencrl", ...times, "-out", this.#file("crl.pem"));
    await openssl("crl", "-in", this.#file("crl.pem"), "-outform", "DER", "-out", this.#file("crl.der"));
    return readFile(this.#file("crl.der"));
  }

  /** Answers OCSP in a namespace, by a certificate for that. Gives what ends it. */
  async respond(namespace: string, port: number): Promise<() => Promise<void>> {
    const signer = await this.#issue("responder", ["keyUsage = digitalSignature", "extendedKeyUsage = OCSPSigning"]);
    await writeFile(this.#file("signer.pem"), signer.certificate);
    await writeFile(this.#file("signer.key"), signer.privateKey, { mode: 0o600 });
    const child = spawnIn(
      namespace,
      "openssl",
      [
        ...["ocsp", "-port", String(port), "-index", this.#file("index.txt"), "-CA", this.#file("ca.pem")],
        ...["-rsigner", this.#file("signer.pem"), "-rkey", this.#file("signer.key"), "-nmin", "60"],
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    await new Promise<void>((resolve, reject) => {
      const heard: string[] = [];
      for (const stream of [child.stdout, child.stderr]) {
        stream?.on("data", (data) => {
          heard.push(String(data));
          if (heard.join("").includes("waiting for OCSP client connections")) resolve();
        });
      }
      child.once("exit", (code) => reject(new Error(`openssl ocsp ended with ${code}: ${heard.join("")}`)));
    });
    return () => endProcess(child);
  }
}
