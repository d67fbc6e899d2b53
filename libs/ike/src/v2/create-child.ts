import type { CryptoResults } from "../api.js";
import type { ChildConfig } from "../config.js";
import { dhGroupOf } from "../crypto/index.js";
import type { ChildSuite, DhGroup } from "../crypto/types.js";
import { NOTIFY, NOTIFY_DATA } from "../wire/index.js";
import type { Payload } from "../wire/types.js";
import { requireAffordable } from "./affordable.js";
import {
  adoptChild,
  build,
  changeChild,
  childBySerial,
  closeChild,
  installOps,
  removeIn,
  reqidOf,
  undoInstall,
} from "./child.js";
import { acceptAnswer, allocation, groupNumber, isUsableSpi, makeOffer, offerPayloads } from "./child-offer.js";
import type { Accepted, Built, Child, ChildOffer } from "./child-sa.js";
import { resolveDuplicates, settleRekey, yieldsToRival } from "./collisions.js";
import { childRefused, errorOf } from "./failures.js";
import { isFault } from "./faults.js";
import { NONCE_BYTES } from "./handshake.js";
import { deletedEarly } from "./informational.js";
import { childFailed, ensure } from "./lifecycle.js";
import { ask, childNotify, errorIn, find, must } from "./message.js";
import { sameRanges } from "./narrow.js";
import { again, enqueueFirst, finish, postpone } from "./queue.js";
import type { Asking, IkeSa, Outcome } from "./sa.js";
import { switchOutbound } from "./switchover.js";
import type { Task } from "./task.js";
import type { Turn } from "./turn.js";

const PAUSE_MS = 2_000;
const MAX_GROUP_CHANGES = 4;

type ChildTask = Extract<Task, { kind: "create-child" | "rekey-child" }>;

function childTask({ task }: Asking): ChildTask | undefined {
  return task.kind === "create-child" || task.kind === "rekey-child" ? task : undefined;
}

function oldOf(sa: IkeSa, task: ChildTask | undefined): Child | undefined {
  return task?.kind === "rekey-child" ? childBySerial(sa, task.serial) : undefined;
}

function configOf(turn: Turn, sa: IkeSa, task: ChildTask): ChildConfig | undefined {
  if (task.kind === "rekey-child") return childBySerial(sa, task.serial)?.config;
  return turn.core.peers.get(sa.peer?.id ?? "")?.children.get(task.child)?.config;
}

/** Begins CREATE_CHILD_SA for a new CHILD SA or the rekey of one; false when there is nothing to do any more. */
export function beginCreate(turn: Turn, sa: IkeSa, asking: Asking): boolean {
  const task = childTask(asking);
  if (!task) return false;
  const old = oldOf(sa, task);
  const config = configOf(turn, sa, task);
  if (!config || (task.kind === "rekey-child" && old?.state !== "installed")) return false;
  if (task.kind === "create-child" && sa.children.some((c) => c.config.id === task.child && c.state === "installed"))
    return false;
  if (old && sa.waits.some(({ then }) => "answer" in then && then.answer.rekeys === old.serial)) {
    // The peer was first: this comes to something only if its rekey does not.
    changeChild(sa, old.serial, { rekeyAt: turn.now + PAUSE_MS });
    return false;
  }
  const runtime = turn.core.peers.get(sa.peer?.id ?? "")?.children.get(config.id);
  const reqid = old?.reqid ?? runtime?.reqid;
  if (reqid === undefined) return false;
  if (old) changeChild(sa, old.serial, { state: "rekeying" });
  turn.dataplane(sa, asking, allocation(sa, config, reqid), { go: "child-offer-spi" });
  return true;
}

