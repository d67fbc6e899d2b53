import { changeChild, childBySerial } from "./child.js";
import type { Child } from "./child-sa.js";
import { sameRanges } from "./narrow.js";
import { isLower, lower } from "./new-sa.js";
import { enqueue } from "./queue.js";
import type { IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

/**
 * The peer has rekeyed a CHILD SA. When our own rekey of it is under way, both new pairs exist for a moment and the nonces
 * decide once our answer is in (RFC 7296 §2.8.1), or now when it was faster than the making of this pair.
 */
export function rivalRekey(turn: Turn, sa: IkeSa, replaced: number, by: Child): void {
  const old = childBySerial(sa, replaced);
  if (old?.state !== "installed" && old?.state !== "rekeying") {
    settleLate(turn, sa, by);
    return;
  }
  const both = sa.asking.some(({ task }) => task.kind === "rekey-child" && task.serial === replaced);
  const rivalSerial = both ? by.serial : undefined;
  supersede(turn, sa, old, { rivalSerial, replacedBy: by.serial });
}

function settleLate(turn: Turn, sa: IkeSa, by: Child): void {
  const own = sa.children.find((c) => c.ours && isTwin(c, by));
  if (!own) return;
  if (isLower(own.lowestNonce, by.lowestNonce)) yieldTo(turn, sa, own, by.serial);
  else supersede(turn, sa, by, { switchover: undefined });
}

/** Another pair has taken its place. Should the end that has to delete it not do so, this one does in the end. */
function supersede(turn: Turn, sa: IkeSa, child: Child, more: Partial<Child> = {}): void {
  const expireAt = Math.min(turn.now + PATIENCE_MS, child.expireAt ?? Number.POSITIVE_INFINITY);
  changeChild(sa, child.serial, { state: "rekeyed", rekeyAt: undefined, expireAt, ...more });
}

const PATIENCE_MS = 60_000;

/** Another pair for the same traffic. */
function isTwin(a: Child, b: Child): boolean {
  return (
    a.serial !== b.serial &&
    a.state === "installed" &&
    a.config.id === b.config.id &&
    sameRanges(a.local, b.local) &&
    sameRanges(a.remote, b.remote)
  );
}

/** Whether our rekey of `old`, which made a pair with `lowestNonce`, yields to the one that the peer began. */
export function yieldsToRival(sa: IkeSa, old: Child | undefined, lowestNonce: Uint8Array): boolean {
  const rival = old && (childBySerial(sa, old.rivalSerial)?.lowestNonce ?? nonceInTheMaking(sa, old));
  return rival !== undefined && isLower(lowestNonce, rival);
}

/** The lowest nonce of the pair that the peer's rekey of `old` is about to make: it counts before that pair stands. */
function nonceInTheMaking(sa: IkeSa, old: Child): Uint8Array | undefined {
  for (const { then } of sa.waits) {
    if ("answer" in then && then.answer.rekeys === old.serial) return lower(then.answer.ni, then.answer.nr);
  }
  return undefined;
}

/** Our rekey is done; settles who deletes what. The old pair is deleted by who made the pair that stays (RFC 7296 §2.8.1). */
export function settleRekey(turn: Turn, sa: IkeSa, old: Child, made: Child, yields: boolean): void {
  if (yields) {
    if (old.rivalSerial === undefined) changeChild(sa, old.serial, { state: "installed" });
    yieldTo(turn, sa, made, old.rivalSerial);
    return;
  }
  const rival = childBySerial(sa, old.rivalSerial);
  if (rival) supersede(turn, sa, rival, { switchover: undefined });
  supersede(turn, sa, old);
  enqueue(turn, sa, { kind: "delete-child", serials: [old.serial], reason: "replaced" });
}

/** The pair that we made goes. */
function yieldTo(turn: Turn, sa: IkeSa, own: Child, winner: number | undefined): void {
  supersede(turn, sa, own, { switchover: undefined, replacedBy: winner });
  enqueue(turn, sa, { kind: "delete-child", serials: [own.serial], reason: "replaced" });
}

/**
 * Both ends may have made the same CHILD SA at once. The pair with the lowest nonce goes, deleted by the end that made it, as
 * with rekeys; of two that one end made, the older goes.
 */
export function resolveDuplicates(turn: Turn, sa: IkeSa, made: Child): void {
  for (const other of sa.children) {
    if (!isTwin(other, made)) continue;
    const older = other.ours === made.ours || isLower(other.lowestNonce, made.lowestNonce);
    const loser = older ? other : made;
    if (loser.ours) enqueue(turn, sa, { kind: "delete-child", serials: [loser.serial], reason: "replaced" });
  }
}
