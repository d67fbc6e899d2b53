import type {
  ChildIntent,
  ConnectionIntent,
  GatewayIntent,
  PeerAuth,
  PolicyIntent,
  TrustAnchorIntent,
} from "./model.js";
import { Secret } from "./secret.js";

/**
 * What a change does to traffic. `untouched`: nothing, the change counts from the next negotiation on. `rekeyed`: new keys, no
 * interruption. `re-established`: negotiated anew. `established`, `dropped`: a tunnel comes or goes.
 */
export type Impact = "untouched" | "rekeyed" | "re-established" | "established" | "dropped";

/** A field that differs, as text; a secret is `***` on both sides. */
export interface FieldChange {
  readonly field: string;
  readonly from: string | undefined;
  readonly to: string | undefined;
}

export interface ChildDiff {
  readonly id: string;
  readonly name: string;
  readonly change: "added" | "removed" | "changed";
  readonly fields: readonly FieldChange[];
  readonly impact: Impact;
}

export interface ConnectionDiff {
  readonly id: string;
  readonly name: string;
  readonly change: "added" | "removed" | "changed";
  /** Of the connection itself. */
  readonly fields: readonly FieldChange[];
  /** Only those that differ. Empty for an added or removed connection. */
  readonly children: readonly ChildDiff[];
  /** The gravest of the connection and its children. */
  readonly impact: Impact;
}

export interface IntentDiff {
  /** Of the gateway, its certificate, trust anchors and options; revisions are not compared. */
  readonly fields: readonly FieldChange[];
  readonly connections: readonly ConnectionDiff[];
}

const GRAVITY: readonly Impact[] = ["untouched", "established", "rekeyed", "re-established", "dropped"];

function gravest(impacts: readonly Impact[]): Impact {
  return impacts.reduce((a, b) => (GRAVITY.indexOf(b) > GRAVITY.indexOf(a) ? b : a), "untouched");
}

type Rules = readonly (readonly [field: RegExp, impact: Impact])[];

/**
 * What the engine does with a new configuration; first match wins, what is not named is untouched. This end's own keys count from the
 * next authentication on. What the peer is believed by may grow without an interruption; what an IKE SA may rest on cannot go
 * without that.
 */
const CONNECTION_IMPACT: Rules = [
  [/^remote\.from/, "untouched"],
  [/^(remote\.|localAddress|addressRequest)/, "re-established"],
  [/^(local|peer)(Rounds\.\d+)?\.(identity|method$)/, "re-established"],
  [/^forceEncapsulation/, "re-established"],
  [/^ikeProposals/, "rekeyed"],
];
const CHILD_IMPACT: Rules = [
  [/^(dontFragment|pathMtu|clampMss)/, "rekeyed"],
  [/^(localSubnets|remoteSubnets|mode|template)/, "re-established"],
  [/^(espProposals|replayWindow|tfcBytes)/, "rekeyed"],
];

function impactOf(rules: Rules, changes: readonly FieldChange[]): Impact {
  return gravest(changes.map(({ field }) => rules.find(([pattern]) => pattern.test(field))?.[1] ?? "untouched"));
}

function leafText(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) return String(value);
  return value.map((v: unknown) => (typeof v === "object" ? JSON.stringify(v) : String(v))).join(", ");
}

/** Differences of two plain values, by path. Lists are compared as a whole. */
function fieldChanges(a: unknown, b: unknown, path = ""): FieldChange[] {
  const isRecord = (v: unknown): v is Record<string, unknown> =>
    typeof v === "object" && v !== null && !Array.isArray(v) && !(v instanceof Secret);
  if (isRecord(a) || isRecord(b)) {
    const [x, y] = [isRecord(a) ? a : {}, isRecord(b) ? b : {}];
    const keys = [...new Set([...Object.keys(x), ...Object.keys(y)])].sort();
    // Some keys are names of users, of which one may be __proto__.
    const at = (record: Record<string, unknown>, key: string) => (Object.hasOwn(record, key) ? record[key] : undefined);
    return keys.flatMap((k) => fieldChanges(at(x, k), at(y, k), path === "" ? k : `${path}.${k}`));
  }
  if (a instanceof Secret && b instanceof Secret && a.equals(b)) return [];
  const [from, to] = [leafText(a), leafText(b)];
  return from === to && !(a instanceof Secret) ? [] : [{ field: path, from, to }];
}

interface Pairs<T> {
  readonly added: readonly T[];
  readonly removed: readonly T[];
  readonly kept: readonly (readonly [T, T])[];
}

function pairUp<T extends { readonly id: string }>(a: readonly T[], b: readonly T[]): Pairs<T> {
  const before = new Map(a.map((x) => [x.id, x]));
  const after = new Set(b.map((x) => x.id));
  return {
    added: b.filter((x) => !before.has(x.id)),
    removed: a.filter((x) => !after.has(x.id)),
    kept: b.flatMap((x) => {
      const old = before.get(x.id);
      return old ? [[old, x] as const] : [];
    }),
  };
}

