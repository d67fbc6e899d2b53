import { Fault, type IpAddress, type Rng } from "@sallyport/base";
import type { Effect, Input, Lessee } from "../api.js";
import type { EngineStatus, PolicyStatus } from "../status.js";
import { peekHeader } from "../wire/index.js";
import { BACKLOG_TIMER } from "./backlog.js";
import { perform } from "./chores.js";
import { command, dataPlaneEvent } from "./commands.js";
import { adopt, configure } from "./configure.js";
import { Core } from "./core.js";
import { due } from "./due.js";
import { resume } from "./exchanges.js";
import { fault } from "./faults.js";
import { closeSa, ensure } from "./lifecycle.js";
import { settle } from "./moves.js";
import { policyStatus } from "./policies.js";
import { pump } from "./pump.js";
import { forgetEarly, receive, refuseRequest, serveEarly } from "./receive.js";
import { engineStatus, type Steps, stands, type Visit, virtualAddresses } from "./report.js";
import { networkChanged } from "./roaming.js";
import type { Outcome, Wait } from "./sa.js";
import { Turn } from "./turn.js";

const INTERNAL_ERROR_MS = 1_000;
/** IKE SAs whose chores are done between two inputs. */
const CHORES_AT_ONCE = 32;
/** Inputs that may decide on something for many IKE SAs. */
const DECIDING: readonly Input["on"][] = ["command", "config", "network"];

type Result = Extract<Input, { on: "crypto-done" | "dataplane-done" | "routed" | "failed" }>;

/**
 * The IKEv2 engine: inputs in, effects out, no I/O of its own. `handle` never throws; what an input could not do is counted and
 * changes nothing. Effects are to be carried out in order; results may be handed back at once or later, in any order.
 */
export class IkeEngine {
  readonly #core: Core;

  constructor(options: { readonly rng: Rng }) {
    this.#core = new Core(options.rng);
  }

