import { randomUUID } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type AgentMessage,
  AgentMessageSchema,
  type ChildCounters,
  type Event,
  EventSchema,
  type Severity,
  type TunnelState,
} from "@sallyport/contract";

type Body = NonNullable<MessageInitShape<typeof AgentMessageSchema>["body"]>;

export interface NewEvent {
  /** `area/name`. */
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly tunnelId?: string | undefined;
  readonly facts?: Readonly<Record<string, string>> | undefined;
  /** Wall time, milliseconds since 1970. */
  readonly at: number;
}

interface Sent {
  readonly answers: Body[];
  readonly events: Event[];
}

export const REPORT_LIMITS = { events: 1_000, eventsInMessage: 100, answers: 64, tunnelsInMessage: 200 } as const;

/**
 * What the agent has to tell, in memory and bounded, whether or not there is a stream. Of states and counters only the newest are
 * kept; events are kept until the control plane has read them, the oldest dropped and counted when there are too many.
 */
export class Reporter {
  readonly #answers: Body[] = [];
  readonly #states = new Map<string, TunnelState>();
  readonly #removed = new Set<string>();
  #complete = false;
  #counters: { at: number; children: readonly ChildCounters[] } | undefined;
  readonly #events: Event[] = [];
  /** What was sent, by the ping that followed: its pong says that it was read. */
  #inFlight: (Sent & { readonly ping: number })[] = [];
  #unpinged: Sent = { answers: [], events: [] };
  #dropped = 0;
  #wake: (() => void) | undefined;

  /** Tunnels whose state changed, and those that the running intent has no more. */
  states(changed: readonly TunnelState[], removed: readonly string[] = []): void {
    for (const id of removed) {
      this.#states.delete(id);
      if (!this.#complete) this.#removed.add(id);
    }
    for (const state of changed) {
      this.#removed.delete(state.tunnelId);
      this.#states.set(state.tunnelId, state);
    }
    this.#wake?.();
  }

  counters(at: number, children: readonly ChildCounters[]): void {
    this.#counters = { at, children };
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
      }),
    );
    this.#dropOldest();
    this.#wake?.();
  }

  /** Acks, Nacks, reversions, results of commands: sent before anything else, and again on the next stream unless they were read. */
  answer(body: Body): void {
    this.#answers.push(body);
    if (this.#answers.length > REPORT_LIMITS.answers) this.#answers.shift();
    this.#wake?.();
  }

  /** A new stream: everything that may not have been read is told again, states as a whole. */
  restart(snapshot: readonly TunnelState[]): void {
    const unread = [...this.#inFlight, this.#unpinged];
    this.#answers.unshift(...unread.flatMap((sent) => sent.answers));
    this.#answers.splice(0, this.#answers.length - REPORT_LIMITS.answers);
    this.#events.unshift(...unread.flatMap((sent) => sent.events));
    this.#inFlight = [];
    this.#unpinged = { answers: [], events: [] };
    this.#dropOldest();
    this.#states.clear();
    this.#removed.clear();
    for (const state of snapshot) this.#states.set(state.tunnelId, state);
    this.#complete = true;
  }

  pinged(sequence: number): void {
    const { answers, events } = this.#unpinged;
    if (answers.length + events.length === 0) return;
    this.#inFlight.push({ ping: sequence, answers, events });
    this.#unpinged = { answers: [], events: [] };
  }

  ponged(sequence: number): void {
    this.#inFlight = this.#inFlight.filter((f) => f.ping > sequence);
  }

  /** The next message to send, undefined when there is none. */
  next(): AgentMessage | undefined {
    const body = this.#nextAnswer() ?? this.#nextState() ?? this.#nextEvents() ?? this.#nextCounters();
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
    if (!this.#complete && this.#states.size + this.#removed.size === 0) return undefined;
    const tunnels = [...this.#states.values()].slice(0, REPORT_LIMITS.tunnelsInMessage);
    // A complete report says that there are no others, so it cannot be cut.
    const sent = this.#complete ? [...this.#states.values()] : tunnels;
    const report = { complete: this.#complete, tunnels: sent, removedTunnelIds: [...this.#removed] };
    for (const { tunnelId } of sent) this.#states.delete(tunnelId);
    this.#removed.clear();
    this.#complete = false;
    return { case: "state", value: report };
  }

  #nextEvents(): Body | undefined {
    if (this.#events.length === 0 && this.#dropped === 0) return undefined;
    const events = this.#events.splice(0, REPORT_LIMITS.eventsInMessage);
    const dropped = this.#dropped;
    this.#unpinged.events.push(...events);
    this.#dropped = 0;
    return { case: "events", value: { events, dropped } };
  }

  #nextCounters(): Body | undefined {
    const counters = this.#counters;
    this.#counters = undefined;
    return (
      counters && { case: "counters", value: { at: timestampFromMs(counters.at), children: [...counters.children] } }
    );
  }

  #dropOldest(): void {
    const over = this.#events.length - REPORT_LIMITS.events;
    if (over <= 0) return;
    this.#events.splice(0, over);
    this.#dropped += over;
  }
}
