import type { DataPlaneEvent } from "@sallyport/dataplane";
import { NETLINK, type NetlinkMessage, NetlinkSocket } from "@sallyport/linux-io";
import { isOwned, XFRM_MSG, XFRMNLGRP } from "./wire/constants.js";
import { decodeAcquire, decodeExpire, decodeMapping } from "./wire/events.js";

const MAX_KEPT = 1024;

/** Events that wait for their listener. The oldest are dropped when too many wait. */
export class EventQueue {
  readonly #kept: DataPlaneEvent[] = [];
  #listener: ((event: DataPlaneEvent) => void) | undefined;

  listen(listener: (event: DataPlaneEvent) => void): void {
    this.#listener = listener;
    for (const event of this.#kept.splice(0)) listener(event);
  }

  push(event: DataPlaneEvent): void {
    if (this.#listener) this.#listener(event);
    else if (this.#kept.push(event) > MAX_KEPT) this.#kept.shift();
  }
}

/** One multicast message as an event; undefined when it concerns no entry of ours. */
export function eventOf({ type, body }: Pick<NetlinkMessage, "type" | "body">): DataPlaneEvent | undefined {
  if (type === XFRM_MSG.acquire) {
    const asked = decodeAcquire(body);
    return asked && { on: "acquire", reqid: asked.template.reqid, ...asked };
  }
  if (type === XFRM_MSG.expire) {
    const { sa, hard } = decodeExpire(body);
    // Reservations and the kernel's own stand-ins for an SA it asked for lapse with the same message, without our mark.
    if (!isOwned(sa.user)) return undefined;
    const { destination, protocol, spi, reqid } = sa;
    return { on: "expire", sa: { destination, protocol, spi }, reqid, hard };
  }
  if (type === XFRM_MSG.mapping) return { on: "mapping-changed", ...decodeMapping(body) };
  return undefined;
}

/** Listens to the kernel; `lost` tells that events were dropped. */
export function openEvents(received: (event: DataPlaneEvent) => void, lost: () => void): NetlinkSocket {
  const groups = [XFRMNLGRP.acquire, XFRMNLGRP.expire, XFRMNLGRP.mapping];
  const socket = NetlinkSocket.open({ protocol: NETLINK.xfrm, groups });
  socket.onMulticast((message) => {
    const event = eventOf(message);
    if (event) received(event);
  }, lost);
  socket.reference(true);
  return socket;
}
