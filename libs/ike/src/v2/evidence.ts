import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import type { EapSecret, EapUsers, IkeConfig, PeerConfig, RemoteAuth, TrustAnchor } from "../config.js";
import type { PeerCertificate } from "../crypto/types.js";
import type { EapDone } from "../eap/index.js";
import { handshakeOf } from "./handshake.js";
import type { CertificateEvidence, Evidence, IkeSa } from "./sa.js";

function sameSecret(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function sameEapSecret(a: EapSecret, b: EapSecret): boolean {
  if (a instanceof Uint8Array) return b instanceof Uint8Array && sameSecret(a, b);
  return !(b instanceof Uint8Array) && sameSecret(a.ntHash, b.ntHash);
}

function sameAnchor(a: TrustAnchor, b: TrustAnchor): boolean {
  return a.ref === b.ref && sameSecret(a.keyHash, b.keyHash);
}

/** The round under way was proven by one of the secrets. */
export function provenBySecret(sa: IkeSa, secret: Uint8Array): void {
  const { theirs: round } = handshakeOf(sa).proving;
  sa.evidence = [...sa.evidence, { by: "psk", round, secret }];
}

/** The round under way was proven by a certificate. */
export function provenByCertificate(sa: IkeSa, auth: RemoteAuth | undefined, certificate: PeerCertificate): void {
  const { theirs: round } = handshakeOf(sa).proving;
  const pinned = auth?.method === "certificate" && isPinning(auth);
  const trust = auth?.method === "certificate" && !pinned ? auth.trust : [];
  sa.evidence = [...sa.evidence, { by: "certificate", ...shown(sa, round, certificate, trust) }];
}

/** EAP has proven the peer to this end, its server, or the server to this end. */
export function provenByEap(sa: IkeSa, { method, identity: user, ground }: EapDone, role: "server" | "peer"): void {
  const { ours, theirs } = handshakeOf(sa).proving;
  // Ours is counted as soon as our AUTH is out.
  const round = role === "server" ? theirs : ours - 1;
  const proof = ground && "certificate" in ground ? shown(sa, round, ground.certificate, ground.trust) : ground;
  if (role === "server") sa.evidence = [...sa.evidence, { by: "eap", round, method, user, ground: proof }];
  else if (proof && "anchors" in proof) sa.evidence = [...sa.evidence, { by: "eap-server", ...proof }];
}

/** `distrust` finds the IKE SA by it from now on. */
function shown(
  sa: IkeSa,
  round: number,
  { subject, fingerprint, anchor }: PeerCertificate,
  trust: readonly TrustAnchor[],
): CertificateEvidence {
  sa.subject ??= subject;
  sa.certificates = [...sa.certificates, fingerprint];
  return { round, fingerprint, anchors: anchor === undefined ? trust : trust.filter((t) => t.ref === anchor) };
}

/** Whether what the peer has proved itself by is still accepted. */
export function isBelieved({ evidence }: Pick<IkeSa, "evidence">, peer: PeerConfig, { eapUsers }: IkeConfig): boolean {
  return evidence.every((e) => stands(e, peer, eapUsers));
}

/** Whether users of EAP are among what it rests on. */
export const restsOnUsers = ({ evidence }: Pick<IkeSa, "evidence">) =>
  evidence.some((e) => e.by === "eap" && e.ground !== undefined && "password" in e.ground);

function stands(e: Evidence, { remoteAuth, localAuth }: PeerConfig, users: IkeConfig["eapUsers"]): boolean {
  if (e.by === "eap-server") {
    const ours = localAuth[e.round];
    return ours?.method === "eap" && isTrusted(e, ours.eap?.tls?.trust);
  }
  const auth = remoteAuth[e.round];
  switch (e.by) {
    case "psk":
      return auth?.method === "psk" && auth.secrets.some((s) => sameSecret(s, e.secret));
    case "certificate":
      if (auth?.method !== "certificate") return false;
      return isPinning(auth)
        ? auth.pinned.some((hash) => Buffer.from(hash).toString("hex") === e.fingerprint)
        : isTrusted(e, auth.trust);
    case "eap":
      return auth?.method === "eap" && passes(e, auth, users);
  }
}

function passes(
  { method, user, ground }: Extract<Evidence, { by: "eap" }>,
  auth: Extract<RemoteAuth, { method: "eap" }>,
  users: ReadonlyMap<string, EapUsers> | undefined,
): boolean {
  const { eap } = auth;
  if (!eap?.methods.includes(method) || !takesUser(auth, user)) return false;
  if (!ground) return true;
  if ("anchors" in ground) return isTrusted(ground, eap.tls?.trust);
  const now = users?.get(eap.users ?? "")?.get(user);
  return now !== undefined && sameEapSecret(now, ground.password);
}

function isTrusted({ anchors }: CertificateEvidence, trust: readonly TrustAnchor[] | undefined): boolean {
  return anchors.length > 0 && anchors.every((a) => trust?.some((t) => sameAnchor(t, a)));
}

/** Whether a round is for a user of EAP (IDENT-14). */
export function takesUser({ user = "*" }: { readonly user?: string | undefined }, name: string): boolean {
  const wanted = user.toLowerCase();
  return wanted.startsWith("*") ? name.toLowerCase().endsWith(wanted.slice(1)) : name.toLowerCase() === wanted;
}

/**
 * What the peer proved itself by in its first round: the fingerprint of a certificate, or the name of a pre-shared key as long as that
 * key is accepted and has one.
 */
export function provenKeyId({ evidence, peer }: Pick<IkeSa, "evidence" | "peer">): string | undefined {
  const [auth] = peer?.remoteAuth ?? [];
  const proof = evidence.find((e) => (e.by === "psk" || e.by === "certificate") && e.round === 0);
  if (proof?.by === "certificate") return proof.fingerprint;
  if (auth?.method !== "psk" || proof?.by !== "psk") return undefined;
  return auth.keyIds?.[auth.secrets.findIndex((s) => sameSecret(s, proof.secret))];
}

type Pinning = Extract<RemoteAuth, { method: "certificate" }> & { readonly pinned: readonly Uint8Array[] };

/** Whether certificates are asked for by themselves, so that nobody asks who signed them. */
function isPinning(auth: Extract<RemoteAuth, { method: "certificate" }>): auth is Pinning {
  return auth.pinned !== undefined && auth.pinned.length > 0;
}
