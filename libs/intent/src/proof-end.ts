import { Buffer } from "node:buffer";
import { createHash, X509Certificate } from "node:crypto";
import type { IpAddress, Rng } from "@sallyport/base";
import {
  type Command,
  type CryptoJob,
  type CryptoResult,
  type DataPlaneOp,
  type DhGroup,
  type Effect,
  type Failure,
  IkeEngine,
  type IkeEvent,
  type Identity as IkeIdentity,
  type IkeStatus,
  type Input,
  type PeerCertificate,
  type TrustAnchor,
} from "@sallyport/ike";
import { toIkeConfig } from "./engine-config.js";
import { ikeIdentity } from "./identity.js";
import type { ConnectionIntent, GatewayIntent, LocalAuth, PeerAuth } from "./model.js";
import { ProofTls, Refusal } from "./proof-tls.js";

/** One end of the tunnel that is proved. */
export interface EndOptions {
  readonly intent: GatewayIntent;
  readonly connection: ConnectionIntent;
  /** Where it is reached in the proof's network. */
  readonly address: IpAddress;
  /** Where the other end is, for DNS names and for callers from anywhere. */
  readonly peerAddress: IpAddress;
  /** DER, base64, of anchors that its certificate may chain to; undefined: whatever the other end trusts. */
  readonly anchors: ReadonlySet<string> | undefined;
}

const utf8 = new TextEncoder();
const sha256 = (...parts: readonly (Uint8Array | string)[]) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return Uint8Array.from(hash.digest());
};

/** Octets of a KE payload: RFC 7296 §3.4, RFC 5903 §6, RFC 8031 §2. */
const PUBLIC_BYTES: Readonly<Record<DhGroup, number>> = {
  modp768: 96,
  modp1024: 128,
  modp1536: 192,
  modp2048: 256,
  modp3072: 384,
  modp4096: 512,
  modp6144: 768,
  modp8192: 1024,
  ecp256: 64,
  ecp384: 96,
  ecp521: 132,
  x25519: 32,
  x448: 56,
};

/** A generator whose octets follow from `seed` alone. */
function seededRng(seed: string): Rng {
  let block = 0;
  return {
    bytes(n) {
      const parts: Uint8Array[] = [];
      for (let have = 0; have < n; have += 32) parts.push(sha256(seed, String(block++)));
      return Uint8Array.from(Buffer.concat(parts).subarray(0, n));
    },
  };
}

/**
 * The production engine on one end's real configuration, with a runner that does no arithmetic: key agreement is a hash of both
 * public values, a signature a hash of the signer and what it signs, and the data plane takes everything. What decides whether a
 * tunnel comes up – proposals, identities, trust, selectors, the exchanges themselves – is all real.
 */
export class ProofEnd {
  readonly events: IkeEvent[] = [];
  readonly timers = new Map<number, number>();
  readonly #engine: IkeEngine;
  readonly #rng: Rng;
  readonly #tls: ProofTls;
  #spi = 0x1000;
  other: ProofEnd | undefined;

  constructor(readonly options: EndOptions) {
    this.#rng = seededRng(options.intent.gateway.id);
    this.#engine = new IkeEngine({ rng: this.#rng });
    this.#tls = new ProofTls((trust, name) => this.#believes(trust, name), options.connection.id);
  }

