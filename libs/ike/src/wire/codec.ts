import type { Reader, Writer } from "@sallyport/base";
import { fault } from "./faults.js";
import type { Payload } from "./types.js";

/**
 * Octets of one payload after its generic header, and back. The framer owns length, next payload and critical bit:
 * a decoder sees exactly its own body and need not read to the end of what it does not know.
 */
export interface PayloadCodec<P extends Payload = Payload> {
  readonly type: number;
  readonly kind: P["kind"];
  decode(r: Reader): P;
  encode(w: Writer, payload: P): void;
}

export function malformed(field: string, offset: number, value: string | number, expected: string) {
  return fault("ike/malformed-payload", `${field}: ${value}, expected ${expected}`, {
    field,
    offset,
    value: String(value),
    expected,
  });
}

/** Refuses a count before anything is allocated for it. */
export function atMost(count: number, limit: number, field: string, offset: number): void {
  if (count > limit) {
    throw fault("ike/too-many", `${field}: ${count}, at most ${limit}`, {
      field,
      offset,
      value: String(count),
      expected: `at most ${limit}`,
    });
  }
}
