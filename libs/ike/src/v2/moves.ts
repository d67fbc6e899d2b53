import type { Endpoint } from "@sallyport/base";
import type { SaId, SaSpec } from "@sallyport/dataplane";
import type { DataPlaneOp } from "../api.js";
import { entriesFor } from "./child.js";
import { pathOf, place } from "./paths.js";
import { ikeStatus } from "./report.js";
import type { Child, IkeSa, Path } from "./sa.js";
import { hold, release } from "./traps.js";
import type { Turn } from "./turn.js";

function idOf(child: Child, direction: "in" | "out"): SaId {
  const inbound = direction === "in";
  const { local, remote } = child.path;
  return {
    destination: inbound ? local.address : remote.address,
    protocol: "esp",
    spi: inbound ? child.spiIn : child.spiOut,
  };
}

function changesAddress(a: Path, b: Path): boolean {
  return !a.local.address.equals(b.local.address) || !a.remote.address.equals(b.remote.address);
}

function relocated(spec: SaSpec, path: Path): SaSpec {
  const { encapsulation: _, ...rest } = spec;
  return { ...rest, ...place(path, "out") };
}

/** Brings the SAs of all CHILD SAs to the path of their IKE SA; does nothing to those that are there. */
export function settle(turn: Turn, sa: IkeSa): void {
  const path = pathOf(sa);
  const { holdings } = turn.core;
  const ops: DataPlaneOp[] = [];
  sa.children = sa.children.map((child) => {
    if (child.path === path) return child;
    ops.push({ op: "moveSa", args: [idOf(child, "in"), place(path, "in")] });
    if (child.sending) ops.push({ op: "moveSa", args: [idOf(child, "out"), place(path, "out")] });
    const { heldOutbound } = child;
    const moved: Child = {
      ...child,
      path,
      heldOutbound: heldOutbound && relocated(heldOutbound, path),
    };
    if (changesAddress(child.path, path)) {
      ops.push(
        ...hold(holdings, entriesFor(turn.core, sa, moved)),
        ...release(holdings, entriesFor(turn.core, sa, child)),
      );
    }
    return moved;
  });
  turn.apply(ops);
}

/** The peer speaks from another address or port: IKE and the SAs of all its CHILD SAs follow (RFC 3948 §2.3, RFC 7296 §2.23). */
export function movePeer(turn: Turn, sa: IkeSa, remote: Endpoint): void {
  const from = sa.remote;
  sa.remote = remote;
  settle(turn, sa);
  turn.emit({ event: "peer-moved", from, peer: sa.peer?.id, at: turn.now, ike: ikeStatus(sa) });
}
