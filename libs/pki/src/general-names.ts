import { content, contextTag, children as inside, malformed, type Node } from "./der.js";
import { type DistinguishedName, readName } from "./names.js";

/** The GeneralNames (RFC 5280 §4.2.1.6) that identities and name constraints speak of; other forms are only counted. */
export interface GeneralNames {
  readonly dns: readonly string[];
  readonly email: readonly string[];
  readonly uri: readonly string[];
  /** 4 or 16 octets; in name constraints address and mask, 8 or 32. */
  readonly ip: readonly Uint8Array[];
  readonly directory: readonly DistinguishedName[];
  /** Tags of the others. */
  readonly other: readonly number[];
}

export const NO_NAMES: GeneralNames = { dns: [], email: [], uri: [], ip: [], directory: [], other: [] };

/** An IA5String with nothing in it that could end a name early or hide a part of it (a NUL, a blank, a non-ASCII letter). */
function ia5(node: Node, field: string): string {
  const text = Buffer.from(content(node, field)).toString("latin1");
  if (!/^[\x21-\x7e]*$/.test(text)) throw malformed(field, "a name with characters that it may not have");
  return text;
}

export function readGeneralNames(nodes: readonly Node[], field: string, ipLengths: readonly number[]): GeneralNames {
  const names = {
    dns: [] as string[],
    email: [] as string[],
    uri: [] as string[],
    ip: [] as Uint8Array[],
    directory: [] as DistinguishedName[],
    other: [] as number[],
  };
  for (const node of nodes) {
    const tag = contextTag(node);
    if (tag === undefined) throw malformed(field, "not a GeneralName");
    switch (tag) {
      case 1:
        names.email.push(ia5(node, field));
        break;
      case 2:
        names.dns.push(ia5(node, field).toLowerCase());
        break;
      case 4:
        names.directory.push(readName(inside(node, field)[0], field));
        break;
      case 6:
        names.uri.push(ia5(node, field));
        break;
      case 7: {
        const octets = content(node, field);
        if (!ipLengths.includes(octets.length)) throw malformed(field, `an address of ${octets.length} octets`);
        names.ip.push(Uint8Array.from(octets));
        break;
      }
      default:
        names.other.push(tag);
    }
  }
  return names;
}
