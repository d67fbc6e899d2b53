import type { Millis } from "../api.js";
import type { DownReason } from "../status.js";
import type { IkeSa } from "./sa.js";

/** How long the end that has to delete a superfluous IKE SA may take. */
export const PATIENCE_MS = 30_000;

/** Has an IKE SA delete itself first of all and begin nothing else any more; false when there is nobody to be told of it. */
export function toBeDeleted(sa: IkeSa, reason: DownReason, now: Millis): boolean {
  if (sa.phase === "init" || sa.phase === "auth") return false;
  if (sa.phase === "deleting") return true;
  sa.phase = "rekeyed";
  sa.rekeyAt = undefined;
  sa.expireAt = undefined;
  sa.dropAt = now + PATIENCE_MS;
  sa.queue = [{ kind: "delete-ike", reason }, ...sa.queue.filter((t) => t.kind !== "delete-ike")];
  return true;
}

/** The timer by which the engine goes on with ending IKE SAs; serials begin at 1. */
export const ENDING_TIMER = 0;

/**
 * IKE SAs whose end is decided and not begun yet: to tell tens of thousands of peers takes longer than one step may. Whatever comes
 * upon one of them before its turn ends it first; to all others it is as good as gone.
 */
export class Ending {
  readonly #reasons = new Map<number, DownReason>();

  get size(): number {
    return this.#reasons.size;
  }

  /** The first reason stands. */
  add(serial: number, reason: DownReason): void {
    if (!this.#reasons.has(serial)) this.#reasons.set(serial, reason);
  }

  reasonOf(serial: number): DownReason | undefined {
    return this.#reasons.get(serial);
  }

  delete(serial: number): void {
    this.#reasons.delete(serial);
  }

  /** The next `count`, in the order of the decisions. */
  next(count: number): readonly number[] {
    const out: number[] = [];
    for (const serial of this.#reasons.keys()) {
      if (out.length === count) break;
      out.push(serial);
    }
    return out;
  }

  /** What others are to take it for: nothing is begun on it, and an attempt will come to nothing. */
  seen(sa: IkeSa): IkeSa | undefined {
    if (sa.phase === "deleting" || !this.#reasons.has(sa.serial)) return sa;
    return sa.phase === "init" || sa.phase === "auth" ? undefined : { ...sa, phase: "rekeyed" };
  }
}
