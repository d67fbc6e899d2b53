import type { PeerConfig } from "../config.js";
import { deriveIkeKeys, hashesOf, OFFERED_HASHES, protector } from "../crypto/index.js";
import type { IkeSuite } from "../crypto/types.js";
import { authorityHashes, CERT_ENCODING, NOTIFY_DATA, notification } from "../wire/index.js";
import type { Payload } from "../wire/types.js";
import { sameOctets } from "./credentials.js";
import type { Handshake, Proving } from "./handshake-state.js";
import { all } from "./message.js";
import { lower } from "./new-sa.js";
import type { IkeSa } from "./sa.js";

/** RFC 7296 §2.10: at least half the key size of the PRF, 16 to 256. */
export const NONCE_BYTES = 32;

export function handshakeOf(sa: IkeSa): Handshake {
  return sa.handshake as Handshake;
}

/** Before IKE_AUTH: both ends have everything to prove. */
export const UNPROVEN: Proving = {
  ours: 0,
  theirs: 0,
  proven: [],
  expected: true,
  multiple: false,
  authorities: [],
  first: [],
  eap: undefined,
  ppk: "none",
};

export function changeProving(sa: IkeSa, change: Partial<Proving>): void {
  const h = handshakeOf(sa);
  sa.handshake = { ...h, proving: { ...h.proving, ...change } };
}

/** What the peer may sign with. A peer that is to verify only has to hear of RFC 7427 too, or it would not tell its own hashes. */
function hashesFor({ localAuth, remoteAuth }: PeerConfig): readonly number[] {
  const taken = remoteAuth.flatMap((round) => (round.method === "certificate" ? [round.signatures] : []));
  if (taken.length === 0) return localAuth.some((round) => round.method === "certificate") ? OFFERED_HASHES : [];
  return taken.flatMap((signatures) => (signatures ? hashesOf(signatures) : OFFERED_HASHES));
}

function hasRounds(peer: PeerConfig): boolean {
  return peer.localAuth.length > 1 || peer.remoteAuth.length > 1;
}

/** RFC 4739 §3.1: told by the responder in IKE_SA_INIT, by the initiator in its first IKE_AUTH. */
export function takesRounds(peers: readonly PeerConfig[]): Payload[] {
  return peers.some(hasRounds) ? [notification("MULTIPLE_AUTH_SUPPORTED")] : [];
}

/** RFC 5998 §3: told by an initiator that lets an EAP method of its own round prove the responder too. */
export function takesEapAlone({ remoteAuth }: PeerConfig): Payload[] {
  return remoteAuth[0].method === "eap" ? [notification("EAP_ONLY_AUTHENTICATION")] : [];
}

/** Extensions that both sides announce in IKE_SA_INIT. */
export function announcements(peers: readonly PeerConfig[]): Payload[] {
  const out: Payload[] = [];
  if (peers.some((p) => p.fragmentation)) out.push(notification("IKEV2_FRAGMENTATION_SUPPORTED"));
  const hashes = OFFERED_HASHES.filter((hash) => peers.some((p) => hashesFor(p).includes(hash)));
  if (hashes.length > 0) out.push(NOTIFY_DATA.SIGNATURE_HASH_ALGORITHMS.build(hashes));
  return out;
}

const KEY_HASH_BYTES = 20;
/** Hashes that are sent, and that are taken from the peer. */
const MAX_AUTHORITIES = 64;

/** The hash of no key. */
const NO_AUTHORITY = new Uint8Array(KEY_HASH_BYTES);

/**
 * RFC 7296 §3.7: the trust anchors of everybody that the peer may turn out to be. Of certificates that are known by themselves nobody
 * here knows the authority, and a request has to name one; but many show theirs only when they are asked, and they do whatever is
 * named.
 */
export function certificateRequests(peers: readonly PeerConfig[]): Payload[] {
  const hashes: Uint8Array[] = [];
  let pinned = false;
  for (const round of peers.flatMap((p) => p.remoteAuth)) {
    if (round.method !== "certificate") continue;
    pinned ||= round.pinned !== undefined;
    for (const { keyHash } of round.trust) {
      if (hashes.length < MAX_AUTHORITIES && !hashes.some((h) => sameOctets(h, keyHash))) hashes.push(keyHash);
    }
  }
  if (hashes.length === 0 && pinned) hashes.push(NO_AUTHORITY);
  if (hashes.length === 0) return [];
  const data = new Uint8Array(hashes.length * KEY_HASH_BYTES);
  for (const [i, hash] of hashes.entries()) data.set(hash, i * KEY_HASH_BYTES);
  return [{ kind: "CERTREQ", encoding: CERT_ENCODING.X509_SIGNATURE, data }];
}

/** What the peer's certificate requests for X.509 certificates name; those for other encodings are not ours to answer. */
export function requestedAuthorities(payloads: readonly Payload[]): Uint8Array[] {
  return all(payloads, "CERTREQ")
    .filter((c) => c.encoding === CERT_ENCODING.X509_SIGNATURE)
    .flatMap(authorityHashes)
    .slice(0, MAX_AUTHORITIES);
}

/** Keys of the first two exchanges (RFC 7296 §2.14). */
export function setKeys(sa: IkeSa, suite: IkeSuite, shared: Uint8Array): void {
  const { ni, nr } = handshakeOf(sa);
  sa.suite = suite;
  sa.keys = deriveIkeKeys({ suite, sharedSecret: shared, ni, nr, initiatorSpi: sa.spiI, responderSpi: sa.spiR });
  sa.protector = protector(suite, sa.keys, sa.initiator);
  sa.lowestNonce = lower(ni, nr);
}
