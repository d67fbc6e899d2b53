import {
  AUTH_METHOD,
  CERT_ENCODING,
  CFG,
  CFG_ATTRIBUTE,
  EAP_CODE,
  EXCHANGE,
  GROUP,
  ID,
  NOTIFY,
  nameOf,
  PAYLOAD,
  PROTOCOL,
} from "./registry.js";
import { printable, proposalsText } from "./text.js";
import type { ConfigAttribute, Header, Identification, Payload, TrafficSelector } from "./types.js";

const SHOWN_BYTES = 32;

function hex(octets: Uint8Array): string {
  const shown = Array.from(octets.subarray(0, SHOWN_BYTES), (b) => b.toString(16).padStart(2, "0")).join("");
  return octets.length > SHOWN_BYTES ? `${shown}… (${octets.length} octets)` : shown;
}

const size = (octets: Uint8Array) => `${octets.length} octets`;

function identification({ idType, data }: Identification): string {
  const name = nameOf(ID, idType);
  const text = idType === ID.FQDN || idType === ID.RFC822_ADDR || idType === ID.KEY_ID;
  return `${name} ${text ? printable(data) : hex(data)}`;
}

function selector(s: TrafficSelector): string {
  if (s.kind === "raw") return `type ${s.type} ${hex(s.data)}`;
  const ports = s.startPort === 0 && s.endPort === 65_535 ? "" : `[${s.startPort}-${s.endPort}]`;
  return `${s.start}-${s.end}${s.protocol === 0 ? "" : ` protocol ${s.protocol}`}${ports}`;
}

function attribute({ type, value }: ConfigAttribute): string {
  return value.length === 0 ? nameOf(CFG_ATTRIBUTE, type) : `${nameOf(CFG_ATTRIBUTE, type)} ${hex(value)}`;
}

/** One payload in words. Proofs, and what EAP carries, are told by their size alone: a trace may be shown around. */
export function payloadText(p: Payload): string {
  switch (p.kind) {
    case "SA":
      return `SA ${proposalsText(p.proposals)}${p.proposals.map((q) => (q.spi.length > 0 ? ` SPI ${hex(q.spi)}` : "")).join("")}`;
    case "KE":
      return `KE ${nameOf(GROUP, p.group)}, ${size(p.data)}`;
    case "IDi":
    case "IDr":
      return `${p.kind} ${identification(p)}`;
    case "CERT":
      return `CERT ${nameOf(CERT_ENCODING, p.encoding)}, ${size(p.data)}`;
    case "CERTREQ":
      return `CERTREQ ${nameOf(CERT_ENCODING, p.encoding)} ${hex(p.data)}`;
    case "AUTH":
      return `AUTH ${nameOf(AUTH_METHOD, p.method)}, ${size(p.data)}`;
    case "Nonce":
      return `Nonce ${size(p.data)}`;
    case "N": {
      const about = p.spi.length > 0 ? ` ${nameOf(PROTOCOL, p.protocol)} SPI ${hex(p.spi)}` : "";
      const secret = p.type === NOTIFY.NO_PPK_AUTH || p.type === NOTIFY.PPK_IDENTITY;
      return `N ${nameOf(NOTIFY, p.type)}${about}${p.data.length === 0 ? "" : ` ${secret ? size(p.data) : hex(p.data)}`}`;
    }
    case "D":
      return `D ${nameOf(PROTOCOL, p.protocol)}${p.spis.map((spi) => ` ${hex(spi)}`).join("")}`;
    case "V":
      return `V ${hex(p.data)}`;
    case "TSi":
    case "TSr":
      return `${p.kind} ${p.selectors.map(selector).join(", ")}`;
    case "CP":
      return `CP ${nameOf(CFG, p.cfgType)} ${p.attributes.map(attribute).join(", ")}`;
    case "EAP": {
      const typed = p.code === EAP_CODE.REQUEST || p.code === EAP_CODE.RESPONSE;
      return `EAP ${nameOf(EAP_CODE, p.code)} ${p.identifier}${typed ? ` type ${p.data[0] ?? "?"}, ${size(p.data)}` : ""}`;
    }
    case "unknown":
      return `${nameOf(PAYLOAD, p.type)} ${size(p.data)}`;
  }
}

/** A message in words, the header first, then a line for each payload. */
export function messageText(header: Header, payloads: readonly Payload[]): string[] {
  const kind = header.response ? "response" : "request";
  return [`${nameOf(EXCHANGE, header.exchange)} ${kind} ${header.messageId}`, ...payloads.map((p) => payloadText(p))];
}
