import { isFault } from "@sallyport/base";
import { type Certificate, fingerprintOf, readCertificate } from "./certificate.js";
import { fault } from "./faults.js";
import { type PeerIdentity, requireIdentity } from "./identity.js";
import { findPath, type Usage } from "./path.js";

/** Certificates beside the leaf that are looked at; a peer may send more, of any quality. */
const MAX_INTERMEDIATES = 10;
const MAX_ISSUERS = 256;

/** What chains must end at: read once, named by what is in it. */
export class TrustAnchors {
  readonly id: string;

  private constructor(readonly certificates: readonly Certificate[]) {
    this.id = certificates
      .map((c) => c.fingerprint)
      .toSorted()
      .join();
  }

  /** From DER. @throws as `readCertificate` */
  static of(ders: readonly Uint8Array[]): TrustAnchors {
    return new TrustAnchors(ders.map((der, i) => readCertificate(der, `anchors[${i}]`)));
  }
}

export interface ChainRequest {
  /** DER as the peer sent it. */
  readonly leaf: Uint8Array;
  readonly intermediates: readonly Uint8Array[];
  readonly anchors: TrustAnchors;
  /** Wall time, milliseconds since 1970. */
  readonly now: number;
  readonly usage: Usage;
  /** Absent: the caller looks at the names itself. */
  readonly identity?: PeerIdentity | undefined;
}

export interface VerifiedChain {
  readonly leaf: Certificate;
  /** Leaf first, anchor last. */
  readonly path: readonly Certificate[];
}

export interface VerifierOptions {
  /** Chains that are remembered; the least recently used goes first. */
  readonly cacheSize?: number;
  /** Asked anew at every use of a chain, for every certificate below the anchor. */
  readonly isRevoked?: (certificate: Certificate, issuer: Certificate) => boolean;
}

interface Remembered extends VerifiedChain {
  readonly from: number;
  readonly until: number;
}

/**
 * Verifies chains, and remembers those that were good: a handshake with a known certificate costs one hash. Time, revocation and
 * identity are looked at every time. What was refused is not remembered, so no peer can fill the cache with junk.
 */
export class ChainVerifier {
  readonly #chains = new Map<string, Remembered>();
  /** CAs of remembered chains by fingerprint, so that their next leaf need not have them read again. */
  readonly #issuers = new Map<string, Certificate>();
  readonly #size: number;
  readonly #isRevoked: NonNullable<VerifierOptions["isRevoked"]>;

  constructor(options: VerifierOptions = {}) {
    this.#size = options.cacheSize ?? 4096;
    this.#isRevoked = options.isRevoked ?? (() => false);
  }

  get remembered(): number {
    return this.#chains.size;
  }

  /** @throws pki/malformed, weak-key, bad-algorithm, untrusted, expired, not-yet-valid, forbidden-use, bad-signature, revoked, identity-mismatch */
  verify(request: ChainRequest): VerifiedChain {
    const key = `${request.usage}|${fingerprintOf(request.leaf)}|${request.anchors.id}`;
    const known = this.#chains.get(key);
    const chain =
      known && request.now >= known.from && request.now <= known.until ? known : build(request, this.#issuers);
    this.#refuseRevoked(chain);
    if (request.identity !== undefined) requireIdentity(chain.leaf, request.identity);
    remember(this.#chains, key, chain, this.#size);
    if (chain !== known) {
      for (const issuer of chain.path.slice(1)) remember(this.#issuers, issuer.fingerprint, issuer, MAX_ISSUERS);
    }
    return chain;
  }

  #refuseRevoked({ path }: VerifiedChain): void {
    for (let i = 0; i < path.length - 1; i++) {
      const certificate = path[i] as Certificate;
      if (this.#isRevoked(certificate, path[i + 1] as Certificate)) {
        throw fault("pki/revoked", `${certificate.subject.text} is revoked`, {
          field: i === 0 ? "leaf" : "issuer",
          value: certificate.serial,
        });
      }
    }
  }
}

function remember<T>(cache: Map<string, T>, key: string, value: T, size: number): void {
  cache.delete(key);
  cache.set(key, value);
  if (cache.size > size) cache.delete(cache.keys().next().value as string);
}

function build(request: ChainRequest, issuers: ReadonlyMap<string, Certificate>): Remembered {
  const leaf = readCertificate(request.leaf, "leaf");
  const intermediates = request.intermediates.slice(0, MAX_INTERMEDIATES).flatMap((der, i) => {
    try {
      return [issuers.get(fingerprintOf(der)) ?? readCertificate(der, `intermediates[${i}]`)];
    } catch (error) {
      // One that cannot be read can be no part of a path; the others may do without it.
      if (isFault(error)) return [];
      throw error;
    }
  });
  const path = findPath(leaf, intermediates, request.anchors.certificates, request.usage, request.now);
  return {
    leaf,
    path,
    from: Math.max(...path.map((c) => c.notBefore)),
    until: Math.min(...path.map((c) => c.notAfter)),
  };
}
