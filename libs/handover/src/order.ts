import { Buffer } from "node:buffer";
import { toPem } from "@sallyport/pki";
import { authoritiesOf, type Description } from "./description.js";
import type { Note } from "./faults.js";
import type { Suites } from "./suites.js";

/** One file of a profile. */
export interface ProfileFile {
  /** Plain letters; for a folder of the device, with it in front. */
  readonly name: string;
  readonly mediaType: string;
  readonly content: Uint8Array;
}

/** What every device's profile is made from, once it is known that the device can do it. */
export interface Order {
  readonly description: Description;
  readonly suites: Suites;
  readonly slug: string;
  /** Key and certificates of the person, in the device's encryption. */
  readonly pkcs12: Uint8Array | undefined;
}

/** What a device's writer makes: its files, and what it had to leave out beyond what its rules say. */
export interface Written {
  readonly files: readonly ProfileFile[];
  readonly notes?: readonly Note[];
}

export const textFile = (name: string, mediaType: string, text: string): ProfileFile => ({
  name,
  mediaType,
  content: Uint8Array.from(Buffer.from(text, "utf8")),
});

export const base64 = (octets: Uint8Array): string => Buffer.from(octets).toString("base64");

/** All CAs, in PEM. */
export const authoritiesPem = (d: Description): string =>
  authoritiesOf(d)
    .map((c) => toPem("CERTIFICATE", c.der))
    .join("");
