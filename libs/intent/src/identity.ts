import { Buffer } from "node:buffer";
import { IpAddress } from "@sallyport/base";
import { dnFromText, type IdentityMatch, type Identity as IkeIdentity } from "@sallyport/ike";
import type { Identity, LocalIdentity, PeerIdentity } from "./model.js";
import { Secret } from "./secret.js";

/** The engine's form of an identity. */
export function ikeIdentity({ type, value }: Identity): IkeIdentity {
  switch (type) {
    case "fqdn":
    case "email":
      return { type, name: value };
    case "address": {
      const address = IpAddress.parse(value);
      return { type: address.family === 4 ? "ipv4" : "ipv6", address };
    }
    case "dn":
      return { type, data: dnFromText(value) ?? Uint8Array.from(Buffer.from(value, "base64")) };
    case "key-id":
      return { type, data: new Secret(value).bytes() };
  }
}

/** Whom a peer may be; a `*` makes it a pattern. */
export function identityMatch(identity: PeerIdentity): IdentityMatch {
  if (!("value" in identity)) return { match: identity.type };
  const wanted = ikeIdentity(identity);
  const isPattern = identity.value.includes("*") && wanted.type !== "key-id" && !("address" in wanted);
  return isPattern ? { match: "like", pattern: wanted } : { match: "is", identity: wanted };
}

/** For messages. */
export function identityText(identity: PeerIdentity | LocalIdentity): string {
  return "value" in identity ? identity.value : identity.type;
}
