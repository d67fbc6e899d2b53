import { Buffer } from "node:buffer";
import { xmlText } from "./escape.js";

/** A value of a property list; octets become `data`, numbers are whole. */
export type PlistValue =
  | string
  | number
  | boolean
  | Uint8Array
  | readonly PlistValue[]
  | { readonly [key: string]: PlistValue };

function element(value: PlistValue): string {
  if (typeof value === "string") return `<string>${xmlText(value)}</string>`;
  if (typeof value === "number") return `<integer>${value}</integer>`;
  if (typeof value === "boolean") return value ? "<true/>" : "<false/>";
  if (value instanceof Uint8Array) return `<data>${Buffer.from(value).toString("base64")}</data>`;
  if (Array.isArray(value)) return `<array>${value.map(element).join("\n")}</array>`;
  const members = Object.entries(value).map(([key, member]) => `<key>${xmlText(key)}</key>${element(member)}`);
  return `<dict>\n${members.join("\n")}\n</dict>`;
}

/** A property list in Apple's XML form. */
export function plist(value: PlistValue): string {
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    `<plist version="1.0">\n${element(value)}\n</plist>\n`,
  ].join("\n");
}
