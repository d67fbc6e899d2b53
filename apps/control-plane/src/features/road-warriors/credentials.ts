import { randomBytes } from "node:crypto";
import { newPassphrase } from "@sallyport/base";
import { isHostName, mschapVerifier, Secret } from "@sallyport/intent";
import { apiFault } from "../../platform/faults.js";
import type { Vault } from "../../platform/vault/vault.js";
import { personFault } from "./faults.js";

const MIN_CHARS = 12;
/** RFC 2759 §4: a password is up to 256 characters. */
const MAX_CHARS = 256;

/** Names what a person's verifier is sealed for. */
export const verifierPlace = (personId: string) => `road-warrior/${personId}`;

export const newPassword = (): string => newPassphrase({ bytes: randomBytes });

/** @throws person/weak-password, which does not show it */
export function checkPassword(password: string, username: string, field: string): string {
  const weak = password.length < MIN_CHARS || password.length > MAX_CHARS || /\p{Cc}/u.test(password);
  if (!weak && !password.toLowerCase().includes(username)) return password;
  throw personFault("person/weak-password", `${field}: ${password.length} characters`, {
    field,
    value: "***",
    expected: `${MIN_CHARS} to ${MAX_CHARS} printable characters without the user name, better none: one is made then`,
  });
}

/** A mailbox or a DNS name, lower case: what a certificate can prove and EAP names. */
export function checkUsername(value: string, field: string): string {
  const name = value.trim().toLowerCase();
  const isMailbox =
    /^[^@\s\p{Cc}\p{Cf}*\\]{1,64}@[^@\s]+$/u.test(name) && isHostName(name.slice(name.indexOf("@") + 1));
  if (name.length <= 200 && (isMailbox || isHostName(name))) return name;
  const expected = "a mailbox such as ann@example.org, or a DNS name";
  throw apiFault("api/bad-input", `${field}: expected ${expected}`, { field, value: value.slice(0, 100), expected });
}

/** What gateways verify EAP-MSCHAPv2 by, sealed for one person. */
export function sealVerifier(vault: Vault, personId: string, password: string) {
  return vault.seal(verifierPlace(personId), mschapVerifier(password).reveal());
}

/** The verifier, wrapped so that it does not print; undefined for a person without a password. @throws platform/unsealable */
export function openVerifier(
  vault: Vault,
  { id, sealed, keyId }: { readonly id: string; readonly sealed: Uint8Array | null; readonly keyId: string | null },
): Secret | undefined {
  if (sealed === null || keyId === null) return undefined;
  return new Secret(vault.unseal(verifierPlace(id), { sealed, keyId }).toString("utf8"));
}
