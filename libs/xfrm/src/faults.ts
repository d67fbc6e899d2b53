import { type Fault, faultTable, isFault } from "@sallyport/base";
import { NetlinkReader } from "@sallyport/linux-io";
import { XFRMA } from "./wire/constants.js";

/** Faults of the data plane port that this adapter makes. */
export const fault = faultTable({
  "dataplane/refused": { retry: false, expose: true },
  "dataplane/unsupported": { retry: false, expose: true },
  "dataplane/failed": { retry: true, expose: false },
  "dataplane/closed": { retry: false, expose: false },
});

/** Which field of an SA an attribute of its message stands for. */
const FIELD_OF_ATTRIBUTE: Readonly<Record<number, string>> = {
  [XFRMA.algCrypt]: "encryption",
  [XFRMA.algAead]: "encryption",
  [XFRMA.algAuthTrunc]: "integrity",
  [XFRMA.encap]: "encapsulation",
  [XFRMA.replayEsnVal]: "replayWindow",
  [XFRMA.tmpl]: "template",
};

/** The kernel's own words where it gives no offset (net/xfrm/xfrm_user.c, xfrm_state.c). */
const FIELD_OF_TEXT: readonly (readonly [RegExp, string])[] = [
  [/AEAD algorithm|CRYPT algorithm/i, "encryption.algorithm"],
  [/AUTH(_TRUNC)? algorithm/i, "integrity.algorithm"],
  [/ESN|replay/i, "replayWindow"],
  [/encapsulation/i, "encapsulation"],
  [/template/i, "template"],
  [/type not found|protocol/i, "protocol"],
  [/selector|prefix/i, "selector"],
  [/cryptographic|key/i, "encryption"],
];

const FIELD_OF_ERRNO: Readonly<Record<string, string>> = {
  ENOSYS: "encryption.algorithm",
  EPROTONOSUPPORT: "protocol",
  EEXIST: "spi",
  ESRCH: "spi",
};

function attributeAt(body: Uint8Array, offset: number): number | undefined {
  if (offset < 0 || offset + 4 > body.length) return undefined;
  return new NetlinkReader(body.subarray(offset)).skip(2).u16("type");
}

/**
 * Turns a refusal of the kernel into `dataplane/refused` with the field at fault; other troubles of the socket become
 * `dataplane/failed`. `body` is the request without its header.
 */
export function translated(error: unknown, body: Uint8Array, fallbackField: string): Fault {
  if (!isFault(error)) throw error;
  if (error.code === "linux-io/closed") return fault("dataplane/closed", "the data plane is closed", { cause: error });
  if (error.code !== "linux-io/netlink-refused") return fault("dataplane/failed", error.message, { cause: error });
  const errno = error.value ?? "EINVAL";
  const text = error.facts.text ?? "";
  const attribute = error.offset === undefined ? undefined : attributeAt(body, error.offset);
  const field =
    (attribute === undefined ? undefined : FIELD_OF_ATTRIBUTE[attribute]) ??
    FIELD_OF_TEXT.find(([pattern]) => pattern.test(text))?.[1] ??
    FIELD_OF_ERRNO[errno] ??
    fallbackField;
  return fault("dataplane/refused", error.message, { field, value: errno, facts: error.facts, cause: error });
}

export function hasErrno(error: unknown, ...names: string[]): boolean {
  return isFault(error) && names.includes(error.value ?? "");
}
