import { createPrivateKey, type KeyObject } from "node:crypto";
import { type CryptoJob, type CryptoKeys, type Identity, keyKind, type TrustAnchor } from "@sallyport/ike";
import type { Credential, GatewayIntent } from "@sallyport/intent";
import {
  type Certificate,
  ChainVerifier,
  certificatesFromPem,
  readCertificate,
  TrustAnchors,
  type Usage,
} from "@sallyport/pki";
import { fault } from "../faults.js";
import type { EapTlsKeys } from "./eap-tls.js";

/** An IKE key with its certificate as PEM, leaf first; the chain may end with its anchor. */
export interface IdentityFiles {
  readonly privateKey: string;
  readonly certificates: string;
}

type VerifyJob = Extract<CryptoJob, { kind: "verify" }>;

/** Holds the gateway's private keys and judges peers' certificates: what the engine's crypto jobs need. */
export class Credentials implements CryptoKeys, EapTlsKeys {
  readonly #verifier = new ChainVerifier();
  /** By the leaf's fingerprint, which also names the key; newest first. */
  #identities: readonly { readonly credential: Credential; readonly key: KeyObject }[] = [];
  readonly #anchors = new Map<string, Uint8Array>();
  readonly #anchorSets = new Map<string, TrustAnchors>();

  /** Newest first. Throws `ike/unsuitable-key` and what `certificatesFromPem` throws. */
  load(files: readonly IdentityFiles[]): void {
    this.#identities = files.map(({ privateKey, certificates }) => {
      const key = createPrivateKey(privateKey);
      const [leaf, ...above] = certificatesFromPem(certificates).map((der) => readCertificate(der, "certificates"));
      if (!leaf) throw fault("agent/no-key", "an identity without a certificate", { field: "certificates" });
      // The anchor is what the peer has; sending it proves nothing (RFC 7296 §3.6).
      const chain = [leaf, ...above.filter((c) => c.subject.text !== c.issuer.text)].map((c) => c.der);
      return { credential: { key: leaf.fingerprint, keyKind: keyKind(key), chain }, key };
    });
  }

  /** The certificate that the intent names, with the intermediates that it wants sent; else the newest. */
  credentialFor(intent: GatewayIntent): Credential | undefined {
    const wanted = intent.certificate?.fingerprint;
    const found = this.#identities.find((i) => i.credential.key === wanted) ?? this.#identities[0];
    return found?.credential;
  }

  /** Anchors are named by their id in what the engine asks. */
  useAnchors(intent: GatewayIntent): void {
    this.#anchors.clear();
    this.#anchorSets.clear();
    for (const { id, der } of intent.trustAnchors) this.#anchors.set(id, Buffer.from(der, "base64"));
  }

  privateKey(name: string): KeyObject {
    const found = this.#identities.find((i) => i.credential.key === name);
    if (found) return found.key;
    throw fault("agent/no-key", `no private key "${name}"`, { field: "key", value: name });
  }

  /** Throws `pki/…` naming what is wrong with the chain. */
  verifyChain({ certificates, trust, peer, identity }: VerifyJob): { publicKey: KeyObject; subject: string } {
    const { key, subject } = this.#verify(certificates, trust, "ike", identity.match === "ignore" ? undefined : peer);
    return { publicKey: key, subject: subject.text };
  }

  verifyTls({ certificates, trust, usage, identity }: Parameters<EapTlsKeys["verifyTls"]>[0]): string {
    return this.#verify(certificates, trust, usage, identity).subject.text;
  }

  anchors(trust: readonly TrustAnchor[]): readonly Uint8Array[] {
    return trust.flatMap(({ ref }) => this.#anchors.get(ref) ?? []);
  }

  #verify(
    [leaf, ...intermediates]: readonly Uint8Array[],
    trust: readonly TrustAnchor[],
    usage: Usage,
    identity: Identity | undefined,
  ): Certificate {
    if (!leaf)
      throw fault("agent/no-certificate", "the peer sent no certificate", {
        field: "CERT",
        expected: "its certificate",
      });
    const anchors = this.#anchorsOf(trust.map((t) => t.ref));
    return this.#verifier.verify({ leaf, intermediates, anchors, now: Date.now(), usage, identity }).leaf;
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