export function offerSpi(turn: Turn, sa: IkeSa, asking: Asking, outcome: Outcome): void {
  const task = childTask(asking);
  const config = task && configOf(turn, sa, task);
  const spiIn = outcome.ok ? Number(outcome.values?.[0]) : 0;
  if (!task || !config) {
    give(turn, sa, asking);
    return;
  }
  if (!outcome.ok) {
    failed(turn, sa, asking, task, errorOf(turn, "CREATE_CHILD_SA", outcome.failure));
    return;
  }
  if (!isUsableSpi(spiIn)) {
    failed(turn, sa, asking, task, errorOf(turn, "", { code: "ike/data-plane", message: `SPI ${spiIn} was given` }));
    return;
  }
  const old = oldOf(sa, task);
  const group = task.group ?? firstGroup(config, old?.suite);
  if (group) {
    generate(turn, sa, asking, spiIn, group);
    return;
  }
  send(turn, sa, asking, task, config, spiIn, undefined);
}

/** The group of the pair that is rekeyed saves a round trip. */
function firstGroup(config: ChildConfig, old: ChildSuite | undefined): DhGroup | undefined {
  const groups = config.proposals.flatMap((p) => p.pfs);
  return old?.group && groups.includes(old.group) ? old.group : groups[0];
}

function generate(turn: Turn, sa: IkeSa, asking: Asking, spiIn: number, group: DhGroup): void {
  turn.crypto(sa, asking, { kind: "dh-generate", group }, { go: "child-offer-dh", spiIn, group });
}

export function offerDh(turn: Turn, sa: IkeSa, asking: Asking, spiIn: number, outcome: Outcome): void {
  const task = childTask(asking);
  const config = task && configOf(turn, sa, task);
  if (!task || !config) {
    give(turn, sa, asking);
    return;
  }
  if (!outcome.ok) {
    failed(turn, sa, asking, task, errorOf(turn, "CREATE_CHILD_SA", outcome.failure));
    return;
  }
  send(turn, sa, asking, task, config, spiIn, (outcome.crypto as CryptoResults["dh-generate"]).pair);
}

function send(
  turn: Turn,
  sa: IkeSa,
  asking: Asking,
  task: ChildTask,
  config: ChildConfig,
  spiIn: number,
  pair: CryptoResults["dh-generate"]["pair"] | undefined,
): void {
  const old = oldOf(sa, task);
  const runtime = turn.core.peers.get(sa.peer?.id ?? "")?.children.get(config.id);
  const offer = makeOffer(sa, {
    config,
    reqid: old?.reqid ?? runtime?.reqid ?? 0,
    spiIn,
    nonce: turn.core.rng.bytes(NONCE_BYTES),
    pair,
    pfs: true,
    packet: task.kind === "create-child" ? task.packet : undefined,
    rekeys: old?.serial,
  });
  const p = offerPayloads(offer);
  const payloads: Payload[] = [
    ...(old ? [childNotify("REKEY_SA", old.spiIn)] : []),
    ...p.before,
    p.sa,
    { kind: "Nonce", data: offer.nonce },
    ...(pair ? [{ kind: "KE", group: groupNumber(pair), data: pair.publicValue } as const] : []),
    ...p.ts,
  ];
  ask(turn, sa, asking, payloads, { child: offer });
}

/** The answer to our CREATE_CHILD_SA. */
export function createAnswered(turn: Turn, sa: IkeSa, asking: Asking, payloads: readonly Payload[]): void {
  const task = childTask(asking);
  const offer = asking.child;
  if (!task || !offer) {
    give(turn, sa, asking);
    return;
  }
  const error = errorIn(payloads);
  if (error) {
    refused(turn, sa, asking, task, offer, error.type, payloads);
    return;
  }
  const accepted = judge(turn, sa, asking, task, offer, payloads);
  if (!accepted) return;
  const nr = must(payloads, "Nonce").data;
  const ke = find(payloads, "KE");
  const { pair } = offer;
  if (accepted.suite.group === undefined) {
    install(turn, sa, asking, task, offer, accepted, nr, undefined);
    return;
  }
  if (!pair || accepted.suite.group !== pair.group || ke?.group !== groupNumber(pair)) {
    failed(
      turn,
      sa,
      asking,
      task,
      errorOf(turn, "CREATE_CHILD_SA", {
        ...{ code: "ike/invalid-syntax", message: "the peer's KE does not fit" },
        ...{ ours: pair ? `group ${groupNumber(pair)}` : "no KE", theirs: ke ? `group ${ke.group}` : "no KE" },
      }),
    );
    return;
  }
  turn.crypto(sa, asking, { kind: "dh-compute", pair, peerValue: ke.data }, { go: "child-keys", accepted, nr });
}

