import type { Failure } from "../api.js";
import type { DownReason } from "../status.js";
import { sameValue } from "./equal.js";
import type { IkeSa } from "./sa.js";

/** What is decided for one IKE SA. */
export type Chore =
  | { readonly do: "end"; readonly reason: DownReason }
  /** The certificate by which the peer proved itself is not believed any more, for what `failure` says. */
  | { readonly do: "distrust"; readonly certificate: string; readonly failure: Failure }
  | Refresh
  /** This machine's addresses or routes have changed. */
  | { readonly do: "look-again" }
  /** `child`: by its configuration's id. */
  | { readonly do: "delete-child"; readonly child: string }
  | { readonly do: "rekey-child"; readonly child: string }
  | { readonly do: "rekey-ike" }
  | { readonly do: "reauthenticate" }
  | { readonly do: "probe" };

/** Takes over the configuration that holds by then. */
export interface Refresh {
  readonly do: "refresh";
  /** Ids of children whose CHILD SAs go. */
  readonly stale: readonly string[];
  /** New keys are wanted. */
  readonly rekey: boolean;
  /** This end has another address. */
  readonly moves: boolean;
}

/** The timer by which the engine goes on with its backlog; serials begin at 1. */
export const BACKLOG_TIMER = 0;

const NONE: readonly Chore[] = [];

/**
 * What is decided for IKE SAs and not done yet: to do it for tens of thousands takes longer than one step may. Whatever comes upon one
 * of them before its turn does it first; to all others it is as if it were done, as far as they have to know.
 */
export class Backlog {
  readonly #chores = new Map<number, readonly Chore[]>();
  /** The same for all that have nothing else to do. */
  #alone: readonly Chore[] = NONE;

  /** IKE SAs. */
  get size(): number {
    return this.#chores.size;
  }

  /** Of several ends the first reason stands. */
  add(serial: number, chore: Chore): void {
    const before = this.of(serial);
    if (before.length === 0) {
      if (this.#alone[0] !== chore) this.#alone = [chore];
      this.#chores.set(serial, this.#alone);
    } else if (!before.some((c) => (c.do === "end" && chore.do === "end") || sameValue(c, chore)))
      this.#chores.set(serial, [...before, chore]);
  }

  /** In the order of the decisions. */
  of(serial: number): readonly Chore[] {
    return this.#chores.get(serial) ?? NONE;
  }

  delete(serial: number): void {
    this.#chores.delete(serial);
  }

  /** The next `count` IKE SAs, in the order of the decisions. */
  next(count: number): readonly number[] {
    const out: number[] = [];
    for (const serial of this.#chores.keys()) {
      if (out.length === count) break;
      out.push(serial);
    }
    return out;
  }

  /** What others are to take it for: nothing is begun on one that goes, and an attempt will come to nothing. */
  seen(sa: IkeSa): IkeSa | undefined {
    if (sa.phase === "deleting") return sa;
    let out: IkeSa | undefined = sa;
    for (const chore of this.of(sa.serial)) {
      if (chore.do === "end" || chore.do === "distrust") out = out && leaving(out);
      else if (chore.do === "delete-child") out = out && without(out, chore.child);
    }
    return out;
  }
}

function leaving(sa: IkeSa): IkeSa | undefined {
  return sa.phase === "init" || sa.phase === "auth" ? undefined : { ...sa, phase: "rekeyed" };
}

function without(sa: IkeSa, child: string): IkeSa {
  return { ...sa, children: sa.children.map((c) => (c.config.id === child ? { ...c, state: "deleting" } : c)) };
}
