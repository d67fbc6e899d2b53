import { Buffer } from "node:buffer";
import { IpAddress, isFault, Prefix } from "@sallyport/base";
import { dnFromText } from "@sallyport/ike";
import { z } from "zod";
import { parseSelector, selectorText } from "./selectors.js";

const HOST_LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/i;

export function isHostName(text: string): boolean {
  return text.length <= 253 && !/^[\d.]+$/.test(text) && text.split(".").every((l) => HOST_LABEL.test(l));
}

function isAddress(text: string): boolean {
  try {
    IpAddress.parse(text);
    return true;
  } catch {
    return false;
  }
}

export function isBase64(text: string): boolean {
  return Buffer.from(text, "base64").toString("base64") === text;
}

/** Runs a parser of values; what it throws becomes the issue. */
export function by<T>(parse: (text: string) => T) {
  return z.string().transform((text, ctx): T => {
    try {
      return parse(text);
    } catch (error) {
      ctx.addIssue({ code: "custom", message: (isFault(error) ? error.expected : undefined) ?? String(error) });
      return z.NEVER;
    }
  });
}

export const id = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, "1 to 64 of A-Z a-z 0-9 . _ -");
export const der = z.string().min(1).refine(isBase64, "DER in base64");
export const name = z.string().min(1).max(200);
export const prefix = by((t) => Prefix.parse(t).toString());
export const selector = by((t) => selectorText(parseSelector(t)));
export const address = by((t) => IpAddress.parse(t).toString());

const anIdentity = (pattern: boolean) =>
  z
    .strictObject({ type: z.enum(["fqdn", "address", "email", "dn", "key-id"]), value: z.string().min(1).max(1024) })
    .superRefine((v, ctx) => {
      const refuse = (message: string) => ctx.addIssue({ code: "custom", path: ["value"], message });
      const starless = pattern && v.type === "fqdn" ? v.value.replace(/^\*\.(?=.)/, "") : v.value;
      if (v.type === "fqdn" && !isHostName(starless)) refuse("a DNS name");
      if (v.type === "email" && !/^[^@\s]+@[^@\s]+$/.test(v.value)) refuse("a mailbox such as me@example.org");
      if (v.type === "email" && v.value.includes("*") && !(pattern && /^\*@[^*]+$/.test(v.value))) {
        refuse("a mailbox such as me@example.org");
      }
      const isDn =
        isBase64(v.value) || (dnFromText(v.value) !== undefined && (pattern || !/=\s*\*\s*(,|$)/.test(v.value)));
      if (v.type === "dn" && !isDn) refuse("a Name's DER in base64, or its text such as C=AT, O=Acme, CN=gw");
      if (v.type === "address" && !isAddress(v.value)) refuse("an IPv4 or IPv6 address");
    });

export const identity = anIdentity(false);
/** A name, or what the proof says by itself. */
export const localIdentity = z.discriminatedUnion("type", [z.strictObject({ type: z.literal("auto") }), identity]);
/** One, or all that fit a pattern. */
export const peerIdentity = z.discriminatedUnion("type", [
  z.strictObject({ type: z.enum(["any", "auto", "ignore"]) }),
  anIdentity(true),
]);
