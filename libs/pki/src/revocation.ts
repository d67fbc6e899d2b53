import { type Certificate, fingerprintOf } from "./certificate.js";
import { type CertificateList, type Revoked, readCrl, verifyCrl } from "./crl.js";
import { fault } from "./faults.js";
import { type OcspAnswer, readOcspResponse } from "./ocsp.js";

/**
 * `strict`: a certificate of which nothing current is known is refused. `relaxed`: it is taken, one that is known to be revoked is
 * not. `off`: nobody asks.
 */
export type RevocationPolicy = "strict" | "relaxed" | "off";

export type RevocationState =
  /** `until`: when what is known of it ends, milliseconds since 1970. */
  | { readonly state: "good"; readonly by: "crl" | "ocsp"; readonly until: number }
  | { readonly state: "revoked"; readonly by: "crl" | "ocsp"; readonly revoked: Revoked }
  | { readonly state: "unknown"; readonly why: string };

/** Lists of this many issuers and responses about this many certificates are kept; the oldest go first. */
const MAX_ISSUERS = 64;
const MAX_ANSWERS = 4096;
/** How long a statement without nextUpdate counts. */
const DEFAULT_LIFE_MS = 24 * 3600_000;
/** The issuer's clock may be a little off. */
const SKEW_MS = 5 * 60_000;

interface Lists {
  readonly complete: CertificateList | undefined;
  readonly delta: CertificateList | undefined;
}

const untilOf = (s: { readonly thisUpdate: number; readonly nextUpdate: number | undefined }) =>
  s.nextUpdate ?? s.thisUpdate + DEFAULT_LIFE_MS;

/** By name and key: a CA that was rekeyed under its old name is another issuer, one that has several certificates is one. */
function keyOf(issuer: Certificate): string {
  const known = KEYS.get(issuer);
  if (known !== undefined) return known;
  const key = `${issuer.subject.rdns.join()} ${fingerprintOf(issuer.spki)}`;
  KEYS.set(issuer, key);
  return key;
}
const KEYS = new WeakMap<Certificate, string>();

function put<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > most) map.delete(map.keys().next().value as string);
}

/** What is known about revocation: verified lists and responses, the newest of each. Does no I/O. */
export class RevocationStore {
  readonly #lists = new Map<string, Lists>();
  readonly #answers = new Map<string, OcspAnswer>();
  /** By fingerprint. */
  readonly #withdrawn = new Set<string>();

  /** The operator's own word against a certificate, which no policy turns off, until `reinstate`. */
  withdraw(fingerprint: string): void {
    this.#withdrawn.add(fingerprint);
  }

  reinstate(fingerprint: string): void {
    this.#withdrawn.delete(fingerprint);
  }

  isWithdrawn({ fingerprint }: Pick<Certificate, "fingerprint">): boolean {
    return this.#withdrawn.has(fingerprint);
  }

