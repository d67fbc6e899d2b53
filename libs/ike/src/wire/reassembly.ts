import { fault } from "./faults.js";
import { LIMITS } from "./limits.js";
import type { EncryptedPayload, FragmentInfo } from "./types.js";

/** Fragments of one message that have come so far. A value: `addFragment` makes a new one. */
export interface Reassembly {
  readonly total: number;
  readonly firstPayload: number;
  readonly bytes: number;
  readonly parts: ReadonlyMap<number, Uint8Array>;
}

export interface Reassembled {
  readonly reassembly: Reassembly;
  /** Present with the last missing fragment. */
  readonly complete?: { readonly firstPayload: number; readonly plaintext: Uint8Array };
}

/**
 * Takes one opened SKF (so only authenticated octets come here), RFC 7383 §2.6. Repeated fragments and those of a smaller
 * cut are ignored, a larger cut starts over. Fault `ike/bad-fragment` for an empty one or too many octets.
 */
export function addFragment(
  before: Reassembly | undefined,
  payload: Pick<EncryptedPayload, "firstPayload"> & { readonly fragment: FragmentInfo },
  plaintext: Uint8Array,
): Reassembled {
  const { number, total } = payload.fragment;
  if (number < 1 || number > total || total > LIMITS.fragments) throw bad("SKF.number", `${number} of ${total}`);
  if (plaintext.length === 0) throw bad("SKF.data", "no octets");
  if (before && (total < before.total || (total === before.total && before.parts.has(number)))) {
    return { reassembly: before };
  }
  const kept = before?.total === total ? before : undefined;
  const bytes = (kept?.bytes ?? 0) + plaintext.length;
  if (bytes > LIMITS.reassembledBytes) throw bad("SKF.data", `${bytes} octets together`);
  const parts = new Map(kept?.parts).set(number, plaintext);
  const firstPayload = number === 1 ? payload.firstPayload : (kept?.firstPayload ?? 0);
  const reassembly = { total, firstPayload, bytes, parts };
  if (parts.size < total) return { reassembly };
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (let i = 1; i <= total; i++) {
    const part = parts.get(i);
    if (!part) continue;
    whole.set(part, at);
    at += part.length;
  }
  return { reassembly, complete: { firstPayload, plaintext: whole } };
}

function bad(field: string, value: string) {
  return fault("ike/bad-fragment", `${field}: ${value}`, {
    field,
    value,
    expected: `1 to ${LIMITS.fragments} fragments, none empty, ${LIMITS.reassembledBytes} octets together`,
  });
}
