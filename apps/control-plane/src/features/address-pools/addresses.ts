import { isFault } from "@sallyport/base";
import { parseRange, poolSize, rangesOverlap, rangeText } from "@sallyport/intent";
import { apiFault } from "../../platform/faults.js";
import { poolFault } from "./faults.js";

const MAX_RANGES = 64;

export interface Addresses {
  readonly addresses: string[];
  readonly exclusions: string[];
}

/**
 * Canonical prefixes and ranges of a pool.
 * @throws api/bad-input and pool/bad-addresses with the field of the input
 */
export function checkAddresses(input: Addresses, field: string): Addresses {
  const addresses = checkRanges(input.addresses, `${field}.addresses`);
  const exclusions = checkRanges(input.exclusions, `${field}.exclusions`);
  const parsed = addresses.map(parseRange);
  const [first] = parsed;
  if (!first) {
    throw apiFault("api/bad-input", "a pool without addresses", {
      field: `${field}.addresses`,
      expected: `1 to ${MAX_RANGES} prefixes or ranges`,
    });
  }
  parsed.forEach((range, i) => {
    const at = { field: `${field}.addresses[${i}]`, value: addresses[i] ?? "" };
    if (range.first.family !== first.first.family) {
      const expected = "addresses of one family; another family is another pool";
      throw poolFault("pool/bad-addresses", "a pool has addresses of one family", { ...at, expected });
    }
    const j = parsed.findIndex((other, k) => k < i && rangesOverlap(other, range));
    if (j < 0) return;
    const expected = `addresses that are not in ${addresses[j]}`;
    throw poolFault("pool/bad-addresses", `${addresses[i]} overlaps ${addresses[j]}`, { ...at, expected });
  });
  if (poolSize({ addresses, except: exclusions }) === 0n) {
    throw poolFault("pool/bad-addresses", "the exclusions leave no address", {
      field: `${field}.exclusions`,
      value: exclusions.join(", "),
      expected: "fewer exclusions",
    });
  }
  return { addresses, exclusions };
}

function checkRanges(texts: readonly string[], field: string): string[] {
  if (texts.length > MAX_RANGES) {
    const expected = `at most ${MAX_RANGES} prefixes or ranges`;
    throw apiFault("api/bad-input", `${field}: too many`, { field, value: `${texts.length} entries`, expected });
  }
  return texts.map((text, i) => {
    const bad = (expected: string) => {
      const at = `${field}[${i}]`;
      return apiFault("api/bad-input", `${at}: expected ${expected}`, {
        field: at,
        value: text.slice(0, 100),
        expected,
      });
    };
    try {
      const { first, last } = parseRange(text);
      // The whole internet is no pool; of IPv6, a gateway keeps 2^32 addresses apart at most.
      if (last.toBigInt() - first.toBigInt() >= 2n ** (first.family === 4 ? 24n : 96n)) throw bad("a smaller range");
      return rangeText(text);
    } catch (error) {
      if (isFault(error) && error.code === "api/bad-input") throw error;
      throw bad((isFault(error) ? error.expected : undefined) ?? "a prefix, or a range such as 10.9.0.10-10.9.0.99");
    }
  });
}
