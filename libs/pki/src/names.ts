import * as asn1js from "asn1js";
import { decode, type Node, oid, raw, sequence, set } from "./der.js";

const SHORT: Readonly<Record<string, string>> = {
  "2.5.4.3": "CN",
  "2.5.4.5": "serialNumber",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.10": "O",
  "2.5.4.11": "OU",
  "0.9.2342.19200300.100.1.1": "UID",
  "0.9.2342.19200300.100.1.25": "DC",
  "1.2.840.113549.1.9.1": "emailAddress",
};

/** A Name of X.501, read once. */
export interface DistinguishedName {
  readonly der: Uint8Array;
  /** For people and logs, RFC 4514 order; control characters and separators are escaped. */
  readonly text: string;
  /**
   * RDNs from the root down, each as one text in which letter case, runs of blanks and the kind of string make no difference
   * (RFC 5280 §7.1). Names are equal when these are.
   */
  readonly rdns: readonly string[];
}

export function readName(node: Node | undefined, field: string): DistinguishedName {
  const rdns: string[] = [];
  const texts: string[] = [];
  for (const rdn of sequence(node, field)) {
    const parts = set(rdn, field).map((attribute) => {
      const [type, value] = sequence(attribute, field);
      const name = oid(type, field);
      const text = value instanceof asn1js.BaseStringBlock ? value.getValue() : undefined;
      return {
        key: `${name}=${text === undefined ? hex(value) : fold(text)}`,
        text: `${SHORT[name] ?? name}=${escapeText(text ?? `#${hex(value)}`)}`,
      };
    });
    rdns.push(JSON.stringify(parts.map((p) => p.key).toSorted()));
    texts.unshift(parts.map((p) => p.text).join("+"));
  }
  return { der: node ? raw(node) : new Uint8Array(0), text: texts.join(","), rdns };
}

/** The common name as it was given; of several the one next to the leaf. */
export function commonNameOf({ der }: DistinguishedName): string | undefined {
  const field = "name";
  const attributes = sequence(decode(der, field), field).flatMap((rdn) => set(rdn, field));
  const found = attributes.flatMap((attribute) => {
    const [type, value] = sequence(attribute, field);
    return SHORT[oid(type, field)] === "CN" && value instanceof asn1js.BaseStringBlock ? [value.getValue()] : [];
  });
  return found.at(-1);
}

export function sameName(a: DistinguishedName, b: DistinguishedName): boolean {
  return a.rdns.length === b.rdns.length && a.rdns.every((rdn, i) => rdn === b.rdns[i]);
}

const hex = (node: Node | undefined) => (node ? Buffer.from(node.valueBeforeDecodeView).toString("hex") : "");
const fold = (text: string) => text.normalize("NFKC").trim().replace(/\s+/g, " ").toLowerCase();
/** RFC 4514 §2.4, and every control or format character as \hh so that a name can forge no log line. */
const escapeText = (text: string) =>
  text
    .replace(/[,+"\\<>;=]/g, "\\$&")
    .replace(/[\p{C}\p{Z}]/gu, (c) => (c === " " ? c : `\\${Buffer.from(c).toString("hex")}`));
