import type { Endpoint } from "@sallyport/base";
import type { SaId, SaSpec } from "@sallyport/dataplane";
import type { DataPlaneOp } from "../api.js";
import { isTaken } from "./affordable.js";
import { entriesFor } from "./child.js";
import type { Child, Path } from "./child-sa.js";
import { resendAfter } from "./message.js";
import { pathOf, place, sameEndpoint } from "./paths.js";
import { change, enqueue } from "./queue.js";
import { ikeStatus } from "./report.js";
import type { From, IkeSa, Standing } from "./sa.js";
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

export function isOn(sa: From, from: From): boolean {
  return sameEndpoint(sa.local, from.local) && sameEndpoint(sa.remote, from.remote);
}

/** Where CHILD SAs are while the IKE SA goes elsewhere. */
export function standing({ mobike, local, remote, nat }: IkeSa): Standing {
  return mobike?.before ?? { local, remote, nat };
}

/** Requests that wait for an answer go out again at once, over the path in use; not those that have just gone. */
export function resendNow(turn: Turn, sa: IkeSa): void {
  for (const asking of sa.asking) {
    if (asking.mid === undefined || asking.answered) continue;
    const after = resendAfter(sa, asking.tries);
    if (turn.now - (asking.resendAt - after) < RESEND_MS) continue;
    change(sa, asking, { resendAt: turn.now + after });
    turn.count("retransmissions");
    turn.send(sa, asking.datagrams);
  }
}

const RESEND_MS = 100;

/** A move of the IKE SA is agreed on: CHILD SAs follow. */
export function confirmMove(turn: Turn, sa: IkeSa): void {
  const before = sa.mobike?.before;
  if (!sa.mobike || !before) return;
  sa.mobike = { ...sa.mobike, before: undefined };
  const about = { peer: sa.peer?.id, at: turn.now, ike: ikeStatus(sa) };
  if (!sameEndpoint(before.local, sa.local)) turn.emit({ event: "moved", from: before.local, ...about });
  if (!sameEndpoint(before.remote, sa.remote)) turn.emit({ event: "peer-moved", from: before.remote, ...about });
}

/** Brings the SAs of all CHILD SAs to the path of their IKE SA; does nothing to those that are there. */
export function settle(turn: Turn, sa: IkeSa): void {
  if (sa.children.length === 0) return;
  const path = pathOf(sa);
  const { holdings } = turn.core;
  const ops: DataPlaneOp[] = [];
  const outlived: number[] = [];
  sa.children = sa.children.map((child) => {
    if (child.path === path) return child;
    const others = changesAddress(child.path, path) && isTaken(turn, path.remote.address, child.spiOut, child.serial);
    if (others || (child.mode === "transport" && changesAddress(child.path, path))) {
      outlived.push(child.serial);
      return child;
    }
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
  // Transport mode protects the packets between two addresses; between others it takes another CHILD SA (RFC 4555 §1.3). So it does
  // where the SPI is another's at the new address.
  if (outlived.length > 0) enqueue(turn, sa, { kind: "delete-child", serials: outlived, reason: "failed" });
}

/** The peer speaks from another address or port: IKE and the SAs of all its CHILD SAs follow (RFC 3948 §2.3, RFC 7296 §2.23). */
export function movePeer(turn: Turn, sa: IkeSa, remote: Endpoint): void {
  const from = sa.remote;
  sa.remote = remote;
  turn.emit({ event: "peer-moved", from, peer: sa.peer?.id, at: turn.now, ike: ikeStatus(sa) });
}
