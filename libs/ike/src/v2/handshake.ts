import type { PeerConfig } from "../config.js";
import { deriveIkeKeys, OFFERED_HASHES, protector } from "../crypto/index.js";
import type { IkeSuite } from "../crypto/types.js";
import { CERT_ENCODING, NOTIFY_DATA, notification } from "../wire/index.js";
import type { Payload } from "../wire/types.js";
import { lower } from "./new-sa.js";
import type { Handshake, IkeSa } from "./sa.js";

/** RFC 7296 §2.10: at least half the key size of the PRF, 16 to 256. */
export const NONCE_BYTES = 32;

export function handshakeOf(sa: IkeSa): Handshake {
  return sa.handshake as Handshake;
}

function usesCertificates(peer: PeerConfig): boolean {
  return peer.localAuth.method === "certificate" || peer.remoteAuth.method === "certificate";
}

/** Extensions that both sides announce in IKE_SA_INIT. */
export function announcements(peers: readonly PeerConfig[]): Payload[] {
  const out: Payload[] = [];
  if (peers.some((p) => p.fragmentation)) out.push(notification("IKEV2_FRAGMENTATION_SUPPORTED"));
  if (peers.some(usesCertificates)) out.push(NOTIFY_DATA.SIGNATURE_HASH_ALGORITHMS.build(OFFERED_HASHES));
  return out;
}

/** RFC 7296 §3.7: the trust anchors of everybody that the peer may turn out to be. */
export function certificateRequests(peers: readonly PeerConfig[]): Payload[] {
  const hashes: Uint8Array[] = [];
  for (const { remoteAuth } of peers) {
    if (remoteAuth.method !== "certificate") continue;
    for (const { keyHash } of remoteAuth.trust) {
      if (hashes.length < 64 && !hashes.some((h) => h.every((b, i) => b === keyHash[i]))) hashes.push(keyHash);
    }
  }
  if (hashes.length === 0) return [];
  const data = new Uint8Array(hashes.length * 20);
  for (const [i, hash] of hashes.entries()) data.set(hash, i * 20);
  return [{ kind: "CERTREQ", encoding: CERT_ENCODING.X509_SIGNATURE, data }];
}

/** Keys of the first two exchanges (RFC 7296 §2.14). */
export function setKeys(sa: IkeSa, suite: IkeSuite, shared: Uint8Array): void {
  const { ni, nr } = handshakeOf(sa);
  sa.suite = suite;
  sa.keys = deriveIkeKeys({ suite, sharedSecret: shared, ni, nr, initiatorSpi: sa.spiI, responderSpi: sa.spiR });
  sa.protector = protector(suite, sa.keys, sa.initiator);
  sa.lowestNonce = lower(ni, nr);
}
