import { contextTag, children as inside, malformed, type Node, sequence } from "./der.js";
import { type GeneralNames, readGeneralNames } from "./general-names.js";
import type { DistinguishedName } from "./names.js";

/** Name constraints of a CA, RFC 5280 §4.2.1.10. */
export interface NameConstraints {
  readonly permitted: GeneralNames | undefined;
  readonly excluded: GeneralNames | undefined;
}

export function readNameConstraints(node: Node, field: string): NameConstraints {
  const subtrees = (tree: Node | undefined): GeneralNames | undefined => {
    if (tree === undefined) return undefined;
    const bases = inside(tree, field).map((subtree) => {
      const [base, ...bounds] = sequence(subtree, field);
      // minimum and maximum are never used in the internet profile; with them the meaning would be another one.
      if (base === undefined || bounds.length > 0) throw malformed(field, "a subtree with bounds");
      return base;
    });
    return readGeneralNames(bases, field, [8, 32]);
  };
  const parts = sequence(node, field);
  return {
    permitted: subtrees(parts.find((p) => contextTag(p) === 0)),
    excluded: subtrees(parts.find((p) => contextTag(p) === 1)),
  };
}

const withinDns = (name: string, base: string) => {
  const tree = base.toLowerCase().replace(/^\./, "");
  return tree === "" || name === tree || name.endsWith(`.${tree}`);
};

function withinEmail(mailbox: string, base: string): boolean {
  const host = mailbox.slice(mailbox.lastIndexOf("@") + 1).toLowerCase();
  if (base.includes("@")) {
    const at = base.lastIndexOf("@");
    return mailbox.slice(0, -host.length) === base.slice(0, at + 1) && host === base.slice(at + 1).toLowerCase();
  }
  return base.startsWith(".") ? host.endsWith(base.toLowerCase()) : host === base.toLowerCase();
}

function withinUri(uri: string, base: string): boolean {
  const host = URL.parse(uri)?.hostname.toLowerCase();
  if (host === undefined || host === "") return false;
  return base.startsWith(".") ? host.endsWith(base.toLowerCase()) : host === base.toLowerCase();
}

function withinIp(address: Uint8Array, base: Uint8Array): boolean {
  const n = address.length;
  if (base.length !== 2 * n) return false;
  return address.every((b, i) => (b & (base[n + i] as number)) === ((base[i] as number) & (base[n + i] as number)));
}

const withinDirectory = (name: DistinguishedName, base: DistinguishedName) =>
  base.rdns.length <= name.rdns.length && base.rdns.every((rdn, i) => rdn === name.rdns[i]);

/**
 * Why names are outside a CA's constraints, or undefined when they are not. A constraint on a form of name that is not known
 * here refuses every certificate that carries such a name.
 */
export function violates(c: NameConstraints, names: GeneralNames, subject: DistinguishedName): string | undefined {
  const directory = subject.rdns.length > 0 ? [subject, ...names.directory] : names.directory;
  const forms = [
    form("dNSName", names.dns, (t) => t.dns, withinDns, String),
    form("rfc822Name", names.email, (t) => t.email, withinEmail, String),
    form("uniformResourceIdentifier", names.uri, (t) => t.uri, withinUri, String),
    form(
      "iPAddress",
      names.ip,
      (t) => t.ip,
      withinIp,
      (ip) => Buffer.from(ip).toString("hex"),
    ),
    form(
      "directoryName",
      directory,
      (t) => t.directory,
      withinDirectory,
      (d) => d.text,
    ),
    form(
      "unknown form",
      names.other,
      (t) => t.other,
      () => false,
      String,
    ),
  ];
  return forms.map((f) => f(c)).find((why) => why !== undefined);
}

function form<T>(
  label: string,
  names: readonly T[],
  of: (tree: GeneralNames) => readonly T[],
  within: (name: T, base: T) => boolean,
  show: (name: T) => string,
): (c: NameConstraints) => string | undefined {
  return ({ permitted, excluded }) => {
    const allow = permitted ? of(permitted) : [];
    const deny = excluded ? of(excluded) : [];
    const unknown = label === "unknown form" && allow.length + deny.length > 0;
    for (const name of names) {
      if (unknown || deny.some((base) => within(name, base))) return `${label} ${show(name)} is excluded`;
      if (allow.length > 0 && !allow.some((base) => within(name, base)))
        return `${label} ${show(name)} is not permitted`;
    }
    return undefined;
  };
}
