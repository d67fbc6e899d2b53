import { ENCRYPTION, type EncryptionAlgorithm, INTEGRITY, type IntegrityAlgorithm } from "@sallyport/base";
import { ESN, INTEG, nameOf, PROTOCOL, TRANSFORM } from "../wire/registry.js";
import { proposalText, transformText } from "../wire/text.js";
import type { Proposal, Transform } from "../wire/types.js";
import { DH, dhGroupOf, PRF, prfOf } from "./algorithms.js";
import { fault } from "./faults.js";
import type { ChildSuite, IkeSuite } from "./types.js";

const encryptions = Object.entries(ENCRYPTION) as [EncryptionAlgorithm, (typeof ENCRYPTION)[EncryptionAlgorithm]][];
const integrities = Object.entries(INTEGRITY) as [IntegrityAlgorithm, (typeof INTEGRITY)[IntegrityAlgorithm]][];

/** The cipher that a transform names; undefined when unknown or when its Key Length is missing, wrong or out of place. */
export function encryptionOf(t: Transform): { encryption: EncryptionAlgorithm; keyBits: number } | undefined {
  const found = encryptions.find(([, info]) => info.transformId === t.id);
  if (t.type !== TRANSFORM.ENCR || t.unknownAttributes || !found) return undefined;
  const [encryption, info] = found;
  const [only = 0] = info.keyBits;
  const keyBits = info.keyLengthAttribute ? t.keyBits : (t.keyBits ?? only);
  return keyBits !== undefined && info.keyBits.includes(keyBits) ? { encryption, keyBits } : undefined;
}

function integrityOf(t: Transform): IntegrityAlgorithm | undefined {
  if (t.type !== TRANSFORM.INTEG || t.unknownAttributes) return undefined;
  return integrities.find(([, info]) => info.transformId === t.id)?.[0];
}

/** The one transform of a type in a chosen proposal; a type that is there twice was not chosen from, RFC 7296 §2.7. */
function single(p: Proposal, type: number): Transform | undefined {
  const [first, second] = p.transforms.filter((t) => t.type === type);
  if (second) throw unsuitable(p, nameOf(TRANSFORM, type), proposalText(p), "one transform of each type");
  return first;
}

function unsuitable(p: Proposal, field: string, value: string, expected: string) {
  return fault("ike/unsuitable-proposal", `proposal ${proposalText(p)}: ${field} is ${value}, expected ${expected}`, {
    field: `SA.${field}`,
    value,
    expected,
  });
}

interface Protection {
  readonly encryption: EncryptionAlgorithm;
  readonly keyBits: number;
  readonly integrity?: IntegrityAlgorithm;
}

/** Cipher and integrity that go together: an AEAD alone, any other cipher never alone (RFC 7296 §3.3.3, RFC 5282 §8). */
function protection(p: Proposal): Protection {
  const encr = single(p, TRANSFORM.ENCR);
  const cipher = encr && encryptionOf(encr);
  if (!cipher) throw unsuitable(p, "ENCR", encr ? transformText(encr) : "missing", "a known cipher and key length");
  const integ = single(p, TRANSFORM.INTEG);
  const aead = ENCRYPTION[cipher.encryption].icvBytes > 0;
  if (!integ || integ.id === INTEG.NONE) {
    if (!aead) throw unsuitable(p, "INTEG", "missing", `an integrity algorithm beside ${cipher.encryption}`);
    return cipher;
  }
  if (aead) throw unsuitable(p, "INTEG", transformText(integ), `none beside ${cipher.encryption}`);
  const integrity = integrityOf(integ);
  if (!integrity) throw unsuitable(p, "INTEG", transformText(integ), "a known integrity algorithm");
  return { ...cipher, integrity };
}

function onlyTypes(p: Proposal, ...types: readonly number[]): void {
  const other = p.transforms.find((t) => !types.includes(t.type));
  if (other) throw unsuitable(p, nameOf(TRANSFORM, other.type), transformText(other), "no such transform");
}

/**
 * The suite of a chosen IKE proposal (one transform of each type). Fault `ike/unsuitable-proposal`, its `field` such as `SA.PRF`,
 * when one is missing, unknown, doubled or does not go with the others.
 */
