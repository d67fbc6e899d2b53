import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Fault } from "@sallyport/base";
import type { CryptoJob, CryptoResults, PeerCertificate } from "../api.js";
import type { LocalAuth, PeerConfig, RemoteAuth } from "../config.js";
import { authOctets, chooseScheme, pskAuth, verifyPskAuth } from "../crypto/index.js";
import type { IkeKeys, KeyKind, SignatureName, SignatureScheme } from "../crypto/types.js";
import { type EapDone, methodText } from "../eap/index.js";
import { AUTH_METHOD, CERT_ENCODING, nameOf } from "../wire/registry.js";
import type { AuthPayload, Identification, Payload } from "../wire/types.js";
import { credentialFor, sameOctets } from "./credentials.js";
import { provenByCertificate, provenByEap, provenBySecret } from "./evidence.js";
import { fault } from "./faults.js";
import { handshakeOf } from "./handshake.js";
import { expectedText, identificationText, toIdentity } from "./identity.js";
import { all } from "./message.js";
import { type Judged, namePpk, ownKeys, wantsPlainProof } from "./ppk.js";
import type { Asking, AskingThen, IkeSa, Outcome, ServingThen } from "./sa.js";
import type { Turn } from "./turn.js";

/** What this end (`mine`) or the peer signs (RFC 7296 §2.15): the same IKE_SA_INIT in every round (RFC 4739 §2). */
function octetsOf(sa: IkeSa, keys: IkeKeys, id: Identification, mine: boolean): Uint8Array {
  const h = handshakeOf(sa);
  const { suite } = sa;
  if (!suite) throw fault("ike/unexpected", "no keys yet");
  const byInitiator = mine === sa.initiator;
  return authOctets({
    prf: suite.prf,
    message: mine ? h.sent : h.received,
    nonce: byInitiator ? h.nr : h.ni,
    skP: byInitiator ? keys.pi : keys.pr,
    idType: id.idType,
    idData: id.data,
  });
}

/** Our proof in a round: AUTH with the certificates that go before it – none yet with EAP –, or a signature that is awaited. */
export type Proof = readonly Payload[] | "signing";

/**
 * Begins our proof that we are `id`. A signature goes on at `auth-signed` of `asking` or, with the payloads that go out `beside`
 * it, at `serve-auth-signed`. Fault `ike/authentication-failed` when the peer knows no hash and no method for our key.
 */
export function prove(
  turn: Turn,
  sa: IkeSa,
  asking: Asking | "serving",
  round: LocalAuth,
  id: Identification,
  beside: readonly Payload[] = [],
): Proof {
  if (round.method === "eap") return [];
  if (round.method === "psk") return secretProof(sa, id, () => round.secret);
  const { key, keyKind, chain } = credentialFor(round.credentials, handshakeOf(sa).proving.authorities);
  const job = signJob(sa, key, schemeFor(sa, keyKind, round.signatures), ownKeys(sa), id);
  const { method } = job.scheme;
  if (asking !== "serving") turn.crypto(sa, asking, job, { go: "auth-signed", method, chain });
  else turn.serveCrypto(sa, job, { go: "serve-auth-signed", method, chain, beside });
  return "signing";
}

function schemeFor(sa: IkeSa, keyKind: KeyKind, wanted: readonly SignatureName[] | undefined): SignatureScheme {
  const { peerHashes } = handshakeOf(sa);
  const scheme = chooseScheme(keyKind, peerHashes, wanted);
  if (scheme) return scheme;
  const ours = wanted ? `${keyKind.type} by ${wanted.join(", ")}` : keyKind.type;
  const facts = { ours, theirs: peerHashes ? `hashes ${peerHashes.join(", ")}` : "no RFC 7427" };
  throw fault("ike/authentication-failed", "the peer knows no signature method for our key", { facts });
}

function signJob(sa: IkeSa, key: string, scheme: SignatureScheme, keys: IkeKeys, id: Identification) {
  return { kind: "sign", key, scheme, octets: octetsOf(sa, keys, id, true) } as const satisfies CryptoJob;
}

type Signed = Extract<AskingThen | ServingThen, { go: "auth-signed" | "serve-auth-signed" }>;
type Done = Outcome & { readonly ok: true };

/** The signature is there. */
export function signedProof({ method, chain }: Signed, outcome: Done): Payload[] {
  const { data } = outcome.crypto as CryptoResults["sign"];
  const certificates = chain.map(
    (der): Payload => ({ kind: "CERT", encoding: CERT_ENCODING.X509_SIGNATURE, data: der }),
  );
  return [...certificates, { kind: "AUTH", method, data }];
}

