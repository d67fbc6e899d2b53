import { ENCR, ESN, GROUP, INTEG, nameOf, PRF_ID, PROTOCOL, TRANSFORM } from "./registry.js";
import type { Proposal, Transform } from "./types.js";

const ID_NAMES: Readonly<Record<number, Readonly<Record<string, number>>>> = {
  [TRANSFORM.ENCR]: ENCR,
  [TRANSFORM.PRF]: PRF_ID,
  [TRANSFORM.INTEG]: INTEG,
  [TRANSFORM.DH]: GROUP,
  [TRANSFORM.ESN]: ESN,
};
const ORDER: readonly number[] = [TRANSFORM.ENCR, TRANSFORM.INTEG, TRANSFORM.PRF, TRANSFORM.DH, TRANSFORM.ESN];

/** `AES_GCM_16_256`, `PRF_HMAC_SHA2_256`, `CURVE25519`; unknown ones as `ENCR_99` or `TRANSFORM_9_1`. */
export function transformText(t: Transform): string {
  const names = ID_NAMES[t.type];
  const type = nameOf(TRANSFORM, t.type);
  const name = names ? nameOf(names, t.id).replace(/^UNKNOWN/, type) : `TRANSFORM_${t.type}_${t.id}`;
  const bits = t.keyBits === undefined ? "" : `_${t.keyBits}`;
  return `${name}${bits}${t.unknownAttributes ? "_WITH_UNKNOWN_ATTRIBUTES" : ""}`;
}

/** All transforms by type, e.g. `AES_GCM_16_256/PRF_HMAC_SHA2_256/CURVE25519`; "no integrity" is not worth a word. */
export function proposalText(p: Pick<Proposal, "transforms">): string {
  const rank = (t: Transform) => {
    const at = ORDER.indexOf(t.type);
    return at < 0 ? ORDER.length : at;
  };
  return [...p.transforms]
    .filter((t) => t.type !== TRANSFORM.INTEG || t.id !== INTEG.NONE)
    .sort((a, b) => rank(a) - rank(b))
    .map(transformText)
    .join("/");
}

/** A whole offer: `IKE:AES_CBC_256/…, IKE:…`. */
export function proposalsText(proposals: readonly Proposal[]): string {
  return proposals.map((p) => `${nameOf(PROTOCOL, p.protocol)}:${proposalText(p)}`).join(", ");
}

/** Controls, line and paragraph separators, bidirectional overrides and what does not print: they could forge a log line. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}\\\ufffd]/gu;

/**
 * Text or octets of a peer for logs and terminals: unsafe characters as `\u{…}`, at most `maxCharacters` of input read, then `…`.
 * Octets are read as UTF-8; what is not UTF-8 comes out as `\u{fffd}`.
 */
export function printable(peer: string | Uint8Array, maxCharacters = 256): string {
  const text = typeof peer === "string" ? peer : new TextDecoder().decode(peer.subarray(0, 4 * maxCharacters));
  const characters = Array.from(text.slice(0, 2 * maxCharacters + 2));
  const shown = characters.slice(0, maxCharacters).join("");
  const more = characters.length > maxCharacters || (typeof peer !== "string" && peer.length > 4 * maxCharacters);
  const safe = shown.replace(UNSAFE, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
  return more ? `${safe}…` : safe;
}
