import { atMost, malformed, type PayloadCodec } from "../codec.js";
import { LIMITS } from "../limits.js";
import { PAYLOAD, PROTOCOL } from "../registry.js";
import type { DeletePayload } from "../types.js";

/** RFC 7296 §3.11: no SPI for IKE, 4 octets each for AH and ESP. */
export const del: PayloadCodec<DeletePayload> = {
  type: PAYLOAD.D,
  kind: "D",
  decode(r) {
    const at = r.offset;
    const protocol = r.u8("D.protocol");
    const spiSize = r.u8("D.spiSize");
    const count = r.u16("D.spiCount");
    if (protocol < PROTOCOL.IKE || protocol > PROTOCOL.ESP) {
      throw malformed("D.protocol", at, protocol, "1 (IKE), 2 (AH) or 3 (ESP)");
    }
    const wanted = protocol === PROTOCOL.IKE ? 0 : 4;
    if (spiSize !== wanted) throw malformed("D.spiSize", at + 1, spiSize, String(wanted));
    if (wanted === 0 && count !== 0) throw malformed("D.spiCount", at + 2, count, "0");
    atMost(count, LIMITS.deletedSpis, "D.spis", at + 2);
    const spis = Array.from({ length: count }, () => r.bytes(spiSize, "D.spis"));
    r.end("D.spis");
    return { kind: "D", protocol, spis };
  },
  encode(w, p) {
    w.u8(p.protocol)
      .u8(p.protocol === PROTOCOL.IKE ? 0 : 4)
      .u16(p.spis.length);
    for (const spi of p.spis) w.bytes(spi);
  },
};
