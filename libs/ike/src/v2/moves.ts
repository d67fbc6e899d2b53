import type { Endpoint } from "@sallyport/base";
import type { SaId, SaSpec } from "@sallyport/dataplane";
import type { DataPlaneOp } from "../api.js";
import { entriesFor } from "./child.js";
import { encapsulates } from "./nat.js";
import { ikeStatus } from "./report.js";
import type { Child, IkeSa } from "./sa.js";
import { hold, release } from "./traps.js";
import type { Turn } from "./turn.js";

type Place = Pick<SaSpec, "source" | "destination" | "encapsulation">;

function place(sa: IkeSa, direction: "in" | "out"): Place {
  const [from, to] = direction === "in" ? [sa.remote, sa.local] : [sa.local, sa.remote];
  return {
    source: from.address,
    destination: to.address,
    ...(encapsulates(sa) ? { encapsulation: { sourcePort: from.port, destinationPort: to.port } } : {}),
  };
}

function idOf(sa: IkeSa, child: Child, direction: "in" | "out"): SaId {
  const inbound = direction === "in";
  return {
    destination: inbound ? sa.local.address : sa.remote.address,
    protocol: "esp",
    spi: inbound ? child.spiIn : child.spiOut,
  };
}

/** The peer speaks from another address or port: IKE and the SAs of all its CHILD SAs follow (RFC 3948 §2.3, RFC 7296 §2.23). */
export function movePeer(turn: Turn, sa: IkeSa, remote: Endpoint): void {
  const from = sa.remote;
  const before = sa.children.map((child) => ({
    child,
    out: idOf(sa, child, "out"),
    in_: idOf(sa, child, "in"),
    entries: entriesFor(turn, sa, child),
  }));
  sa.remote = remote;
  const ops: DataPlaneOp[] = [];
  const { holdings } = turn.core;
  const elsewhere = !from.address.equals(remote.address);
  for (const { child, out, in_, entries } of before) {
    ops.push({ op: "moveSa", args: [in_, place(sa, "in")] });
    if (child.sending) ops.push({ op: "moveSa", args: [out, place(sa, "out")] });
    if (elsewhere) ops.push(...hold(holdings, entriesFor(turn, sa, child)), ...release(holdings, entries));
  }
  sa.children = sa.children.map((c) =>
    c.heldOutbound ? { ...c, heldOutbound: { ...c.heldOutbound, ...place(sa, "out") } } : c,
  );
  turn.apply(ops);
  turn.emit({ event: "peer-moved", from, peer: sa.peer?.id, at: turn.now, ike: ikeStatus(sa) });
}
