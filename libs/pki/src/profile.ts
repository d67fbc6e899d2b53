import { IpAddress, Prefix } from "@sallyport/base";
import type { SubjectName } from "./der-writer.js";
import { fault } from "./faults.js";
import type { GeneralNames } from "./general-names.js";
import type { KeyKind } from "./keys.js";

/** What a certificate profile permits. An empty list of one kind of name permits no such name. */
export interface ProfileRules {
  /** A DNS name itself and all names below it; `*` alone: every name. */
  readonly dnsNames: readonly string[];
  /** Mail hosts, e.g. `example.org`; `*` alone: every mailbox. */
  readonly emailHosts: readonly string[];
  /** Prefixes. */
  readonly addresses: readonly string[];
  readonly keyKinds: readonly KeyKind[];
  /** Milliseconds. */
  readonly longest: number;
}

const DNS_NAME = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const MAILBOX = /^[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@([^@]+)$/i;

function outside(field: string, value: string, expected: string) {
  return fault("pki/outside-profile", `${field}: the profile does not permit it`, { field, value, expected });
}

const listed = (list: readonly string[], what: string) => (list.length === 0 ? `no ${what}` : list.join(", "));

function permitsName(rules: ProfileRules, { type, value }: SubjectName): string | undefined {
  switch (type) {
    case "dns": {
      const below = (base: string) => base === "*" || value === base || value.endsWith(`.${base}`);
      return DNS_NAME.test(value) && rules.dnsNames.some(below) ? undefined : listed(rules.dnsNames, "DNS name");
    }
    case "email": {
      const host = MAILBOX.exec(value)?.[1]?.toLowerCase();
      const right = host !== undefined && DNS_NAME.test(host) && rules.emailHosts.some((h) => h === "*" || h === host);
      return right ? undefined : listed(rules.emailHosts, "mailbox");
    }
    case "ip": {
      const address = IpAddress.parse(value, "names");
      const right = rules.addresses.some((prefix) => Prefix.parse(prefix).contains(address));
      return right ? undefined : listed(rules.addresses, "address");
    }
    case "uri":
      return "no URI";
  }
}

export interface ProfileRequest {
  readonly names: readonly SubjectName[];
  readonly kind: KeyKind;
  /** Milliseconds from now. */
  readonly lifetime: number;
}

/** Judges what is asked for by a profile. @throws pki/outside-profile, base/bad-address */
export function requireWithinProfile(rules: ProfileRules, { names, kind, lifetime }: ProfileRequest): void {
  if (!rules.keyKinds.includes(kind)) throw outside("keyType", kind, rules.keyKinds.join(", "));
  if (lifetime > rules.longest) {
    throw outside("validDays", String(lifetime / 86_400_000), `at most ${rules.longest / 86_400_000}`);
  }
  if (names.length === 0) throw outside("names", "none", "at least one name");
  names.forEach((name, i) => {
    const expected = permitsName(rules, name);
    if (expected !== undefined) throw outside(`names[${i}]`, name.value.slice(0, 256), expected);
  });
}

/** The names that a request asks for. @throws pki/outside-profile for a form of name that no profile permits */
export function namesAsked({ dns, email, ip, uri, directory, other }: GeneralNames): SubjectName[] {
  if (directory.length + other.length > 0)
    throw outside("csr.subjectAltName", "another form of name", "DNS, mail, address");
  return [
    ...dns.map((value) => ({ type: "dns" as const, value })),
    ...email.map((value) => ({ type: "email" as const, value })),
    ...ip.map((bytes) => ({ type: "ip" as const, value: String(IpAddress.from(bytes)) })),
    ...uri.map((value) => ({ type: "uri" as const, value })),
  ];
}
