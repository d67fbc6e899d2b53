import type { SaState } from "@sallyport/dataplane";
import type { DataPlaneOp } from "../api.js";
import { changeChild, childBySerial, inboundId, removeOut } from "./child.js";
import type { Child } from "./child-sa.js";
import { sameRanges } from "./narrow.js";
import type { IkeSa, Outcome } from "./sa.js";
import type { Turn } from "./turn.js";

/** From here on packets leave on the new SA: its outbound half is added, that of the old pair removed. */
export function switchOutbound(turn: Turn, sa: IkeSa, to: Child, from: Child | undefined): void {
  const ops: DataPlaneOp[] = [];
  if (to.heldOutbound) ops.push({ op: "installSa", args: [to.heldOutbound] });
  if (from?.sending) ops.push(removeOut(from));
  turn.apply(ops);
  changeChild(sa, to.serial, { heldOutbound: undefined, switchover: undefined, sending: true });
  if (from) changeChild(sa, from.serial, { sending: false });
}

/** What two CHILD SAs for the same packets have in common. */
type Carried = Pick<Child, "config" | "local" | "remote">;

function isSame(a: Carried, b: Carried): boolean {
  return a.config.id === b.config.id && sameRanges(a.local, b.local) && sameRanges(a.remote, b.remote);
}

/** Pairs on which the packets of `carried` leave under other IKE SAs of the same identity. */
function sendersBeside(turn: Turn, sa: IkeSa, carried: Carried): { readonly by: IkeSa; readonly child: Child }[] {
  const out: { by: IkeSa; child: Child }[] = [];
  for (const serial of turn.core.table.ofIdentity(sa.identity ?? "")) {
    const by = serial === sa.serial ? undefined : turn.look(serial);
    for (const child of by?.children ?? []) if (by && child.sending && isSame(child, carried)) out.push({ by, child });
  }
  return out;
}

/** Whether packets still reach the peer on an older pair, so that the new one may wait until the peer has it. */
export function takesOver(turn: Turn, sa: IkeSa, carried: Carried): boolean {
  return sendersBeside(turn, sa, carried).some(({ by }) => !by.lost);
}

/** `child` is there: no packet leaves any more on what the peer has lost. */
export function leaveLost(turn: Turn, sa: IkeSa, child: Child): void {
  for (const { by, child: old } of sendersBeside(turn, sa, child)) {
    const lost = by.lost ? turn.edit(by.serial) : undefined;
    if (!lost) continue;
    turn.apply([removeOut(old)]);
    changeChild(lost, old.serial, { sending: false });
  }
}

/**
 * `child` is about to go: the pair for the same packets under an IKE SA in the place of `sa` holds its outbound half back no longer. A
 * peer that deletes the old one has the new one.
 */
export function passOn(turn: Turn, sa: IkeSa, child: Child): void {
  if (!child.sending) return;
  for (const serial of turn.core.table.ofIdentity(sa.identity ?? "")) {
    if (serial === sa.serial || !heldFor(child, turn.look(serial))) continue;
    const other = turn.edit(serial);
    const held = heldFor(child, other);
    if (other && held) switchOutbound(turn, other, held, undefined);
  }
}

/** The pair of `sa` that will carry the packets of `child` and does not yet. */
function heldFor(child: Child, sa: IkeSa | undefined): Child | undefined {
  const same = sa?.children.filter((c) => isSame(c, child));
  if (!same || same.some((c) => c.sending)) return undefined;
  return same.find((c) => c.heldOutbound && (c.state === "installed" || c.state === "rekeying"));
}

/** Sends on the new SA when the time has come, or looks whether it may already. */
export function dueSwitchover(turn: Turn, sa: IkeSa, { serial, switchover, establishedAt }: Child): void {
  const { now } = turn;
  if (!switchover) return;
  if (switchover.at <= now) {
    switchTo(turn, sa, serial);
    return;
  }
  const child = childBySerial(sa, serial);
  if (!child || switchover.lookAt === undefined || switchover.lookAt > now) return;
  // Each look is twice as late as the one before: usually the Delete of the old pair is there before the first.
  changeChild(sa, serial, { switchover: { ...switchover, lookAt: 2 * now - establishedAt } });
  turn.inspect(sa, [{ op: "querySa", args: [inboundId(child)] }], { go: "looked", serial });
}

/** A packet of the peer on the new SA shows that the peer has it too (RFC 7296 §2.8). */
export function looked(turn: Turn, sa: IkeSa, serial: number, outcome: Outcome): void {
  if (!outcome.ok || !childBySerial(sa, serial)?.switchover) return;
  const [state] = (outcome.values ?? []) as readonly (SaState | undefined)[];
  if (state && state.packets > 0n) switchTo(turn, sa, serial);
}

function switchTo(turn: Turn, sa: IkeSa, serial: number): void {
  const child = childBySerial(sa, serial);
  if (child?.state === "installed" || child?.state === "rekeying")
    switchOutbound(turn, sa, child, replacedBy(sa, serial));
  else changeChild(sa, serial, { switchover: undefined });
}

const replacedBy = (sa: IkeSa, serial: number) => sa.children.find((c) => c.replacedBy === serial);
