import { setTimeout as sleep } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Revocation, Revocations } from "@sallyport/contract";
import type { Logger } from "pino";
import { EMPTY_REGISTER, type Refusal, type Register, type RevocationStore } from "../store/index.js";
import type { Reporter } from "./reporter.js";

/** One entry of the register as it bears on this gateway. */
export interface Verdict {
  readonly number: number;
  readonly refusal: Refusal;
  /** Let in again. */
  readonly lifted: boolean;
}

export interface RevocationKeeperOptions {
  readonly store: RevocationStore;
  readonly reporter: Pick<Reporter, "answer">;
  readonly log: Logger;
  /**
   * Lets in no more, or lets in again, and ends what rests on those who are refused; gives how many IKE SAs ended, by number. Nothing
   * new can rest on them when it resolves.
   */
  readonly apply: (verdicts: readonly Verdict[]) => Promise<ReadonlyMap<number, number>>;
  /** Milliseconds that a start waits to hear what it missed; absent: 3 s. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 3_000;

/**
 * Whom this gateway lets in no more: what the control plane said, kept on disk. What is new is applied first, then written, then
 * confirmed, so that nobody waits for a disk and nothing is confirmed that a crash could undo.
 */
export class RevocationKeeper {
  #upTo = 0;
  readonly #refusals = new Map<string, Refusal>();
  #tail: Promise<unknown> = Promise.resolve();
  readonly #heard = Promise.withResolvers<void>();

  constructor(private readonly options: RevocationKeeperOptions) {}

  /** Up to where this gateway has the register. */
  get upTo(): number {
    return this.#upTo;
  }

  /** Puts what is on disk in force. What is damaged there counts as nothing: the control plane is asked for all of it. */
  async start(): Promise<void> {
    const { store, log, apply } = this.options;
    const register = await store.load().catch((err: unknown): Register => {
      log.error({ err }, "the register of revocations is damaged");
      return EMPTY_REGISTER;
    });
    this.#upTo = register.upTo;
    for (const refusal of register.refusals) this.#refusals.set(keyOf(refusal), refusal);
    await apply(register.refusals.map((refusal) => ({ number: register.upTo, refusal, lifted: false })));
  }

  /** Resolves when this start has heard what it missed, when the control plane is away, or when that takes too long. */
  async heard(): Promise<void> {
    const patience = new AbortController();
    const late = sleep(this.options.patienceMs ?? PATIENCE_MS, undefined, { signal: patience.signal }).then(
      () => this.options.log.warn("nothing was heard of revocations: what is on disk holds"),
      () => undefined,
    );
    await Promise.race([this.#heard.promise, late]);
    patience.abort();
  }

  /** Nobody is there to tell what was missed. */
  away(): void {
    this.#heard.resolve();
  }

  /** Takes what the control plane tells, one message after the other. */
  receive(message: Revocations): Promise<void> {
    const mine = this.#tail.then(() => this.#take(message));
    this.#tail = mine.catch((err: unknown) => this.options.log.error({ err }, "revocations could not be dealt with"));
    return mine;
  }

  async #take({ revocations, upTo, anew, more }: Revocations): Promise<void> {
    const { apply, reporter, store, log } = this.options;
    const told = revocations.flatMap(verdictOf);
    const verdicts = anew ? [...this.#dropped(told), ...told] : told;
    const ended = await apply(verdicts);
    if (anew) this.#refusals.clear();
    for (const { refusal, lifted } of verdicts) {
      if (lifted) this.#refusals.delete(keyOf(refusal));
      else this.#refusals.set(keyOf(refusal), refusal);
    }
    this.#forgetExpired(Date.now());
    const changes = verdicts.length > 0 || upTo !== this.#upTo;
    // Before it is on disk this gateway does not have it: the next stream brings it again.
    if (changes) await store.save({ upTo, refusals: [...this.#refusals.values()] });
    this.#upTo = upTo;
    const applied = revocations.map(({ number }) => ({ number, endedSas: ended.get(number) ?? 0 }));
    if (changes) {
      reporter.answer({ case: "revocationsApplied", value: { upTo, applied } });
      log.info({ upTo, entries: applied.length, endedSas: sum(applied) }, "revocations applied");
    }
    if (!more) this.#heard.resolve();
  }

  /** What was held and is not in a register that begins anew. */
  #dropped(told: readonly Verdict[]): Verdict[] {
    const kept = new Set(told.map(({ refusal }) => keyOf(refusal)));
    return [...this.#refusals]
      .filter(([key]) => !kept.has(key))
      .map(([, refusal]) => ({ number: 0, refusal, lifted: true }));
  }

  #forgetExpired(now: number): void {
    for (const [key, refusal] of this.#refusals) {
      if (refusal.kind === "certificate" && refusal.notAfter + SKEW_MS < now) this.#refusals.delete(key);
    }
  }
}

/** This gateway's clock may be a little ahead. */
const SKEW_MS = 24 * 3_600_000;

const keyOf = (refusal: Refusal) =>
  refusal.kind === "certificate" ? `certificate ${refusal.fingerprint}` : `person ${refusal.username}`;

/** None for a subject of a newer control plane that this version does not know. */
function verdictOf({ number, lifted, subject }: Revocation): Verdict[] {
  switch (subject.case) {
    case "certificate": {
      const { fingerprint, subject: name, notAfter } = subject.value;
      const expires = notAfter === undefined ? Number.MAX_SAFE_INTEGER : timestampMs(notAfter);
      const refusal = {
        kind: "certificate",
        fingerprint: Buffer.from(fingerprint).toString("hex"),
        subject: name,
        notAfter: expires,
      } as const;
      return [{ number, lifted, refusal }];
    }
    case "person":
      return [{ number, lifted, refusal: { kind: "person", username: subject.value.username.toLowerCase() } }];
    default:
      return [];
  }
}

const sum = (applied: readonly { readonly endedSas: number }[]) => applied.reduce((n, { endedSas }) => n + endedSas, 0);
