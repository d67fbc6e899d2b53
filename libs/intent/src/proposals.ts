import { ENCRYPTION, type IntegrityAlgorithm } from "@sallyport/base";
import type { CipherChoice, DhGroup, PrfAlgorithm } from "@sallyport/ike";
import { fault } from "./faults.js";

/**
 * Proposals as text, in the notation that strongSwan made common (ALG-07): `aes256gcm16-prfsha384-x25519`.
 * Several names of a kind are alternatives, the first preferred. A hash beside an AEAD means the PRF in IKE and nothing in ESP;
 * a hash beside a cipher means integrity and, in IKE, the PRF too. A trailing `!` (only these) is read and adds nothing: only
 * what is written is ever offered.
 *
 * One proposal (RFC 7296 §3.3): all ciphers are AEAD, or none is.
 */
export interface Proposal {
  readonly encryption: readonly CipherChoice[];
  /** Empty with AEAD. */
  readonly integrity: readonly IntegrityAlgorithm[];
  /** Empty in ESP. */
  readonly prf: readonly PrfAlgorithm[];
  /** In ESP: the groups for PFS; empty means none. */
  readonly groups: readonly DhGroup[];
  /** ESP: whether extended sequence numbers are used, in order of preference. */
  readonly esn: readonly boolean[];
}

export type ProposalUse = "ike" | "esp";

const HASHES = {
  md5: ["hmac-md5-96", "hmac-md5"],
  sha1: ["hmac-sha1-96", "hmac-sha1"],
  sha: ["hmac-sha1-96", "hmac-sha1"],
  sha256: ["hmac-sha2-256-128", "hmac-sha2-256"],
  sha2_256: ["hmac-sha2-256-128", "hmac-sha2-256"],
  sha384: ["hmac-sha2-384-192", "hmac-sha2-384"],
  sha2_384: ["hmac-sha2-384-192", "hmac-sha2-384"],
  sha512: ["hmac-sha2-512-256", "hmac-sha2-512"],
  sha2_512: ["hmac-sha2-512-256", "hmac-sha2-512"],
  aesxcbc: ["aes-xcbc-96", "aes-xcbc"],
  aescmac: ["aes-cmac-96", "aes-cmac"],
} as const satisfies Record<string, readonly [IntegrityAlgorithm, PrfAlgorithm]>;

const GROUPS: Readonly<Record<string, DhGroup>> = {
  modp768: "modp768",
  modp1024: "modp1024",
  modp1536: "modp1536",
  modp2048: "modp2048",
  modp3072: "modp3072",
  modp4096: "modp4096",
  modp6144: "modp6144",
  modp8192: "modp8192",
  ecp256: "ecp256",
  ecp384: "ecp384",
  ecp521: "ecp521",
  x25519: "x25519",
  curve25519: "x25519",
  x448: "x448",
  curve448: "x448",
};

/** ICV lengths of AES-GCM in octets or, as some write them, in bits. */
const ICV: Readonly<Record<string, 8 | 12 | 16>> = { "8": 8, "64": 8, "12": 12, "96": 12, "16": 16, "128": 16, "": 16 };

function cipher(name: string): CipherChoice | undefined {
  const aes = /^aes(128|192|256)?(ctr|gcm(8|12|16|64|96|128)?)?$/.exec(name);
  if (aes) {
    const keyBits = Number(aes[1] ?? 128);
    if (aes[2] === undefined) return { algorithm: "aes-cbc", keyBits };
    if (aes[2] === "ctr") return { algorithm: "aes-ctr", keyBits };
    const icv = ICV[aes[3] ?? ""] ?? 16;
    return { algorithm: `aes-gcm-${icv}`, keyBits };
  }
  if (name === "chacha20poly1305") return { algorithm: "chacha20-poly1305", keyBits: 256 };
  if (name === "3des") return { algorithm: "3des-cbc", keyBits: 192 };
  if (name === "null") return { algorithm: "null", keyBits: 0 };
  return undefined;
}

const isAead = (c: CipherChoice) => ENCRYPTION[c.algorithm].icvBytes > 0;
const unique = <T>(list: readonly T[]): T[] => [...new Map(list.map((x) => [JSON.stringify(x), x])).values()];
const own = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;

