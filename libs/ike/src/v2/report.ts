import type { IpAddress } from "@sallyport/base";
import { childTransforms, ikeTransforms } from "../crypto/index.js";
import type { ChildSuite, IkeSuite } from "../crypto/types.js";
import type { ChildStatus, EngineStatus, IkeState, IkeStatus, PeerStatus } from "../status.js";
import { proposalText, spiText } from "../wire/index.js";
import type { Child } from "./child-sa.js";
import type { Core, PeerState } from "./core.js";
import { provenKeyId } from "./evidence.js";
import { identificationText } from "./identity.js";
import type { IkeSa } from "./sa.js";

/** By the algorithms' names: there are few of them, and many SAs. */
const texts = new Map<string, string>();

export function suiteText(suite: IkeSuite | ChildSuite): string {
  const tail = "prf" in suite ? suite.prf : suite.esn;
  const key = `${suite.encryption} ${suite.keyBits} ${suite.integrity} ${suite.group} ${tail}`;
  let text = texts.get(key);
  if (text === undefined) {
    text = proposalText({ transforms: "prf" in suite ? ikeTransforms(suite) : childTransforms(suite) });
    texts.set(key, text);
  }
  return text;
}

function stateOf(sa: IkeSa): IkeState {
  if (sa.phase === "init" || sa.phase === "auth") return "connecting";
  if (sa.phase === "established")
    return sa.asking.some((a) => a.task.kind === "rekey-ike") ? "rekeying" : "established";
  return sa.phase;
}

export function childStatus(c: Child): ChildStatus {
  return {
    child: c.config.id,
    name: c.config.name,
    serial: c.serial,
    state: c.state,
    mode: c.mode,
    spiIn: c.spiIn,
    spiOut: c.spiOut,
    reqid: c.reqid,
    suite: suiteText(c.suite),
    local: c.local,
    remote: c.remote,
    encapsulated: c.path.encapsulated,
    establishedAt: c.establishedAt,
    rekeyAt: c.rekeyAt,
    expireAt: c.expireAt,
  };
}

function keyOf(sa: IkeSa): Pick<IkeStatus, "keyId"> {
  const keyId = provenKeyId(sa);
  return keyId === undefined ? {} : { keyId };
}

export function ikeStatus(sa: IkeSa): IkeStatus {
  return {
    peer: sa.peer?.id,
    name: sa.peer?.name ?? "",
    serial: sa.serial,
    state: stateOf(sa),
    initiator: sa.initiator,
    spiInitiator: spiText(sa.spiI),
    spiResponder: spiText(sa.spiR),
    local: sa.local,
    remote: sa.remote,
    localId: sa.localId && identificationText(sa.localId),
    remoteId: sa.remoteId && identificationText(sa.remoteId),
    remoteCertificate: sa.subject,
    ...(sa.certificates.length > 0 && { certificates: sa.certificates }),
    ...(sa.user !== undefined && { user: sa.user }),
    ...keyOf(sa),
    ...(sa.ppk !== undefined && { ppk: sa.ppk }),
    suite: sa.suite ? suiteText(sa.suite) : "",
    nat: sa.nat,
    virtual: sa.virtual,
    establishedAt: sa.establishedAt,
    rekeyAt: sa.rekeyAt,
    expireAt: sa.expireAt,
    lastSeenAt: sa.establishedAt === undefined ? undefined : sa.lastSeenAt,
    children: sa.children.map((c) => childStatus(c)),
  };
}

/** IKE SAs that are looked at between two interruptions. */
const SAS_AT_ONCE = 64;

/** A report that can be interrupted: there may be tens of thousands of IKE SAs. */
export type Steps<T> = Generator<undefined, T>;

/** Takes an IKE SA of a configured peer as it is looked at. */
export type Visit = (sa: IkeStatus) => void;

function* peerStatus(core: Core, state: PeerState, visit: Visit | undefined): Steps<PeerStatus> {
  const sas: IkeStatus[] = [];
  const take = visit ?? ((sa) => void sas.push(sa));
  let seen = 0;
  for (const serial of core.table.ofPeer(state.config.id)) {
    const sa = core.seen(serial);
    if (sa) take(ikeStatus(sa));
    if (++seen % SAS_AT_ONCE === 0) yield;
  }
  const childErrors: Record<string, NonNullable<PeerStatus["lastError"]>> = {};
  for (const [id, child] of state.children) if (child.lastError) childErrors[id] = child.lastError;
  const { lastError, retryAt } = state;
  return { peer: state.config.id, name: state.config.name, sas, lastError, childErrors, retryAt };
}

/**
 * What is told of an IKE SA is what it is when it is looked at. With `visit`, those of configured peers are handed to it and not listed: so
 * many need not be kept.
 */
export function* engineStatus(core: Core, visit?: Visit): Steps<EngineStatus> {
  const unknown: IkeStatus[] = [];
  let seen = 0;
  for (const sa of core.table.all()) {
    if (!sa.peer) unknown.push(ikeStatus(sa));
    if (++seen % SAS_AT_ONCE === 0) yield;
  }
  const peers: PeerStatus[] = [];
  for (const state of core.peers.values()) {
    peers.push(yield* peerStatus(core, state, visit));
    if (peers.length % SAS_AT_ONCE === 0) yield;
  }
  return {
    peers,
    unknown,
    refusals: core.refusals,
    halfOpen: core.table.halfOpen,
    pools: core.leases.status(),
    counters: { ...core.counters },
  };
}

/** Whether an IKE SA with a peer is established. */
export function stands(core: Core, peer: string): boolean {
  for (const serial of core.table.ofPeer(peer)) if (core.seen(serial)?.phase === "established") return true;
  return false;
}

/** What peers have given to this end, in an earlier run too; looks at those alone that are asked. */
export function virtualAddresses(core: Core): IpAddress[] {
  const out = new Map(core.orphanAddresses.map(({ address }) => [address.toString(), address]));
  for (const { config } of core.peers.values()) {
    if (!config.request) continue;
    for (const serial of core.table.ofPeer(config.id)) {
      for (const address of core.table.get(serial)?.virtual?.local ?? []) out.set(address.toString(), address);
    }
  }
  return [...out.values()];
}
