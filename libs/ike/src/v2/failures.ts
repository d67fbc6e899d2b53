import { Fault } from "@sallyport/base";
import type { Failure } from "../api.js";
import type { LastError } from "../status.js";
import { NOTIFY, nameOf, proposalsText } from "../wire/index.js";
import { codeOf } from "./faults.js";
import { rangesText } from "./narrow.js";
import type { ChildOffer } from "./sa.js";
import type { Turn } from "./turn.js";

/** What happened, in the form that status and events show. */
export function errorOf(
  turn: Turn,
  exchange: string,
  cause: Fault | Failure,
  both?: { ours?: string; theirs?: string },
): LastError {
  const facts = cause instanceof Fault ? cause.facts : {};
  return {
    code: cause.code,
    message: cause.message,
    ours: both?.ours ?? facts.ours,
    theirs: both?.theirs ?? facts.theirs,
    exchange,
    at: turn.now,
  };
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
