import { Fault } from "@sallyport/base";
import type { Failure } from "../api.js";
import type { LastError } from "../status.js";
import { NOTIFY, nameOf } from "../wire/registry.js";
import { codeOf } from "./faults.js";
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