  get #certificate(): Uint8Array {
    return utf8.encode(`certificate of ${this.options.intent.gateway.id}`);
  }

  get connectionId(): string {
    return this.options.connection.id;
  }

  /** Only the connection in question, and nothing started by itself. Throws what `toIkeConfig` throws. */
  configure(now: number): Effect[] {
    const { intent, connection, address, peerAddress } = this.options;
    const { config, missing } = toIkeConfig(
      {
        ...intent,
        // The stand-in addresses are nobody's own, and nobody's to be called from.
        connections: [
          {
            ...connection,
            // The stand-ins' keys are of no real kind.
            local: withoutSignatures(connection.local),
            peer: withoutSignatures(connection.peer),
            localRounds: connection.localRounds?.map(withoutSignatures),
            peerRounds: connection.peerRounds?.map(withoutSignatures),
            localAddress: undefined,
            remote: { ...connection.remote, from: undefined },
            children: connection.children.map((c) => ({ ...c, startAction: "none" })),
          },
        ],
      },
      {
        credential: () => ({
          ...{ key: "own", keyKind: { type: "ec", curve: "P-256" }, chain: [this.#certificate] },
          ...{ authorities: [], subject: ikeIdentity(intent.identity) },
        }),
        resolved: new Map(connection.remote.host === undefined ? [] : [[connection.remote.host, peerAddress]]),
        localAddress: () => address,
        ownAddresses: [],
        ownNetworks: [],
        forcesEncapsulation: false,
      },
    );
    const [lack] = missing.values();
    if (lack) throw lack;
    return this.handle({ on: "config", now, config });
  }

  handle(input: Input): Effect[] {
    return [...this.#engine.handle(input)];
  }

  command(now: number, command: Command): Effect[] {
    return this.handle({ on: "command", now, command });
  }

  /** The established IKE SA of the connection, the newest when there are several. */
  established(): IkeStatus | undefined {
    const { peers } = this.#engine.status();
    const sas = peers.find((p) => p.peer === this.connectionId)?.sas ?? [];
    return sas
      .filter((s) => s.state === "established" || s.state === "rekeying")
      .sort((a, b) => b.serial - a.serial)[0];
  }

  /** What a runner would answer. */
  answer(now: number, effect: Effect & { readonly do: "crypto" | "dataplane" }): Input | undefined {
    if (effect.id === 0) return undefined;
    if (effect.do === "dataplane") {
      return { on: "dataplane-done", now, id: effect.id, values: effect.ops.map((op) => this.#dataPlane(op)) };
    }
    try {
      return { on: "crypto-done", now, id: effect.id, result: this.#crypto(effect.job) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const failure: Failure = { code: "intent/would-not-negotiate", message: error.message };
      return { on: "failed", now, id: effect.id, at: 0, failure };
    }
  }

  #dataPlane(op: DataPlaneOp): unknown {
    return op.op === "allocateSpi" ? this.#spi++ : undefined;
  }

  #crypto(job: CryptoJob): CryptoResult {
    switch (job.kind) {
      case "dh-generate":
        return { pair: this.#pair(job.group) };
      case "dh-compute":
        return { shared: agreed(job.pair.group, job.pair.publicValue, job.peerValue) };
      case "dh-respond": {
        const pair = this.#pair(job.group);
        return { publicValue: pair.publicValue, shared: agreed(job.group, pair.publicValue, job.peerValue) };
      }
      case "sign":
        return { data: this.#signature(job.octets) };
      case "verify":
        return this.#verify(job);
      case "eap-tls":
        return this.#tls.run(job);
      case "eap-tls-close":
        this.#tls.close(job.session);
        return {};
    }
  }

  #pair(group: DhGroup) {
    return { group, publicValue: this.#rng.bytes(PUBLIC_BYTES[group]), privateKey: new Uint8Array(32) };
  }

  #signature(octets: Uint8Array): Uint8Array {
    return sha256(this.#certificate, octets);
  }

  #verify(job: CryptoJob & { readonly kind: "verify" }): CryptoResult {
    const signer = this.other;
    const name = signer?.options.intent.gateway.name ?? "the peer";
    if (!signer || Buffer.compare(signer.#signature(job.octets), job.auth.data) !== 0) {
      throw new Refusal(`the signature is not ${name}'s`);
    }
    return this.#believes(job.trust, job.identity.match === "ignore" ? undefined : job.peer);
  }

  #believes(trust: readonly TrustAnchor[], wanted: IkeIdentity | undefined): PeerCertificate {
    const signer = this.other;
    if (!signer) throw new Refusal("there is no other end");
    const { identity, gateway } = signer.options.intent;
    const { name } = gateway;
    if (wanted && !signer.#namesUnknown && identityText(ikeIdentity(identity)) !== identityText(wanted)) {
      throw new Refusal(`${name}'s certificate is for ${identity.value}, not for ${identityText(wanted)}`);
    }
    const trusted = this.options.intent.trustAnchors.filter((t) => trust.some(({ ref }) => ref === t.id));
    if (!trusted.some((t) => signer.#chainsTo(t.der))) {
      throw new Refusal(
        `${name}'s certificate leads to none of the trust anchors ${trusted.map((t) => t.id).join(", ")}`,
      );
    }
    return { subject: identity.value, fingerprint: "" };
  }

  /** What the certificates of a connection's own are for, only the gateway itself knows. */
  get #namesUnknown(): boolean {
    const { local, localRounds = [] } = this.options.connection;
    return [local, ...localRounds].some((round) => round.method === "certificate" && round.certificates !== undefined);
  }

  /** By the real intermediates where the intent has them. */
  #chainsTo(anchor: string): boolean {
    const { intent, anchors } = this.options;
    const above = intent.certificate?.intermediates ?? [];
    if (above.length > 0) return above.some((der) => issuedBy(der, anchor));
    return anchors === undefined || anchors.has(anchor);
  }
}

function withoutSignatures<T extends LocalAuth | PeerAuth>(auth: T): T {
  return auth.method === "certificate" ? { ...auth, signatures: undefined, fingerprints: undefined } : auth;
}

function issuedBy(der: string, anchorDer: string): boolean {
  try {
    const [certificate, anchor] = [der, anchorDer].map((d) => new X509Certificate(Buffer.from(d, "base64")));
    if (!certificate || !anchor) return false;
    return certificate.checkIssued(anchor) && certificate.verify(anchor.publicKey);
  } catch {
    return false;
  }
}

function agreed(group: DhGroup, a: Uint8Array, b: Uint8Array): Uint8Array {
  return sha256(group, ...[a, b].sort(Buffer.compare));
}

function identityText(identity: IkeIdentity): string {
  if ("name" in identity) return identity.name.toLowerCase();
  if ("address" in identity) return identity.address.toString();
  return Buffer.from(identity.data).toString("hex");
}
