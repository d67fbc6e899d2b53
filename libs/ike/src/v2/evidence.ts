import { timingSafeEqual } from "node:crypto";
import type { NonEmpty, RemoteAuth, TrustAnchor } from "../config.js";
import { handshakeOf } from "./handshake.js";
import type { Evidence, IkeSa } from "./sa.js";

function sameSecret(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function sameAnchor(a: TrustAnchor, b: TrustAnchor): boolean {
  return a.ref === b.ref && sameSecret(a.keyHash, b.keyHash);
}

/** The round under way was proven by one of the secrets. */
export function provenBySecret(sa: IkeSa, secret: Uint8Array): void {
  const { theirs: round } = handshakeOf(sa).proving;
  sa.evidence = [...sa.evidence, { by: "psk", round, secret }];
}

/** The round under way was proven by a certificate whose path ends at `anchor`; undefined: at one of those that are trusted. */
export function provenByCertificate(sa: IkeSa, auth: RemoteAuth | undefined, anchor: string | undefined): void {
  const trust = auth?.method === "certificate" ? auth.trust : [];
  const { theirs: round } = handshakeOf(sa).proving;
  const anchors = anchor === undefined ? trust : trust.filter((t) => t.ref === anchor);
  sa.evidence = [...sa.evidence, { by: "certificate", round, anchors }];
}

/** Whether what the peer has proved itself by is still accepted. */
export function isBelieved({ evidence }: Pick<IkeSa, "evidence">, rounds: NonEmpty<RemoteAuth>): boolean {
  return evidence.every((e) => stands(e, rounds[e.round]));
}

function stands(e: Evidence, auth: RemoteAuth | undefined): boolean {
  if (e.by === "psk") return auth?.method === "psk" && auth.secrets.some((s) => sameSecret(s, e.secret));
  return auth?.method === "certificate" && e.anchors.every((a) => auth.trust.some((t) => sameAnchor(t, a)));
}
