import { IpAddress } from "@sallyport/base";
import type { Certificate } from "./certificate.js";
import { decode } from "./der.js";
import { fault } from "./faults.js";
import { readName, sameName } from "./names.js";

/** An IKE identity that a certificate may prove (RFC 7296 §3.5); `dn` is the DER of a Name, `key-id` opaque octets. */
export type PeerIdentity =
  | { readonly type: "ipv4" | "ipv6"; readonly address: IpAddress }
  | { readonly type: "fqdn" | "email"; readonly name: string }
  | { readonly type: "dn" | "key-id"; readonly data: Uint8Array };

/**
 * Whether a certificate proves an identity: a subjectAltName of the same kind and value, or for a `dn` the subject (RFC 4945
 * §3.1). No wildcards, no look at the common name. A key-id is opaque, so no certificate proves it.
 */
export function proves(certificate: Certificate, identity: PeerIdentity): boolean {
  const { names } = certificate;
  switch (identity.type) {
    case "fqdn": {
      const wanted = identity.name.toLowerCase();
      return names.dns.some((n) => n === wanted && !n.includes("*"));
    }
    case "email": {
      const fold = (mailbox: string) => {
        const at = mailbox.lastIndexOf("@");
        return mailbox.slice(0, at) + mailbox.slice(at).toLowerCase();
      };
      return names.email.some((n) => fold(n) === fold(identity.name));
    }
    case "ipv4":
    case "ipv6":
      return names.ip.some((n) => Buffer.compare(n, identity.address.bytes) === 0);
    case "dn":
      return sameName(certificate.subject, readName(decode(identity.data, "identity"), "identity"));
    case "key-id":
      return false;
  }
}

/**
 * What a certificate says by itself (IDENT-08): its first DNS name without a wildcard, mailbox or address among the
 * subjectAltNames, else its subject.
 */
export function ownIdentity({ names, subject }: Certificate): PeerIdentity {
  const [dns] = names.dns.filter((n) => !n.includes("*"));
  if (dns !== undefined) return { type: "fqdn", name: dns };
  const [email] = names.email;
  if (email !== undefined) return { type: "email", name: email };
  const [ip] = names.ip;
  if (ip === undefined) return { type: "dn", data: subject.der };
  return { type: ip.length === 4 ? "ipv4" : "ipv6", address: IpAddress.from(ip) };
}

/** @throws pki/identity-mismatch naming what the certificate does prove */
export function requireIdentity(certificate: Certificate, identity: PeerIdentity): void {
  if (proves(certificate, identity)) return;
  const wanted =
    "name" in identity
      ? identity.name
      : "address" in identity
        ? String(identity.address)
        : Buffer.from(identity.data).toString("hex");
  const { names, subject } = certificate;
  const has = [...names.dns, ...names.email, ...names.ip.map((n) => Buffer.from(n).toString("hex")), subject.text];
  throw fault("pki/identity-mismatch", `the certificate does not prove the ${identity.type} identity`, {
    field: "leaf.subjectAltName",
    facts: { ours: wanted.slice(0, 256), theirs: has.join(", ").slice(0, 1024) },
  });
}
