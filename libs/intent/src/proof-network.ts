import { type Endpoint, IpAddress } from "@sallyport/base";
import type { Effect, Input } from "@sallyport/ike";
import type { ProofEnd } from "./proof-end.js";

interface Event {
  readonly at: number;
  readonly end: ProofEnd;
  readonly input: Input;
}

/** Milliseconds of a datagram's way. */
const LATENCY = 1;
/** A negotiation that is not done by then, in virtual milliseconds, never will be. */
const PATIENCE = 60_000;
/** Inputs after which two engines that talk in circles are stopped. */
const MAX_INPUTS = 10_000;

/** Two ends, a lossless network between them, and virtual time. */
export class ProofNetwork {
  now = 0;
  readonly #queue: Event[] = [];
  #inputs = 0;

  constructor(readonly ends: readonly [ProofEnd, ProofEnd]) {
    ends[0].other = ends[1];
    ends[1].other = ends[0];
  }

  carryOut(end: ProofEnd, effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.do === "send") this.#send(end, effect);
      else if (effect.do === "arm") end.timers.set(effect.timer, effect.at);
      else if (effect.do === "disarm") end.timers.delete(effect.timer);
      else if (effect.do === "emit") end.events.push(effect.event);
      else if (effect.do === "crypto" || effect.do === "dataplane") {
        const input = end.answer(this.now, effect);
        if (input) this.#queue.push({ at: this.now, end, input });
      }
    }
  }

  #send(
    from: ProofEnd,
    { local, remote, datagram }: { local: Endpoint; remote: Endpoint; datagram: Uint8Array },
  ): void {
    const to = this.ends.find((e) => e.options.address.equals(remote.address));
    if (!to || to === from) return;
    const at = this.now + LATENCY;
    this.#queue.push({ at, end: to, input: { on: "datagram", now: at, local: remote, remote: local, datagram } });
  }

  /** Runs until `done`, or until nothing more can happen. */
  run(done: () => boolean): boolean {
    const until = this.now + PATIENCE;
    while (!done()) {
      const event = this.#next();
      if (!event || event.at > until || ++this.#inputs > MAX_INPUTS) return false;
      this.now = Math.max(this.now, event.at);
      this.carryOut(event.end, event.end.handle({ ...event.input, now: this.now }));
    }
    return true;
  }

  #next(): Event | undefined {
    let timer: { end: ProofEnd; id: number; at: number } | undefined;
    for (const end of this.ends) {
      for (const [id, at] of end.timers) if (!timer || at < timer.at) timer = { end, id, at };
    }
    const index = this.#queue.reduce(
      (best, e, i) => (best < 0 || e.at < (this.#queue[best] as Event).at ? i : best),
      -1,
    );
    const queued = this.#queue[index];
    if (queued && (!timer || queued.at <= timer.at)) {
      this.#queue.splice(index, 1);
      return queued;
    }
    if (!timer) return undefined;
    timer.end.timers.delete(timer.id);
    return { at: timer.at, end: timer.end, input: { on: "timer", now: timer.at, timer: timer.id } };
  }
}

/** `host` if it is an address: a DNS name may stand for any. */
export function literal(host: string | undefined): IpAddress | undefined {
  try {
    return host === undefined ? undefined : IpAddress.parse(host);
  } catch {
    return undefined;
  }
}

/** The address in the proof's network (RFC 5737, RFC 3849) of an end that nobody knows by one. `other` is the other end's. */
export function standIn(family: 4 | 6, other?: IpAddress): IpAddress {
  const prefix = family === 4 ? "192.0.2." : "2001:db8::";
  const first = IpAddress.parse(`${prefix}1`);
  return other && first.equals(other) ? IpAddress.parse(`${prefix}2`) : first;
}
