import { createHash, createPrivateKey, type KeyObject } from "node:crypto";
import { isFault } from "@sallyport/base";
import {
  type CryptoJob,
  type CryptoKeys,
  type Failure,
  failureOf,
  type Identity,
  type KeyKind,
  keyKind,
  type PeerCertificate,
  type TrustAnchor,
} from "@sallyport/ike";
import type { CertificateReference, Credential, GatewayIntent } from "@sallyport/intent";
import {
  type Certificate,
  ChainVerifier,
  certificatesFromPem,
  ownIdentity,
  type RevocationPolicy,
  readCertificate,
  requireUsable,
  TrustAnchors,
  type Usage,
  type VerifiedChain,
} from "@sallyport/pki";
import { fault } from "../faults.js";
import type { Revocation } from "./revocation.js";
import type { EapTlsKeys } from "./tls-session.js";

/** An IKE key with its certificate as PEM, leaf first; the chain may end with its anchor. */
export interface IdentityFiles {
  readonly privateKey: string;
  readonly certificates: string;
}

/** A certificate in words and numbers; times in milliseconds since 1970. */
export interface CertificateFacts {
  readonly role: "own" | "own chain" | "trust anchor" | "peer";
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly kind: string;
  readonly fingerprint: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** Of a trust anchor. */
  readonly revocation?: RevocationPolicy;
}

function factsOf(c: Certificate, role: CertificateFacts["role"]): CertificateFacts {
  const { serial, kind, fingerprint, notBefore, notAfter } = c;
  return { role, subject: c.subject.text, issuer: c.issuer.text, serial, kind, fingerprint, notBefore, notAfter };
}

interface OwnIdentity {
  readonly leaf: Certificate;
  /** As they stand in the file, perhaps with the anchor. */
  readonly above: readonly Certificate[];
  readonly key: KeyObject;
  readonly kind: KeyKind;
}

/** What it proves beside its subject. */
const namesOf = ({ names }: Certificate) => [...names.email, ...names.dns.filter((name) => !name.includes("*"))];

const isRoot = ({ subject, issuer }: Certificate) => subject.text === issuer.text;

/** Certificates with the intermediates that intents name beside them. */
const MAX_NAMED = 256;
/** Certificates that intents brought, those of intents before included: somebody may be in the middle of an exchange with one. */
const MAX_BROUGHT = 16;

/** Where the key of a certificate is that an intent brings. */
export interface KeyFinder {
  find(spki: Uint8Array): KeyObject | undefined;
}

type VerifyJob = Extract<CryptoJob, { kind: "verify" }>;

/** Chains that are held against new revocation lists. */
const MAX_TAKEN = 32_768;
const SLICE_MS = 5;

/** Holds the gateway's private keys and judges peers' certificates: what the engine's crypto jobs need. */
export class Credentials implements CryptoKeys, EapTlsKeys {
  readonly #verifier = new ChainVerifier();
  /** By the leaf's fingerprint, which also names the key; newest first. */
  #identities: readonly OwnIdentity[] = [];
  /** By the leaf's fingerprint, the most recently used last. */
  readonly #brought = new Map<string, OwnIdentity>();
  /** By what the intents named. */
  readonly #named = new Map<string, Credential>();
  readonly #anchors = new Map<string, Uint8Array>();
  readonly #fingerprints = new Map<string, string>();
  readonly #anchorSets = new Map<string, TrustAnchors>();
  /** By the anchor's fingerprint. */
  readonly #policies = new Map<string, RevocationPolicy>();
  /** Chains that were good, by the leaf's fingerprint, the most recently used last. */
  readonly #taken = new Map<string, VerifiedChain>();

  /** Without `revocation`, nobody is asked whether a certificate is revoked. */
  constructor(
    private readonly revocation?: Revocation,
    private readonly requested?: KeyFinder,
  ) {}

