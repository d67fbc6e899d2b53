import type { Refresh } from "./backlog.js";
import { childChange } from "./changes.js";
import { entriesFor } from "./child.js";
import type { Child } from "./child-sa.js";
import { isBelieved } from "./evidence.js";
import type { Entries } from "./holdings.js";
import { disown, ensure } from "./lifecycle.js";
import { enqueue } from "./queue.js";
import { changeAuthentication } from "./reauth.js";
import { lookAgain } from "./roaming.js";
import type { IkeSa } from "./sa.js";
import { hold, release } from "./traps.js";
import type { Turn } from "./turn.js";
import { identityKey, retire } from "./unique.js";
import { isMember, reachesNoFurther } from "./users.js";

/** A standing IKE SA takes over the configuration of its peer; one that rests on what is not accepted any more goes. */
export function refresh(turn: Turn, sa: IkeSa, { stale, rekey, moves }: Refresh): void {
  const { core } = turn;
  const config = core.peers.get(sa.peer?.id ?? "")?.config;
  if (!config) return;
  if (moves) relocate(turn, sa);
  const before = sa.peer ?? config;
  sa.peer = config;
  if (sa.identity !== undefined) sa.identity = identityKey(sa);
  const isIn = sa.phase !== "established" || isMember(sa, config);
  if (!isIn || !isBelieved(sa, config, core.config)) {
    disown(turn, sa);
    ensure(turn, config.id);
    return;
  }
  if (sa.phase === "established") {
    if (before.window !== config.window) enqueue(turn, sa, { kind: "window" });
    changeAuthentication(turn, sa, before, config);
  }
  const deleted = refreshChildren(turn, sa, stale);
  // Their heirs are made first.
  ensure(turn, config.id);
  if (deleted.length > 0) enqueue(turn, sa, { kind: "delete-child", serials: deleted, reason: "config-changed" });
  if (rekey && sa.phase === "established") enqueue(turn, sa, { kind: "rekey-ike" });
}

/** This end has another address: an IKE SA that can move does, another has to be made anew from there. */
function relocate(turn: Turn, sa: IkeSa): void {
  if (!sa.mobike) retire(turn, sa, "config-changed");
  else if (sa.mobike.decides && sa.phase === "established") lookAgain(turn, sa);
}

/** Gives those that have to go. */
function refreshChildren(turn: Turn, sa: IkeSa, stale: readonly string[]): number[] {
  const { core } = turn;
  const deleted: number[] = [];
  const gone: Entries[] = [];
  sa.children = sa.children.map((child) => {
    const next = sa.peer?.children.find((c) => c.id === child.config.id) ?? child.config;
    if (stale.includes(child.config.id) || !reachesNoFurther(sa, child, next)) {
      deleted.push(child.serial);
      return { ...child, state: "rekeyed", rekeyAt: undefined };
    }
    const change = childChange(child.config, next);
    const kept: Child = { ...child, config: next };
    if (change === "rekey" && child.state === "installed")
      enqueue(turn, sa, { kind: "rekey-child", serial: child.serial });
    if (change === "keep") return kept;
    turn.apply(hold(core.holdings, entriesFor(core, sa, kept)));
    gone.push(entriesFor(core, sa, child));
    return kept;
  });
  // Last, so that a policy that is wanted again is never away and no packet leaves in clear.
  for (const entries of gone) turn.apply(release(core.holdings, entries));
  return deleted;
}
