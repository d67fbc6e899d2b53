import type { DhGroup } from "../crypto/types.js";
import type { DownReason } from "../status.js";
import type { PacketSelector } from "./child-sa.js";

/** An exchange that this end begins. */
export type Task =
  | { readonly kind: "init" }
  | { readonly kind: "auth" }
  | ({ readonly kind: "create-child"; readonly child: string; readonly packet?: PacketSelector } & Again)
  | ({ readonly kind: "rekey-child"; readonly serial: number } & Again)
  | { readonly kind: "delete-child"; readonly serials: readonly number[]; readonly reason: DownReason }
  /** Tells the peer that a CHILD SA which it has made was not taken. */
  | { readonly kind: "reject-child"; readonly spiIn: number }
  | ({ readonly kind: "rekey-ike" } & Again)
  | { readonly kind: "delete-ike"; readonly reason: DownReason }
  | { readonly kind: "report"; readonly notify: number }
  /** Tells the peer how long it is trusted (RFC 4478). */
  | { readonly kind: "lifetime" }
  /** Tells the peer of a request outside the window. */
  | { readonly kind: "wrong-mid"; readonly mid: number }
  /** Tells the peer how many requests may be under way at once (RFC 7296 §2.3). */
  | { readonly kind: "window" }
  | { readonly kind: "probe" }
  /** RFC 4555: we are here now; we can be reached here as well; are you there? */
  | { readonly kind: "update-addresses" }
  | { readonly kind: "tell-addresses" }
  | { readonly kind: "check-route" };
export type TaskKind = Task["kind"];

/** What INVALID_KE_PAYLOAD has taught: the group to begin with, and how often that happened in a row (RFC 7296 §1.3). */
export interface Again {
  readonly group?: DhGroup;
  readonly groupChanges?: number;
}
