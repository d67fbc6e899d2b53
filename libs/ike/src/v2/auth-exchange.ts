import { begin, change, finish } from "./queue.js";
import type { Asking, IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

/** The next IKE_AUTH after one of ours; what is offered for the CHILD SA stands until the last one is answered. */
export function nextExchange(turn: Turn, sa: IkeSa, asking: Asking): Asking {
  finish(sa, asking);
  return change(sa, begin(turn, sa, { kind: "auth" }), { child: asking.child });
}
