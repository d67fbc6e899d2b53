import type { PolicySpec } from "@sallyport/dataplane";
import type { IkeConfig, ShuntConfig } from "../config.js";
import { sameValue } from "./equal.js";
import type { Entries } from "./holdings.js";
import { reversed, toSelectors } from "./selectors.js";
import { hold } from "./traps.js";
import type { Turn } from "./turn.js";

/** Out, in and through: what a shunt says of packets in one direction holds for their answers too. */
function entriesOf({ action, priority, local, remote }: ShuntConfig): Entries {
  const policies = (toSelectors(local, remote) ?? []).flatMap((selector): PolicySpec[] => {
    const reverse = reversed(selector);
    return [
      { direction: "out", selector, action, priority },
      { direction: "in", selector: reverse, action, priority },
      { direction: "fwd", selector: reverse, action, priority },
    ];
  });
  return { policies, routes: [], nats: [] };
}

/** Puts new shunts in place; those that are to go are added to `gone`, for release when everything new stands. */
export function configureShunts(turn: Turn, { shunts = [] }: IkeConfig, gone: Entries[]): void {
  const { core } = turn;
  const wanted = new Map(shunts.map((s) => [s.id, s]));
  for (const [id, shunt] of [...core.shunts]) {
    if (sameValue(wanted.get(id), shunt.config)) continue;
    gone.push(shunt.entries);
    core.shunts.delete(id);
  }
  for (const config of shunts) {
    if (core.shunts.has(config.id)) continue;
    const entries = entriesOf(config);
    core.shunts.set(config.id, { config, entries });
    turn.apply(hold(core.holdings, entries));
  }
}
