import type { IpAddress } from "@sallyport/base";

/** RFC 7296 §3.5; `dn` is the DER of a Name, `key-id` opaque octets. */
export type Identity =
  | { readonly type: "ipv4" | "ipv6"; readonly address: IpAddress }
  | NameIdentity
  | { readonly type: "key-id"; readonly data: Uint8Array };

export type NameIdentity =
  | { readonly type: "fqdn" | "email"; readonly name: string }
  | { readonly type: "dn"; readonly data: Uint8Array };

/**
 * What the peer may call itself (IDENT-09). `auto`: its address with a PSK, whatever its certificate proves with certificates.
 * `any`: every identity (with certificates: every one that the certificate proves). `ignore`: not even compared with the
 * certificate; dangerous.
 */
export type IdentityMatch =
  | { readonly match: "auto" | "any" | "ignore" }
  | { readonly match: "is"; readonly identity: Identity }
  /**
   * Names of the pattern's type: `*` and what follows it in the end of a DNS name or mailbox; for a `dn`, attributes of the value
   * `*` may have any.
   */
  | { readonly match: "like"; readonly pattern: NameIdentity };
