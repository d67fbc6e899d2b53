import { type Endpoint, endpointText, Fault, type IpAddress, Prefix } from "@sallyport/base";
import type { Failure } from "../api.js";
import type { PeerConfig } from "../config.js";
import { bothSides } from "../failure.js";
import type { LastError } from "../status.js";
import { NOTIFY, nameOf, proposalsText } from "../wire/index.js";
import type { ChildOffer } from "./child-sa.js";
import { codeOf, fault } from "./faults.js";
import { rangesText } from "./narrow.js";
import type { IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

/** Both sides' values, as far as the cause has them. */
export function sidesOf(cause: Fault | Failure): {
  readonly ours?: string | undefined;
  readonly theirs?: string | undefined;
} {
  return cause instanceof Fault ? bothSides(cause) : cause;
}

/** Nothing came back along this way. */
export function noResponse(
  turn: Turn,
  sa: Pick<IkeSa, "local" | "remote">,
  exchange: string,
  message: string,
): LastError {
  const facts = { ours: endpointText(sa.local), theirs: endpointText(sa.remote) };
  return errorOf(turn, exchange, fault("ike/no-response", message, { facts }));
}

/** What happened, in the form that status and events show. */
export function errorOf(
  turn: Turn,
  exchange: string,
  cause: Fault | Failure,
  both?: { ours?: string; theirs?: string },
): LastError {
  const known = sidesOf(cause);
  return {
    code: cause.code,
    message: cause.message,
    ours: both?.ours ?? known.ours,
    theirs: both?.theirs ?? known.theirs,
    exchange,
    at: turn.now,
  };
}

/** Something was refused to somebody who has not been authenticated, and who may be `peer`. */
export function refusedStranger(turn: Turn, peer: PeerConfig | undefined, from: Stranger, error: LastError): void {
  const { core } = turn;
  core.refusals = [...core.refusals.slice(1 - MAX_REFUSALS), { peer: peer?.id, remote: from.remote, error }];
  if (peer) blame(turn, peer, from, error);
}

interface Stranger {
  readonly remote: Endpoint;
  /** Whether he named the identity that the peer has. */
  readonly named: boolean;
}

/**
 * What was refused to a stranger becomes the last error of `peer` only while that has no IKE SA, and – unless an identity was named
 * – only when it came from the very address that the peer is configured with: a stranger shall not write over what is known about
 * a peer. False when it does not.
 */
export function blame(turn: Turn, peer: PeerConfig, { remote, named }: Stranger, error: LastError): boolean {
  const state = turn.core.peers.get(peer.id);
  if (!state || !(named || isAt(peer, remote.address))) return false;
  if (turn.ofPeer(peer.id).some((sa) => sa.phase === "established")) return false;
  state.lastError = error;
  return true;
}

const MAX_REFUSALS = 16;

function isAt({ remote }: PeerConfig, address: IpAddress): boolean {
  const { endpoint, accept } = remote;
  return (
    endpoint?.address.equals(address) || accept.some((p) => p.equals(Prefix.of(address, address.bytes.length * 8)))
  );
}

/** The peer answered with an error notification; `ours` is what it refused. */
export function refusedBy(turn: Turn, exchange: string, notify: number, ours?: string): LastError {
  const theirs = nameOf(NOTIFY, notify);
  return { code: codeOf(notify), message: `the peer answered ${theirs}`, ours, theirs, exchange, at: turn.now };
}

/** The peer refused a CHILD SA: `ours` are the selectors or the proposals that we offered, whichever it was about. */
export function childRefused(
  turn: Turn,
  exchange: string,
  notify: number,
  offer: Pick<ChildOffer, "local" | "remote" | "proposals">,
): LastError {
  const aboutTs = notify === NOTIFY.TS_UNACCEPTABLE || notify === NOTIFY.SINGLE_PAIR_REQUIRED;
  const selectors = `${rangesText(offer.local)} === ${rangesText(offer.remote)}`;
  return refusedBy(turn, exchange, notify, aboutTs ? selectors : proposalsText(offer.proposals));
}
