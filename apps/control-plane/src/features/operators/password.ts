import { randomBytes } from "node:crypto";
import { hash, verify } from "@node-rs/argon2";
import { newPassphrase } from "@sallyport/base";
import { apiFault } from "../../platform/faults.js";

/** OWASP's recommendation for argon2id: 19 MiB, 2 passes, 1 lane. The library's default algorithm is argon2id. */
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

const MIN_CHARS = 12;
const MAX_CHARS = 200;

export function hashPassword(password: string): Promise<string> {
  return hash(password, COST);
}

let unknown: Promise<string> | undefined;

/** Takes the same time when there is no hash to compare with, so that nobody learns which accounts exist. */
export async function verifyPassword(stored: string | undefined, password: string): Promise<boolean> {
  unknown ??= hashPassword("nobody has this password");
  const matches = await verify(stored ?? (await unknown), password.slice(0, MAX_CHARS));
  return matches && stored !== undefined;
}

export const oneTimePassword = (): string => newPassphrase({ bytes: randomBytes });

/** @throws api/bad-input */
export function checkNewPassword(password: string, field: string): string {
  if (password.length >= MIN_CHARS && password.length <= MAX_CHARS) return password;
  throw apiFault("api/bad-input", `${field}: ${password.length} characters`, {
    field,
    value: `${password.length} characters`,
    expected: `${MIN_CHARS} to ${MAX_CHARS} characters`,
  });
}
