import { malformed, type PayloadCodec } from "../codec.js";
import { EAP_CODE, PAYLOAD } from "../registry.js";
import type { EapPayload } from "../types.js";

const HEADER_BYTES = 4;

/** RFC 7296 §3.16, RFC 3748 §4: requests and responses have a type, success and failure nothing. */
export const eap: PayloadCodec<EapPayload> = {
  type: PAYLOAD.EAP,
  kind: "EAP",
  decode(r) {
    const at = r.offset;
    const code = r.u8("EAP.code");
    const identifier = r.u8("EAP.identifier");
    const length = r.u16("EAP.length");
    const data = r.rest("EAP.data");
    if (code < EAP_CODE.REQUEST || code > EAP_CODE.FAILURE) throw malformed("EAP.code", at, code, "1 to 4");
    if (length !== HEADER_BYTES + data.length) {
      throw malformed("EAP.length", at + 2, length, String(HEADER_BYTES + data.length));
    }
    const typed = code === EAP_CODE.REQUEST || code === EAP_CODE.RESPONSE;
    if (typed !== data.length > 0) {
      throw malformed("EAP.data", at + HEADER_BYTES, `${data.length} octets`, typed ? "a type" : "no octets");
    }
    return { kind: "EAP", code, identifier, data };
  },
  encode(w, p) {
    w.u8(p.code)
      .u8(p.identifier)
      .u16(HEADER_BYTES + p.data.length)
      .bytes(p.data);
  },
};