/** An initiator's signature with the PPK is there: the one without it comes next, where one is wanted (RFC 8784 §3). */
export function proveWithoutPpk(turn: Turn, sa: IkeSa, asking: Asking, proof: readonly Payload[]): Proof {
  const round = sa.peer?.localAuth[handshakeOf(sa).proving.ours];
  if (!wantsPlainProof(sa) || round?.method !== "certificate" || !sa.keys || !sa.localId) {
    return [...proof, ...namePpk(sa, undefined)];
  }
  const { key, keyKind } = credentialFor(round.credentials, handshakeOf(sa).proving.authorities);
  const job = signJob(sa, key, schemeFor(sa, keyKind, round.signatures), sa.keys, sa.localId);
  turn.crypto(sa, asking, job, { go: "auth-signed-plain", proof });
  return "signing";
}

export function plainProof(sa: IkeSa, proof: readonly Payload[], outcome: Done): Payload[] {
  return [...proof, ...namePpk(sa, (outcome.crypto as CryptoResults["sign"]).data)];
}

/** AUTH by a secret that both ends have, with what an initiator says of a PPK. */
function secretProof(sa: IkeSa, id: Identification, secret: (keys: IkeKeys) => Uint8Array): Payload[] {
  const { suite, keys: plain } = sa;
  if (!suite || !plain) throw fault("ike/unexpected", "no keys yet");
  const data = (keys: IkeKeys) => pskAuth(suite.prf, secret(keys), octetsOf(sa, keys, id, true));
  const auth = { kind: "AUTH", method: AUTH_METHOD.SHARED_KEY, data: data(ownKeys(sa)) } as const;
  return [auth, ...namePpk(sa, wantsPlainProof(sa) ? data(plain) : undefined)];
}

/** What keys both AUTH payloads after EAP: the MSK, and SK_pi or SK_pr of their makers when the method gives none (RFC 7296 §2.16). */
function eapSecret(sa: IkeSa, keys: IkeKeys, { msk }: EapDone, mine: boolean): Uint8Array {
  return msk ?? (mine === sa.initiator ? keys.pi : keys.pr);
}

export function eapProof(sa: IkeSa, done: EapDone, id: Identification): Payload[] {
  return secretProof(sa, id, (keys) => eapSecret(sa, keys, done, true));
}

/** Whether AUTH was made by the key of EAP, by which the other end then has proven itself. */
export function provesEap(sa: IkeSa, done: EapDone, id: Identification, { keys, auth }: Proven): boolean {
  if (auth.method !== AUTH_METHOD.SHARED_KEY || !sa.suite) return false;
  if (!verifyPskAuth(sa.suite.prf, eapSecret(sa, keys, done, false), octetsOf(sa, keys, id, false), auth.data)) {
    return false;
  }
  provenByEap(sa, done, handshakeOf(sa).proving.eap?.role ?? "server");
  return true;
}

/** AUTH of the peer, and the keys that it is to be judged by. */
export type Proven = Pick<Judged, "keys" | "auth">;

/** Who passed EAP does not prove to be the one that holds its key. */
export function badEapProof(done: EapDone): Fault {
  const facts = { ours: `AUTH by the key of ${methodText(done.method)}`, theirs: "another AUTH" };
  return fault("ike/authentication-failed", "AUTH after EAP does not verify", { facts });
}

/** Whether one of the accepted secrets made `auth`, which then is what the IKE SA rests on; an empty secret proves nothing (hostile input 28). */
export function provesSecret(sa: IkeSa, round: RemoteAuth, id: Identification, { keys, auth }: Proven): boolean {
  if (round.method !== "psk" || auth.method !== AUTH_METHOD.SHARED_KEY || !sa.suite) return false;
  const { prf } = sa.suite;
  const octets = octetsOf(sa, keys, id, false);
  const secret = round.secrets.find((s) => s.length > 0 && verifyPskAuth(prf, s, octets, auth.data));
  if (secret) provenBySecret(sa, secret);
  return secret !== undefined;
}

/** DER, end entity first. */
function certificatesIn(payloads: readonly Payload[]): Uint8Array[] {
  return all(payloads, "CERT")
    .filter((c) => c.encoding === CERT_ENCODING.X509_SIGNATURE)
    .map((c) => c.data);
}

const BY_URL: readonly number[] = [CERT_ENCODING.HASH_URL_X509, CERT_ENCODING.HASH_URL_BUNDLE];

/** Certificates that would have to be fetched are refused: their URLs are those of a stranger (hostile input 13). */
export function refusesUrls(payloads: readonly Payload[]): Fault | undefined {
  const found = all(payloads, "CERT").find((c) => BY_URL.includes(c.encoding));
  if (!found) return undefined;
  const facts = {
    ours: nameOf(CERT_ENCODING, CERT_ENCODING.X509_SIGNATURE),
    theirs: nameOf(CERT_ENCODING, found.encoding),
  };
  return fault("ike/hash-and-url", "the peer names a URL of its certificate instead of sending it", { facts });
}

