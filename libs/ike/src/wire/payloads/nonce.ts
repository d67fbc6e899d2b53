import type { PayloadCodec } from "../codec.js";
import { PAYLOAD } from "../registry.js";
import type { NoncePayload } from "../types.js";

/** RFC 7296 §3.9: 16 to 256 octets. */
export const nonce: PayloadCodec<NoncePayload> = {
  type: PAYLOAD.Nonce,
  kind: "Nonce",
  decode: (r) => ({ kind: "Nonce", data: r.rest("Nonce.data", { min: 16, max: 256 }) }),
  encode(w, p) {
    w.bytes(p.data);
  },
};
