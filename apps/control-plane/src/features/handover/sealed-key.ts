import { randomBytes } from "node:crypto";
import type { ClientCredential, Note, ProfileFile } from "@sallyport/handover";
import { readCertificate } from "@sallyport/pki";
import { seal, unseal } from "../../platform/vault/envelope.js";
import type { Vault } from "../../platform/vault/vault.js";

/** Names what a key is sealed for. */
export const handoverPlace = (id: string) => `handover/${id}`;
const filesPlace = (profileId: string) => `handover-files/${profileId}`;

const octets = (text: string) => Uint8Array.from(Buffer.from(text, "base64"));
const text = (data: Uint8Array) => Buffer.from(data).toString("base64");

interface Kept {
  readonly privateKey: string;
  readonly chain: readonly string[];
  readonly passphrase: string;
}

/** A key until it is collected. `chain` is DER, the person's certificate first, the root last. */
export function sealKey(
  vault: Vault,
  id: string,
  key: { readonly privateKey: Uint8Array; readonly chain: readonly Uint8Array[]; readonly passphrase: string },
) {
  const kept: Kept = { ...key, privateKey: text(key.privateKey), chain: key.chain.map(text) };
  return vault.seal(handoverPlace(id), JSON.stringify(kept));
}

/** Undefined where there is no key. @throws platform/unsealable */
export function openKey(
  vault: Vault,
  { id, sealed, keyId }: { readonly id: string; readonly sealed: Uint8Array | null; readonly keyId: string | null },
): ClientCredential | undefined {
  if (sealed === null || keyId === null) return undefined;
  const plain = vault.unseal(handoverPlace(id), { sealed, keyId });
  const { privateKey, chain, passphrase } = JSON.parse(plain.toString("utf8")) as Kept;
  plain.fill(0);
  return credentialOf(
    octets(privateKey),
    chain.map((der) => octets(der)),
    passphrase,
  );
}

/** @throws pki/malformed */
export function credentialOf(
  privateKey: Uint8Array,
  chain: readonly Uint8Array[],
  passphrase: string,
): ClientCredential {
  const [leaf = new Uint8Array(), ...above] = chain;
  return {
    privateKey,
    certificate: readCertificate(leaf),
    above: above.map((der) => readCertificate(der)),
    passphrase,
  };
}

/** What one collection gave. */
export interface Collected {
  readonly files: readonly ProfileFile[];
  readonly notes: readonly Note[];
}

interface KeptFiles {
  readonly files: readonly { readonly name: string; readonly mediaType: string; readonly content: string }[];
  readonly notes: readonly Note[];
}

/** What opens the files of a collection: the browser that collected them has it, and nobody else. */
export const newCollector = (): Uint8Array => randomBytes(32);

export function sealFiles(collector: Uint8Array, profileId: string, { files, notes }: Collected) {
  const kept: KeptFiles = { files: files.map((f) => ({ ...f, content: text(f.content) })), notes };
  return seal(collector, filesPlace(profileId), Buffer.from(JSON.stringify(kept)));
}

/** @throws platform/unsealable with another browser's key */
export function openFiles(collector: Uint8Array, profileId: string, sealed: Uint8Array): Collected {
  const { files, notes } = JSON.parse(unseal(collector, filesPlace(profileId), sealed).toString("utf8")) as KeptFiles;
  return { files: files.map((f) => ({ ...f, content: octets(f.content) })), notes };
}
