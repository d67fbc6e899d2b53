import { IpAddress, Prefix } from "@sallyport/base";
import { isHostName } from "@sallyport/intent";
import { apiFault } from "./faults.js";

/** Checks of what callers send. Each gives the canonical value or throws `api/bad-input` (or `base/bad-prefix`) with field, value, expected. */

const bad = (field: string, value: string, expected: string) =>
  apiFault("api/bad-input", `${field}: expected ${expected}`, { field, value, expected });

const MAX_NAME = 63;

/** A name for people: trimmed, printable, 1 to 63 characters. */
export function checkName(value: string, field: string): string {
  const name = value.normalize("NFC").trim();
  if (name.length === 0 || name.length > MAX_NAME || /[\p{Cc}\p{Cf}\p{Co}]/u.test(name)) {
    throw bad(field, value.slice(0, 100), `1 to ${MAX_NAME} printable characters`);
  }
  return name;
}

/** The DNS label that a name gives: what is no letter or digit becomes a hyphen. Throws when nothing is left. */
export function labelOf(name: string, field: string): string {
  const label = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, "")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 40);
  if (label === "") throw bad(field, name, "a name with at least one of a-z or 0-9");
  return label;
}

/** Canonical prefixes that do not overlap each other, 1 to 255. */
export function checkSubnets(values: readonly string[], field: string): Prefix[] {
  if (values.length === 0 || values.length > 255) throw bad(field, `${values.length} prefixes`, "1 to 255 prefixes");
  const prefixes = values.map((value, i) => {
    const prefix = Prefix.parse(value, `${field}[${i}]`);
    if (prefix.length === 0) throw bad(`${field}[${i}]`, value, "something smaller than the whole internet");
    return prefix;
  });
  prefixes.forEach((prefix, i) => {
    const j = prefixes.findIndex((other, k) => k < i && other.overlaps(prefix));
    if (j >= 0) throw bad(`${field}[${i}]`, String(prefix), `a prefix that does not overlap ${prefixes[j]}`);
  });
  return prefixes;
}

/** An address in canonical form, or a DNS name in lower case. */
export function checkHost(value: string, field: string): string {
  if (isHostName(value)) return value.toLowerCase();
  try {
    return IpAddress.parse(value, field).toString();
  } catch {
    throw bad(field, value.slice(0, 100), "an IP address or a DNS name");
  }
}

export function checkPort(value: number, field: string): number {
  if (!Number.isInteger(value) || value < 1 || value > 65_535) throw bad(field, String(value), "1 to 65535");
  return value;
}

export function checkUuid(value: string, field: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)) throw bad(field, value.slice(0, 100), "an id");
  return value.toLowerCase();
}

/** At most `max` characters of text, none of them a control character. */
export function checkText(value: string, field: string, min: number, max: number): string {
  if (value.length < min || value.length > max || /\p{Cc}/u.test(value)) {
    throw bad(field, `${value.length} characters`, `${min} to ${max} printable characters`);
  }
  return value;
}
