import { Buffer } from "node:buffer";

/** Any text as one literal of a language. What comes out holds nothing that the language would read as more than that text. */

const XML: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };

/** Character data of XML. Ends of lines of any kind, which one parser or another makes a line feed of, are written as references. */
export function xmlText(text: string): string {
  return text
    .replace(/[&<>"']/g, (c) => XML[c] as string)
    .replace(/[\r\u0085\u2028\u2029]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/**
 * An expression of Windows PowerShell 5.1. Only printable ASCII is quoted: a script without a byte order mark is read in the
 * machine's own code page, in which other octets may be quotation marks. The rest is decoded by the script itself.
 */
export function powershell(text: string): string {
  if (/^[ -~]*$/.test(text)) return `'${text.replace(/'/g, "''")}'`;
  const octets = Buffer.from(text, "utf8").toString("base64");
  return `([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('${octets}')))`;
}

/** A word of a POSIX shell. */
export const shell = (text: string): string => `'${text.replace(/'/g, "'\\''")}'`;

const STRONGSWAN: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A quoted value of strongswan.conf and swanctl.conf. */
export function strongswan(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&").replace(/[\n\r\t]/g, (c) => STRONGSWAN[c] as string)}"`;
}

/** A string of a RouterOS script: octets that are no plain letters stand as `\XX`, which also keeps `$` and `[` from being read. */
export function routeros(text: string): string {
  const octets = [...Buffer.from(text, "utf8")].map((octet) => {
    const c = String.fromCharCode(octet);
    return /[A-Za-z0-9 .,:@/_-]/.test(c) ? c : `\\${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  });
  return `"${octets.join("")}"`;
}

const KEYFILE: Readonly<Record<string, string>> = { " ": "\\s", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

/** A value of a GLib key file, the form of NetworkManager's connections. */
export const keyfile = (text: string): string => text.replace(/[ \n\r\t\\]/g, (c) => KEYFILE[c] as string);
