/** What a caller may do with a fault: `retry` – the same call may succeed later; `expose` – the text may be shown to a peer's or API's user. */
export interface FaultPolicy {
  readonly retry: boolean;
  readonly expose: boolean;
}

/** Facts about a fault that a user can act on. None of them ever holds a secret. */
export interface FaultDetail {
  /** Path of the offending field, e.g. `networks[1].prefix` or `KE.data`. */
  readonly field?: string;
  /** The value that was refused, as text. */
  readonly value?: string;
  /** What would have been right. */
  readonly expected?: string;
  /** Byte offset in the input, for decoders. */
  readonly offset?: number;
  readonly cause?: unknown;
  /** Further named facts, e.g. `ours` and `theirs` of a refused proposal. */
  readonly facts?: Readonly<Record<string, string>>;
}

/**
 * The one error type of the project. `code` is `area/name`; its policy comes from the area's table.
 * Mapping to GraphQL errors, IKE NOTIFYs and HTTP statuses happens at the edges.
 */
export class Fault<Code extends string = string> extends Error {
  override readonly name = "Fault";
  readonly field: string | undefined;
  readonly value: string | undefined;
  readonly expected: string | undefined;
  readonly offset: number | undefined;
  readonly facts: Readonly<Record<string, string>>;

  constructor(
    readonly code: Code,
    message: string,
    readonly policy: FaultPolicy,
    detail: FaultDetail = {},
  ) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.field = detail.field;
    this.value = detail.value;
    this.expected = detail.expected;
    this.offset = detail.offset;
    this.facts = detail.facts ?? {};
  }
}

/** Makes faults of one area's table: `const fault = faultTable({ "ike/malformed-payload": { retry: false, expose: true } })`. */
export function faultTable<T extends Record<`${string}/${string}`, FaultPolicy>>(table: T) {
  return <C extends keyof T & string>(code: C, message: string, detail?: FaultDetail): Fault<C> =>
    new Fault(code, message, table[code] as FaultPolicy, detail);
}

export function isFault(error: unknown, code?: string): error is Fault {
  return error instanceof Fault && (code === undefined || error.code === code);
}
