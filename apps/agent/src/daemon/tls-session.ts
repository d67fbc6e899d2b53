import { constants, type KeyObject, type X509Certificate } from "node:crypto";
import { Duplex } from "node:stream";
import { connect, createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import {
  type EapTlsJob,
  type EapTlsResult,
  failureOf,
  type Identity,
  type PeerCertificate,
  type TrustAnchor,
} from "@sallyport/ike";
import { toPem } from "@sallyport/pki";
import { fault } from "../faults.js";
import { certificateAlert } from "./tls-alert.js";

/** What TLS within EAP needs of the gateway's keys and its trust. */
export interface EapTlsKeys {
  /** Throws a `Fault` when there is none of that name. */
  privateKey(ref: string): KeyObject;
  /** DER of the anchors; those that are not known are left out. */
  anchors(trust: readonly TrustAnchor[]): readonly Uint8Array[];
  /** Judges a chain, end entity first, and whether it proves `identity`; throws `pki/…`. */
  verifyTls(chain: {
    readonly certificates: readonly Uint8Array[];
    readonly trust: readonly TrustAnchor[];
    readonly usage: "tls-client" | "tls-server";
    readonly identity: Identity | undefined;
  }): PeerCertificate;
}

type Opening = NonNullable<EapTlsJob["open"]>;

/** Octets of TLS that one conversation may take from the other end. */
const MAX_INPUT_BYTES = 262_144;
const MAX_CERTIFICATES = 11;
/** Turns of the event loop without a word of TLS, after which it waits for the other end. */
const QUIET_TURNS = 3;
/** RFC 5216 §2.3, RFC 9190 §2.3: the first half of what is exported is the MSK. */
const EXPORT_BYTES = 128;
const MSK_BYTES = 64;
const TYPE_CODE = Buffer.of(13);
/** RFC 9190 §2.1.1: the server's last word, by which the peer knows that all was accepted. */
const SUCCESS_INDICATION = Buffer.of(0);

/**
 * Every conversation authenticates anew: no session is ever resumed, none renegotiated. So it does not matter that some servers do
 * not know RFC 5746, strongSwan's among them.
 */
const OPTIONS = constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_LEGACY_SERVER_CONNECT;

/** Labels of what keys our next record in TLS 1.3 when the other end's certificate has come (draft-ietf-tls-keylogfile §3). */
const WRITES_BY = { server: "SERVER_TRAFFIC_SECRET_0", peer: "CLIENT_HANDSHAKE_TRAFFIC_SECRET" } as const;

/** The wire of a TLS socket, in memory. */
class Line extends Duplex {
  #written: Buffer[] = [];

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#written.push(chunk);
    done();
  }

  get spoken(): number {
    return this.#written.length;
  }

  drained(): Uint8Array {
    const all = Uint8Array.from(Buffer.concat(this.#written));
    this.#written = [];
    return all;
  }
}

function contextOf({ key, chain, trust, versions }: Opening, keys: EapTlsKeys): SecureContext {
  return createSecureContext({
    key: keys.privateKey(key).export({ type: "pkcs8", format: "pem" }),
    cert: chain.map((der) => toPem("CERTIFICATE", der)).join(""),
    // OpenSSL's own verdict is not looked at; the names of these go into the server's CertificateRequest.
    ca: keys.anchors(trust).map((der) => toPem("CERTIFICATE", der)),
    minVersion: `TLSv${versions.min}`,
    maxVersion: `TLSv${versions.max}`,
    secureOptions: OPTIONS,
  });
}

/** One handshake of TLS in memory, whose certificates are judged by our own verifier before anything more is said. */
export class TlsSession {
  readonly #line = new Line();
  readonly #socket: TLSSocket;
  #received = 0;
  #busy = false;
  #complete = false;
  #closed = false;
  #error: Error | undefined;
  #data = Buffer.alloc(0);
  /** The other end has shown a certificate; it was good. */
  #shown = false;
  #certificate: PeerCertificate | undefined;
  /** What keys our side in TLS 1.3 at the moment when the other end's certificate is judged. */
  #secret = Buffer.alloc(0);
  #indicated = false;

  /** Throws what refuses key or certificates of this end. */
  constructor(
    private readonly opening: Opening,
    private readonly keys: EapTlsKeys,
  ) {
    const secureContext = contextOf(opening, keys);
    this.#socket =
      opening.role === "server"
        ? new TLSSocket(this.#line, { isServer: true, secureContext, requestCert: true, rejectUnauthorized: false })
        : connect({
            socket: this.#line,
            secureContext,
            rejectUnauthorized: false,
            checkServerIdentity: () => undefined,
          });
    this.#socket.on("keylog", (line) => {
      const [label, , secret = ""] = line.toString("ascii").trim().split(" ");
      if (label === WRITES_BY[opening.role]) this.#secret = Buffer.from(secret, "hex");
    });
    this.#socket.on("secure", () => {
      this.#complete = true;
    });
    this.#socket.on("data", (data) => {
      this.#data = Buffer.concat([this.#data, data]);
    });
    this.#socket.on("error", (error) => {
      this.#error ??= error;
    });
    this.#socket.on("close", () => {
      this.#closed = true;
    });
  }

  /** Takes a flight of the other end and gives ours, or the alert after which there is nothing more to say. */
  async feed(input: Uint8Array): Promise<EapTlsResult> {
    try {
      return await this.#converse(input);
    } catch (error) {
      const pending = this.#line.drained();
      return { output: this.#error || this.#closed ? pending : this.#alert(error), refused: failureOf(error) };
    }
  }

  /** Throws `agent/tls` and what `verifyTls` throws. */
  async #converse(input: Uint8Array): Promise<EapTlsResult> {
    if (this.#busy) throw refused("a flight before the last one was answered");
    this.#received += input.length;
    if (this.#received > MAX_INPUT_BYTES) throw refused(`more than ${MAX_INPUT_BYTES} octets`);
    this.#busy = true;
    if (input.length > 0) this.#line.push(input);
    await this.#settle();
    this.#verify();
    const done = this.#complete && (this.opening.role === "server" || this.#accepted());
    if (done && !this.#certificate) throw refused("the other end has shown no certificate");
    if (done) await this.#indicate();
    this.#busy = false;
    return {
      output: this.#line.drained(),
      ...(done && this.#certificate && { finished: this.#finished(this.#certificate) }),
    };
  }

  destroy(): void {
    this.#closed = true;
    this.#secret.fill(0);
    this.#socket.destroy();
    this.#line.destroy();
  }

  get #version(): "1.2" | "1.3" {
    return this.#socket.getProtocol() === "TLSv1.3" ? "1.3" : "1.2";
  }

  async #settle(): Promise<void> {
    let { spoken } = this.#line;
    for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
      await new Promise(setImmediate);
      if (this.#line.spoken === spoken) continue;
      spoken = this.#line.spoken;
      quiet = 0;
    }
    if (this.#error) throw refused(reasonOf(this.#error), this.#error);
    if (this.#closed) throw refused("the other end has closed");
  }

  /** As soon as there is a certificate: nothing goes out to an end that is not proven. */
  #verify(): void {
    if (this.#certificate) return;
    const certificate = this.#socket.getPeerX509Certificate();
    if (!certificate) return;
    this.#shown = true;
    const { role, trust, prove } = this.opening;
    this.#certificate = this.keys.verifyTls({
      certificates: chainOf(certificate),
      trust,
      usage: role === "server" ? "tls-client" : "tls-server",
      identity: prove,
    });
  }

  /** Whether the peer has heard all of the server that TLS says. */
  #accepted(): boolean {
    const wanted = this.#version === "1.3" ? SUCCESS_INDICATION : Buffer.alloc(0);
    if (this.#data.length > wanted.length) throw refused(`${this.#data.length} octets of data`);
    if (this.#data.length > 0 && !this.#data.equals(wanted)) throw refused("another success indication than 00");
    return this.#data.length === wanted.length;
  }

  async #indicate(): Promise<void> {
    if (this.opening.role !== "server") return;
    if (this.#data.length > 0) throw refused(`${this.#data.length} octets of data`);
    if (this.#version !== "1.3" || this.#indicated) return;
    this.#indicated = true;
    this.#socket.write(SUCCESS_INDICATION);
    await this.#settle();
  }

  /** About the other end's certificate. Once that is taken, OpenSSL has gone on under keys of its own. */
  #alert(cause: unknown): Uint8Array {
    if (this.#certificate || !(this.#shown || this.#complete)) return new Uint8Array();
    const version = this.#version;
    const tls =
      version === "1.2"
        ? ({ version } as const)
        : ({ version, suite: this.#socket.getCipher().name, secret: this.#secret } as const);
    return certificateAlert(cause, tls) ?? new Uint8Array();
  }

  #finished(certificate: PeerCertificate) {
    const version = this.#version;
    const exported =
      version === "1.3"
        ? this.#socket.exportKeyingMaterial(EXPORT_BYTES, "EXPORTER_EAP_TLS_Key_Material", TYPE_CODE)
        : exportWithoutContext(this.#socket);
    return { msk: Uint8Array.from(exported.subarray(0, MSK_BYTES)), version, certificate };
  }
}

/** In TLS 1.2 no context is another thing than an empty one (RFC 5705 §4); Node's types know only the latter. */
function exportWithoutContext(socket: TLSSocket): Buffer {
  const exporter: { exportKeyingMaterial(length: number, label: string, context?: Buffer): Buffer } = socket;
  return exporter.exportKeyingMaterial(EXPORT_BYTES, "client EAP encryption");
}

function chainOf(leaf: X509Certificate): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let next: X509Certificate | undefined = leaf;
  while (next && chain.length < MAX_CERTIFICATES) {
    chain.push(Uint8Array.from(next.raw));
    next = next.issuerCertificate;
  }
  return chain;
}

function refused(message: string, cause?: Error) {
  return fault("agent/tls", `TLS: ${message}`, { field: "eap-tls", ...(cause && { cause }) });
}

/** OpenSSL's words for it, e.g. "tlsv1 alert unknown ca". */
function reasonOf(error: Error & { readonly reason?: string }): string {
  return error.reason ?? error.message;
}
