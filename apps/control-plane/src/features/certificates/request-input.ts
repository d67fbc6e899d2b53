import { Prefix } from "@sallyport/base";
import { isHostName } from "@sallyport/intent";
import type { NameRules, NameSubtree, SubjectName } from "@sallyport/pki";
import { apiFault } from "../../platform/faults.js";

const DAY_MS = 86_400_000;
const MAX_NAMES = 32;

export const daysMs = (days: number): number => days * DAY_MS;

const bad = (field: string, value: string, expected: string) =>
  apiFault("api/bad-input", `${field}: expected ${expected}`, { field, value: value.slice(0, 100), expected });

export function checkCount(value: number, field: string, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max) throw bad(field, String(value), `${min} to ${max}`);
  return value;
}

export function requireFew<T>(list: readonly T[], field: string): readonly T[] {
  if (list.length > MAX_NAMES) throw bad(field, `${list.length} entries`, `at most ${MAX_NAMES}`);
  return list;
}

function checkSubtree({ type, value }: NameSubtree, field: string): NameSubtree {
  if (type === "ip") return { type, value: Prefix.parse(value, field).toString() };
  if (!isHostName(value)) throw bad(field, value, type === "dns" ? "a DNS name" : "the host of mailboxes");
  return { type, value: value.toLowerCase() };
}

export function checkNameRules({ permitted, excluded }: NameRules, field: string): NameRules {
  const list = (trees: readonly NameSubtree[], name: string) =>
    requireFew(trees, `${field}.${name}`).map((tree, i) => checkSubtree(tree, `${field}.${name}[${i}].value`));
  return { permitted: list(permitted, "permitted"), excluded: list(excluded, "excluded") };
}

/** Names as certificates carry them: hosts in lower case, addresses canonical. The profile says which may be asked for. */
export function checkNames(names: readonly SubjectName[], field: string): SubjectName[] {
  return requireFew(names, field).map(({ type, value }, i) => {
    // IA5String without blanks: what a decoder would take for the end of the name stays out.
    if (!/^[\x21-\x7e]{1,253}$/.test(value)) throw bad(`${field}[${i}].value`, value, "1 to 253 ASCII characters");
    return { type, value: type === "dns" ? value.toLowerCase() : value };
  });
}
