import { DEFAULT_LIMITS } from "@sallyport/ike";
import type { SimPeer } from "@sallyport/testkit";
import { holds } from "./input.ts";

/** Three policies and a route for each selector that a peer may make, and what the few configured ones need. */
const HELD = 4 * DEFAULT_LIMITS.selectorsPerSa + 64;

/** What holds of an engine whatever came in: no exception of its own, and nothing that has grown beyond its bounds. */
export function orderly(peer: SimPeer): void {
  const [error] = peer.of("internal-error");
  holds(error === undefined, () => `${peer.name}: ${error?.input}: ${error?.code}: ${error?.message}`);
  const sizes = peer.engine.sizes();
  const { ikeSas, waiting, held, generated } = sizes;
  const children = peer.engine.status().peers.flatMap((p) => p.sas.flatMap((sa) => sa.children)).length;
  const bounded = ikeSas <= 64 && waiting <= 64 && held <= HELD && generated <= children + waiting;
  holds(bounded, () => `${peer.name}: ${children} children, ${JSON.stringify(sizes)}`);
  JSON.stringify(peer.engine.status(), (_, value) => (typeof value === "bigint" ? String(value) : value));
}
