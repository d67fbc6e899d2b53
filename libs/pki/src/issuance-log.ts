import { createHash } from "node:crypto";
import { fault } from "./faults.js";

/**
 * The log of what a CA issued and revoked. Each entry's hash is over the one before it: whoever changes, drops or inserts one changes all that
 * follow, and whoever has kept a head sees it.
 */
export interface LogEntry {
  readonly organizationId: string;
  /** Counts from 1, decimal. */
  readonly sequence: string;
  /** ISO 8601, milliseconds, UTC. */
  readonly at: string;
  /** JSON, as it was when the entry was written. */
  readonly body: string;
  /** Hash of the entry before it, or `LOG_GENESIS`. */
  readonly previous: string;
  /** Lower-case hex. */
  readonly hash: string;
}

/** What the first entry names as the one before it. */
export const LOG_GENESIS = "0".repeat(64);

/** SHA-256 over the parts, each with its length before it, so that none can grow at another's cost. */
export function logHash(entry: Omit<LogEntry, "hash">): string {
  const { organizationId, sequence, at, previous, body } = entry;
  const hash = createHash("sha256").update("sallyport issuance log 1\n");
  for (const part of [organizationId, sequence, at, previous, body]) {
    const octets = Buffer.from(part);
    hash.update(`${octets.length}\n`).update(octets);
  }
  return hash.digest("hex");
}

/** A place in a log that somebody remembers. */
export interface LogHead {
  readonly sequence: string;
  readonly hash: string;
}

function broken(sequence: string, why: string, expected: string, value: string) {
  return fault("pki/log-broken", `entry ${sequence}: ${why}`, { field: `entry ${sequence}`, value, expected });
}

/** Takes a log entry by entry from its beginning, and needs nothing but it. */
export class LogVerifier {
  #head: LogHead = { sequence: "0", hash: LOG_GENESIS };
  #organizationId: string | undefined;
  /** Hashes that have to be found, by sequence number. */
  readonly #known: Map<string, string>;

  /** `known`: heads that were kept from earlier, out of the reach of whoever may have changed the log. */
  constructor(known: readonly LogHead[] = []) {
    this.#known = new Map(known.map((head) => [head.sequence, head.hash]));
  }

  get head(): LogHead {
    return this.#head;
  }

  /** @throws pki/log-broken */
  add(entry: LogEntry): void {
    const { sequence, hash, previous, organizationId } = entry;
    const expected = String(BigInt(this.#head.sequence) + 1n);
    this.#organizationId ??= organizationId;
    if (sequence !== expected) throw broken(sequence, "is not the next one", expected, sequence);
    if (organizationId !== this.#organizationId) {
      throw broken(sequence, "is another organization's", this.#organizationId, organizationId);
    }
    if (previous !== this.#head.hash) throw broken(sequence, "follows another entry", this.#head.hash, previous);
    const own = logHash(entry);
    if (own !== hash) throw broken(sequence, "was changed", own, hash);
    const known = this.#known.get(sequence);
    if (known !== undefined && known !== hash) throw broken(sequence, "is not the one that was known", known, hash);
    this.#head = { sequence, hash };
  }

  /** When the last entry was taken. @throws pki/log-broken when a known head was not reached */
  end(): LogHead {
    for (const [sequence, hash] of this.#known) {
      if (BigInt(sequence) > BigInt(this.#head.sequence)) {
        throw broken(sequence, "is missing", hash, `the log ends at ${this.#head.sequence}`);
      }
    }
    return this.#head;
  }
}
