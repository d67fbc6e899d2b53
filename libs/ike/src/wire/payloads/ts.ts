import { IpAddress, type Reader, type Writer } from "@sallyport/base";
import { atMost, malformed, type PayloadCodec } from "../codec.js";
import { LIMITS } from "../limits.js";
import { PAYLOAD, TS_TYPE } from "../registry.js";
import type { AddressSelector, TrafficSelector, TsiPayload, TsrPayload } from "../types.js";

/** RFC 7296 §3.13. */
export const tsi: PayloadCodec<TsiPayload> = {
  type: PAYLOAD.TSi,
  kind: "TSi",
  decode: (r) => ({ kind: "TSi", selectors: decodeSelectors(r, "TSi") }),
  encode: (w, p) => encodeSelectors(w, p.selectors),
};

/** RFC 7296 §3.13. */
export const tsr: PayloadCodec<TsrPayload> = {
  type: PAYLOAD.TSr,
  kind: "TSr",
  decode: (r) => ({ kind: "TSr", selectors: decodeSelectors(r, "TSr") }),
  encode: (w, p) => encodeSelectors(w, p.selectors),
};

function decodeSelectors(r: Reader, name: string): TrafficSelector[] {
  const at = r.offset;
  const count = r.u8(`${name}.count`);
  r.skip(3);
  if (count === 0) throw malformed(`${name}.count`, at, 0, "at least 1");
  atMost(count, LIMITS.selectors, `${name}.selectors`, at);
  const selectors: TrafficSelector[] = [];
  while (selectors.length < count) selectors.push(decodeSelector(r, name));
  r.end(`${name}.selectors`);
  return selectors;
}

/** RFC 7296 §3.13.1. */
function decodeSelector(r: Reader, name: string): TrafficSelector {
  const at = r.offset;
  const type = r.u8(`${name}.type`);
  const protocol = r.u8(`${name}.protocol`);
  const length = r.u16(`${name}.length`);
  const addressBytes = type === TS_TYPE.IPV4_ADDR_RANGE ? 4 : type === TS_TYPE.IPV6_ADDR_RANGE ? 16 : undefined;
  if (addressBytes === undefined) {
    if (length < 4) throw malformed(`${name}.length`, at + 2, length, "at least 4");
    return { kind: "raw", type, protocol, data: r.bytes(length - 4, `${name}.data`) };
  }
  if (length !== 8 + 2 * addressBytes) throw malformed(`${name}.length`, at + 2, length, String(8 + 2 * addressBytes));
  const startPort = r.u16(`${name}.startPort`);
  const endPort = r.u16(`${name}.endPort`);
  const start = IpAddress.from(r.bytes(addressBytes, `${name}.start`));
  const end = IpAddress.from(r.bytes(addressBytes, `${name}.end`));
  const opaque = startPort === 65535 && endPort === 0;
  if (startPort > endPort && !opaque) {
    throw malformed(`${name}.endPort`, at + 6, endPort, `at least startPort ${startPort}`);
  }
  if (start.toBigInt() > end.toBigInt()) {
    throw malformed(`${name}.end`, r.offset - addressBytes, "below start", "start or above");
  }
  return { kind: "range", protocol, startPort, endPort, start, end };
}

function encodeSelectors(w: Writer, selectors: readonly TrafficSelector[]): void {
  w.u8(selectors.length).zero(3);
  for (const s of selectors) {
    if (s.kind === "range") encodeRange(w, s);
    else
      w.u8(s.type)
        .u8(s.protocol)
        .u16(4 + s.data.length)
        .bytes(s.data);
  }
}

function encodeRange(w: Writer, s: AddressSelector): void {
  w.u8(s.start.family === 4 ? TS_TYPE.IPV4_ADDR_RANGE : TS_TYPE.IPV6_ADDR_RANGE).u8(s.protocol);
  const [start, end] = [s.start.bytes, s.end.bytes];
  w.u16(8 + 2 * start.length).u16(s.startPort);
  w.u16(s.endPort).bytes(start).bytes(end);
}