export function ikeSuite(p: Proposal): IkeSuite {
  if (p.protocol !== PROTOCOL.IKE) throw unsuitable(p, "protocol", nameOf(PROTOCOL, p.protocol), "IKE");
  onlyTypes(p, TRANSFORM.ENCR, TRANSFORM.INTEG, TRANSFORM.PRF, TRANSFORM.DH);
  const protectedBy = protection(p);
  if (protectedBy.encryption === "null") throw unsuitable(p, "ENCR", "NULL", "a cipher");
  const prfTransform = single(p, TRANSFORM.PRF);
  const prf = prfTransform && !prfTransform.unknownAttributes ? prfOf(prfTransform.id) : undefined;
  if (!prf) throw unsuitable(p, "PRF", prfTransform ? transformText(prfTransform) : "missing", "a known PRF");
  const dh = single(p, TRANSFORM.DH);
  const group = dh && !dh.unknownAttributes ? dhGroupOf(dh.id) : undefined;
  if (!group) throw unsuitable(p, "DH", dh ? transformText(dh) : "missing", "a known group");
  return { ...protectedBy, prf, group };
}

/** The suite of a chosen ESP or AH proposal. Fault as for `ikeSuite`. */
export function childSuite(p: Proposal): ChildSuite {
  if (p.protocol !== PROTOCOL.ESP && p.protocol !== PROTOCOL.AH) {
    throw unsuitable(p, "protocol", nameOf(PROTOCOL, p.protocol), "ESP or AH");
  }
  const esn = single(p, TRANSFORM.ESN);
  if (esn && esn.id !== ESN.ESN && esn.id !== ESN.NO_ESN) throw unsuitable(p, "ESN", transformText(esn), "ESN or none");
  const dh = single(p, TRANSFORM.DH);
  const group = dh && !dh.unknownAttributes ? dhGroupOf(dh.id) : undefined;
  if (dh && dh.id !== 0 && !group) throw unsuitable(p, "DH", transformText(dh), "a known group");
  const common = { ...(group && { group }), esn: esn?.id === ESN.ESN };
  if (p.protocol === PROTOCOL.ESP) {
    onlyTypes(p, TRANSFORM.ENCR, TRANSFORM.INTEG, TRANSFORM.DH, TRANSFORM.ESN);
    return { protocol: "esp", ...protection(p), ...common };
  }
  onlyTypes(p, TRANSFORM.INTEG, TRANSFORM.DH, TRANSFORM.ESN);
  const integ = single(p, TRANSFORM.INTEG);
  const integrity = integ && integrityOf(integ);
  if (!integrity) throw unsuitable(p, "INTEG", integ ? transformText(integ) : "missing", "a known integrity algorithm");
  return { protocol: "ah", keyBits: 0, integrity, ...common };
}

export function encryptionTransform(encryption: EncryptionAlgorithm, keyBits: number): Transform {
  const info = ENCRYPTION[encryption];
  return { type: TRANSFORM.ENCR, id: info.transformId, ...(info.keyLengthAttribute && { keyBits }) };
}

/** The transforms of one IKE suite, as a chosen proposal holds them. */
export function ikeTransforms(s: IkeSuite): Transform[] {
  return [
    encryptionTransform(s.encryption, s.keyBits),
    ...(s.integrity ? [{ type: TRANSFORM.INTEG, id: INTEGRITY[s.integrity].transformId }] : []),
    { type: TRANSFORM.PRF, id: PRF[s.prf].transformId },
    { type: TRANSFORM.DH, id: DH[s.group].transformId },
  ];
}

/** The transforms of one CHILD SA suite. */
export function childTransforms(s: ChildSuite): Transform[] {
  return [
    ...(s.encryption ? [encryptionTransform(s.encryption, s.keyBits)] : []),
    ...(s.integrity ? [{ type: TRANSFORM.INTEG, id: INTEGRITY[s.integrity].transformId }] : []),
    ...(s.group ? [{ type: TRANSFORM.DH, id: DH[s.group].transformId }] : []),
    { type: TRANSFORM.ESN, id: s.esn ? ESN.ESN : ESN.NO_ESN },
  ];
}
