import { NOTIFY_DATA } from "../wire/index.js";
import type { NotifyPayload, Payload } from "../wire/types.js";
import { notifyIn } from "./message.js";
import type { IkeSa } from "./sa.js";

/** What tells the peer that this end takes several requests at once (RFC 7296 §2.3). */
export function windowNotifies(sa: IkeSa): NotifyPayload[] {
  const size = sa.peer?.window ?? 1;
  return size > 1 ? [NOTIFY_DATA.SET_WINDOW_SIZE.build(size)] : [];
}

/** This end takes from now on as many requests at once as it has told; never fewer than it told before. */
export function openWindow(sa: IkeSa): void {
  const receive = Math.max(sa.window.receive, sa.peer?.window ?? 1);
  if (receive !== sa.window.receive) sa.window = { ...sa.window, receive };
}

/** The peer says how many requests it takes at once; this end makes use of as many as it would take itself. */
export function takeWindow(sa: IkeSa, payloads: readonly Payload[]): void {
  const notify = notifyIn(payloads, "SET_WINDOW_SIZE");
  if (!notify) return;
  const send = Math.max(1, Math.min(NOTIFY_DATA.SET_WINDOW_SIZE.read(notify), sa.peer?.window ?? 1));
  if (send !== sa.window.send) sa.window = { ...sa.window, send };
}

/** The same as a responder, which tells its own size to a peer that has told one. */
export function answerWindow(sa: IkeSa, payloads: readonly Payload[]): NotifyPayload[] {
  if (!notifyIn(payloads, "SET_WINDOW_SIZE")) return [];
  takeWindow(sa, payloads);
  openWindow(sa);
  return windowNotifies(sa);
}
