import type { SimPeer } from "@sallyport/testkit";
import { holds } from "./input.ts";

/** What holds of an engine whatever came in: no exception of its own, and nothing that has grown beyond its bounds. */
export function orderly(peer: SimPeer): void {
  const [error] = peer.of("internal-error");
  holds(error === undefined, () => `${peer.name}: ${error?.input}: ${error?.code}: ${error?.message}`);
  const { ikeSas, waiting, held } = peer.engine.sizes();
  holds(ikeSas <= 64 && waiting <= 64 && held <= 512, () => `${peer.name}: ${ikeSas}, ${waiting}, ${held}`);
  JSON.stringify(peer.engine.status(), (_, value) => (typeof value === "bigint" ? String(value) : value));
}
