import type { Reader, Writer } from "@sallyport/base";
import { malformed, type PayloadCodec } from "../codec.js";
import { LIMITS } from "../limits.js";
import { ID, PAYLOAD } from "../registry.js";
import type { Identification, IdiPayload, IdrPayload } from "../types.js";

/** RFC 7296 §3.5: addresses have their size, names no terminators, a DN is one DER SEQUENCE. */
export const idi: PayloadCodec<IdiPayload> = {
  type: PAYLOAD.IDi,
  kind: "IDi",
  decode: (r) => ({ kind: "IDi", ...decodeIdentification(r, "IDi") }),
  encode: encodeIdentification,
};

/** RFC 7296 §3.5. */
export const idr: PayloadCodec<IdrPayload> = {
  type: PAYLOAD.IDr,
  kind: "IDr",
  decode: (r) => ({ kind: "IDr", ...decodeIdentification(r, "IDr") }),
  encode: encodeIdentification,
};

function decodeIdentification(r: Reader, name: string): Identification {
  const idType = r.u8(`${name}.idType`);
  r.skip(3);
  const at = r.offset;
  const field = `${name}.data`;
  const data = r.rest(field, { min: 1, max: LIMITS.identityBytes });
  switch (idType) {
    case ID.IPV4_ADDR:
    case ID.IPV6_ADDR: {
      const size = idType === ID.IPV4_ADDR ? 4 : 16;
      if (data.length !== size) throw malformed(field, at, `${data.length} octets`, `${size} octets`);
      break;
    }
    case ID.FQDN:
    case ID.RFC822_ADDR: {
      const bad = data.findIndex((octet) => octet < 0x20 || octet === 0x7f);
      if (bad >= 0) throw malformed(field, at + bad, `octet ${data[bad]}`, "a name without control characters");
      break;
    }
    case ID.DER_ASN1_DN:
      if (!isOneSequence(data)) throw malformed(field, at, `${data.length} octets`, "one DER SEQUENCE");
      break;
  }
  return { idType, data };
}

function encodeIdentification(w: Writer, p: Identification): void {
  w.u8(p.idType).zero(3).bytes(p.data);
}

/** Whether `data` is a definite-length DER SEQUENCE that ends where `data` ends (X.690 §8.1.3, §10.1). */
function isOneSequence(data: Uint8Array): boolean {
  const [tag, first = 0, second = 0, third = 0] = data;
  if (tag !== 0x30 || data.length < 2) return false;
  if (first < 0x80) return data.length === 2 + first;
  if (first === 0x81) return second >= 0x80 && data.length === 3 + second;
  return first === 0x82 && second > 0 && data.length === 4 + second * 256 + third;
}
