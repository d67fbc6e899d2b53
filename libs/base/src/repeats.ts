export interface RepeatLimits {
  /** Milliseconds after which everything counts anew. */
  readonly windowMs: number;
  /** Subjects of one kind, and kinds, that are told apart in a window; more of them count together. */
  readonly subjects: number;
  readonly kinds: number;
}

/** Something that is worth telling. */
export interface Repeated {
  /** Undefined: of kinds, or of subjects of this kind, beyond those that are told apart. */
  readonly kind: string | undefined;
  readonly subject: string | undefined;
  /** How often in the window so far, and how often since it was told last; this time counts. */
  readonly times: number;
  readonly fresh: number;
  /** When the window began, as `now` was then. */
  readonly since: number;
}

interface Count {
  times: number;
  told: number;
}

/**
 * What may come without end is told the first time in a window, and then the tenth, the hundredth and so on: whoever causes it makes
 * neither what is told nor this memory of it grow.
 */
export class Repeats {
  /** Behind `undefined` is what is not told apart. */
  readonly #counts = new Map<string | undefined, Map<string | undefined, Count>>();
  #since: number | undefined;

  constructor(private readonly limits: RepeatLimits) {}

  /** It has happened `times` times; undefined when that is not worth telling. */
  add(kind: string, subject: string, now: number, times = 1): Repeated | undefined {
    if (this.#since === undefined || now - this.#since >= this.limits.windowMs) {
      this.#counts.clear();
      this.#since = now;
    }
    const ofKind = this.#counts.has(kind) || this.#counts.size < this.limits.kinds ? kind : undefined;
    const subjects = entry(this.#counts, ofKind, () => new Map<string | undefined, Count>());
    const known = ofKind !== undefined && (subjects.has(subject) || subjects.size < this.limits.subjects);
    const count = entry(subjects, known ? subject : undefined, () => ({ times: 0, told: 0 }));
    const before = count.times;
    count.times += times;
    if (before > 0 && magnitude(count.times) === magnitude(before)) return undefined;
    const fresh = count.times - count.told;
    count.told = count.times;
    return { kind: ofKind, subject: known ? subject : undefined, times: count.times, fresh, since: this.#since };
  }
}

const magnitude = (count: number) => String(Math.floor(count)).length;

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
