import { Buffer } from "node:buffer";
import { type Identity, ikeIdentity } from "@sallyport/intent";

/** An identity in strongSwan's notation, with its type said so that nothing is guessed. A distinguished name goes as its DER. */
export function strongswanIdentity(identity: Identity): string {
  const { type, value } = identity;
  if (type === "fqdn" || type === "email") return `${type}:${value}`;
  const ike = ikeIdentity(identity);
  return "data" in ike ? `asn1dn:#${Buffer.from(ike.data).toString("hex")}` : value;
}

/** What a user name is as an identity. */
export const personIdentity = (username: string): Identity => ({
  type: username.includes("@") ? "email" : "fqdn",
  value: username,
});
