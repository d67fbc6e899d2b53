import type { IpAddress } from "@sallyport/base";
import type { CryptoJob, DataPlaneOp, Effect, Millis } from "../api.js";
import { closeEap } from "../eap/index.js";
import type { IkeEvent } from "../status.js";
import { messageText } from "../wire/index.js";
import type { Header, Payload } from "../wire/types.js";
import type { Chore } from "./backlog.js";
import type { Core } from "./core.js";
import type { Holder } from "./leases.js";
import type { Asking, AskingThen, IkeSa, LookedThen, RoutedThen, ServingThen } from "./sa.js";
import { nextDeadline } from "./timers.js";

type WaitOf =
  | { readonly of: number; readonly then: AskingThen }
  | { readonly of: "serving"; readonly then: ServingThen }
  | { readonly of: "moving"; readonly then: RoutedThen }
  | { readonly of: "switching"; readonly then: LookedThen };

function openSession(sa: IkeSa | undefined) {
  const state = sa?.handshake?.proving.eap?.state;
  return state && closeEap(state);
}

/**
 * One step of the engine. Steps change drafts and collect effects; `commit` makes both real. A step that throws is simply
 * forgotten, so the old state stands (RFC 7296 §2.21: an error changes nothing).
 */
export class Turn {
  readonly effects: Effect[] = [];
  /** Stand before all other effects: a runner that answers at once must not arm an older time after a newer one. */
  readonly #timers: Effect[] = [];
  /** What came and went is told even when the step is forgotten. */
  readonly #traces: Effect[] = [];
  readonly #drafts = new Map<number, IkeSa | undefined>();
  readonly #wiped: Uint8Array[] = [];
  /** Reqids that were named in this step and are forgotten with it, unless a CHILD SA takes them. */
  readonly #named = new Set<number>();
  readonly #begun: { readonly id: number; readonly serial: number }[] = [];

  constructor(
    readonly core: Core,
    readonly now: Millis,
    /** Does what was decided for an IKE SA. */
    private readonly perform: (turn: Turn, sa: IkeSa, chore: Chore) => void,
  ) {}

