import { type Fault, type IpAddress, isFault } from "@sallyport/base";
import type { IkeEvent, IkeStatus, LastError, TrafficRange } from "@sallyport/ike";
import { declaredEnd } from "./declared-end.js";
import { fault } from "./faults.js";
import { unknown } from "./fleet.js";
import type { DeclaredPeer } from "./fleet-model.js";
import { identityText } from "./identity.js";
import type { ChildIntent, ConnectionIntent, GatewayIntent, LocalAuth, PeerAuth } from "./model.js";
import { type EndOptions, ProofEnd } from "./proof-end.js";
import { literal, ProofNetwork, standIn } from "./proof-network.js";
import { selectorText } from "./selectors.js";

export interface ProvenChild {
  readonly id: string;
  readonly name: string;
  /** Of its first SA, and of the SA that a rekey put in its place: the only one whose PFS group was negotiated. */
  readonly suite: string;
  readonly rekeySuite: string;
  /** Selectors as agreed, seen from the first end, when the other end narrowed what was asked for (RFC 7296 §2.9). */
  readonly narrowed?: { readonly local: readonly string[]; readonly remote: readonly string[] } | undefined;
}

export type Proof =
  | { readonly ok: true; readonly ikeSuite: string; readonly children: readonly ProvenChild[] }
  | { readonly ok: false; readonly fault: Fault };

/**
 * Whether the two ends of one tunnel will agree: both production engines negotiate the connection in memory, in virtual time, then
 * rekey every CHILD SA and the IKE SA. Deterministic; a few milliseconds a tunnel. A refusal is `intent/would-not-negotiate`, seen
 * from `a`: `facts` has `exchange`, `ours`, `theirs` and, when one CHILD SA is at fault, `child`. Never throws.
 */
export function prove(a: GatewayIntent, b: GatewayIntent, connectionId: string): Proof {
  return refusing(() => {
    const [x, y] = [connectionOf(a, connectionId), connectionOf(b, connectionId)];
    const [addressA, addressB] = addresses(x, y);
    return negotiate(
      { intent: a, connection: x, address: addressA, peerAddress: addressB, anchors: anchorsOf(a) },
      { intent: b, connection: y, address: addressB, peerAddress: addressA, anchors: anchorsOf(b) },
    );
  });
}

/**
 * The same for a tunnel to an external peer, whose end is made from what its operator declared; what was not declared mirrors ours.
 */
export function proveExternal(a: GatewayIntent, connectionId: string, declared: DeclaredPeer = {}): Proof {
  return refusing(() => {
    const x = connectionOf(a, connectionId);
    const { ours, intent: b, connection: y } = declaredEnd(a, x, declared);
    const [addressA, addressB] = addresses(x, y);
    return negotiate(
      { intent: ours, connection: x, address: addressA, peerAddress: addressB, anchors: undefined },
      { intent: b, connection: y, address: addressB, peerAddress: addressA, anchors: undefined },
    );
  });
}

function refusing(run: () => Proof): Proof {
  try {
    return run();
  } catch (error) {
    if (!isFault(error)) throw error;
    return { ok: false, fault: error };
  }
}

function connectionOf(intent: GatewayIntent, id: string): ConnectionIntent {
  return (
    intent.connections.find((c) => c.id === id) ?? unknown(id, "connections", `a connection of ${intent.gateway.name}`)
  );
}

const anchorsOf = (intent: GatewayIntent) => new Set(intent.trustAnchors.map((t) => t.der));

/** The addresses that the two ends know each other by, or stand-ins of one family. */
function addresses(a: ConnectionIntent, b: ConnectionIntent): readonly [IpAddress, IpAddress] {
  const family = [a.remote.host, b.remote.host].some((h) => h?.includes(":")) ? 6 : 4;
  const [ofA, ofB] = [literal(b.remote.host), literal(a.remote.host)];
  const near = ofA ?? standIn(family, ofB);
  const far = ofB ?? standIn(family, near);
  if (near.family === far.family && !near.equals(far)) return [near, far];
  const first = standIn(family);
  return [first, standIn(family, first)];
}

/** Runs the whole life of a connection. `a` is the side whose view the result has. */
function negotiate(a: EndOptions, b: EndOptions): Proof {
  const ends = [new ProofEnd(a), new ProofEnd(b)] as const;
  const network = new ProofNetwork(ends);
  const [near, far] = ends;
  const caller = callerOf(near, far);
  const other = caller === near ? far : near;
  const peer = near.connectionId;
  network.carryOut(other, other.configure(network.now));
  network.carryOut(caller, caller.configure(network.now));

  const children: ProvenChild[] = [];
  for (const child of caller.options.connection.children) {
    const up = () => ends.every((e) => childIn(e.established(), child.id)?.state === "installed");
    network.carryOut(caller, caller.command(network.now, { command: "initiate", peer, child: child.id }));
    attempt(network, near, up, child.id);
    const first = suiteOf(near, child.id);
    const serial = childIn(caller.established(), child.id)?.serial;
    network.carryOut(caller, caller.command(network.now, { command: "rekey-child", peer, child: child.id }));
    attempt(network, near, () => up() && childIn(caller.established(), child.id)?.serial !== serial, child.id);
    const ours = near.options.connection.children.find((c) => c.id === child.id) ?? child;
    children.push({
      id: child.id,
      name: child.name,
      suite: first,
      rekeySuite: suiteOf(near, child.id),
      ...narrowing(near, ours),
    });
  }
  const serials = ends.map((e) => e.established()?.serial);
  network.carryOut(caller, caller.command(network.now, { command: "rekey-ike", peer }));
  attempt(
    network,
    near,
    () => ends.every((e, i) => e.established() && e.established()?.serial !== serials[i]),
    undefined,
  );
  return { ok: true, ikeSuite: near.established()?.suite ?? "", children };
}

