import type { Fault } from "@sallyport/base";
import type { Failure } from "../api.js";
import type { PeerConfig } from "../config.js";
import type { LastError } from "../status.js";
import { notification, proposalsText } from "../wire/index.js";
import type { Identification, Payload } from "../wire/types.js";
import { errorOf, refusedStranger, sidesOf } from "./failures.js";
import { fault } from "./faults.js";
import { identificationText, identityAllowed, whoIs } from "./identity.js";
import { respond } from "./message.js";
import { expectedProof } from "./proof.js";
import { ikeProposals } from "./proposals.js";
import { suiteText } from "./report.js";
import type { IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

/** How long a refused IKE SA repeats its answer. */
const REFUSED_MS = 10_000;

export function isNamed({ remoteAuth: [round], remote }: PeerConfig, id: Identification): boolean {
  return identityAllowed(round.identity, round.method, remote.endpoint, id);
}

/** Whom EAP has authenticated, or is about to: IDi is often no more than the address that a device has behind its NAT. */
function userOf({ user, handshake }: IkeSa): string | undefined {
  const eap = handshake?.proving.eap;
  return user ?? (eap?.role === "server" ? eap.state.claimed.text : undefined);
}

/** What status, events and counters say of it; the peer learns no reason (RFC 7296 §2.21.2). */
export function reportRefusal(
  turn: Turn,
  sa: IkeSa,
  peer: PeerConfig | undefined,
  id: Identification | undefined,
  cause: Fault | Failure,
): LastError {
  turn.count("authentication-failed");
  const { ours = peer && expectedProof(sa, peer) } = sidesOf(cause);
  const theirs = `${id ? identificationText(id) : "?"}${theirsOf(cause)}`;
  const error = errorOf(turn, "IKE_AUTH", cause, { ...(ours === undefined ? {} : { ours }), theirs });
  const named = peer !== undefined && id !== undefined && isNamed(peer, id);
  refusedStranger(turn, peer, { remote: sa.remote, named }, error);
  const refused = whoIs({ user: userOf(sa), remoteId: id });
  turn.emit({ event: "auth-failed", peer: peer?.id, remote: sa.remote, error, refused, at: turn.now });
  return error;
}

/** AUTHENTICATION_FAILED – or `answer`: EAP-Failure – and nothing else, repeated for a while to whoever asks again. */
export function endRefused(turn: Turn, sa: IkeSa, answer: Payload = notification("AUTHENTICATION_FAILED")): void {
  respond(turn, sa, [answer]);
  sa.phase = "deleting";
  sa.handshake = undefined;
  sa.dropAt = turn.now + REFUSED_MS;
}

export function refuse(
  turn: Turn,
  sa: IkeSa,
  peer: PeerConfig | undefined,
  id: Identification | undefined,
  cause: Fault | Failure,
  answer?: Payload,
): void {
  reportRefusal(turn, sa, peer, id, cause);
  endRefused(turn, sa, answer);
}

/**
 * Who the caller says it is, when that is somebody whose proposals its own did not fit, so that only another connection, perhaps of a
 * wider range of addresses, has answered.
 */
export function passedOver(turn: Turn, { local, remote, suite }: IkeSa, id: Identification) {
  const peer = turn.core.index.candidates(local, remote).find((p) => isNamed(p, id));
  if (!peer || !suite) return undefined;
  const facts = { ours: proposalsText(ikeProposals(peer.proposals)), theirs: suiteText(suite) };
  const cause = fault("ike/no-proposal-chosen", "its proposals fit another connection and not this one", { facts });
  return { peer, cause };
}

/** Refuses who has proved that he is `peer`, so that it is the peer's last error whatever else the peer has. */
export function refuseProven(turn: Turn, sa: IkeSa, peer: PeerConfig, cause: Fault): void {
  const error = reportRefusal(turn, sa, peer, sa.remoteId, cause);
  const state = turn.core.peers.get(peer.id);
  if (state) state.lastError = error;
  endRefused(turn, sa);
}

function theirsOf(cause: Fault | Failure): string {
  const theirs = cause.code === "ike/identity-mismatch" ? undefined : sidesOf(cause).theirs;
  return theirs ? ` by ${theirs}` : "";
}
