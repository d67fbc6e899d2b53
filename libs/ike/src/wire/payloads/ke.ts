import type { PayloadCodec } from "../codec.js";
import { LIMITS } from "../limits.js";
import { PAYLOAD } from "../registry.js";
import type { KePayload } from "../types.js";

/** RFC 7296 §3.4. Whether the size fits the group is checked by the key exchange itself. */
export const ke: PayloadCodec<KePayload> = {
  type: PAYLOAD.KE,
  kind: "KE",
  decode(r) {
    const group = r.u16("KE.group");
    r.skip(2);
    return { kind: "KE", group, data: r.rest("KE.data", { min: 1, max: LIMITS.keyExchangeBytes }) };
  },
  encode(w, p) {
    w.u16(p.group).zero(2).bytes(p.data);
  },
};
