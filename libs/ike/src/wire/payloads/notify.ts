import { malformed, type PayloadCodec } from "../codec.js";
import { PAYLOAD, PROTOCOL } from "../registry.js";
import type { NotifyPayload } from "../types.js";

/** RFC 7296 §3.10. */
export const notify: PayloadCodec<NotifyPayload> = {
  type: PAYLOAD.N,
  kind: "N",
  decode(r) {
    const protocol = r.u8("N.protocol");
    const at = r.offset;
    const spiSize = r.u8("N.spiSize");
    const sizes = protocol === PROTOCOL.NONE ? [0] : protocol === PROTOCOL.IKE ? [0, 8] : [0, 4];
    if (!sizes.includes(spiSize)) throw malformed("N.spiSize", at, spiSize, sizes.join(" or "));
    const type = r.u16("N.type");
    return { kind: "N", type, protocol, spi: r.bytes(spiSize, "N.spi"), data: r.rest("N.data") };
  },
  encode(w, p) {
    w.u8(p.protocol).u8(p.spi.length).u16(p.type).bytes(p.spi).bytes(p.data);
  },
};
