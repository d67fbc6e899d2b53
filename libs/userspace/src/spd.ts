import type { PolicyDirection, PolicySpec, Selector } from "@sallyport/dataplane";
import type { InnerPacket } from "./packet.js";
import { addressWords, maskWords, SelectorMatch, selectorKey } from "./selector.js";

/** A policy in force. */
export interface Policy {
  readonly spec: PolicySpec;
  readonly match: SelectorMatch;
  /** Breaks ties: of equal priorities the one installed first wins. */
  readonly order: number;
}

const DIRECTIONS: readonly PolicyDirection[] = ["in", "out", "fwd"];

const wins = (a: Policy, b: Policy) => a.spec.priority - b.spec.priority || a.order - b.order;

/** Policies whose prefixes have the same two lengths, found by the masked addresses. */
class Bucket {
  readonly policies = new Map<string, Policy[]>();
  readonly #sourceMask: Uint32Array;
  readonly #destinationMask: Uint32Array;
  /** No policy in here has, or had, a lower number: a bucket that cannot win is not looked into. */
  bestPriority = Number.POSITIVE_INFINITY;

  constructor(
    readonly family: 4 | 6,
    sourceLength: number,
    destinationLength: number,
  ) {
    this.#sourceMask = maskWords(sourceLength);
    this.#destinationMask = maskWords(destinationLength);
  }

  #key(source: Uint32Array, destination: Uint32Array): string {
    const words = this.family === 4 ? 1 : 4;
    let key = "";
    for (let word = 0; word < words; word++) {
      key += String.fromCharCode(
        ((source[word] as number) & (this.#sourceMask[word] as number)) >>> 16,
        (source[word] as number) & (this.#sourceMask[word] as number) & 0xffff,
        ((destination[word] as number) & (this.#destinationMask[word] as number)) >>> 16,
        (destination[word] as number) & (this.#destinationMask[word] as number) & 0xffff,
      );
    }
    return key;
  }

  add(policy: Policy): void {
    const { source, destination } = policy.spec.selector;
    const key = this.#key(addressWords(source.address), addressWords(destination.address));
    const list = this.policies.get(key) ?? [];
    list.push(policy);
    list.sort(wins);
    this.policies.set(key, list);
    this.bestPriority = Math.min(this.bestPriority, policy.spec.priority);
  }

  remove(policy: Policy): void {
    const { source, destination } = policy.spec.selector;
    const key = this.#key(addressWords(source.address), addressWords(destination.address));
    const rest = (this.policies.get(key) ?? []).filter((p) => p !== policy);
    if (rest.length > 0) this.policies.set(key, rest);
    else this.policies.delete(key);
  }

  find(packet: InnerPacket): Policy | undefined {
    return this.policies
      .get(this.#key(packet.source, packet.destination))
      ?.find((policy) => policy.match.matchesUpper(packet));
  }
}

/**
 * The security policy database (RFC 4301 §4.4.1). A lookup costs one hash probe for every pair of prefix lengths in use,
 * whatever the number of policies.
 */
export class PolicyDatabase {
  readonly #named = new Map<string, Policy>();
  readonly #buckets: Record<PolicyDirection, Map<string, Bucket>> = { in: new Map(), out: new Map(), fwd: new Map() };
  #order = 0;

  get size(): number {
    return this.#named.size;
  }

  /** Adds, or replaces the one of the same direction and selector, which keeps its place among equals. */
  install(spec: PolicySpec): { installed: Policy; replaced: Policy | undefined } {
    const replaced = this.#take(spec.direction, spec.selector);
    const installed = { spec, match: new SelectorMatch(spec.selector), order: replaced?.order ?? this.#order++ };
    this.#named.set(`${spec.direction} ${selectorKey(spec.selector)}`, installed);
    this.#bucketOf(spec).add(installed);
    return { installed, replaced };
  }

  remove(direction: PolicyDirection, selector: Selector): Policy | undefined {
    return this.#take(direction, selector);
  }

  list(): PolicySpec[] {
    return [...this.#named.values()].map((policy) => policy.spec);
  }

  clear(): void {
    this.#named.clear();
    for (const direction of DIRECTIONS) this.#buckets[direction].clear();
  }

  find(direction: PolicyDirection, packet: InnerPacket): Policy | undefined {
    let best: Policy | undefined;
    for (const bucket of this.#buckets[direction].values()) {
      if (bucket.family !== packet.family || (best && bucket.bestPriority > best.spec.priority)) continue;
      const found = bucket.find(packet);
      if (found && (!best || wins(found, best) < 0)) best = found;
    }
    return best;
  }

  #take(direction: PolicyDirection, selector: Selector): Policy | undefined {
    const name = `${direction} ${selectorKey(selector)}`;
    const policy = this.#named.get(name);
    if (!policy) return undefined;
    this.#named.delete(name);
    const bucket = this.#bucketOf(policy.spec);
    bucket.remove(policy);
    if (bucket.policies.size === 0) this.#buckets[direction].delete(bucketName(policy.spec));
    return policy;
  }

  #bucketOf(spec: PolicySpec): Bucket {
    const buckets = this.#buckets[spec.direction];
    const name = bucketName(spec);
    let bucket = buckets.get(name);
    if (!bucket) {
      const { source, destination } = spec.selector;
      bucket = new Bucket(source.family, source.length, destination.length);
      buckets.set(name, bucket);
    }
    return bucket;
  }
}

function bucketName({ selector }: PolicySpec): string {
  return `${selector.source.family} ${selector.source.length} ${selector.destination.length}`;
}
