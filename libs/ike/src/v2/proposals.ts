import { INTEGRITY, type IntegrityAlgorithm } from "@sallyport/base";
import type { CipherChoice, EspProposal, IkeProposal } from "../config.js";
import { DH, encryptionTransform, PRF } from "../crypto/index.js";
import type { DhGroup } from "../crypto/types.js";
import { ESN, PROTOCOL, TRANSFORM } from "../wire/registry.js";
import type { Proposal, Transform } from "../wire/types.js";
import { once } from "./memo.js";

const NO_SPI = new Uint8Array(0);

function ciphers(list: readonly CipherChoice[]): Transform[] {
  return list.map(({ algorithm, keyBits }) => encryptionTransform(algorithm, keyBits));
}

function integrities(list: readonly IntegrityAlgorithm[]): Transform[] {
  return list.map((name) => ({ type: TRANSFORM.INTEG, id: INTEGRITY[name].transformId }));
}

function groups(list: readonly DhGroup[]): Transform[] {
  return list.map((name) => ({ type: TRANSFORM.DH, id: DH[name].transformId }));
}

/** Transforms by the configured proposal that they were made of. */
const ikeTransforms = new WeakMap<IkeProposal, readonly Transform[]>();
const espTransforms = new WeakMap<EspProposal, Map<boolean, readonly Transform[]>>();

/** RFC 7296 §3.3. `spi` is empty in IKE_SA_INIT and the new SPI in a rekey. */
export function ikeProposals(config: readonly IkeProposal[], spi: Uint8Array = NO_SPI): Proposal[] {
  return config.map((p, i) => ({
    number: i + 1,
    protocol: PROTOCOL.IKE,
    spi,
    transforms: once(ikeTransforms, p, () => [
      ...ciphers(p.encryption),
      ...p.prf.map((name) => ({ type: TRANSFORM.PRF, id: PRF[name].transformId })),
      ...integrities(p.integrity),
      ...groups(p.dh),
    ]),
  }));
}

/** `pfs` false in IKE_AUTH, where no group may stand (RFC 7296 §1.2). */
export function espProposals(config: readonly EspProposal[], spi: Uint8Array, pfs: boolean): Proposal[] {
  return config.map((p, i) => ({
    number: i + 1,
    protocol: PROTOCOL.ESP,
    spi,
    transforms: once(
      once(espTransforms, p, () => new Map()),
      pfs,
      () => [
        ...ciphers(p.encryption),
        ...integrities(p.integrity),
        ...(pfs ? groups(p.pfs) : []),
        ...p.esn.map((extended) => ({ type: TRANSFORM.ESN, id: extended ? ESN.ESN : ESN.NO_ESN })),
      ],
    ),
  }));
}

function sameTransform(a: Transform, b: Transform): boolean {
  return a.type === b.type && a.id === b.id && a.keyBits === b.keyBits;
}

/** A type left out and the only value "none" mean the same (RFC 7296 §3.3.3, §3.3.6). */
function isNone(t: Transform): boolean {
  return t.id === 0 && (t.type === TRANSFORM.INTEG || t.type === TRANSFORM.DH || t.type === TRANSFORM.ESN);
}

interface Match {
  readonly transforms: readonly Transform[];
}

/** One transform of each type that both lists have, ours in order; `group` wins over our order where both allow it. */
function matchOne(ours: Proposal, theirs: Proposal, group: number | undefined): Match | undefined {
  if (ours.protocol !== theirs.protocol) return undefined;
  const chosen: Transform[] = [];
  const types = new Set<number>();
  for (const { type } of ours.transforms) types.add(type);
  for (const { type } of theirs.transforms) types.add(type);
  for (const type of types) {
    const pick = pickOf(type, ours, theirs, type === TRANSFORM.DH ? group : undefined);
    if (pick) chosen.push(pick);
    else if (!optional(ours, type) || !optional(theirs, type)) return undefined;
  }
  return { transforms: chosen };
}

/** The first of our transforms of a type that they have too, or the one of id `wanted`, wherever it stands. */
function pickOf(type: number, ours: Proposal, theirs: Proposal, wanted: number | undefined): Transform | undefined {
  let first: Transform | undefined;
  for (const t of ours.transforms) {
    if (t.type !== type || (first && t.id !== wanted)) continue;
    if (!theirs.transforms.some((o) => o.unknownAttributes === undefined && sameTransform(t, o))) continue;
    if (t.id === wanted) return t;
    first ??= t;
    if (wanted === undefined) return first;
  }
  return first;
}

/** Whether a proposal can be taken without a transform of this type. */
function optional(p: Proposal, type: number): boolean {
  const all = p.transforms.filter((t) => t.type === type);
  return all.length === 0 || all.some(isNone);
}

/** The first of our proposals that matches one of theirs: the answer's single proposal carries `spi` and the number that they gave it. */
export function choose(
  ours: readonly Proposal[],
  theirs: readonly Proposal[],
  spi: Uint8Array,
  group?: number,
): { readonly chosen: Proposal; readonly offered: Proposal } | undefined {
  for (const mine of ours) {
    for (const offered of theirs) {
      const match = matchOne(mine, offered, group);
      if (match) {
        return {
          chosen: { number: offered.number, protocol: offered.protocol, spi, transforms: match.transforms },
          offered,
        };
      }
    }
  }
  return undefined;
}

/** Whether an answer takes one value of each type out of the numbered proposal of ours (RFC 7296 §2.7). */
export function isAnswerTo(ours: readonly Proposal[], answer: Proposal): boolean {
  const offered = ours.find((p) => p.number === answer.number && p.protocol === answer.protocol);
  if (offered === undefined) return false;
  const types = new Set(offered.transforms.map((t) => t.type));
  for (const t of answer.transforms) {
    if (isNone(t) && !types.has(t.type)) continue;
    if (t.unknownAttributes !== undefined || !offered.transforms.some((o) => sameTransform(o, t))) return false;
    if (answer.transforms.filter((o) => o.type === t.type).length > 1) return false;
  }
  return [...types].every((type) => answer.transforms.some((t) => t.type === type) || optional(offered, type));
}
