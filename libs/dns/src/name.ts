import type { Reader, Writer } from "@sallyport/base";
import { fault } from "./faults.js";

/** Octets of a name and of a label on the wire (RFC 1035 §2.3.4). */
const MAX_NAME = 255;
const MAX_LABEL = 63;
/** A name that needs more jumps than it may have labels goes in circles. */
const MAX_POINTERS = 127;
const POINTER = 0xc0;
/** No name begins in the header (RFC 1035 §4.1.1), whose counts a signature changes. */
const HEADER = 12;

/** What a label that needs no escapes consists of; more than host names may have, because records have names such as `_acme-challenge`. */
const PLAIN = /^[A-Za-z0-9_*-]{1,63}$/;

/**
 * Labels of a name in its usual text form, without the root's; `""` and `"."` are the root. Names with escapes are none of ours.
 * @throws dns/bad-name
 */
export function labelsOf(name: string, field = "name"): string[] {
  const bare = name.endsWith(".") ? name.slice(0, -1) : name;
  if (bare === "") return [];
  const labels = bare.split(".");
  if (bare.length + 2 > MAX_NAME || !labels.every((label) => PLAIN.test(label))) {
    throw fault("dns/bad-name", `${field}: no domain name`, {
      field,
      value: name.slice(0, MAX_NAME),
      expected: `labels of letters, digits, -, _ and *, at most ${MAX_NAME} octets`,
    });
  }
  return labels;
}

/** Uncompressed, in the case that it is given in (RFC 1035 §3.1). */
export function writeName(w: Writer, name: string, field = "name"): void {
  for (const label of labelsOf(name, field)) w.u8(label.length).bytes(Buffer.from(label, "latin1"));
  w.u8(0);
}

/**
 * The name at which `r` stands, in lower case, without the root's dot; octets that need an escape stand as `\DDD` (RFC 1035 §5.1).
 * `message` is the whole message, for compression (§4.1.4).
 */
export function readName(r: Reader, message: Uint8Array): string {
  const labels: string[] = [];
  let size = 1;
  let pointers = 0;
  // After the first pointer the rest is read from the message itself.
  let at: number | undefined;
  const octet = (): number => {
    if (at === undefined) return r.u8("name");
    const value = message[at++];
    if (value === undefined) throw malformed("name", "it reaches past the message");
    return value;
  };
  for (;;) {
    const here = at ?? r.offset;
    const length = octet();
    if (length === 0) return labels.join(".");
    if ((length & POINTER) === POINTER) {
      const target = ((length & ~POINTER) << 8) | octet();
      if (target < HEADER || target >= here || ++pointers > MAX_POINTERS) {
        throw malformed("name", "a pointer that does not point back to a name");
      }
      at = target;
      continue;
    }
    size += length + 1;
    if (length > MAX_LABEL || size > MAX_NAME) throw malformed("name", "too long");
    let label = "";
    for (let i = 0; i < length; i++) label += shown(octet());
    labels.push(label.toLowerCase());
  }
}

function shown(octet: number): string {
  const character = String.fromCharCode(octet);
  return PLAIN.test(character) ? character : `\\${String(octet).padStart(3, "0")}`;
}

export function malformed(field: string, why: string) {
  return fault("dns/malformed", `${field}: ${why}`, { field });
}

/** Whether two names are the same (RFC 4343). */
export const sameName = (a: string, b: string) => bare(a) === bare(b);

/** Whether `name` is `zone` or below it. */
export const isWithin = (name: string, zone: string) =>
  bare(zone) === "" || bare(name) === bare(zone) || bare(name).endsWith(`.${bare(zone)}`);

const bare = (name: string) => name.toLowerCase().replace(/\.$/, "");
