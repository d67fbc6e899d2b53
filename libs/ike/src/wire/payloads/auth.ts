import type { PayloadCodec } from "../codec.js";
import { LIMITS } from "../limits.js";
import { PAYLOAD } from "../registry.js";
import type { AuthPayload } from "../types.js";

/** RFC 7296 §3.8. */
export const auth: PayloadCodec<AuthPayload> = {
  type: PAYLOAD.AUTH,
  kind: "AUTH",
  decode(r) {
    const method = r.u8("AUTH.method");
    r.skip(3);
    return { kind: "AUTH", method, data: r.rest("AUTH.data", { min: 1, max: LIMITS.messageBytes }) };
  },
  encode(w, p) {
    w.u8(p.method).zero(3).bytes(p.data);
  },
};