function diffChildren(a: readonly ChildIntent[], b: readonly ChildIntent[]): ChildDiff[] {
  const { added, removed, kept } = pairUp(a, b);
  const whole = ({ id, name }: ChildIntent, change: "added" | "removed"): ChildDiff => ({
    id,
    name,
    change,
    fields: [],
    impact: change === "added" ? "established" : "dropped",
  });
  return [
    ...removed.map((c) => whole(c, "removed")),
    ...kept.flatMap(([x, y]): ChildDiff[] => {
      const fields = fieldChanges(x, y);
      if (fields.length === 0) return [];
      return [{ id: y.id, name: y.name, change: "changed", fields, impact: impactOf(CHILD_IMPACT, fields) }];
    }),
    ...added.map((c) => whole(c, "added")),
  ];
}

/** Secrets that are accepted besides by their names. */
function comparablePeer(peer: PeerAuth) {
  if (peer.method !== "psk") return peer;
  const { alsoAccepted = [] } = peer;
  return { ...peer, alsoAccepted: Object.fromEntries(alsoAccepted.map((k) => [k.keyId, k.secret])) };
}

/** Lists whose members are compared one by one, by what names them. */
function comparable({ peer, localRounds = [], peerRounds = [], ...rest }: Omit<ConnectionIntent, "children">) {
  return {
    ...rest,
    peer: comparablePeer(peer),
    localRounds: { ...localRounds },
    peerRounds: { ...peerRounds.map(comparablePeer) },
  };
}

/** Whether all that an IKE SA may rest on is still accepted. */
function stillBelieves(a: ConnectionIntent, b: ConnectionIntent): boolean {
  const [before, after] = [a, b].map((c) => [c.peer, ...(c.peerRounds ?? [])]) as [PeerAuth[], PeerAuth[]];
  return before.every((auth, i) => accepts(after[i], auth));
}

/** Whether a round takes all that it took before. */
function accepts(after: PeerAuth | undefined, before: PeerAuth): boolean {
  if (before.method === "psk" && after?.method === "psk") {
    const [old, now] = [before, after].map((p) => [p, ...(p.alsoAccepted ?? [])].map((k) => k.secret));
    return old?.every((s) => now?.some((t) => t.equals(s))) ?? true;
  }
  if (before.method === "certificate" && after?.method === "certificate") {
    // A certificate that was taken by itself has to be on the list still; nobody knows who else was.
    if (before.fingerprints || after.fingerprints) {
      return before.fingerprints?.every((f) => after.fingerprints?.includes(f)) ?? false;
    }
    return before.trustAnchorIds.every((id) => after.trustAnchorIds.includes(id));
  }
  return true;
}

function diffConnection(a: ConnectionIntent, b: ConnectionIntent, moved: boolean): ConnectionDiff[] {
  const { children: before, ...x } = a;
  const { children: after, ...y } = b;
  const fields = fieldChanges(comparable(x), comparable(y));
  const children = diffChildren(before, after);
  if (fields.length === 0 && children.length === 0 && !moved) return [];
  const impact = gravest([
    impactOf(CONNECTION_IMPACT, fields),
    ...(stillBelieves(a, b) ? [] : (["re-established"] as const)),
    ...(moved ? (["re-established"] as const) : []),
    ...children.map((c) => c.impact),
  ]);
  return [{ id: b.id, name: b.name, change: "changed", fields, children, impact }];
}

function policyText(p: PolicyIntent): string {
  if (p.action === "encrypt") return `encrypt ${p.child ?? "all others"}`;
  return `${p.action} ${p.name} (${p.id}) ${p.local.join(", ")} === ${p.remote.join(", ")}`;
}

/** From `a` to `b`. Empty lists: `sameIntent`. A change of the gateway's own ports re-establishes every connection. */
export function diffIntent(a: GatewayIntent, b: GatewayIntent): IntentDiff {
  const anchors = (list: readonly TrustAnchorIntent[]) => Object.fromEntries(list.map(({ id, ...t }) => [id, t]));
  const own = ({
    connections: _,
    revision: __,
    trustAnchors,
    policies,
    pools = [],
    eapUsers = [],
    ...rest
  }: GatewayIntent) => ({
    ...rest,
    policies: policies?.map(policyText).join("; "),
    trustAnchors: anchors(trustAnchors),
    pools: Object.fromEntries(pools.map(({ id, ...pool }) => [id, pool])),
    eapUsers: Object.fromEntries(
      eapUsers.map(({ id, users }) => [id, Object.fromEntries(users.map((u) => [u.name, u.secret]))]),
    ),
  });
  const fields = fieldChanges(own(a), own(b));
  const moved = fields.some(({ field }) => field.startsWith("ports."));
  const { added, removed, kept } = pairUp(a.connections, b.connections);
  const whole = ({ id, name }: ConnectionIntent, change: "added" | "removed"): ConnectionDiff => ({
    id,
    name,
    change,
    fields: [],
    children: [],
    impact: change === "added" ? "established" : "dropped",
  });
  return {
    fields,
    connections: [
      ...removed.map((c) => whole(c, "removed")),
      ...kept.flatMap(([x, y]) => diffConnection(x, y, moved)),
      ...added.map((c) => whole(c, "added")),
    ],
  };
}
