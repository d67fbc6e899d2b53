import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { Fault } from "@sallyport/base";
import {
  type CryptoJob,
  type CryptoKeys,
  type Identity,
  identificationText,
  type KeyKind,
  keyKind,
  type LocalAuth,
  type PeerCertificate,
  type RemoteAuth,
  type TrustAnchor,
  toIdentification,
} from "@sallyport/ike";

type VerifyJob = Extract<CryptoJob, { kind: "verify" }>;

const distrust = (message: string) => new Fault("sim/untrusted", message, { retry: false, expose: true });

interface SimCertificate {
  readonly issuer: string;
  readonly subject: string;
  readonly names: readonly string[];
  readonly key: string;
}

export type SimKeyType = "rsa" | "p256" | "p384" | "p521" | "ed25519";

function newKeys(type: SimKeyType): { privateKey: KeyObject; publicKey: KeyObject } {
  switch (type) {
    case "rsa":
      return generateKeyPairSync("rsa", { modulusLength: 2048 });
    case "ed25519":
      return generateKeyPairSync("ed25519");
    default:
      return generateKeyPairSync("ec", { namedCurve: `P-${type.slice(1)}` });
  }
}

/**
 * Stands for a PKI: a "certificate" is JSON that names its issuer, its subject and its key, and is believed when a trust anchor
 * has the issuer's name. Signatures over AUTH are real.
 */
export class SimKeys implements CryptoKeys {
  readonly #private = new Map<string, KeyObject>();
  /** Subjects whose certificates are not believed any more. */
  readonly revoked = new Set<string>();

  privateKey(ref: string): KeyObject {
    const key = this.#private.get(ref);
    if (!key) throw distrust(`no private key "${ref}"`);
    return key;
  }

  /** A credential for `identity`, issued by `issuer`; its certificate proves `names` too. */
  issue(issuer: string, identity: Identity, type: SimKeyType = "p256", names: readonly string[] = []): LocalAuth {
    const { privateKey, publicKey } = newKeys(type);
    const key = `key-${this.#private.size + 1}`;
    this.#private.set(key, privateKey);
    const subject = identificationText(toIdentification(identity));
    const text = JSON.stringify({ issuer, subject, names, key: publicKey.export({ format: "pem", type: "spki" }) });
    const kind: KeyKind = keyKind(privateKey);
    const chain = [new TextEncoder().encode(text)];
    const credential = { key, keyKind: kind, chain, authorities: [anchor(issuer).keyHash], subject: identity };
    return { method: "certificate", identity, credentials: [credential] };
  }

  verifyChain({ certificates, trust, pinned, peer, identity }: VerifyJob): PeerCertificate & { publicKey: KeyObject } {
    const [leaf] = certificates;
    if (!leaf) throw distrust("the peer sent no certificate");
    const read = JSON.parse(new TextDecoder().decode(leaf)) as SimCertificate;
    const fingerprint = createHash("sha256").update(leaf).digest("hex");
    if (pinned?.length) return { publicKey: createPublicKey(read.key), subject: read.subject, fingerprint };
    if (!trust.some((t) => t.ref === read.issuer)) throw distrust(`"${read.issuer}" is no trust anchor`);
    if (this.revoked.has(read.subject)) throw distrust(`the certificate of ${read.subject} is revoked`);
    const claimed = identificationText(toIdentification(peer));
    if (identity.match !== "ignore" && claimed !== read.subject) {
      throw distrust(`the certificate of ${read.subject} does not prove ${claimed}`);
    }
    return {
      publicKey: createPublicKey(read.key),
      subject: read.subject,
      fingerprint,
      anchor: read.issuer,
      names: read.names,
    };
  }
}

export function anchor(issuer: string): TrustAnchor {
  return { ref: issuer, keyHash: createHash("sha1").update(issuer).digest() };
}

/** Takes certificates of `issuers` for whatever they prove, or for one identity alone. */
export function trusting(identity: Identity | undefined, ...issuers: string[]): RemoteAuth {
  return {
    method: "certificate",
    identity: identity ? { match: "is", identity } : { match: "auto" },
    trust: issuers.map(anchor),
  };
}
