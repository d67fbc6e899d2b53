import type { Fault } from "@sallyport/base";
import type { PeerConfig, PpkConfig } from "../config.js";
import { mixPpk } from "../crypto/index.js";
import type { IkeKeys } from "../crypto/types.js";
import { NOTIFY_DATA, notification, printable } from "../wire/index.js";
import { PPK_ID } from "../wire/registry.js";
import type { AuthPayload, NotifyPayload, Payload } from "../wire/types.js";
import { sameOctets } from "./credentials.js";
import { fault } from "./faults.js";
import { changeProving, handshakeOf } from "./handshake.js";
import { notifyIn } from "./message.js";
import type { IkeSa } from "./sa.js";

/** The keys of IKE_SA_INIT with a PPK mixed in (RFC 8784 §3). */
function mixed(sa: IkeSa, { secret }: PpkConfig): IkeKeys {
  if (!sa.keys || !sa.suite) throw fault("ike/unexpected", "no keys yet");
  return mixPpk(sa.suite.prf, secret, sa.keys);
}

function use(sa: IkeSa, ppk: PpkConfig): void {
  sa.keys = mixed(sa, ppk);
  sa.ppk = printable(ppk.id);
}

export function ppkText(ppk: PpkConfig | undefined): string {
  return ppk ? `PPK ${printable(ppk.id)}${ppk.required ? ", required" : ""}` : "no PPK";
}

function mismatch(message: string, ours: PpkConfig | undefined, theirs: string): Fault {
  return fault("ike/ppk-mismatch", message, { facts: { ours: ppkText(ours), theirs } });
}

/** IKE_SA_INIT has been answered: a responder without PPKs will not do for one that is required. */
export function refusesWithoutPpk(sa: IkeSa): Fault | undefined {
  const ppk = sa.peer?.ppk;
  if (!ppk?.required || handshakeOf(sa).proving.ppk !== "none") return undefined;
  return mismatch("the peer takes no PPK", ppk, "no PPK");
}

/** What keys our own next proof. An initiator goes ahead with the PPK before the responder has taken it. */
export function ownKeys(sa: IkeSa): IkeKeys {
  const ppk = sa.peer?.ppk;
  if (!sa.keys) throw fault("ike/unexpected", "no keys yet");
  return ppk && isOffered(sa) ? mixed(sa, ppk) : sa.keys;
}

/** Whether our next AUTH is the initiator's that names the PPK. */
function isOffered(sa: IkeSa): boolean {
  return sa.initiator && handshakeOf(sa).proving.ppk === "offered";
}

/** Whether an initiator's AUTH goes with another one without the PPK, for a responder that does not know it. */
export function wantsPlainProof(sa: IkeSa): boolean {
  return isOffered(sa) && sa.peer?.ppk?.required === false;
}

/** What names the PPK beside an initiator's AUTH; `plain` is AUTH data without it. */
export function namePpk(sa: IkeSa, plain: Uint8Array | undefined): NotifyPayload[] {
  const ppk = sa.peer?.ppk;
  if (!ppk || !isOffered(sa)) return [];
  changeProving(sa, { ppk: "sent" });
  const named = NOTIFY_DATA.PPK_IDENTITY.build({ type: PPK_ID.FIXED, id: ppk.id });
  return plain ? [named, NOTIFY_DATA.NO_PPK_AUTH.build(plain)] : [named];
}

/** The responder's first AUTH after the PPK was named: it says whether it has taken it. */
export function settlePpk(sa: IkeSa, payloads: readonly Payload[]): Fault | undefined {
  const ppk = sa.peer?.ppk;
  if (!ppk || handshakeOf(sa).proving.ppk !== "sent") return undefined;
  if (notifyIn(payloads, "PPK_IDENTITY")) {
    use(sa, ppk);
    changeProving(sa, { ppk: "used" });
    return undefined;
  }
  changeProving(sa, { ppk: "none" });
  return ppk.required ? mismatch("the peer does not use the PPK", ppk, "no PPK") : undefined;
}

/** By which keys, and against which AUTH data, an initiator's proof is to be judged. */
export interface Judged {
  readonly keys: IkeKeys;
  readonly auth: AuthPayload;
  /** The PPK is in these keys and not in those of the IKE SA. */
  readonly ppk: boolean;
}

/** What a responder with the configuration of `peer` makes of an initiator's AUTH (RFC 8784 §3, table 2). */
export function judgePpk(
  sa: IkeSa,
  { ppk }: PeerConfig,
  payloads: readonly Payload[],
  auth: AuthPayload,
): Judged | { readonly refusal: Fault } {
  const state = handshakeOf(sa).proving.ppk;
  if (!sa.keys) throw fault("ike/unexpected", "no keys yet");
  const plain = { keys: sa.keys, auth, ppk: false };
  if (state === "used" || state === "taken") return plain;
  const notify = state === "offered" ? notifyIn(payloads, "PPK_IDENTITY") : undefined;
  const named = notify && NOTIFY_DATA.PPK_IDENTITY.read(notify);
  if (!named) return ppk?.required ? { refusal: mismatch("the peer uses no PPK", ppk, "no PPK") } : plain;
  if (ppk && named.type === PPK_ID.FIXED && sameOctets(named.id, ppk.id)) {
    return { keys: mixed(sa, ppk), auth, ppk: true };
  }
  const without = notifyIn(payloads, "NO_PPK_AUTH");
  if (without && !ppk?.required) return { ...plain, auth: { ...auth, data: NOTIFY_DATA.NO_PPK_AUTH.read(without) } };
  const theirs = `PPK ${printable(named.id)}${without ? "" : ", required"}`;
  return { refusal: mismatch("the peer names another PPK", ppk, theirs) };
}

/** The initiator's proof was good. With a PPK, that is in the keys from now on. */
export function takePpk(sa: IkeSa, { ppk }: PeerConfig, used: boolean): void {
  if (!used || !ppk) {
    if (handshakeOf(sa).proving.ppk === "offered") changeProving(sa, { ppk: "none" });
    return;
  }
  use(sa, ppk);
  changeProving(sa, { ppk: "taken" });
}

/** What says so, once, beside our own AUTH. */
export function confirmPpk(sa: IkeSa): NotifyPayload[] {
  if (handshakeOf(sa).proving.ppk !== "taken") return [];
  changeProving(sa, { ppk: "used" });
  return [notification("PPK_IDENTITY")];
}
