import { createHash } from "node:crypto";
import { isFault } from "@sallyport/base";
import { type Intent, toProblem } from "@sallyport/contract";
import { type GatewayIntent, INTENT_SCHEMA, parseIntent } from "@sallyport/intent";
import type { Logger } from "pino";
import type { IntentStore } from "../store/index.js";
import { fault } from "./faults.js";
import type { Reporter } from "./reporter.js";

export interface IntentKeeperOptions {
  readonly store: IntentStore;
  readonly reporter: Reporter;
  readonly log: Logger;
  /** Makes the gateway what the intent says, or throws and leaves it as it was. */
  readonly apply: (intent: GatewayIntent) => Promise<void>;
  /** Makes the gateway what it was before it had any intent. */
  readonly clear: () => Promise<void>;
}

const MAX_REFUSED = 16;
/** How soon the last good intent is tried again after a failure, doubling. */
const RETRY_MS = { first: 1_000, most: 60_000 } as const;

/** An intent that runs and is not confirmed. */
interface Trial {
  readonly intent: GatewayIntent;
  readonly body: Uint8Array;
  readonly timer: NodeJS.Timeout;
}

/**
 * Which intent runs. A new revision is on trial until the control plane confirms it over a stream that outlived the change; when that
 * does not happen in time, the last confirmed one is put back, so that no push can lock the operator out. Without a control plane
 * the confirmed one from disk runs (static stability).
 */
export class IntentKeeper {
  #confirmed: GatewayIntent | undefined;
  /** Revision of the confirmed intent once it is in force, else 0. */
  #inForce = 0;
  #trial: Trial | undefined;
  readonly #refused: number[] = [];
  #tail: Promise<unknown> = Promise.resolve();
  #next: Intent | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(private readonly options: IntentKeeperOptions) {}

  /** Revision in force, 0 for none. */
  get running(): number {
    return this.#trial?.intent.revision ?? this.#inForce;
  }

  get confirmed(): number {
    return this.#confirmed?.revision ?? 0;
  }

  /** Revisions that were refused or gone back from, newest last. */
  get refused(): readonly number[] {
    return this.#refused;
  }

  /** Reads the last good intent from disk: from then on it is the confirmed one. */
  async load(): Promise<void> {
    const { store, log } = this.options;
    const { intent, damage } = await store.load();
    for (const err of damage) log.error({ err }, "the last good intent is damaged");
    this.#confirmed = intent;
  }

