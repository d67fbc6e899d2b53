import { type Fault, isFault } from "@sallyport/base";
import { concat } from "../crypto/bytes.js";
import { EAP_CODE } from "../wire/registry.js";
import type { EapPayload } from "../wire/types.js";
import { fault } from "./faults.js";
import { EAP_METHODS, EAP_TYPE, methodOf, methodText } from "./methods.js";
import { unexpected } from "./outcome.js";

/** Octets of one EAP packet that is looked at at all, header excluded. */
const MAX_DATA_BYTES = 4096;
/** Packets of one end in one conversation: two full messages of EAP-TLS and what else there is. */
export const MAX_ROUNDS = 200;

export function request(identifier: number, type: number, data: Uint8Array): EapPayload {
  return { kind: "EAP", code: EAP_CODE.REQUEST, identifier, data: concat(Uint8Array.of(type), data) };
}

export function response(identifier: number, type: number, data: Uint8Array): EapPayload {
  return { kind: "EAP", code: EAP_CODE.RESPONSE, identifier, data: concat(Uint8Array.of(type), data) };
}

export function verdict(code: "SUCCESS" | "FAILURE", identifier: number): EapPayload {
  return { kind: "EAP", code: EAP_CODE[code], identifier, data: new Uint8Array() };
}

/** Type and type data of a request or response, RFC 3748 §4.1. */
export function typed({ data }: EapPayload): { readonly type: number; readonly body: Uint8Array } {
  const [type] = data;
  if (type === undefined) throw unexpected("a packet without a type", "one with");
  if (data.length > MAX_DATA_BYTES) throw oversize(`a packet of ${data.length} octets`, `at most ${MAX_DATA_BYTES}`);
  return { type, body: data.subarray(1) };
}

export function oversize(value: string, expected: string): Fault {
  return fault("ike/eap-oversize", `EAP: ${value}`, { field: "EAP", value, expected });
}

const TYPE_NAMES: Readonly<Record<number, string>> = {
  [EAP_TYPE.IDENTITY]: "EAP-Identity",
  [EAP_TYPE.NOTIFICATION]: "EAP-Notification",
  [EAP_TYPE.NAK]: "EAP-Nak",
  [EAP_TYPE.EXPANDED]: "an expanded EAP type",
};

export function typeText(type: number): string {
  const method = methodOf(type);
  return method ? methodText(method) : (TYPE_NAMES[type] ?? `EAP type ${type}`);
}

export const typesText = (types: Iterable<number>) => [...types].map(typeText).join(", ") || "none";

export const typeOf = (method: keyof typeof EAP_METHODS) => EAP_METHODS[method].type;

/** Carries out a step of a conversation; what it refuses, cursors' refusals included, becomes its end. */
export function attempt<Step>(run: () => Step, ended: (failed: Fault) => Step): Step {
  try {
    return run();
  } catch (error) {
    if (!isFault(error)) throw error;
    if (!error.code.startsWith("base/")) return ended(error);
    return ended(
      fault("ike/eap-malformed", `EAP: ${error.message}`, {
        ...(error.field !== undefined && { field: error.field }),
        ...(error.value !== undefined && { value: error.value }),
        ...(error.expected !== undefined && { expected: error.expected }),
      }),
    );
  }
}