function judge(
  turn: Turn,
  sa: IkeSa,
  asking: Asking,
  task: ChildTask,
  offer: ChildOffer,
  payloads: readonly Payload[],
): Accepted | undefined {
  try {
    const accepted = acceptAnswer(sa, offer, payloads);
    const reqid = reqidFor(turn, sa, offer, accepted, oldOf(sa, task));
    requireAffordable(turn, sa, { ...accepted.agreed, reqid });
    return accepted;
  } catch (error) {
    if (!isFault(error)) throw error;
    failed(turn, sa, asking, task, errorOf(turn, "CREATE_CHILD_SA", error));
    enqueueFirst(turn, sa, { kind: "reject-child", spiIn: offer.spiIn });
    return undefined;
  }
}

function refused(
  turn: Turn,
  sa: IkeSa,
  asking: Asking,
  task: ChildTask,
  offer: ChildOffer,
  notify: number,
  payloads: readonly Payload[],
): void {
  switch (notify) {
    case NOTIFY.INVALID_KE_PAYLOAD: {
      const wanted = errorIn(payloads);
      const group = wanted && dhGroupOf(NOTIFY_DATA.INVALID_KE_PAYLOAD.read(wanted));
      const allowed = group && offer.config.proposals.some((p) => p.pfs.includes(group));
      const changes = task.groupChanges ?? 0;
      if (!group || !allowed || group === offer.pair?.group || changes >= MAX_GROUP_CHANGES) break;
      settleOld(sa, oldOf(sa, task));
      freeSpi(turn, sa, offer);
      again(turn, sa, asking, { ...task, group, groupChanges: changes + 1 });
      return;
    }
    case NOTIFY.TEMPORARY_FAILURE: {
      const old = oldOf(sa, task);
      settleOld(sa, old);
      freeSpi(turn, sa, offer);
      if (old?.state === "rekeyed") {
        give(turn, sa, asking);
        return;
      }
      postpone(turn, sa, asking, PAUSE_MS * (0.5 + turn.core.fraction()));
      return;
    }
    case NOTIFY.CHILD_SA_NOT_FOUND: {
      const old = oldOf(sa, task);
      freeSpi(turn, sa, offer);
      finish(sa, asking);
      if (old && old.state !== "rekeyed") closeChild(turn, sa, old, "deleted-by-peer");
      ensure(turn, sa.peer?.id);
      return;
    }
  }
  failed(turn, sa, asking, task, childRefused(turn, "CREATE_CHILD_SA", notify, offer));
}

export function childKeys(
  turn: Turn,
  sa: IkeSa,
  asking: Asking,
  accepted: Accepted,
  nr: Uint8Array,
  outcome: Outcome,
): void {
  const task = childTask(asking);
  const offer = asking.child;
  if (!task || !offer) {
    give(turn, sa, asking);
    return;
  }
  if (!outcome.ok) {
    failed(turn, sa, asking, task, errorOf(turn, "CREATE_CHILD_SA", outcome.failure));
    return;
  }
  if (offer.pair) turn.wipe(offer.pair.privateKey);
  install(turn, sa, asking, task, offer, accepted, nr, (outcome.crypto as CryptoResults["dh-compute"]).shared);
}

