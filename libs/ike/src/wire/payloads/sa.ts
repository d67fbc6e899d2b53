import type { Reader, Writer } from "@sallyport/base";
import { atMost, malformed, type PayloadCodec } from "../codec.js";
import { LIMITS } from "../limits.js";
import { ATTRIBUTE, PAYLOAD, PROTOCOL } from "../registry.js";
import type { Attribute, Proposal, SaPayload, Transform } from "../types.js";

const MORE_PROPOSALS = 2;
const MORE_TRANSFORMS = 3;
/** Attribute format bit: the value is the two octets after the type. */
const AF = 0x8000;

/** RFC 7296 §3.3. */
export const sa: PayloadCodec<SaPayload> = {
  type: PAYLOAD.SA,
  kind: "SA",
  decode(r) {
    const proposals: Proposal[] = [];
    for (let more = true; more; ) {
      atMost(proposals.length + 1, LIMITS.proposals, "SA.proposals", r.offset);
      const at = r.offset;
      more = moreFlag(r, MORE_PROPOSALS, "SA.proposal.last");
      r.skip(1);
      const proposal = decodeProposal(r.sub(substructure(r, 4, "SA.proposal.length"), "SA.proposal"));
      const before = proposals.at(-1);
      if (before && proposal.number !== before.number + 1) {
        throw malformed("SA.proposal.number", at, proposal.number, `${before.number + 1}, one more than the last`);
      }
      proposals.push(proposal);
    }
    r.end("SA.proposals");
    return { kind: "SA", proposals };
  },
  encode(w, p) {
    for (const [i, proposal] of p.proposals.entries()) {
      const at = w.length;
      w.u8(i + 1 < p.proposals.length ? MORE_PROPOSALS : 0).zero(3);
      encodeProposal(w, proposal);
      w.patchU16(at + 2, w.length - at);
    }
  },
};

function moreFlag(r: Reader, more: number, field: string): boolean {
  const at = r.offset;
  const flag = r.u8(field);
  if (flag !== 0 && flag !== more) throw malformed(field, at, flag, `0 or ${more}`);
  return flag === more;
}

/** Reads the length of a substructure and gives what of it is left. */
function substructure(r: Reader, header: number, field: string): number {
  const at = r.offset;
  const length = r.u16(field);
  if (length < header) throw malformed(field, at, length, `at least ${header}`);
  return length - header;
}

/** RFC 7296 §3.3.1. */
function decodeProposal(r: Reader): Proposal {
  const number = r.u8("SA.proposal.number");
  const protocol = r.u8("SA.proposal.protocol");
  const at = r.offset;
  const spiSize = r.u8("SA.proposal.spiSize");
  const sizes = protocol === PROTOCOL.IKE ? [0, 8] : protocol === PROTOCOL.AH || protocol === PROTOCOL.ESP ? [4] : [];
  if (sizes.length > 0 && !sizes.includes(spiSize)) {
    throw malformed("SA.proposal.spiSize", at, spiSize, sizes.join(" or "));
  }
  const count = r.u8("SA.proposal.transformCount");
  atMost(count, LIMITS.transforms, "SA.proposal.transforms", r.offset - 1);
  const spi = r.bytes(spiSize, "SA.proposal.spi");
  const transforms: Transform[] = [];
  for (let i = 0; i < count; i++) {
    const flagAt = r.offset;
    const more = moreFlag(r, MORE_TRANSFORMS, "SA.transform.last");
    if (more !== i + 1 < count) throw malformed("SA.transform.last", flagAt, more ? 3 : 0, `${count} transforms`);
    r.skip(1);
    transforms.push(decodeTransform(r.sub(substructure(r, 4, "SA.transform.length"), "SA.transform")));
  }
  r.end("SA.proposal");
  return { number, protocol, spi, transforms };
}

function encodeProposal(w: Writer, p: Proposal): void {
  w.u8(p.number).u8(p.protocol).u8(p.spi.length).u8(p.transforms.length).bytes(p.spi);
  for (const [i, transform] of p.transforms.entries()) {
    const at = w.length;
    w.u8(i + 1 < p.transforms.length ? MORE_TRANSFORMS : 0).zero(3);
    w.u8(transform.type).zero(1).u16(transform.id);
    if (transform.keyBits !== undefined) w.u16(AF | ATTRIBUTE.KEY_LENGTH).u16(transform.keyBits);
    for (const a of transform.unknownAttributes ?? []) w.u16(a.type).u16(a.value.length).bytes(a.value);
    w.patchU16(at + 2, w.length - at);
  }
}

/** RFC 7296 §3.3.2 and §3.3.5. A second or long-form Key Length counts as unknown, so that the transform is not chosen. */
function decodeTransform(r: Reader): Transform {
  const type = r.u8("SA.transform.type");
  r.skip(1);
  const id = r.u16("SA.transform.id");
  let keyBits: number | undefined;
  const unknownAttributes: Attribute[] = [];
  for (let n = 1; r.remaining > 0; n++) {
    atMost(n, LIMITS.attributes, "SA.transform.attributes", r.offset);
    const word = r.u16("SA.attribute.type");
    const attribute = word & ~AF;
    const short = (word & AF) !== 0;
    if (short && attribute === ATTRIBUTE.KEY_LENGTH && keyBits === undefined) keyBits = r.u16("SA.attribute.value");
    else {
      const size = short ? 2 : r.u16("SA.attribute.length");
      unknownAttributes.push({ type: attribute, value: r.bytes(size, "SA.attribute.value") });
    }
  }
  return {
    type,
    id,
    ...(keyBits !== undefined && { keyBits }),
    ...(unknownAttributes.length > 0 && { unknownAttributes }),
  };
}