  /**
   * Puts the last good intent in force once `ready` has resolved, and whatever was received meanwhile after it; what stands in its
   * way now may be gone a moment later, so it is tried again.
   */
  start(ready: Promise<void>): Promise<void> {
    return this.#alone(async () => {
      await ready;
      if (this.#confirmed !== undefined) await this.#putInForce(this.#confirmed, RETRY_MS.first);
    });
  }

  async #putInForce(intent: GatewayIntent, wait: number): Promise<void> {
    const { log, apply } = this.options;
    try {
      await apply(intent);
      this.#inForce = intent.revision;
      log.info({ revision: intent.revision }, "the last good intent is in force");
    } catch (err) {
      log.error({ err, revision: intent.revision, retryInMs: wait }, "the last good intent could not be put in force");
      this.#retry = setTimeout(
        () =>
          void this.#alone(async () => {
            if (this.#trial === undefined && this.#confirmed === intent) {
              await this.#putInForce(intent, Math.min(wait * 2, RETRY_MS.most));
            }
          }),
        wait,
      ).unref();
    }
  }

  /** Takes what the control plane sent. Of several that come while one is being applied only the newest counts. */
  receive(message: Intent): Promise<void> {
    this.#next = message;
    return this.#alone(async () => {
      const newest = this.#next;
      this.#next = undefined;
      if (newest !== undefined) await this.#try(newest);
    });
  }

  /** The control plane saw the Ack after the change. */
  confirm(revision: number): Promise<void> {
    return this.#alone(async () => {
      const trial = this.#trial;
      if (trial?.intent.revision !== revision) return;
      clearTimeout(trial.timer);
      this.#trial = undefined;
      this.#confirmed = trial.intent;
      this.#inForce = revision;
      this.#refused.length = 0;
      const { store, reporter, log } = this.options;
      try {
        await store.save(trial.body);
      } catch (err) {
        // It runs and is confirmed; only a restart would bring the older one back, and the control plane this one again.
        log.error({ err, revision }, "the confirmed intent could not be written to disk");
        return;
      }
      reporter.answer({ case: "confirmed", value: { revision } });
      log.info({ revision }, "intent confirmed");
    });
  }

  /** Ends the trial's clock; what runs stays in force. */
  stop(): void {
    clearTimeout(this.#retry);
    if (this.#trial) clearTimeout(this.#trial.timer);
  }

  async #try(message: Intent): Promise<void> {
    const { apply, reporter, log } = this.options;
    const { revision, body } = message;
    const started = performance.now();
    if (revision === this.running) {
      reporter.answer({ case: "ack", value: { revision, appliedInMs: 0 } });
      return;
    }
    let intent: GatewayIntent;
    try {
      intent = open(message);
      await apply(intent);
    } catch (error) {
      this.#refuse(revision);
      const problem = toProblem(error);
      log.warn({ err: error, revision, field: problem.field }, "intent refused");
      reporter.answer({ case: "nack", value: { revision, problem } });
      return;
    }
    if (this.#trial) clearTimeout(this.#trial.timer);
    const timer = setTimeout(() => void this.#revert(revision), intent.options.commitConfirmSeconds * 1000);
    this.#trial = { intent, body, timer };
    const appliedInMs = Math.round(performance.now() - started);
    log.info({ revision, appliedInMs }, "intent applied, waiting for its confirmation");
    reporter.answer({ case: "ack", value: { revision, appliedInMs } });
  }

  #revert(revision: number): Promise<void> {
    return this.#alone(async () => {
      if (this.#trial?.intent.revision !== revision) return;
      this.#trial = undefined;
      this.#refuse(revision);
      const { apply, clear, reporter, log } = this.options;
      const toRevision = this.confirmed;
      const reason = "the control plane did not confirm it in time";
      log.warn({ revision, toRevision }, `going back: ${reason}`);
      try {
        if (this.#confirmed) await apply(this.#confirmed);
        else await clear();
      } catch (err) {
        log.error({ err, toRevision }, "the last confirmed intent could not be put back");
      }
      reporter.answer({ case: "reverted", value: { revision, toRevision, reason } });
    });
  }

  #refuse(revision: number): void {
    if (!this.#refused.includes(revision)) this.#refused.push(revision);
    if (this.#refused.length > MAX_REFUSED) this.#refused.shift();
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#tail.then(work);
    this.#tail = mine.catch((err: unknown) => this.options.log.error({ err }, "an intent could not be dealt with"));
    return mine;
  }
}

/** @throws stream/bad-intent, and what `parseIntent` throws */
function open({ revision, schemaVersion, body, sha256 }: Intent): GatewayIntent {
  const refuse = (field: string, value: string, expected: string) =>
    fault("stream/bad-intent", `${field} of the message: expected ${expected}`, { field, value, expected });
  const digest = createHash("sha256").update(body).digest();
  if (!digest.equals(sha256)) throw refuse("sha256", Buffer.from(sha256).toString("hex"), digest.toString("hex"));
  if (schemaVersion !== INTENT_SCHEMA) throw refuse("schemaVersion", String(schemaVersion), String(INTENT_SCHEMA));
  let intent: GatewayIntent;
  try {
    intent = parseIntent(Buffer.from(body).toString("utf8"));
  } catch (error) {
    if (isFault(error)) throw error;
    throw fault("stream/bad-intent", "the body cannot be read", { field: "body", cause: error });
  }
  if (intent.revision !== revision) throw refuse("revision", String(intent.revision), String(revision));
  return intent;
}
