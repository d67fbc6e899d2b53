/** What is measured against the signature that is in it. */
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { KeyHandle, KeyKind, KeyStore } from "@sallyport/pki";
import { MemoryKeyStore } from "@sallyport/pki";

export const KINDS = ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048", "rsa-4096"] as const;
export type BenchKind = (typeof KINDS)[number];

const HASH = { "ecdsa-p256": "sha256", "ecdsa-p384": "sha384", "rsa-2048": "sha256", "rsa-4096": "sha256" } as const;

function keyPair(kind: BenchKind): KeyObject {
  if (kind === "ed25519") return generateKeyPairSync("ed25519").privateKey;
  if (kind === "ecdsa-p256" || kind === "ecdsa-p384") {
    return generateKeyPairSync("ec", { namedCurve: `P-${kind.slice(-3)}` }).privateKey;
  }
  return generateKeyPairSync("rsa", { modulusLength: Number(kind.slice(4)) }).privateKey;
}

/** A key in a store, and the bare signature over so many octets with the same key. */
export async function signer(kind: BenchKind, octets: number) {
  const privateKey = keyPair(kind);
  const store: KeyStore = new MemoryKeyStore();
  const key: KeyHandle = await store.import(privateKey.export({ format: "der", type: "pkcs8" }));
  const data = new Uint8Array(octets).fill(7);
  const hash = kind === "ed25519" ? null : HASH[kind];
  return { store, key, bare: () => sign(hash, data, privateKey) };
}

export const signerKind = (kind: BenchKind): KeyKind => (kind.startsWith("rsa") ? "rsa" : (kind as KeyKind));

const ROUNDS = 20;
const WARM_UP = 300;

/**
 * Operations a second of both, round by round in turn, so that whatever else the machine does hits both alike; the median round
 * of each.
 */
export async function paired(
  bare: () => unknown,
  whole: () => Promise<unknown>,
  perRound: number,
): Promise<{ bare: number; whole: number }> {
  const rates = { bare: [] as number[], whole: [] as number[] };
  for (let i = 0; i < Math.min(WARM_UP, 3 * perRound); i++) {
    bare();
    await whole();
  }
  for (let round = 0; round < ROUNDS; round++) {
    let begun = performance.now();
    for (let i = 0; i < perRound; i++) bare();
    rates.bare.push((1000 * perRound) / (performance.now() - begun));
    begun = performance.now();
    for (let i = 0; i < perRound; i++) await whole();
    rates.whole.push((1000 * perRound) / (performance.now() - begun));
  }
  const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] as number;
  return { bare: median(rates.bare), whole: median(rates.whole) };
}

export const BAR = 0.5;
const perRound: Readonly<Record<BenchKind, number>> = {
  "ecdsa-p256": 1000,
  "ecdsa-p384": 100,
  ed25519: 1000,
  "rsa-2048": 100,
  "rsa-4096": 20,
};

export interface Case {
  readonly label: string;
  readonly kind: BenchKind;
  readonly bare: () => unknown;
  readonly whole: () => Promise<unknown>;
}

/** Measures, prints the table to stderr and the outcome as the last line of stdout. */
export async function report(bench: string, cases: readonly Case[], notes: readonly string[]): Promise<void> {
  const table = [["what", "a second", "bare signatures a second", "ratio", "bar"]];
  const short: string[] = [];
  for (const { label, kind, bare, whole } of cases) {
    const rate = await paired(bare, whole, perRound[kind]);
    const ratio = rate.whole / rate.bare;
    if (ratio < BAR) short.push(`${label}: ${ratio.toFixed(2)}`);
    table.push([label, rate.whole.toFixed(0), rate.bare.toFixed(0), ratio.toFixed(2), `≥ ${BAR}`]);
  }
  for (const row of table) console.error(row.join("  "));
  for (const what of short) console.error(`falls short: ${what}`);
  console.log(JSON.stringify({ bench, ok: short.length === 0, table, notes }));
  process.exitCode = short.length === 0 ? 0 : 1;
}
