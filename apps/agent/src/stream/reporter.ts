import { randomUUID } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type AgentMessage,
  AgentMessageSchema,
  type ChildCounters,
  type Event,
  EventSchema,
  type SeenCertificate,
  SeenCertificateSchema,
  type Severity,
} from "@sallyport/contract";
import type { Changes, Snapshot } from "./changes.js";
import { StateQueue } from "./state-queue.js";

type Body = NonNullable<MessageInitShape<typeof AgentMessageSchema>["body"]>;

export interface NewEvent {
  /** `area/name`. */
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly tunnelId?: string | undefined;
  readonly facts?: Readonly<Record<string, string>> | undefined;
  readonly refusal?: { readonly identity: string; readonly remote: string; readonly times: number } | undefined;
  /** Wall time, milliseconds since 1970. */
  readonly at: number;
}

export interface NewSighting {
  /** DER. */
  readonly certificate: Uint8Array;
  /** Empty: the gateway's own. */
  readonly tunnelId: string;
  readonly identity: string;
  /** Wall time, milliseconds since 1970. */
  readonly at: number;
}

interface Sent {
  readonly answers: Body[];
  readonly events: Event[];
  readonly certificates: SeenCertificate[];
}

const nothing = (): Sent => ({ answers: [], events: [], certificates: [] });

export const REPORT_LIMITS = {
  ...{ events: 1_000, eventsInMessage: 100, answers: 64, countersInMessage: 500 },
  ...{ certificates: 256, certificatesInMessage: 16 },
} as const;

/**
 * What the agent has to tell, in memory and bounded, whether or not there is a stream. Of states and counters only the newest are
 * kept; events are kept until the control plane has read them, the oldest dropped and counted when there are too many; certificates
 * likewise, and not counted.
 */
export class Reporter {
  readonly #answers: Body[] = [];
  readonly #states = new StateQueue();
  #counters: { readonly at: number; readonly children: readonly ChildCounters[]; told: number } | undefined;
  readonly #events: Event[] = [];
  readonly #certificates: SeenCertificate[] = [];
  /** What was sent, by the ping that followed: its pong says that it was read. */
  #inFlight: (Sent & { readonly ping: number })[] = [];
  #unpinged: Sent = nothing();
  #dropped = 0;
  #wake: (() => void) | undefined;

  /** What changed since the last snapshot, and the one that it led to. */
  *states(changes: Changes, snapshot: Snapshot): Generator<undefined, void> {
    yield* this.#states.change(changes, snapshot);
    this.#wake?.();
  }

  counters(at: number, children: readonly ChildCounters[]): void {
    this.#counters = { at, children, told: 0 };
    this.#wake?.();
  }

  event(event: NewEvent): void {
    this.#events.push(
      create(EventSchema, {
        id: randomUUID(),
        at: timestampFromMs(event.at),
        severity: event.severity,
        code: event.code,
        message: event.message,
        tunnelId: event.tunnelId ?? "",
        facts: { ...event.facts },
        ...(event.refusal && { refusal: event.refusal }),
      }),
    );
    this.#dropOldest();
    this.#wake?.();
  }

  certificate({ at, ...seen }: NewSighting): void {
    this.#certificates.push(create(SeenCertificateSchema, { ...seen, at: timestampFromMs(at) }));
    this.#dropOldest();
    this.#wake?.();
  }

  /** Acks, Nacks, reversions, results of commands: sent before anything else, and again on the next stream unless they were read. */
  answer(body: Body): void {
    this.#answers.push(body);
    if (this.#answers.length > REPORT_LIMITS.answers) this.#answers.shift();
    this.#wake?.();
  }

  /**
   * A new stream: everything that may not have been read is told again, states as a whole, IKE SAs apart from their tunnels where the
   * control plane asks for it.
   */
  restart(snapshot: Snapshot, sasApart: boolean): void {
    const unread = [...this.#inFlight, this.#unpinged];
    this.#answers.unshift(...unread.flatMap((sent) => sent.answers));
    this.#answers.splice(0, this.#answers.length - REPORT_LIMITS.answers);
    this.#events.unshift(...unread.flatMap((sent) => sent.events));
    this.#certificates.unshift(...unread.flatMap((sent) => sent.certificates));
    this.#inFlight = [];
    this.#unpinged = nothing();
    this.#dropOldest();
    this.#states.restart(snapshot, sasApart);
  }

  /** The control plane lost states on the present stream: they are told as a whole again. */
  resync(snapshot: Snapshot): void {
    this.#states.restart(snapshot);
    this.#wake?.();
  }

  pinged(sequence: number): void {
    const { answers, events, certificates } = this.#unpinged;
    if (answers.length + events.length + certificates.length === 0) return;
    this.#inFlight.push({ ping: sequence, answers, events, certificates });
    this.#unpinged = nothing();
  }

  ponged(sequence: number): void {
    this.#inFlight = this.#inFlight.filter((f) => f.ping > sequence);
  }

  /** The next message to send, undefined when there is none. */
  next(): AgentMessage | undefined {
    const body =
      this.#nextAnswer() ?? this.#nextState() ?? this.#nextEvents() ?? this.#nextCertificates() ?? this.#nextCounters();
    return body && create(AgentMessageSchema, { body });
  }

  /** Resolves when something may have to be sent, or `signal` ends. */
  waiting(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener("abort", done);
        if (this.#wake === done) this.#wake = undefined;
        resolve();
      };
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted) done();
    });
  }

  #nextAnswer(): Body | undefined {
    const answer = this.#answers.shift();
    if (answer !== undefined) this.#unpinged.answers.push(answer);
    return answer;
  }

  #nextState(): Body | undefined {
    const value = this.#states.next();
    return value && { case: "state", value };
  }

  #nextEvents(): Body | undefined {
    if (this.#events.length === 0 && this.#dropped === 0) return undefined;
    const events = this.#events.splice(0, REPORT_LIMITS.eventsInMessage);
    const dropped = this.#dropped;
    this.#unpinged.events.push(...events);
    this.#dropped = 0;
    return { case: "events", value: { events, dropped } };
  }

  #nextCertificates(): Body | undefined {
    if (this.#certificates.length === 0) return undefined;
    const certificates = this.#certificates.splice(0, REPORT_LIMITS.certificatesInMessage);
    this.#unpinged.certificates.push(...certificates);
    return { case: "certificates", value: { certificates } };
  }

  #nextCounters(): Body | undefined {
    const counters = this.#counters;
    if (counters === undefined) return undefined;
    const children = counters.children.slice(counters.told, counters.told + REPORT_LIMITS.countersInMessage);
    counters.told += children.length;
    if (counters.told >= counters.children.length) this.#counters = undefined;
    return { case: "counters", value: { at: timestampFromMs(counters.at), children } };
  }

  #dropOldest(): void {
    this.#certificates.splice(0, this.#certificates.length - REPORT_LIMITS.certificates);
    const over = this.#events.length - REPORT_LIMITS.events;
    if (over <= 0) return;
    this.#events.splice(0, over);
    this.#dropped += over;
  }
}
