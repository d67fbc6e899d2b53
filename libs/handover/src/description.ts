import { IpAddress, type Prefix } from "@sallyport/base";
import { type Identity, isHostName } from "@sallyport/intent";
import type { Certificate } from "@sallyport/pki";
import { fault } from "./faults.js";

/** How the person proves who they are; the gateway shows a certificate always. */
export type Authentication = "certificate" | "eap-tls" | "eap-mschapv2" | "certificate-and-eap-mschapv2";

export const WANTS_CERTIFICATE: Readonly<Record<Authentication, boolean>> = {
  certificate: true,
  "eap-tls": true,
  "eap-mschapv2": false,
  "certificate-and-eap-mschapv2": true,
};

export const wantsPassword = (a: Authentication) => a === "eap-mschapv2" || a === "certificate-and-eap-mschapv2";

export interface ClientCredential {
  /** PKCS#8, DER. */
  readonly privateKey: Uint8Array;
  readonly certificate: Certificate;
  /** CAs above it, the next one first, the root last. */
  readonly above: readonly Certificate[];
  /** Under which the key is handed over. It stands in no file: it goes another way. */
  readonly passphrase: string;
}

/** One way into one gateway for one person; profiles of all devices are made from it. */
export interface Description {
  /** Names person and service: a profile made anew with the same id takes the place of the old one on the device. */
  readonly id: string;
  /** What the device calls the connection. */
  readonly name: string;
  readonly organization: string;
  readonly gateway: {
    /** A host name or an address. */
    readonly address: string;
    /** What its certificate proves. */
    readonly identity: Identity;
    /** Whether its certificate proves the address too: some devices compare it with nothing else. */
    readonly provesAddress: boolean;
    /** CAs above its certificate, the one that issued it first, the root last. */
    readonly authorities: readonly Certificate[];
  };
  /** In the notation of `parseProposals`, preferred ones first. */
  readonly proposals: { readonly ike: readonly string[]; readonly esp: readonly string[] };
  readonly authentication: Authentication;
  /** Empty: everything goes through the tunnel. */
  readonly networks: readonly Prefix[];
  readonly dns: readonly IpAddress[];
  /** Domains that are looked up through the tunnel; empty: all. */
  readonly domains: readonly string[];
  readonly person: {
    readonly name: string;
    /** A mailbox or a DNS name: the name in EAP and what the certificate proves. */
    readonly username: string;
  };
  readonly credential?: ClientCredential | undefined;
}

const MAX_CHARS = 200;
/** Control characters, half surrogates, line ends of Unicode and what XML 1.0 cannot hold. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\uFFFE\uFFFF]/u;

function bad(field: string, expected: string) {
  return fault("handover/bad-description", `${field}: expected ${expected}`, { field, expected });
}

const isAddress = (text: string) => {
  try {
    IpAddress.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** Looks at everything of a description that could not become a profile of any device. @throws handover/bad-description, handover/credential-mismatch */
export function checkDescription(d: Description): void {
  const texts = { id: d.id, name: d.name, organization: d.organization, "person.name": d.person.name };
  for (const [field, text] of Object.entries(texts)) {
    if (text.length === 0 || text.length > MAX_CHARS || UNPRINTABLE.test(text)) {
      throw bad(field, `1 to ${MAX_CHARS} printable characters`);
    }
  }
  const { address, identity, authorities } = d.gateway;
  if (!isHostName(address) && !isAddress(address)) throw bad("gateway.address", "a host name or an address");
  const { username } = d.person;
  if (username.length > MAX_CHARS || !/^[^\s@\p{C}]+(@[^\s@\p{C}]+)?$/u.test(username)) {
    throw bad("person.username", "a mailbox or a DNS name");
  }
  const isIdentity = {
    fqdn: () => isHostName(identity.value),
    address: () => isAddress(identity.value),
    email: () => /^[^\s@\p{C}]+@[^\s@\p{C}]+$/u.test(identity.value),
    dn: () => identity.value !== "" && !UNPRINTABLE.test(identity.value),
    "key-id": () => false,
  };
  if (!isIdentity[identity.type]()) {
    throw bad("gateway.identity", "a DNS name, an address, a mailbox or a distinguished name");
  }
  const root = authorities.at(-1);
  if (root === undefined || root.subject.text !== root.issuer.text)
    throw bad("gateway.authorities", "a chain up to a root");
  d.domains.forEach((domain, i) => {
    if (!isHostName(domain)) throw bad(`domains[${i}]`, "a domain");
  });
  if (WANTS_CERTIFICATE[d.authentication] !== (d.credential !== undefined)) {
    throw fault("handover/credential-mismatch", `${d.authentication} and ${d.credential ? "a" : "no"} certificate`, {
      field: "credential",
      expected: WANTS_CERTIFICATE[d.authentication] ? "a certificate with its key" : "none",
    });
  }
}

/** The root alone, which is all that has to be trusted. */
export const rootOf = (d: Description) => d.gateway.authorities.at(-1) as Certificate;

/** CAs of the gateway and of the person, each once, root of the gateway's last. */
export function authoritiesOf(d: Description): readonly Certificate[] {
  const all = [...(d.credential?.above ?? []), ...d.gateway.authorities];
  const last = new Map(all.map((c, at) => [c.fingerprint, at]));
  return all.filter((c, at) => last.get(c.fingerprint) === at);
}
