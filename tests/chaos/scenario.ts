import { type AgentStatus, eventually, type PingResult, Stopwatch, startPing } from "@sallyport/testkit";
import type { Fleet } from "../../tools/demo/fleet.ts";
import type { Gateway } from "../../tools/demo/gateway.ts";
import { HEADQUARTERS, NS, PARTNER } from "../../tools/demo/world.ts";

export const statusOf = (gateway: Gateway) => gateway.ask<AgentStatus>("status --json");

export interface TunnelSpis {
  readonly tunnel: string;
  readonly child: string;
  readonly ike: string;
  readonly esp: number;
}

/** SPIs of the tunnel between branch and headquarters, as the branch sees it, once it has one IKE SA with one CHILD SA. */
export function branchSpis(fleet: Fleet): Promise<TunnelSpis> {
  return eventually("the branch has one tunnel", async () => {
    const [peer] = (await statusOf(fleet.branch)).peers;
    const sas = peer?.sas.filter((sa) => sa.state === "established") ?? [];
    const children = sas[0]?.children.filter((c) => c.state === "installed") ?? [];
    const [ike] = sas;
    const [child] = children;
    if (!peer || !ike || !child || sas.length > 1 || children.length > 1) return undefined;
    return { tunnel: peer.peer, child: child.child, ike: ike.spiInitiator, esp: child.spiOut };
  });
}

/** Rekeys the CHILD SA, then the IKE SA of the branch's tunnel; resolves when both are new. */
export async function rekeyBranch(fleet: Fleet): Promise<void> {
  const before = await branchSpis(fleet);
  await fleet.branch.ask(`rekey ${before.tunnel} ${before.child}`);
  await eventually("the CHILD SA is new", async () => (await branchSpis(fleet)).esp !== before.esp || undefined);
  await fleet.branch.ask(`rekey ${before.tunnel}`);
  await eventually("the IKE SA is new", async () => (await branchSpis(fleet)).ike !== before.ike || undefined);
}

export interface Path {
  readonly from: string;
  readonly to: string;
  readonly source?: string;
}
export const BRANCH_TO_HEADQUARTERS: Path = { from: NS.branchHost, to: HEADQUARTERS.host };
export const HEADQUARTERS_TO_PARTNER: Path = { from: NS.headquartersHost, to: PARTNER.host };

/** 100 pings a second between two hosts while `action` runs, and for a moment before and after. */
export async function underTraffic(action: () => Promise<void>, path = BRANCH_TO_HEADQUARTERS): Promise<PingResult> {
  const { from, to, ...source } = path;
  const running = await startPing(from, to, { intervalMs: 10, ...source });
  try {
    await new Promise((resolve) => setTimeout(resolve, 300));
    await action();
    await new Promise((resolve) => setTimeout(resolve, 300));
  } catch (error) {
    await running.stop();
    throw error;
  }
  return running.stop();
}

const CONNECTIONS = "query connections { gateways(first: 10) { edges { node { name connected connectedAt } } } }";
interface Connections {
  readonly gateways: {
    readonly edges: readonly {
      readonly node: { readonly name: string; readonly connected: boolean; readonly connectedAt: string | null };
    }[];
  };
}

/** Milliseconds until every agent has connected anew, after `since` (wall time); what the API remembers from before does not count, nor does a time in which the machine stands still. */
export async function untilReconnected(fleet: Fleet, since: number): Promise<number> {
  const watch = new Stopwatch();
  await eventually("every agent has connected again", async () => {
    const { gateways } = await fleet.controlPlane.api.run<Connections>(CONNECTIONS);
    const all = gateways.edges.map((e) => e.node);
    return all.every((g) => g.connected && Date.parse(g.connectedAt ?? "") > since) || undefined;
  });
  return watch.stop();
}

/** Waits until the API shows the very SPIs that the branch's agent has now. */
export async function healthIsRight(fleet: Fleet): Promise<void> {
  const { ike } = await branchSpis(fleet);
  await eventually("the API shows the SAs that there are", async () => {
    const health = await fleet.healthy(2);
    const tunnel = health.tunnels.edges.map((e) => e.node).find((t) => t.ends.length === 2);
    const shown = tunnel?.ends.map((end) => end.ikeSas.filter((sa) => sa.state === "established"));
    if (!shown?.every(([sa, ...more]) => sa?.initiatorSpi === ike && more.length === 0)) {
      throw new Error(`the agent has ${ike}, the API shows ${JSON.stringify(tunnel)}`);
    }
    return true;
  });
}
