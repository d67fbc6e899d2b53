import type { Fault } from "@sallyport/base";
import { PEER_DEFAULTS } from "../config.js";
import type { DownReason } from "../status.js";
import type { Contact } from "./contact.js";
import { toBeDeleted } from "./ending.js";
import { fault } from "./faults.js";
import { identificationText } from "./identity.js";
import { isLower } from "./new-sa.js";
import type { IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";
import { isMember, sasAllowed } from "./users.js";

/** A replaced IKE SA goes only when the new one carries traffic. */
const OVERLAP_MS = 500;
/** The end that did not begin the new one leaves the delete of the old one to the other for so long. */
const DEFERENCE_MS = 10_000;
/** IKE SAs of one identity that may be on their way out beyond `sasPerIdentity`. */
const LEAVING = 64;

/** Whose IKE SA it is: an identity, among those of the peer or of all peers that are for the same people. */
export function identityKey(sa: IkeSa): string | undefined {
  // With EAP, IDi is often no more than the address that a device has behind its NAT.
  const who = sa.user ?? (sa.remoteId && identificationText(sa.remoteId));
  return sa.peer && who && `${sa.peer.modeConfig?.people ?? sa.peer.id} ${who}`;
}

/** Other established IKE SAs of the same identity – or, before it is known, with the same peer. */
export function otherSas(turn: Turn, sa: IkeSa): IkeSa[] {
  const key = identityKey(sa);
  const serials = key === undefined ? turn.core.table.ofPeer(sa.peer?.id ?? "") : turn.core.table.ofIdentity(key);
  const out: IkeSa[] = [];
  for (const serial of serials) {
    const other = turn.look(serial);
    if (other && serial !== sa.serial && other.phase === "established") out.push(other);
  }
  return out;
}

/**
 * Why the one who has just proved this identity gets no further IKE SA, if so. NO_ADDITIONAL_SAS would leave him one (RFC 7296 §1.2),
 * so this is AUTHENTICATION_FAILED like any other refusal there (§2.21.2).
 */
export function refusedFurther(turn: Turn, sa: IkeSa, contact: Contact): Fault | undefined {
  const { peer } = sa;
  if (!peer) return undefined;
  if (!isMember(sa, peer)) {
    return fault("ike/not-a-user", "whoever this is, is none of the users", { facts: { ours: "its users alone" } });
  }
  if (peer.uniqueness === "never" && otherSas(turn, sa).length > 0) {
    const facts = { ours: "uniqueness never" };
    return fault("ike/authentication-failed", "this identity has an IKE SA already", { facts });
  }
  const allowed = sasAllowed(sa, peer);
  const facts = { ours: `uniqueness ${peer.uniqueness}, sasPerIdentity ${allowed}` };
  if (isCrowded(turn, sa)) {
    return fault("ike/too-many-sas", "too many IKE SAs of this identity are on their way out", { facts });
  }
  // With INITIAL_CONTACT the others go.
  if (peer.uniqueness !== "keep" || contact !== "further" || sasOfIdentity(turn, sa) < allowed) return undefined;
  if (otherSas(turn, sa).length < allowed) return undefined;
  return fault("ike/too-many-sas", "this identity has as many IKE SAs as it may", { facts });
}

/** Whether the identity has used up what it may hold here, those on their way out included: it could make more without end. */
export function isCrowded(turn: Turn, sa: IkeSa): boolean {
  const allowed = sa.peer ? sasAllowed(sa, sa.peer) : PEER_DEFAULTS.sasPerIdentity;
  return sasOfIdentity(turn, sa) >= 2 * allowed + LEAVING;
}

function sasOfIdentity(turn: Turn, sa: IkeSa): number {
  return turn.core.table.countOfIdentity(identityKey(sa) ?? "");
}

/**
 * What a new IKE SA does to others of the same identities (RFC 7296 §2.4). Two that were made at the same time, one by each
 * end, are both fine: the one with the lowest nonce goes, deleted by the end that began it, as with rekeys. Otherwise the new
 * one takes the place of the old.
 */
export function enforceUniqueness(turn: Turn, sa: IkeSa, contact: Contact): void {
  abandonAttempts(turn, sa);
  if (sa.peer?.uniqueness === "keep" && contact === "further") return;
  for (const { serial } of otherSas(turn, sa)) {
    const other = turn.edit(serial);
    if (!other) continue;
    const crossed = other.initiator !== sa.initiator && (other.establishedAt ?? 0) >= sa.createdAt;
    if (crossed) {
      const loser = isLower(sa.lowestNonce, other.lowestNonce) ? sa : other;
      supersede(turn, loser, loser.initiator);
    } else if (contact === "further") supersede(turn, other, sa.initiator);
    else forget(turn, other, contact === "initial");
  }
}

/** Our own attempts that have not sent IKE_AUTH yet would only make a second IKE SA. */
function abandonAttempts(turn: Turn, sa: IkeSa): void {
  if (sa.initiator || !sa.peer?.remote.endpoint) return;
  for (const other of turn.ofPeer(sa.peer.id)) {
    if (other.serial !== sa.serial && other.initiator && other.phase === "init") turn.drop(other);
  }
}

/** The peer does not know it any more. `lost`: nor its CHILD SAs. */
function forget(turn: Turn, loser: IkeSa, lost: boolean): void {
  loser.lost = lost;
  loser.phase = "rekeyed";
  loser.rekeyAt = undefined;
  loser.expireAt = undefined;
  loser.dropAt = turn.now + OVERLAP_MS;
}

/**
 * Another IKE SA has taken its place: `ours`, when it is for this end to delete it, soon; else this end waits for the other to do
 * so.
 */
export function supersede(turn: Turn, loser: IkeSa, ours: boolean): void {
  loser.pauseUntil = Math.max(loser.pauseUntil, turn.now + (ours ? OVERLAP_MS : DEFERENCE_MS));
  retire(turn, loser, "replaced");
}

/** Ends an IKE SA in good order; it begins nothing else any more. */
export function retire(turn: Turn, sa: IkeSa, reason: DownReason): void {
  if (!toBeDeleted(sa, reason, turn.now)) turn.drop(sa);
}