  handle(input: Input): readonly Effect[] {
    const turn = new Turn(this.#core, input.now, perform);
    try {
      this.#step(turn, input);
      goOn(turn);
    } catch (error) {
      turn.revert();
      this.#counted(turn, error, input);
      if (input.on === "timer") this.#giveUp(turn, input.timer);
    }
    const effects = turn.commit();
    for (const { serial, early } of turn.touched()) if (early.length > 0) effects.push(...this.#early(serial, input));
    const decides = DECIDING.includes(input.on);
    if (decides || (input.on === "timer" && input.timer === BACKLOG_TIMER)) effects.push(...this.#work(input, decides));
    return effects;
  }

  /** Requests that came before their turn, each in a step of its own: one that fails takes none of the others with it. */
  #early(serial: number, input: Input): Effect[] {
    const effects: Effect[] = [];
    for (;;) {
      const turn = new Turn(this.#core, input.now, perform);
      try {
        if (!serveEarly(turn, serial)) return effects;
        goOn(turn);
      } catch (error) {
        turn.revert();
        this.#counted(turn, error, input);
        forgetEarly(turn, serial);
      }
      effects.push(...turn.commit());
    }
  }

  /**
   * Does what is decided for some IKE SAs, each in a step of its own, and comes back for the others. To decide for many was enough for
   * one input.
   */
  #work(input: Input, decides: boolean): Effect[] {
    const { backlog } = this.#core;
    const effects: Effect[] = [];
    const count = decides && backlog.size > CHORES_AT_ONCE ? 0 : CHORES_AT_ONCE;
    for (const serial of backlog.next(count)) {
      const turn = new Turn(this.#core, input.now, perform);
      try {
        turn.edit(serial);
        goOn(turn);
      } catch (error) {
        turn.revert();
        this.#counted(turn, error, input);
        backlog.delete(serial);
        this.#giveUp(turn, serial);
      }
      effects.push(...turn.commit());
      backlog.delete(serial);
    }
    if (backlog.size > 0) effects.push({ do: "arm", timer: BACKLOG_TIMER, at: input.now });
    return effects;
  }

  /** IKE SAs for which something is decided and not done yet; timers go on with it. */
  get backlog(): number {
    return this.#core.backlog.size;
  }

  /**
   * The IKE SA that a datagram names in its header, by a number; nothing of it is verified. For runners that have more datagrams than
   * time: those of strangers can wait.
   */
  owner(datagram: Uint8Array): number | undefined {
    const peek = peekHeader(datagram);
    return peek && this.#core.table.bySpi(peek.initiator ? peek.responderSpi : peek.initiatorSpi);
  }

  status(): EngineStatus {
    return atOnce(this.statusSteps());
  }

  /**
   * The same with interruptions, between which few IKE SAs are looked at; inputs may come in them. With `visit`, IKE SAs of configured
   * peers are handed to it and not listed.
   */
  statusSteps(visit?: Visit): Steps<EngineStatus> {
    return engineStatus(this.#core, visit);
  }

  /** Whether an IKE SA with the peer of this id is established. */
  stands(peer: string): boolean {
    return stands(this.#core, peer);
  }

  policies(): readonly PolicyStatus[] {
    return atOnce(this.policySteps());
  }

  /** The same with interruptions, as `statusSteps`: road warriors have policies of their own. */
  policySteps(): Steps<readonly PolicyStatus[]> {
    return policyStatus(this.#core);
  }

  /** What peers have given to this end. */
  virtualAddresses(): readonly IpAddress[] {
    return virtualAddresses(this.#core);
  }

  /** Who holds a virtual address that this end has given. */
  lessee(address: IpAddress): Lessee | undefined {
    const { table, leases } = this.#core;
    const sa = table.get(leases.holderOf(address) ?? 0);
    return sa?.virtual && { local: sa.local.address, virtual: sa.virtual };
  }

  /** Sizes of everything that could grow. */
  sizes(): Readonly<
    Record<"ikeSas" | "halfOpen" | "waiting" | "held" | "leased" | "generated" | "partialBytes", number>
  > {
    const { table, holdings, waiting, leases, reqids, byReqid } = this.#core;
    const generated = reqids.size - byReqid.size;
    return {
      ikeSas: table.size,
      halfOpen: table.halfOpen,
      waiting,
      held: holdings.size,
      leased: leases.size,
      generated,
      partialBytes: table.partials.octets,
    };
  }

  #step(turn: Turn, input: Input): void {
    switch (input.on) {
      case "datagram":
        receive(turn, input);
        return;
      case "timer":
        this.#timer(turn, input.timer);
        return;
      case "crypto-done":
      case "dataplane-done":
      case "routed":
      case "failed":
        this.#result(turn, input);
        return;
      case "network":
        networkChanged(turn, input.addresses);
        return;
      case "command":
        command(turn, input.command);
        return;
      case "dataplane":
        dataPlaneEvent(turn, input.event);
        return;
      case "config":
        configure(turn, input.config);
        return;
      case "adopt":
        adopt(turn, input.sas, input.policies);
        this.#core.orphanAddresses = input.addresses ?? [];
        return;
    }
  }

  #timer(turn: Turn, timer: number): void {
    const sa = turn.edit(timer);
    if (sa) {
      due(turn, sa);
      return;
    }
    const state = this.#core.byTimer.get(timer);
    if (state) ensure(turn, state.config.id);
  }

  #result(turn: Turn, input: Result): void {
    const serial = this.#core.takeEffect(input.id);
    const sa = serial === undefined ? undefined : turn.edit(serial);
    const wait = sa?.waits.find((w) => w.id === input.id);
    if (!sa || !wait) return;
    sa.waits = sa.waits.filter((w) => w !== wait);
    try {
      resume(turn, sa, wait, outcomeOf(input));
      goOn(turn);
    } catch (error) {
      turn.revert();
      this.#failedResume(turn, sa.serial, wait, error, input);
    }
  }

  /** A continuation has thrown: the peer's request is refused, our own exchange ends with its IKE SA. */
  #failedResume(turn: Turn, serial: number, wait: Wait, error: unknown, input: Input): void {
    this.#counted(turn, error, input);
    const sa = turn.edit(serial);
    if (!sa) return;
    sa.waits = sa.waits.filter((w) => w !== wait);
    if (sa.phase === "init") {
      turn.drop(sa);
      return;
    }
    if (wait.of === "moving" || wait.of === "switching") return;
    if (wait.of !== "serving" || !sa.serving) {
      closeSa(turn, sa, "failed");
      return;
    }
    const { mid, exchange, from } = sa.serving;
    const cause = error instanceof Fault ? error : fault("ike/temporary-failure", "internal error");
    refuseRequest(turn, serial, { header: { messageId: mid, exchange }, from }, cause);
    const after = turn.edit(serial);
    if (after) after.waits = after.waits.filter((w) => w.id !== wait.id);
  }

  #counted(turn: Turn, error: unknown, input: Input): void {
    if (error instanceof Fault) {
      turn.count(error.code);
      return;
    }
    turn.count("internal-error");
    if (turn.now - this.#core.internalErrorAt < INTERNAL_ERROR_MS) return;
    this.#core.internalErrorAt = turn.now;
    const [code, message] = error instanceof Error ? [error.name, error.message] : [typeof error, String(error)];
    turn.emit({ event: "internal-error", peer: undefined, at: turn.now, code, message, input: input.on });
  }

  /** What is due cannot be done: better no IKE SA than one whose timer never fires again. */
  #giveUp(turn: Turn, serial: number): void {
    const sa = turn.edit(serial);
    if (!sa) return;
    sa.armedAt = Number.POSITIVE_INFINITY;
    closeSa(turn, sa, "failed");
  }
}

function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** What every step ends with: CHILD SAs where they belong, and the next exchanges. */
function goOn(turn: Turn): void {
  for (const sa of turn.touched()) {
    settle(turn, sa);
    pump(turn, sa);
  }
}

function outcomeOf(input: Result): Outcome {
  switch (input.on) {
    case "crypto-done":
      return { ok: true, crypto: input.result };
    case "dataplane-done":
      return { ok: true, values: input.values };
    case "routed":
      return { ok: true, values: input.sources };
    case "failed":
      return { ok: false, at: input.at, failure: input.failure };
  }
}