  /** Newest first. Throws `ike/unsuitable-key` and what `certificatesFromPem` throws. */
  load(files: readonly IdentityFiles[]): void {
    this.#identities = files.map(({ privateKey, certificates }) => {
      const key = createPrivateKey(privateKey);
      const [leaf, ...above] = certificatesFromPem(certificates).map((der) => readCertificate(der, "certificates"));
      if (!leaf) throw fault("agent/no-key", "an identity without a certificate", { field: "certificates" });
      return { leaf, above, key, kind: keyKind(key) };
    });
    this.#named.clear();
  }

  /**
   * The very certificate that is named, with the intermediates that are named beside it where there are any; without a name the
   * newest.
   */
  credential(reference: CertificateReference | undefined): Credential | undefined {
    const found = reference
      ? (this.#identities.find((i) => i.leaf.fingerprint === reference.fingerprint) ?? this.#bring(reference))
      : this.#identities[0];
    if (!found) return undefined;
    const intermediates = reference?.intermediates ?? [];
    const name = [found.leaf.fingerprint, ...intermediates].join(" ");
    const known = this.#named.get(name);
    if (known) return known;
    const given = intermediates.map((der) => readCertificate(Buffer.from(der, "base64"), "intermediates"));
    const made = this.#credentialOf(found, given.length > 0 ? given : found.above);
    if (this.#named.size >= MAX_NAMED) this.#named.clear();
    this.#named.set(name, made);
    return made;
  }

  /** A certificate that came with the intent, for a key that was made here. */
  #bring({ fingerprint, leaf: der }: CertificateReference): OwnIdentity | undefined {
    if (der === undefined) return undefined;
    const known = this.#brought.get(fingerprint);
    if (known !== undefined) {
      this.#brought.delete(fingerprint);
      this.#brought.set(fingerprint, known);
      return known;
    }
    const leaf = readCertificate(Buffer.from(der, "base64"), "leaf");
    const key = this.requested?.find(leaf.spki);
    if (key === undefined || leaf.fingerprint !== fingerprint) return undefined;
    const brought = { leaf, above: [], key, kind: keyKind(key) };
    this.#brought.set(fingerprint, brought);
    if (this.#brought.size > MAX_BROUGHT) this.#brought.delete(this.#brought.keys().next().value as string);
    return brought;
  }

  #credentialOf({ leaf, kind }: OwnIdentity, above: readonly Certificate[]): Credential {
    // The anchor is what the peer has; sending it proves nothing (RFC 7296 §3.6).
    const chain = [leaf, ...above.filter((c) => !isRoot(c))];
    const top = chain.at(-1)?.issuer.text;
    const anchors = [...this.#anchors.values()]
      .map((der) => readCertificate(der))
      .filter((c) => c.subject.text === top);
    return {
      key: leaf.fingerprint,
      keyKind: kind,
      chain: chain.map((c) => c.der),
      authorities: [...above, ...anchors].map(({ spki }) => Uint8Array.from(createHash("sha1").update(spki).digest())),
      subject: ownIdentity(leaf),
    };
  }

  /** Anchors are named by their id in what the engine asks. Throws `pki/…` for one, or a revocation list, that is no good. */
  useAnchors(intent: GatewayIntent): void {
    const anchors = intent.trustAnchors.map(({ id, der, revocation = "relaxed", crls = [] }) => {
      const anchor = readCertificate(Buffer.from(der, "base64"), "trustAnchors.der");
      for (const crl of crls) this.revocation?.addCrl(Buffer.from(crl, "base64"), anchor);
      return { id, anchor, revocation };
    });
    this.#named.clear();
    this.#anchors.clear();
    this.#anchorSets.clear();
    this.#fingerprints.clear();
    this.#policies.clear();
    for (const { id, anchor, revocation } of anchors) {
      this.#anchors.set(id, anchor.der);
      this.#fingerprints.set(id, anchor.fingerprint);
      this.#policies.set(anchor.fingerprint, revocation);
    }
  }

  privateKey(name: string): KeyObject {
    const found = this.#identities.find((i) => i.leaf.fingerprint === name) ?? this.#brought.get(name);
    if (found) return found.key;
    throw fault("agent/no-key", `no private key "${name}"`, { field: "key", value: name });
  }

  /** Throws `pki/…` naming what is wrong with the chain. */
  verifyChain(job: VerifyJob): PeerCertificate & { publicKey: KeyObject } {
    const { certificates, trust, pinned, peer, identity } = job;
    if (pinned && pinned.length > 0) return this.#pinned(certificates, pinned);
    const claimed = identity.match === "ignore" ? undefined : peer;
    const chain = this.#unrevoked(this.#chain(certificates, trust, "ike", claimed));
    return { publicKey: chain.leaf.key, ...this.#told(chain, trust) };
  }

  #told({ leaf, path }: VerifiedChain, trust: readonly TrustAnchor[]): PeerCertificate {
    const anchor = trust.find((t) => this.#fingerprints.get(t.ref) === path.at(-1)?.fingerprint)?.ref;
    const { subject, fingerprint } = leaf;
    const names = namesOf(leaf);
    return { subject: subject.text, fingerprint, names, ...(anchor === undefined ? {} : { anchor }) };
  }

  /** Resolves when what can be learnt about revocations in the job's chain has been, or that took too long. */
  async learn({ certificates, trust, pinned }: VerifyJob): Promise<void> {
    const path =
      pinned && pinned.length > 0
        ? this.#pathOf(certificates)
        : this.#chain(certificates, trust, "ike", undefined).path;
    await this.revocation?.learnt(path);
  }

  /** Every certificate that this gateway shows, trusts or has taken. */
  certificates(): CertificateFacts[] {
    const own = [...this.#identities, ...this.#brought.values()].flatMap(({ leaf, above }) => [
      factsOf(leaf, "own"),
      ...above.filter((c) => !isRoot(c)).map((c) => factsOf(c, "own chain")),
    ]);
    const anchors = [...this.#anchors.values()].map((der) => {
      const anchor = readCertificate(der);
      return { ...factsOf(anchor, "trust anchor"), revocation: this.#policies.get(anchor.fingerprint) ?? "relaxed" };
    });
    return [...own, ...anchors, ...[...this.#taken.values()].map(({ leaf }) => factsOf(leaf, "peer"))];
  }

  /** Those that this gateway shows, without what is above them. */
  own(): Certificate[] {
    return [...this.#identities, ...this.#brought.values()].map(({ leaf }) => leaf);
  }

  /** One that was taken of a peer, while it is remembered. */
  taken(fingerprint: string): Certificate | undefined {
    return this.#taken.get(fingerprint)?.leaf;
  }

  /**
   * Certificates that were taken and would not be any more, each with the reason; what is known too little about is asked for.
   * There may be many: the event loop has its turn in between. With `by`, only those that rest on the certificate of this
   * fingerprint are looked at.
   */
  async *distrusted(by?: string): AsyncGenerator<{ readonly fingerprint: string; readonly failure: Failure }> {
    let since = performance.now();
    for (const [fingerprint, chain] of [...this.#taken]) {
      if (by !== undefined && !chain.path.some((c) => c.fingerprint === by)) continue;
      if (performance.now() - since > SLICE_MS) {
        await new Promise(setImmediate);
        since = performance.now();
      }
      try {
        this.revocation?.require(chain.path, this.#policyOf(chain.path));
      } catch (error) {
        if (!isFault(error, "pki/revoked")) continue;
        this.#taken.delete(fingerprint);
        yield { fingerprint, failure: failureOf(error) };
      }
    }
  }

  /** The operator knows this very certificate: asked is its time, and whether it is revoked where its issuer is known. */
  #pinned(certificates: readonly Uint8Array[], pinned: readonly Uint8Array[]) {
    const certificate = pinnedLeaf(certificates, pinned);
    requireUsable(certificate, "ike", Date.now());
    this.#unrevoked({ leaf: certificate, path: this.#pathOf(certificates) });
    const { key, subject, fingerprint } = certificate;
    return { publicKey: key, subject: subject.text, fingerprint, names: namesOf(certificate) };
  }

  /** To any anchor of this gateway; the leaf alone when there is no way to one. */
  #pathOf(certificates: readonly Uint8Array[]): readonly Certificate[] {
    try {
      return this.#chain(
        certificates,
        [...this.#anchors.keys()].map((ref) => ({ ref })),
        "ike",
        undefined,
      ).path;
    } catch (error) {
      if (!isFault(error)) throw error;
      return certificates.slice(0, 1).map((der) => readCertificate(der, "leaf"));
    }
  }

  /** Refuses a revoked chain and remembers a good one, for the day when it is revoked. */
  #unrevoked(chain: VerifiedChain): VerifiedChain {
    const { leaf, path } = chain;
    this.revocation?.require(path, this.#policyOf(path));
    this.#taken.delete(leaf.fingerprint);
    this.#taken.set(leaf.fingerprint, chain);
    if (this.#taken.size > MAX_TAKEN) this.#taken.delete(this.#taken.keys().next().value as string);
    return chain;
  }

  #policyOf(path: readonly Certificate[]): RevocationPolicy {
    return this.#policies.get(path.at(-1)?.fingerprint ?? "") ?? "relaxed";
  }

  verifyTls({ certificates, trust, usage, identity }: Parameters<EapTlsKeys["verifyTls"]>[0]): PeerCertificate {
    return this.#told(this.#unrevoked(this.#chain(certificates, trust, usage, identity)), trust);
  }

  anchors(trust: readonly TrustAnchor[]): readonly Uint8Array[] {
    return trust.flatMap(({ ref }) => this.#anchors.get(ref) ?? []);
  }

  #chain(
    [leaf, ...intermediates]: readonly Uint8Array[],
    trust: readonly Pick<TrustAnchor, "ref">[],
    usage: Usage,
    identity: Identity | undefined,
  ): VerifiedChain {
    if (!leaf)
      throw fault("agent/no-certificate", "the peer sent no certificate", {
        field: "CERT",
        expected: "its certificate",
      });
    const anchors = this.#anchorsOf(trust.map((t) => t.ref));
    return this.#verifier.verify({ leaf, intermediates, anchors, now: Date.now(), usage, identity });
  }

  #anchorsOf(refs: readonly string[]): TrustAnchors {
    const name = refs.join(" ");
    const known = this.#anchorSets.get(name);
    if (known) return known;
    const anchors = TrustAnchors.of(refs.flatMap((ref) => this.#anchors.get(ref) ?? []));
    this.#anchorSets.set(name, anchors);
    return anchors;
  }
}

function pinnedLeaf([leaf]: readonly Uint8Array[], pinned: readonly Uint8Array[]): Certificate {
  const certificate = leaf && readCertificate(leaf, "leaf");
  if (certificate && pinned.some((hash) => Buffer.from(hash).toString("hex") === certificate.fingerprint)) {
    return certificate;
  }
  throw fault("agent/no-certificate", "the peer shows another certificate", {
    field: "CERT",
    expected: "the one it is known by",
  });
}