/** The end that would call: the only one that may, else the one that starts by itself, else the first. */
function callerOf(a: ProofEnd, b: ProofEnd): ProofEnd {
  const may = (e: ProofEnd) => e.options.connection.role !== "responder";
  const starts = (e: ProofEnd) => e.options.connection.children.some((c) => c.startAction === "start");
  if (!may(a) && !may(b)) {
    throw fault("intent/would-not-negotiate", "neither end may call the other", {
      field: "role",
      facts: { exchange: "", ours: a.options.connection.role, theirs: b.options.connection.role },
    });
  }
  if (!may(a) || !may(b)) return may(a) ? a : b;
  return !starts(a) && starts(b) ? b : a;
}

/** The newest SA of a child. */
function childIn(sa: IkeStatus | undefined, id: string) {
  const all = sa?.children.filter((c) => c.child === id && c.state === "installed") ?? [];
  return all.sort((x, y) => y.serial - x.serial)[0];
}

function suiteOf(end: ProofEnd, child: string): string {
  return childIn(end.established(), child)?.suite ?? "";
}

function narrowing(end: ProofEnd, child: ChildIntent): Pick<ProvenChild, "narrowed"> {
  const status = childIn(end.established(), child.id);
  const texts = (ranges: readonly TrafficRange[]) => ranges.map(selectorText).sort();
  const [local, remote] = [texts(status?.local ?? []), texts(status?.remote ?? [])];
  const same = (x: readonly string[], y: readonly string[]) => x.join() === [...y].sort().join();
  return same(local, child.localSubnets) && same(remote, child.remoteSubnets) ? {} : { narrowed: { local, remote } };
}

function attempt(network: ProofNetwork, near: ProofEnd, done: () => boolean, child: string | undefined): void {
  const failed = () => network.ends.some((e) => e.events.some(isRefusal));
  if (network.run(() => done() || failed()) && !failed()) return;
  throw refusal(network, near, child);
}

function isRefusal(e: IkeEvent): e is IkeEvent & { readonly error: LastError } {
  return e.event === "negotiation-failed" || e.event === "auth-failed";
}

/** What the two ends have to agree on, as the intents say it. */
function views(connection: ConnectionIntent, child: ChildIntent | undefined) {
  const by = (first: LocalAuth | PeerAuth, more: readonly (LocalAuth | PeerAuth)[] = []) =>
    [first, ...more].map(({ identity, method }) => `${identityText(identity)} by ${method}`).join(", then ");
  return {
    ikeProposals: connection.ikeProposals.join(", "),
    espProposals: child?.espProposals.join(", ") ?? "",
    subnets: child ? `${child.localSubnets.join(", ")} ↔ ${child.remoteSubnets.join(", ")}` : "",
    authentication: `is ${by(connection.local, connection.localRounds)}, expects ${by(connection.peer, connection.peerRounds)}`,
    role: connection.role,
  };
}

type Subject = keyof ReturnType<typeof views>;

const SUBJECT_OF: Readonly<Record<string, Subject>> = {
  "ike/authentication-failed": "authentication",
  "ike/identity-mismatch": "authentication",
  "ike/eap-no-method": "authentication",
  "ike/eap-credentials": "authentication",
  "ike/eap-server-unproven": "authentication",
  "ike/eap-refused": "authentication",
  "ike/eap-tls": "authentication",
  "intent/would-not-negotiate": "authentication",
  "ike/ts-unacceptable": "subnets",
  "ike/no-response": "role",
};

function refusal(network: ProofNetwork, near: ProofEnd, childId: string | undefined): Fault {
  const far = network.ends.find((e) => e !== near) as ProofEnd;
  // The end that refused knows both sides' values; the other has only its notification.
  const errors = network.ends.flatMap((end) => end.events.filter(isRefusal).map(({ error }) => ({ end, error })));
  const told = errors.find(({ error }) => error.ours !== undefined && error.theirs !== undefined) ?? errors[0];
  const error = told?.error;
  const childOf = (end: ProofEnd) => end.options.connection.children.find((c) => c.id === childId);
  const aboutIke = childId === undefined || error?.exchange === "IKE_SA_INIT";
  const subject = error ? (SUBJECT_OF[error.code] ?? (aboutIke ? "ikeProposals" : "espProposals")) : "role";
  const [ours, theirs] = [near, far].map((end) => views(end.options.connection, childOf(end))[subject]);
  const exchange = error?.exchange ?? "";
  const child = childOf(near);
  const name = child && !aboutIke && subject !== "authentication" ? { child: child.name } : {};
  const why = error?.message ?? "the other end does not answer";
  const field =
    subject === "espProposals" ? "children.espProposals" : subject === "subnets" ? "children.localSubnets" : subject;
  return fault(
    "intent/would-not-negotiate",
    `${near.options.connection.name}: ${exchange || "the tunnel"} would fail: ${why}; ours: ${ours}; theirs: ${theirs}`,
    {
      field,
      value: ours ?? "",
      facts: { exchange, ours: ours ?? "", theirs: theirs ?? "", reason: why, code: error?.code ?? "", ...name },
    },
  );
}
