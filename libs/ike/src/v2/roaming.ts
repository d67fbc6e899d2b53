import type { IpAddress } from "@sallyport/base";
import { NOTIFY_DATA } from "../wire/index.js";
import type { Payload } from "../wire/types.js";
import { isOn, resendNow, standing } from "./moves.js";
import { inRange } from "./narrow.js";
import { enqueue, enqueueFirst } from "./queue.js";
import type { Crossing, From, IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

/** Most addresses of this end that are told, and most pairs that are tried. */
const MAX_TOLD = 8;
const MAX_PATHS = 8;
/** After so many retransmissions without an answer the path is taken for dead and others are tried beside it. */
const TRIES_BEFORE_PROBING = 2;

/** Addresses or routes of this machine have changed. */
export function networkChanged(turn: Turn, addresses: readonly IpAddress[]): void {
  const { core } = turn;
  core.addresses = addresses;
  for (const { serial, mobike, phase } of core.table.all())
    if (mobike && phase === "established") turn.defer(serial, { do: "look-again" });
}

/** What an established IKE SA does about it. */
export function networkChangedFor(turn: Turn, sa: IkeSa): void {
  if (sa.mobike?.decides) lookAgain(turn, sa);
  else if (sa.mobike) announceAgain(turn, sa);
}

function has(addresses: readonly IpAddress[], one: IpAddress): boolean {
  return addresses.some((a) => a.equals(one));
}

/** Asks where the peer can be reached from now; `first` before all that is known of it. */
export function lookAgain(turn: Turn, sa: IkeSa, first?: IpAddress): void {
  const remotes: IpAddress[] = [];
  const configured = sa.peer?.remote.endpoint?.address;
  for (const a of [first, sa.remote.address, configured, ...(sa.mobike?.theirs ?? [])]) {
    if (a && remotes.length < MAX_PATHS && !has(remotes, a)) remotes.push(a);
  }
  turn.route(sa, remotes);
}

/** The answer: the first of `remotes` that there is a way to, unless the way in use is as good. */
export function routed(
  turn: Turn,
  sa: IkeSa,
  remotes: readonly IpAddress[],
  sources: readonly (IpAddress | undefined)[],
): void {
  if (!sa.mobike || sa.phase !== "established") return;
  const paths: Crossing[] = [];
  for (const [i, remote] of remotes.entries()) {
    const local = sources[i];
    if (local?.family === remote.family && local.bytes.some((octet) => octet !== 0)) paths.push({ local, remote });
  }
  sa.mobike = { ...sa.mobike, paths, refused: [] };
  const [best] = paths;
  if (!best) return;
  if (!sa.mobike.decides) {
    speakFrom(turn, sa, best.local);
    return;
  }
  moveTo(turn, sa, best);
}

/** A responder whose address is gone goes on from another; where traffic flows, the initiator decides (RFC 4555 §3.6). */
function speakFrom(turn: Turn, sa: IkeSa, local: IpAddress): void {
  if (has(turn.core.addresses, sa.local.address) || !sa.mobike) return;
  sa.mobike = { ...sa.mobike, before: standing(sa) };
  sa.local = { address: local, port: sa.local.port };
  enqueueFirst(turn, sa, { kind: "tell-addresses" });
  resendNow(turn, sa);
}

/** Another address of the peer listens on the port of NAT traversal too, if we have floated to it. */
function endpoints(turn: Turn, sa: IkeSa, { local, remote }: Crossing): From {
  const { natPort } = turn.core.config;
  const port = sa.local.port === natPort ? natPort : sa.remote.port;
  return {
    local: { address: local, port: sa.local.port },
    remote: remote.equals(sa.remote.address) ? sa.remote : { address: remote, port },
  };
}

function moveTo(turn: Turn, sa: IkeSa, path: Crossing): void {
  const there = endpoints(turn, sa, path);
  if (isOn(sa, there)) {
    resendNow(turn, sa);
    return;
  }
  goTo(turn, sa, there);
}

/** IKE goes over another path from now on; CHILD SAs follow when the peer has agreed (RFC 4555 §3.5). */
function goTo(turn: Turn, sa: IkeSa, there: From): void {
  if (!sa.mobike) return;
  sa.mobike = { ...sa.mobike, before: standing(sa) };
  sa.local = there.local;
  sa.remote = there.remote;
  enqueueFirst(turn, sa, { kind: "update-addresses" });
  resendNow(turn, sa);
}

/** The peer has refused the path in use. */
export function tryNextPath(turn: Turn, sa: IkeSa): void {
  const { mobike } = sa;
  if (!mobike) return;
  const refused = [...mobike.refused, { local: sa.local.address, remote: sa.remote.address }];
  sa.mobike = { ...mobike, refused };
  const next = mobike.paths.find((p) => !refused.some((r) => r.local.equals(p.local) && r.remote.equals(p.remote)));
  if (next) {
    moveTo(turn, sa, next);
    return;
  }
  const { before } = mobike;
  if (!before) return;
  sa.local = before.local;
  sa.remote = before.remote;
  sa.nat = before.nat;
  sa.mobike = { ...sa.mobike, before: undefined };
}

/** A request is not answered: after a while it goes over every path that may work (RFC 4555 §3.10). */
export function probePaths(turn: Turn, sa: IkeSa, datagrams: readonly Uint8Array[], tries: number): void {
  if (!sa.mobike?.decides || sa.phase !== "established") return;
  if (tries < TRIES_BEFORE_PROBING) {
    lookAgain(turn, sa);
    return;
  }
  for (const path of sa.mobike.paths) {
    const { local, remote } = endpoints(turn, sa, path);
    if (!isOn(sa, { local, remote })) turn.send(sa, datagrams, remote, local);
  }
}

/** An answer came over another path than the one in use, which is dead: that other one is used now. */
export function takePath(turn: Turn, sa: IkeSa, from: From): void {
  if (!sa.mobike?.decides || isOn(sa, from)) return;
  const tried = sa.asking.some((a) => a.tries >= TRIES_BEFORE_PROBING);
  const known = sa.mobike.paths.some((p) => p.local.equals(from.local.address) && p.remote.equals(from.remote.address));
  if (tried && known) goTo(turn, sa, { local: from.local, remote: from.remote });
}

/** The list of further addresses, remembered as told (RFC 4555 §3.4, §3.6). */
export function addressesTold(turn: Turn, sa: IkeSa): Payload[] {
  if (!sa.mobike || sa.mobike.decides) return [];
  const told = addresses(turn, sa);
  sa.mobike = { ...sa.mobike, told: told.join(" ") };
  return told.map((a) =>
    a.family === 4 ? NOTIFY_DATA.ADDITIONAL_IP4_ADDRESS.build(a) : NOTIFY_DATA.ADDITIONAL_IP6_ADDRESS.build(a),
  );
}

function addresses(turn: Turn, sa: IkeSa): IpAddress[] {
  const inside = sa.peer?.children.flatMap((c) => c.local) ?? [];
  const all =
    sa.peer?.mobike.addresses ??
    turn.core.addresses.filter((a) => !isLoopback(a) && !inside.some((r) => inRange(r, a)));
  return all.filter((a) => !a.equals(sa.local.address)).slice(0, MAX_TOLD);
}

function isLoopback({ family, bytes }: IpAddress): boolean {
  return family === 4 ? bytes[0] === 127 : bytes.every((b, i) => b === (i === 15 ? 1 : 0));
}

function announceAgain(turn: Turn, sa: IkeSa): void {
  if (!has(turn.core.addresses, sa.local.address)) {
    turn.route(sa, [sa.remote.address]);
  } else if (addresses(turn, sa).join(" ") !== sa.mobike?.told) enqueue(turn, sa, { kind: "tell-addresses" });
}
