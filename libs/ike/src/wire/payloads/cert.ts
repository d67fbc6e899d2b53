import type { PayloadCodec } from "../codec.js";
import { LIMITS } from "../limits.js";
import { PAYLOAD } from "../registry.js";
import type { CertPayload } from "../types.js";

/** RFC 7296 §3.6. */
export const cert: PayloadCodec<CertPayload> = {
  type: PAYLOAD.CERT,
  kind: "CERT",
  decode(r) {
    const encoding = r.u8("CERT.encoding");
    return { kind: "CERT", encoding, data: r.rest("CERT.data", { min: 1, max: LIMITS.messageBytes }) };
  },
  encode(w, p) {
    w.u8(p.encoding).bytes(p.data);
  },
};
