import { notification } from "../wire/index.js";
import type { Payload } from "../wire/types.js";
import type { PeerState } from "./core.js";
import { all, notifyIn } from "./message.js";
import type { Turn } from "./turn.js";

/**
 * What an initiator says of earlier SAs between the same identities. `initial`: it has none, neither IKE SAs (RFC 7296 §2.4) nor what they had made.
 * `resumed`: no IKE SAs, but CHILD SAs of its earlier run still carry packets. `further`: nothing.
 */
export type Contact = "further" | "initial" | "resumed";

/** A vendor ID (RFC 7296 §3.12), beside INITIAL_CONTACT, which speaks of IKE SAs only. Others do not know it, and ignore it. */
const KEPT = new TextEncoder().encode("Sallyport: CHILD SAs kept over a restart");

/** What this end has to say who has no other IKE SA with the peer. */
export function firstContact(turn: Turn, { children }: PeerState): Contact {
  const { orphans } = turn.core;
  for (const { reqid } of children.values()) if (orphans.get(reqid)?.sas.length) return "resumed";
  return "initial";
}

/** How an initiator says it: a notification, and at the end of its first IKE_AUTH a vendor ID. */
export function contactPayloads(contact: Contact): { readonly notifies: Payload[]; readonly vendor: Payload[] } {
  return {
    notifies: contact === "further" ? [] : [notification("INITIAL_CONTACT")],
    vendor: contact === "resumed" ? [{ kind: "V", data: KEPT }] : [],
  };
}

/** What the first IKE_AUTH of a peer says. */
export function contactOf(first: readonly Payload[]): Contact {
  if (!notifyIn(first, "INITIAL_CONTACT")) return "further";
  return all(first, "V").some(({ data }) => isKept(data)) ? "resumed" : "initial";
}

function isKept(data: Uint8Array): boolean {
  return data.length === KEPT.length && data.every((octet, i) => octet === KEPT[i]);
}
