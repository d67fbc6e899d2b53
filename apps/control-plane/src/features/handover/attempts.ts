import { isIPv6 } from "node:net";
import { Injectable } from "@nestjs/common";
import { apiFault } from "../../platform/faults.js";

const MINUTE_MS = 60_000;
/** Of one source, of one link, of what a source gets wrong, and of refusals of one link that are worth an audit entry. */
const LIMITS = {
  source: { most: 120, windowMs: MINUTE_MS },
  link: { most: 60, windowMs: MINUTE_MS },
  miss: { most: 10, windowMs: MINUTE_MS },
  refusal: { most: 10, windowMs: 60 * MINUTE_MS },
} as const;
type Kind = keyof typeof LIMITS;
const MOST = 20_000;

/** An IPv6 subscriber has a whole /64. */
export const sourceOf = (address: string): string =>
  isIPv6(address) && !address.startsWith("::ffff:") ? address.split(":").slice(0, 4).join(":") : address;

interface Count {
  readonly since: number;
  count: number;
}

/** Counts attempts in this process, in windows. Guessing is hopeless anyway: this keeps it from costing us much. */
@Injectable()
export class Attempts {
  readonly #counts = new Map<string, Count>();

  /** @throws api/too-many-attempts */
  admit(kind: "source" | "link", key: string, now = Date.now()): void {
    if (this.#add(kind, key, now) > LIMITS[kind].most) throw tooMany();
  }

  /** @throws api/too-many-attempts for a source that got too much wrong */
  admitGuess(source: string, now = Date.now()): void {
    const known = this.#counts.get(`miss ${source}`);
    const { most, windowMs } = LIMITS.miss;
    if (known && known.since > now - windowMs && known.count >= most) throw tooMany();
  }

  missed(source: string, now = Date.now()): void {
    this.#add("miss", source, now);
  }

  /** Whether a refusal is to be audited: nobody makes the log grow with one link. */
  isNews(link: string, now = Date.now()): boolean {
    return this.#add("refusal", link, now) <= LIMITS.refusal.most;
  }

  #add(kind: Kind, key: string, now: number): number {
    const name = `${kind} ${key}`;
    const known = this.#counts.get(name);
    const count = known && known.since > now - LIMITS[kind].windowMs ? known : { since: now, count: 0 };
    count.count++;
    // Behind all others again, so that the oldest window goes first.
    if (count !== known) this.#counts.delete(name);
    this.#counts.set(name, count);
    const oldest = this.#counts.size > MOST ? this.#counts.keys().next().value : undefined;
    if (oldest !== undefined) this.#counts.delete(oldest);
    return count.count;
  }
}

const tooMany = () => apiFault("api/too-many-attempts", "too many attempts: wait a minute", { field: "link" });