/**
 * Reads one proposal text. Where it mixes AEAD and other ciphers the result has two proposals, since one on the wire may not
 * (RFC 5282 §8). Throws `intent/bad-proposal`.
 */
export function parseProposal(text: string, use: ProposalUse, field = "proposal"): Proposal[] {
  const refuse = (problem: string, expected: string) =>
    fault("intent/bad-proposal", `${field}: "${text}": ${problem}`, { field, value: text, expected });
  const example = use === "ike" ? "aes256gcm16-prfsha384-x25519" : "aes256gcm16-x25519";
  const encryption: CipherChoice[] = [];
  const hashes: (readonly [IntegrityAlgorithm, PrfAlgorithm])[] = [];
  const prfs: PrfAlgorithm[] = [];
  const groups: DhGroup[] = [];
  const esn: boolean[] = [];
  for (const name of text.trim().toLowerCase().replace(/!$/, "").split("-")) {
    const found = cipher(name);
    const hash = own<readonly [IntegrityAlgorithm, PrfAlgorithm]>(HASHES, name);
    const prf = name.startsWith("prf")
      ? own<readonly [IntegrityAlgorithm, PrfAlgorithm]>(HASHES, name.slice(3))?.[1]
      : undefined;
    const group = own(GROUPS, name);
    if (found) encryption.push(found);
    else if (hash) hashes.push(hash);
    else if (prf) prfs.push(prf);
    else if (group) groups.push(group);
    else if (name === "esn" || name === "noesn") esn.push(name === "esn");
    else throw refuse(`no algorithm is called "${name}"`, `names such as ${example}`);
  }
  if (encryption.length === 0) throw refuse("it names no cipher", example);
  if (use === "ike" && encryption.some((c) => c.algorithm === "null"))
    throw refuse("IKE is never sent in clear", example);
  if (use === "ike" && groups.length === 0)
    throw refuse("it names no Diffie-Hellman group", `${text.replace(/!$/, "")}-x25519`);
  if (use === "ike" && esn.length > 0) throw refuse("sequence numbers are ESP's", example);

  const prf = use === "esp" ? [] : unique(prfs.length > 0 ? prfs : hashes.map(([, p]) => p));
  const parts = [encryption.filter(isAead), encryption.filter((c) => !isAead(c))].filter((p) => p.length > 0);
  if (!isAead(encryption[0] as CipherChoice)) parts.reverse();
  return parts.map((ciphers) => {
    const aead = isAead(ciphers[0] as CipherChoice);
    if (!aead && hashes.length === 0) throw refuse("a cipher that does not authenticate needs a hash", "aes256-sha256");
    if (use === "ike" && prf.length === 0) throw refuse("it names no PRF", example);
    return {
      encryption: unique(ciphers),
      integrity: aead ? [] : unique(hashes.map(([i]) => i)),
      prf,
      groups: unique(groups),
      esn: use === "ike" ? [] : unique(esn.length > 0 ? esn : [false]),
    };
  });
}

/** All proposals of a list, in order. */
export function parseProposals(texts: readonly string[], use: ProposalUse, field = "proposals"): Proposal[] {
  return texts.flatMap((text, i) => parseProposal(text, use, `${field}[${i}]`));
}

const HASH_NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries(HASHES)
    .reverse()
    .flatMap(([name, [integrity, prf]]) => [
      [integrity, name],
      [prf, `prf${name}`],
    ]),
);

function cipherText({ algorithm, keyBits }: CipherChoice): string {
  if (algorithm === "chacha20-poly1305") return "chacha20poly1305";
  if (algorithm === "3des-cbc") return "3des";
  if (algorithm === "null") return "null";
  const kind = algorithm.slice("aes-".length);
  return `aes${keyBits}${kind === "cbc" ? "" : kind.replace("-", "")}`;
}

/** The text that `parseProposal` reads back as the same proposal. */
export function proposalText(p: Proposal): string {
  const hash = (name: string) => HASH_NAMES.get(name) as string;
  return [
    ...p.encryption.map(cipherText),
    ...p.integrity.map(hash),
    ...p.prf.map(hash),
    ...p.groups,
    ...(p.esn.includes(true) ? p.esn.map((e) => (e ? "esn" : "noesn")) : []),
  ].join("-");
}
