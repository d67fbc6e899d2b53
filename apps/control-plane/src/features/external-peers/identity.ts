import { IpAddress } from "@sallyport/base";
import { type Identity, isHostName } from "@sallyport/intent";
import { apiFault } from "../../platform/faults.js";
import { checkText } from "../../platform/input.js";

const MAX_CHARS = 255;

/** The column's text of an identity. */
export const identityText = ({ type, value }: Identity): string => `${type}:${value}`;

/**
 * Reads an identity as people write it: an address, `user@host`, a DNS name, or `@name` for a name that is none. Anything else is a
 * key id.
 * @throws api/bad-input
 */
export function parseIdentity(text: string, field: string): Identity {
  const value = checkText(text.trim(), field, 1, MAX_CHARS);
  try {
    return { type: "address", value: IpAddress.parse(value, field).toString() };
  } catch {
    // Not an address: one of the names.
  }
  if (value.startsWith("@")) {
    if (isHostName(value.slice(1))) return { type: "fqdn", value: value.slice(1).toLowerCase() };
    throw apiFault("api/bad-input", `${field}: not a name`, { field, value, expected: "@ followed by a DNS name" });
  }
  if (/^[^@\s]+@[^@\s]+$/.test(value)) return { type: "email", value };
  return isHostName(value) ? { type: "fqdn", value: value.toLowerCase() } : { type: "key-id", value };
}