  /**
   * Takes a list when `issuer` signed it and it is not older than the one that is kept; gives whether it is news.
   * @throws what `readCrl` and `verifyCrl` throw
   */
  addCrl(der: Uint8Array, issuer: Certificate): boolean {
    const crl = readCrl(der);
    verifyCrl(crl, issuer);
    const key = `${keyOf(issuer)} ${crl.scope}`;
    const { complete, delta } = this.#lists.get(key) ?? { complete: undefined, delta: undefined };
    const kept = crl.base === undefined ? complete : delta;
    if (kept && (crl.fingerprint === kept.fingerprint || isOlder(crl, kept))) return false;
    const lists = crl.base === undefined ? { complete: crl, delta } : { complete, delta: crl };
    put(this.#lists, key, lists, MAX_ISSUERS);
    return true;
  }

  /** @throws what `readOcspResponse` throws */
  addOcsp(
    der: Uint8Array,
    certificate: Certificate,
    issuer: Certificate,
    now: number,
    nonce?: Uint8Array,
  ): OcspAnswer["status"] {
    const answer = readOcspResponse(der, certificate, issuer, now, nonce);
    const key = `${keyOf(issuer)} ${certificate.serial}`;
    const kept = this.#answers.get(key);
    if (!kept || kept.thisUpdate <= answer.thisUpdate) put(this.#answers, key, answer, MAX_ANSWERS);
    return answer.status;
  }

  /** What is known of `certificate` at `now`. A revocation stays one when the list that said so is stale. */
  stateOf(certificate: Certificate, issuer: Certificate, now: number): RevocationState {
    const answer = this.#answers.get(`${keyOf(issuer)} ${certificate.serial}`);
    const listed = this.#listed(certificate, issuer, now);
    if (answer?.status === "revoked" && answer.revoked) {
      return { state: "revoked", by: "ocsp", revoked: answer.revoked };
    }
    if (listed.state === "revoked") return listed;
    if (answer?.status === "good" && untilOf(answer) + SKEW_MS >= now) {
      return { state: "good", by: "ocsp", until: untilOf(answer) };
    }
    if (answer?.status === "unknown") return { state: "unknown", why: "the OCSP responder does not know it" };
    return listed;
  }

  #listed(certificate: Certificate, issuer: Certificate, now: number): RevocationState {
    const scope = certificate.ca ? "authorities" : "end-entities";
    const lists = this.#lists.get(`${keyOf(issuer)} ${scope}`) ?? this.#lists.get(`${keyOf(issuer)} all`);
    const { complete, delta } = lists ?? {};
    if (!complete) return { state: "unknown", why: `no list of revoked certificates of ${issuer.subject.text}` };
    const adds = delta && (delta.base ?? 0n) <= complete.number && delta.number >= complete.number ? delta : undefined;
    const change = adds?.lookUp(certificate.serial);
    const revoked = change?.reason === "removeFromCRL" ? undefined : (change ?? complete.lookUp(certificate.serial));
    if (revoked) return { state: "revoked", by: "crl", revoked };
    const until = untilOf(complete);
    if (until + SKEW_MS < now) {
      return {
        state: "unknown",
        why: `the list of ${issuer.subject.text} was good until ${new Date(until).toISOString()}`,
      };
    }
    if (complete.thisUpdate > now + SKEW_MS) {
      return { state: "unknown", why: `the list of ${issuer.subject.text} is of the future` };
    }
    return { state: "good", by: "crl", until };
  }

  /** Issuers of whom lists are kept and certificates of which responses are. */
  get sizes(): { readonly lists: number; readonly answers: number } {
    return { lists: this.#lists.size, answers: this.#answers.size };
  }
}

/** A list may be fetched again; one that takes a revocation back by being old may not. */
function isOlder(crl: CertificateList, kept: CertificateList): boolean {
  return crl.number < kept.number || (crl.number === kept.number && crl.thisUpdate < kept.thisUpdate);
}

/**
 * Judges a path, leaf first, anchor last, by what the store knows; nobody is asked about an anchor. What is withdrawn is refused
 * wherever it stands, whatever the policy.
 * @throws pki/revoked, pki/revocation-unknown (strict)
 */
export function requireUnrevoked(
  path: readonly Certificate[],
  store: RevocationStore,
  policy: RevocationPolicy,
  now: number,
): void {
  const withdrawn = path.findIndex((certificate) => store.isWithdrawn(certificate));
  if (withdrawn >= 0) {
    const { serial: value, subject } = path[withdrawn] as Certificate;
    const field = withdrawn === 0 ? "leaf" : "issuer";
    throw fault("pki/revoked", `${subject.text} was revoked by the control plane`, { field, value });
  }
  if (policy === "off") return;
  for (let i = 0; i < path.length - 1; i++) {
    const certificate = path[i] as Certificate;
    const found = store.stateOf(certificate, path[i + 1] as Certificate, now);
    const field = i === 0 ? "leaf" : "issuer";
    const { serial: value, subject } = certificate;
    if (found.state === "revoked") {
      const { at, reason } = found.revoked;
      const text = `${subject.text} was revoked at ${new Date(at).toISOString()} (${reason}, ${found.by.toUpperCase()})`;
      throw fault("pki/revoked", text, { field, value });
    }
    if (found.state === "unknown" && policy === "strict") {
      const text = `whether ${subject.text} is revoked is not known: ${found.why}`;
      throw fault("pki/revocation-unknown", text, { field, value });
    }
  }
}
