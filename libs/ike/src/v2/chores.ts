import type { Chore } from "./backlog.js";
import { distrustOne } from "./distrust.js";
import { enqueue } from "./queue.js";
import { reauthenticate } from "./reauth.js";
import { refresh } from "./refresh.js";
import { networkChangedFor } from "./roaming.js";
import type { IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";
import { retire } from "./unique.js";

/** Does what was decided for an IKE SA, which may have gone further meanwhile. */
export function perform(turn: Turn, sa: IkeSa, chore: Chore): void {
  switch (chore.do) {
    case "end":
      retire(turn, sa, chore.reason);
      return;
    case "distrust":
      distrustOne(turn, sa, chore.certificate, chore.failure);
      return;
    case "refresh":
      refresh(turn, sa, chore);
      return;
    default:
      if (sa.phase === "established") begin(turn, sa, chore);
  }
}

type Exchange = Exclude<Chore, { readonly do: "end" | "distrust" | "refresh" }>;

/** Nothing of this is begun on an IKE SA that does not stand any more. */
function begin(turn: Turn, sa: IkeSa, chore: Exchange): void {
  switch (chore.do) {
    case "look-again":
      networkChangedFor(turn, sa);
      return;
    case "delete-child": {
      const serials = sa.children.filter((c) => c.config.id === chore.child).map((c) => c.serial);
      if (serials.length > 0) enqueue(turn, sa, { kind: "delete-child", serials, reason: "deleted-locally" });
      return;
    }
    case "rekey-child":
      for (const { config, state, serial } of sa.children)
        if (config.id === chore.child && state === "installed") enqueue(turn, sa, { kind: "rekey-child", serial });
      return;
    case "reauthenticate": {
      const state = turn.core.peers.get(sa.peer?.id ?? "");
      if (state) reauthenticate(turn, sa, state);
      return;
    }
    case "rekey-ike":
    case "probe":
      enqueue(turn, sa, { kind: chore.do });
      return;
  }
}
