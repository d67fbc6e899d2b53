import { atMost, malformed, type PayloadCodec } from "../codec.js";
import { LIMITS } from "../limits.js";
import { CFG_ATTRIBUTE, PAYLOAD } from "../registry.js";
import type { ConfigAttribute, ConfigPayload } from "../types.js";

/**
 * Value sizes, RFC 7296 §3.15.1; attributes not listed may have any. 16 octets for INTERNAL_IP6_ADDRESS
 * (no prefix length) come from peers that follow old drafts.
 */
const SIZES: Readonly<Record<number, readonly number[]>> = {
  [CFG_ATTRIBUTE.INTERNAL_IP4_ADDRESS]: [0, 4],
  [CFG_ATTRIBUTE.INTERNAL_IP4_NETMASK]: [0, 4],
  [CFG_ATTRIBUTE.INTERNAL_IP4_DNS]: [0, 4],
  [CFG_ATTRIBUTE.INTERNAL_IP4_NBNS]: [0, 4],
  [CFG_ATTRIBUTE.INTERNAL_IP4_DHCP]: [0, 4],
  [CFG_ATTRIBUTE.INTERNAL_IP6_ADDRESS]: [0, 16, 17],
  [CFG_ATTRIBUTE.INTERNAL_IP6_DNS]: [0, 16],
  [CFG_ATTRIBUTE.INTERNAL_IP6_DHCP]: [0, 16],
  [CFG_ATTRIBUTE.INTERNAL_IP4_SUBNET]: [0, 8],
  [CFG_ATTRIBUTE.INTERNAL_IP6_SUBNET]: [0, 17],
};

/** RFC 7296 §3.15. */
export const config: PayloadCodec<ConfigPayload> = {
  type: PAYLOAD.CP,
  kind: "CP",
  decode(r) {
    const cfgType = r.u8("CP.cfgType");
    r.skip(3);
    const attributes: ConfigAttribute[] = [];
    while (r.remaining > 0) {
      const at = r.offset;
      atMost(attributes.length + 1, LIMITS.configAttributes, "CP.attributes", at);
      const type = r.u16("CP.attribute.type") & 0x7fff;
      const length = r.u16("CP.attribute.length");
      const sizes = SIZES[type];
      if (sizes && !sizes.includes(length)) throw malformed("CP.attribute.length", at + 2, length, sizes.join(" or "));
      attributes.push({ type, value: r.bytes(length, "CP.attribute.value") });
    }
    return { kind: "CP", cfgType, attributes };
  },
  encode(w, p) {
    w.u8(p.cfgType).zero(3);
    for (const a of p.attributes) w.u16(a.type).u16(a.value.length).bytes(a.value);
  },
};
