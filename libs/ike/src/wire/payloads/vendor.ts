import type { PayloadCodec } from "../codec.js";
import { PAYLOAD } from "../registry.js";
import type { VendorPayload } from "../types.js";

/** RFC 7296 §3.12. */
export const vendor: PayloadCodec<VendorPayload> = {
  type: PAYLOAD.V,
  kind: "V",
  decode: (r) => ({ kind: "V", data: r.rest("V.data") }),
  encode(w, p) {
    w.bytes(p.data);
  },
};