  /** The draft of an IKE SA, the same one each time. What is decided for it is done before anything else. */
  edit(serial: number): IkeSa | undefined {
    if (this.#drafts.has(serial)) return this.#drafts.get(serial);
    const sa = this.core.table.get(serial);
    if (sa === undefined) return undefined;
    const draft = { ...sa };
    this.#drafts.set(serial, draft);
    for (const chore of this.core.backlog.of(serial)) this.#perform(draft, chore);
    return this.#drafts.get(serial);
  }

  /** Decides on something that is done when its turn comes. */
  defer(serial: number, chore: Chore): void {
    const draft = this.#drafts.get(serial);
    if (draft) this.#perform(draft, chore);
    else if (this.core.table.get(serial)?.phase !== "deleting") this.core.backlog.add(serial, chore);
  }

  #perform(draft: IkeSa, chore: Chore): void {
    if (this.#drafts.get(draft.serial) === draft) this.perform(this, draft, chore);
  }

  /** As it is now, to be read only. */
  look(serial: number): IkeSa | undefined {
    return this.#drafts.has(serial) ? this.#drafts.get(serial) : this.core.seen(serial);
  }

  add(sa: IkeSa): IkeSa {
    this.#drafts.set(sa.serial, sa);
    return sa;
  }

  drop(sa: IkeSa): void {
    this.#drafts.set(sa.serial, undefined);
  }

  /** IKE SAs of a configured peer, drafts of this turn included. */
  ofPeer(peer: string): IkeSa[] {
    const serials = new Set(this.core.table.ofPeer(peer));
    for (const [serial, draft] of this.#drafts) {
      if (draft?.peer?.id === peer) serials.add(serial);
      else serials.delete(serial);
    }
    const out: IkeSa[] = [];
    for (const serial of serials) {
      const sa = this.look(serial);
      if (sa) out.push(sa);
    }
    return out;
  }

  send(sa: IkeSa, datagrams: readonly Uint8Array[], remote = sa.remote, local = sa.local): void {
    for (const datagram of datagrams) this.effects.push({ do: "send", local, remote, datagram });
    sa.lastSentAt = this.now;
  }

  /** A job whose result goes on at `then`, for a request of ours. */
  crypto(sa: IkeSa, asking: Asking, job: CryptoJob, then: AskingThen): void {
    this.effects.push({ do: "crypto", id: this.#wait(sa, { of: asking.id, then }), job });
  }

  /** The same for the peer's. */
  serveCrypto(sa: IkeSa, job: CryptoJob, then: ServingThen): void {
    this.effects.push({ do: "crypto", id: this.#wait(sa, { of: "serving", then }), job });
  }

  dataplane(sa: IkeSa, asking: Asking, ops: readonly DataPlaneOp[], then: AskingThen): void {
    this.effects.push({ do: "dataplane", id: this.#wait(sa, { of: asking.id, then }), ops });
  }

  serveDataplane(sa: IkeSa, ops: readonly DataPlaneOp[], then: ServingThen): void {
    this.effects.push({ do: "dataplane", id: this.#wait(sa, { of: "serving", then }), ops });
  }

  /** Asks whence packets to `remotes` would leave; goes on at `routed`. */
  route(sa: IkeSa, remotes: readonly IpAddress[]): void {
    const then: RoutedThen = { go: "routed", remotes };
    this.effects.push({ do: "route", id: this.#wait(sa, { of: "moving", then }), remotes });
  }

  /** Asks the data plane for what `then` goes on with. */
  inspect(sa: IkeSa, ops: readonly DataPlaneOp[], then: LookedThen): void {
    this.effects.push({ do: "dataplane", id: this.#wait(sa, { of: "switching", then }), ops });
  }

  /** Data plane work that nobody waits for. */
  apply(ops: readonly DataPlaneOp[]): void {
    if (ops.length > 0) this.effects.push({ do: "dataplane", id: 0, ops });
  }

  emit(event: IkeEvent): void {
    this.effects.push({ do: "emit", event });
  }

  /** Tells a message of a traced peer, or of a stranger who may be one. */
  trace(sa: IkeSa, direction: "in" | "out", header: Header, payloads: readonly Payload[]): void {
    const { traced } = this.core;
    if (traced.size === 0) return;
    const peer = [sa.peer, ...(sa.handshake?.candidates ?? [])].find((p) => p && traced.has(p.id))?.id;
    if (peer === undefined) return;
    const { local, remote } = sa;
    const lines = messageText(header, payloads);
    this.#traces.push({ do: "trace", at: this.now, peer, direction, local, remote, lines });
  }

  /** Overwrites secrets that nothing needs any more, once this step counts: a step that fails leaves them. */
  wipe(...secrets: readonly Uint8Array[]): void {
    this.#wiped.push(...secrets);
  }

  count(name: string): void {
    this.core.count(name);
  }

  /** A reqid for a CHILD SA that is to be made, named as long as it is wanted. */
  reqidFor(name: string): number {
    const reqid = this.core.reqidFor(name);
    this.#named.add(reqid);
    return reqid;
  }

  arm(timer: number, at: Millis): void {
    this.#timers.push({ do: "arm", timer, at });
  }

  disarm(timer: number): void {
    this.#timers.push({ do: "disarm", timer });
  }

  #wait(sa: IkeSa, wait: WaitOf): number {
    const id = this.core.newEffect(sa.serial);
    this.#begun.push({ id, serial: sa.serial });
    sa.waits = [...sa.waits, { id, ...wait }];
    return id;
  }

  /** Everything that this step may have touched. */
  touched(): IkeSa[] {
    const out: IkeSa[] = [];
    for (const draft of this.#drafts.values()) if (draft) out.push(draft);
    return out;
  }

  /** Forgets what this turn has done so far. */
  revert(): void {
    for (const { id } of this.#begun) this.core.forgetEffect(id);
    this.#begun.length = 0;
    this.#drafts.clear();
    this.effects.length = 0;
    this.#wiped.length = 0;
    this.#timers.length = 0;
  }

  /** A session of TLS that nobody waits for any more is of no use to the runner either. */
  #closeEap(old: IkeSa | undefined, next: IkeSa | undefined): void {
    const job = openSession(old);
    if (job && openSession(next)?.session !== job.session) this.effects.push({ do: "crypto", id: 0, job });
  }

  commit(): Effect[] {
    for (const secret of this.#wiped) secret.fill(0);
    for (const { id, serial } of this.#begun) if (!this.#drafts.get(serial)) this.core.forgetEffect(id);
    for (const [serial, draft] of this.#drafts) {
      this.core.backlog.delete(serial);
      const old = this.core.table.get(serial);
      if (draft === undefined) {
        if (old === undefined) continue;
        for (const wait of old.waits) this.core.forgetEffect(wait.id);
        if (old.armedAt !== Number.POSITIVE_INFINITY) this.disarm(serial);
      } else {
        const at = nextDeadline(draft);
        if (at < draft.armedAt) {
          draft.armedAt = at;
          this.arm(serial, at);
        }
      }
      if (old?.virtual !== draft?.virtual || old?.identity !== draft?.identity)
        this.core.leases.moved(serial, holderOf(old), holderOf(draft));
      this.#closeEap(old, draft);
      for (const reqid of this.core.table.replace(serial, draft)) this.#named.add(reqid);
    }
    for (const reqid of this.#named) this.core.forgetReqid(reqid);
    const first = this.#timers.length + this.#traces.length;
    return first > 0 ? [...this.#timers, ...this.#traces, ...this.effects] : this.effects;
  }
}

function holderOf(sa: IkeSa | undefined): Holder | undefined {
  return sa?.virtual && { identity: sa.identity ?? "", addresses: sa.virtual.remote };
}