/** Whether the peer shows a certificate that a round asks for by itself (IDENT-06); undefined when it asks for none. */
export function isPinned(round: RemoteAuth, payloads: readonly Payload[]): boolean | undefined {
  if (round.method !== "certificate" || !round.pinned || round.pinned.length === 0) return undefined;
  const [leaf] = certificatesIn(payloads);
  const shown = leaf && createHash("sha256").update(leaf).digest();
  return shown !== undefined && round.pinned.some((hash) => sameOctets(hash, shown));
}

export function notPinned(payloads: readonly Payload[], rounds: readonly RemoteAuth[]): Fault {
  const hex = (hash: Uint8Array) => Buffer.from(hash).toString("hex");
  const [leaf] = certificatesIn(payloads);
  const ours = rounds.flatMap((r) => (r.method === "certificate" ? (r.pinned ?? []).map(hex) : [])).join(", ");
  const theirs = leaf ? hex(createHash("sha256").update(leaf).digest()) : "none";
  return fault("ike/authentication-failed", "the peer shows another certificate", {
    facts: { ours: `certificate ${ours}`, theirs: `certificate ${theirs}` },
  });
}

/** Undefined when the peer is not to prove itself by certificate or its identity is of no use. */
export function verifyJob(
  sa: IkeSa,
  round: RemoteAuth,
  id: Identification,
  { keys, auth }: Proven,
  payloads: readonly Payload[],
): CryptoJob | undefined {
  const identity = toIdentity(id);
  if (round.method !== "certificate" || auth.method === AUTH_METHOD.SHARED_KEY || !identity) return undefined;
  const chain = certificatesIn(payloads);
  return {
    kind: "verify",
    auth: { method: auth.method, data: auth.data },
    octets: octetsOf(sa, keys, id, false),
    certificates: chain,
    trust: round.trust,
    pinned: round.pinned,
    signatures: round.signatures,
    peer: identity,
    identity: round.identity,
  };
}

/** The peer's certificate was judged good in a round. */
export function provedBy(sa: IkeSa, round: RemoteAuth | undefined, certificate: PeerCertificate): void {
  provenByCertificate(sa, round, certificate);
}

/** What the peer has to prove in the round that is under way, or was last. */
export function expectedProof(sa: IkeSa, { remoteAuth, remote }: PeerConfig): string {
  const round = remoteAuth[sa.handshake?.proving.theirs ?? 0] ?? remoteAuth[0];
  return `${expectedText(round.identity, remote.endpoint)} by ${round.method}`;
}

export function mismatch(peer: PeerConfig, round: RemoteAuth, id: Identification): Fault {
  const ours = expectedText(round.identity, peer.remote.endpoint);
  const theirs = identificationText(id);
  return fault("ike/identity-mismatch", `the peer calls itself ${theirs}, expected ${ours}`, {
    facts: { ours, theirs },
  });
}

/** `auth` undefined: the peer wants EAP. */
export function badProof(round: RemoteAuth, auth: AuthPayload | undefined): Fault {
  const theirs = !auth ? "eap" : auth.method === AUTH_METHOD.SHARED_KEY ? "psk" : `signature method ${auth.method}`;
  const ours = round.method;
  const same = ours === "psk" && auth?.method === AUTH_METHOD.SHARED_KEY;
  const message = same ? "the peer does not have the pre-shared key" : "the peer proves itself by another method";
  return fault("ike/authentication-failed", message, { facts: { ours, theirs } });
}

export function roundsText(count: number): string {
  return count === 1 ? "1 round" : `${count} rounds`;
}

/** The peer ends its rounds too early, or wants more of them than it is to prove itself in. */
export function wrongRounds(wanted: number, done: number, follows: boolean): Fault {
  const theirs = follows ? `${roundsText(done)}, and another follows` : roundsText(done);
  return fault("ike/authentication-failed", `the peer proves itself in ${theirs}, expected ${roundsText(wanted)}`, {
    facts: { ours: roundsText(wanted), theirs },
  });
}

/** Fault `ike/authentication-failed` when this end has several rounds and the peer takes one only. */
export function requireMultiple(sa: IkeSa, peer: PeerConfig): void {
  if (peer.localAuth.length === 1 || handshakeOf(sa).proving.multiple) return;
  throw fault("ike/authentication-failed", "the peer does not take several rounds of authentication (RFC 4739)", {
    facts: { ours: roundsText(peer.localAuth.length), theirs: roundsText(1) },
  });
}