function install(
  turn: Turn,
  sa: IkeSa,
  asking: Asking,
  task: ChildTask,
  offer: ChildOffer,
  accepted: Accepted,
  nr: Uint8Array,
  shared: Uint8Array | undefined,
): void {
  const built = build(turn, sa, {
    ...accepted.agreed,
    reqid: reqidFor(turn, sa, offer, accepted, oldOf(sa, task)),
    ni: offer.nonce,
    nr,
    shared,
  });
  const yields = yieldsToRival(sa, oldOf(sa, task), built.child.lowestNonce);
  const held = yields ? { ...built, child: { ...built.child, sending: false, heldOutbound: built.outbound } } : built;
  turn.dataplane(sa, asking, installOps(turn, sa, held), { go: "child-installed", built: held });
}

/** A rekey stays where it was; narrower selectors than configured need a reqid of their own. */
function reqidFor(turn: Turn, sa: IkeSa, offer: ChildOffer, accepted: Accepted, old: Child | undefined): number {
  const { local, remote } = accepted.agreed;
  if (old && sameRanges(old.local, local) && sameRanges(old.remote, remote)) return old.reqid;
  return reqidOf(turn, sa, offer.config, local, remote);
}

export function installed(turn: Turn, sa: IkeSa, asking: Asking, built: Built, outcome: Outcome): void {
  const task = childTask(asking);
  if (!outcome.ok) {
    undoInstall(turn, sa, built, outcome.at);
    enqueueFirst(turn, sa, { kind: "reject-child", spiIn: built.child.spiIn });
    if (task) failed(turn, sa, asking, task, errorOf(turn, "CREATE_CHILD_SA", outcome.failure));
    return;
  }
  const old = oldOf(sa, task);
  const deleted = asking.deleted;
  adoptChild(turn, sa, built.child, old?.serial);
  finish(sa, asking);
  settle(turn, sa, old, built);
  deletedEarly(turn, sa, built.child, deleted);
}

function settle(turn: Turn, sa: IkeSa, old: Child | undefined, built: Built): void {
  if (!old) {
    // Not a rekey, or one whose old pair the peer has deleted since, perhaps because its own rekey was through.
    resolveDuplicates(turn, sa, built.child);
    return;
  }
  // Anew: the peer's rekey may have come through while this pair was being installed.
  const yields = yieldsToRival(sa, old, built.child.lowestNonce);
  if (!yields) switchOutbound(turn, sa, built.child, old);
  settleRekey(turn, sa, old, built.child, yields);
}

/** A rekey that fails leaves the old pair, which is tried again before it expires; a new child is tried again by `ensure`. */
function failed(turn: Turn, sa: IkeSa, asking: Asking, task: ChildTask, error: ReturnType<typeof errorOf>): void {
  const config = configOf(turn, sa, task);
  const old = oldOf(sa, task);
  if (asking.child) freeSpi(turn, sa, asking.child);
  finish(sa, asking);
  if (old?.state === "rekeying")
    changeChild(sa, old.serial, { state: "installed", rekeyAt: turn.now + retryRekeyMs(turn, old) });
  if (config) childFailed(turn, sa, config.id, error);
}

/** The pair that was to be rekeyed stays as it is. */
function settleOld(sa: IkeSa, old: Child | undefined): void {
  if (old?.state === "rekeying") changeChild(sa, old.serial, { state: "installed" });
}

function retryRekeyMs(turn: Turn, old: Child): number {
  const left = (old.expireAt ?? turn.now + 60_000) - turn.now;
  return Math.max(1_000, Math.min(30_000, left / 4)) * (0.5 + turn.core.fraction());
}

/** The SA that the exchange was about is gone. */
function give(turn: Turn, sa: IkeSa, asking: Asking): void {
  if (asking.child) freeSpi(turn, sa, asking.child);
  finish(sa, asking);
}

function freeSpi(turn: Turn, sa: IkeSa, offer: ChildOffer): void {
  turn.apply([removeIn({ ...offer, path: sa })]);
}
