import type { EapTlsCloseJob, EapTlsJob } from "@sallyport/ike";
import { failureOf } from "@sallyport/ike";
import { fault } from "../faults.js";
import type { CryptoAnswer } from "./crypto-runner.js";
import { type EapTlsKeys, TlsSession } from "./tls-session.js";

export interface EapTlsLimits {
  /** Conversations at one time, and how long one may last in milliseconds. */
  readonly sessions: number;
  readonly lifetime: number;
}

const LIMITS: EapTlsLimits = { sessions: 512, lifetime: 30_000 };

interface Session {
  /** There once its turn has come. */
  tls: TlsSession | undefined;
  readonly timer: NodeJS.Timeout;
}

/** Runs the TLS of EAP-TLS for the engine: one session a conversation, dropped at its end, with its IKE SA, or by age. */
export class EapTlsRunner {
  readonly #sessions = new Map<string, Session>();
  #turns: Promise<void> = Promise.resolve();

  constructor(
    private readonly keys: EapTlsKeys,
    private readonly limits: EapTlsLimits = LIMITS,
  ) {}

  /** Conversations that are going on. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Gives what TLS sends next; whatever refuses it ends the session. */
  async run({ session: name, open, input }: EapTlsJob): Promise<CryptoAnswer> {
    try {
      const session = this.#sessions.get(name) ?? this.#reserve(name, open);
      await this.#turn();
      if (this.#sessions.get(name) !== session) throw tooLate();
      session.tls ??= open && new TlsSession(open, this.keys);
      if (!session.tls) throw tooLate();
      const result = await session.tls.feed(input);
      if (result.finished || result.refused) this.#drop(name);
      return { ok: true, result };
    } catch (error) {
      this.#drop(name);
      return { ok: false, failure: failureOf(error) };
    }
  }

  stop({ session }: EapTlsCloseJob): CryptoAnswer {
    this.#drop(session);
    return { ok: true, result: {} };
  }

  close(): void {
    for (const name of [...this.#sessions.keys()]) this.#drop(name);
  }

  /** Signing takes its milliseconds: one flight is worked on in a turn of the event loop, however many wait. */
  #turn(): Promise<void> {
    this.#turns = this.#turns.then(() => new Promise(setImmediate));
    return this.#turns;
  }

  #reserve(name: string, open: EapTlsJob["open"]): Session {
    if (!open) throw tooLate();
    if (this.#sessions.size >= this.limits.sessions) {
      throw fault("agent/overloaded", `${this.limits.sessions} TLS sessions are open already`, { field: "eap-tls" });
    }
    const timer = setTimeout(() => this.#drop(name), this.limits.lifetime).unref();
    const session: Session = { tls: undefined, timer };
    this.#sessions.set(name, session);
    return session;
  }

  #drop(name: string): void {
    const found = this.#sessions.get(name);
    if (!found) return;
    this.#sessions.delete(name);
    clearTimeout(found.timer);
    found.tls?.destroy();
  }
}

const tooLate = () => fault("agent/tls", "the TLS session took too long", { field: "eap-tls" });
