import { endpointText } from "@sallyport/base";
import type { EngineStatus, IkeStatus, PeerStatus, PolicyStatus, TrafficRange } from "@sallyport/ike";
import { selectorText } from "@sallyport/intent";

/**
 * `starting`: there is an intent, and it is not in force yet since the agent began; `no-intent`: it waits for a first one; `running`: the
 * intent of `revision` is in force.
 */
export type StartState = "starting" | "no-intent" | "running";

/** What the control socket answers to `status`. */
export interface AgentStatus extends EngineStatus {
  readonly state: StartState;
  /** While it starts: why the intent could not be put in force so far. It is tried again. */
  readonly refusal: { readonly code: string; readonly message: string } | null;
  readonly dataPlane: string;
  /** In order of precedence. */
  readonly policies: readonly PolicyStatus[];
  readonly gateway: { readonly id: string; readonly name: string } | null;
  readonly revision: number;
  /** IKE datagrams that came while too many were waiting already. */
  readonly droppedDatagrams: number;
  readonly connected: boolean;
  /** The engine's clock now, milliseconds. */
  readonly now: number;
}

function duration(millis: number): string {
  const s = Math.max(0, Math.round(millis / 1000));
  if (s < 120) return `${s} s`;
  return s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
}

const ranges = (list: readonly TrafficRange[]) => list.map(selectorText).join(", ");

function ikeLines(sa: IkeStatus, now: number): string[] {
  const side = sa.initiator ? "initiator" : "responder";
  const nat = [
    sa.nat.local && "we are behind NAT",
    sa.nat.remote && "peer is behind NAT",
    sa.nat.forced && "NAT claimed",
  ].filter(Boolean);
  const lines = [
    `  IKEv2 ${sa.state}, ${side}, ${sa.localId ?? "?"} … ${sa.remoteId ?? "?"}, SPIs ${sa.spiInitiator}_i ${sa.spiResponder}_r`,
    `    ${sa.suite}${nat.length > 0 ? `, ${nat.join(", ")}` : ""}${sa.rekeyAt === undefined ? "" : `, rekey in ${duration(sa.rekeyAt - now)}`}`,
  ];
  if (sa.user !== undefined) lines.push(`    the peer is ${sa.user}`);
  if (sa.virtual) lines.push(virtualLine(sa.virtual));
  for (const child of sa.children) {
    const spi = (n: number) => n.toString(16).padStart(8, "0");
    lines.push(
      `    ${child.name}: ${child.state}, ${child.mode}, ESP${child.encapsulated ? " in UDP" : ""}, SPIs ${spi(child.spiIn)}_in ${spi(child.spiOut)}_out`,
      `      ${child.suite}${child.rekeyAt === undefined ? "" : `, rekey in ${duration(child.rekeyAt - now)}`}`,
      `      ${ranges(child.local)} === ${ranges(child.remote)}`,
    );
  }
  return lines;
}

function virtualLine({ local, remote, dns, domains, subnets }: NonNullable<IkeStatus["virtual"]>): string {
  const about = [
    local.length > 0 && `we have ${local.join(", ")} from the peer`,
    remote.length > 0 && `the peer has ${remote.join(", ")} from us`,
    dns.length > 0 && `name servers ${dns.join(", ")}${domains.length > 0 ? ` for ${domains.join(", ")}` : ""}`,
    subnets.length > 0 && `networks ${subnets.join(", ")}`,
  ];
  return `    ${about.filter(Boolean).join("; ")}`;
}

function* peerLines(peer: PeerStatus, now: number): Generator<string, void> {
  const up = peer.sas.some((sa) => sa.children.length > 0);
  yield `${peer.name} (${peer.peer}): ${up ? "up" : peer.sas.length > 0 ? "connecting" : "down"}`;
  for (const sa of peer.sas) yield* ikeLines(sa, now);
  const error = peer.lastError;
  if (!error) return;
  yield `  last error ${duration(now - error.at)} ago${error.exchange ? ` in ${error.exchange}` : ""}: ${error.message} (${error.code})`;
  if (error.ours) yield `    ours:   ${error.ours}`;
  if (error.theirs) yield `    theirs: ${error.theirs}`;
}

function refusalLines({ refusals, now }: AgentStatus): string[] {
  if (refusals.length === 0) return [];
  return [
    "refused to callers who were not authenticated:",
    ...refusals.flatMap(({ remote, error }) => [
      `  ${duration(now - error.at)} ago, ${endpointText(remote)}: ${error.message} (${error.code})`,
      ...(error.ours ? [`    ours:   ${error.ours}`] : []),
      ...(error.theirs ? [`    theirs: ${error.theirs}`] : []),
    ]),
  ];
}

/** Flags as the field prints them (POL-16): A active, D dynamic, I invalid. */
function policyLine(p: PolicyStatus): string {
  const flags = `${p.active ? "A" : ""}${p.dynamic ? "D" : ""}${p.invalid ? "I" : ""}`.padEnd(3);
  const what = p.action === "encrypt" ? `${p.level}, ${p.sas} SAs, ${p.state}` : p.action;
  return `  ${flags} ${p.name}: ${ranges(p.local)} === ${ranges(p.remote)}: ${what}`;
}

/** `sallyport-agent status` for people, line by line (LOG-05). */
export function* statusLines(status: AgentStatus): Generator<string, void> {
  const who = status.gateway
    ? `${status.gateway.name} (${status.gateway.id}), revision ${status.revision}`
    : status.state === "starting"
      ? `starting${status.refusal ? ` (${status.refusal.message}, ${status.refusal.code})` : ""}`
      : "no intent yet";
  yield `gateway ${who}; ${status.dataPlane} data plane; control plane ${status.connected ? "connected" : "not connected"}`;
  for (const { pool, size, taken } of status.pools) yield `pool ${pool}: ${taken} of ${size} addresses taken`;
  for (const peer of status.peers) yield* peerLines(peer, status.now);
  if (status.policies.length > 0) yield "policies, first match wins (A active, D dynamic, I invalid):";
  for (const policy of status.policies) yield policyLine(policy);
  yield* refusalLines(status);
}
