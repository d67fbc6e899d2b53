import type { ChildIntent } from "@sallyport/intent";
import type { Agent, PeerChild, Topology } from "@sallyport/testkit";
import { againstStrongswan, type Ends, type StrongswanLab } from "./daemons.js";
import { connectionIntent, gatewayIntent, peerConnection, type TunnelCase } from "./lab.js";
import { run } from "./squeezing-lab.js";

/** One tunnel with what its child has besides, at either end. */
export interface Case {
  readonly tunnel: TunnelCase;
  readonly child: Partial<ChildIntent>;
  readonly theirs: Partial<PeerChild>;
}

export const caseOf = (
  n: number,
  id: string,
  child: Partial<ChildIntent> = {},
  theirs: Partial<PeerChild> = {},
): Case => ({
  child,
  theirs,
  tunnel: {
    id,
    auth: "psk",
    psk: "one after another",
    ours: { name: "ours.test", address: "192.0.2.1", subnet: `10.1.${n}.0/24`, host: `10.1.${n}.1` },
    theirs: { name: `theirs${n}.test`, address: `192.0.2.${10 + n}`, subnet: `10.2.${n}.0/24`, host: `10.2.${n}.1` },
    ike: ["aes256gcm16-prfsha256-x25519"],
    esp: ["aes256gcm16"],
  },
});

const topologyOf = (ns: { readonly ours: string; readonly theirs: string }, cases: readonly Case[]): Topology => ({
  namespaces: [
    {
      name: ns.ours,
      loopback: cases.map(({ tunnel }) => `${tunnel.ours.host}/32`),
      routes: [{ to: "10.2.0.0/16", via: "192.0.2.11" }],
    },
    {
      name: ns.theirs,
      loopback: cases.map(({ tunnel }) => `${tunnel.theirs.host}/32`),
      routes: [{ to: "10.1.0.0/16", via: "192.0.2.1" }],
    },
  ],
  cables: [
    [
      { namespace: ns.ours, device: "wan", addresses: ["192.0.2.1/24"] },
      { namespace: ns.theirs, device: "wan", addresses: cases.map(({ tunnel }) => `${tunnel.theirs.address}/24`) },
    ],
  ],
});

function ourConnection({ tunnel, child }: Case) {
  const plain = connectionIntent(tunnel);
  return { ...plain, children: plain.children.map((c) => ({ ...c, ...child })) };
}

function theirConnection({ tunnel, theirs }: Case) {
  const plain = peerConnection(tunnel);
  return { ...plain, children: plain.children.map((c) => ({ ...c, ...theirs })) };
}

/** Both ends with all of the cases. */
export const sequenceLab = (ends: Ends, cases: readonly Case[]): StrongswanLab =>
  againstStrongswan(ends, topologyOf(ends, cases)).forFile(() => ({
    peer: {
      secrets: cases.map(({ tunnel: t }) => ({ owners: [t.theirs.name], secret: t.psk ?? "" })),
      connections: cases.map(theirConnection),
    },
    agent: { intent: { ...gatewayIntent("ours.test", []), connections: cases.map(ourConnection) } },
  }));

/** What `sallyport-agent sas` says of one SA, as far as tests look at it. */
export interface OurSa {
  readonly spi: string;
  readonly direction: "in" | "out";
  readonly child: string;
  readonly packets: string;
  readonly replayed: number;
  readonly replayWindow: number | null;
  readonly outOfWindow: number;
}

/** Our inbound SA of a tunnel that has one CHILD SA. */
export async function ourInbound(agent: Agent, tunnel: TunnelCase): Promise<OurSa> {
  const all = (await agent.ask("sas")) as readonly OurSa[];
  const found = all.filter((sa) => sa.child === `${tunnel.id}-net` && sa.direction === "in");
  const [only, ...more] = found;
  if (!only || more.length > 0) throw new Error(`not one inbound SA: ${JSON.stringify(found)}`);
  return only;
}

/** What a kernel says of one of its SAs. */
export interface KernelSaText {
  readonly esn: boolean;
  readonly replayWindow: number;
  /** Dropped as older than the window, and as seen before. */
  readonly outOfWindow: number;
  readonly replayed: number;
  readonly packets: number;
  readonly text: string;
}

/** The SA of an SPI as `ip xfrm state` lists it; undefined when there is none. */
export async function kernelSa(namespace: string, spi: number): Promise<KernelSaText | undefined> {
  const hex = `0x${spi.toString(16).padStart(8, "0")}`;
  const text = await run(namespace, "ip", "-s", "xfrm", "state", "list", "spi", hex);
  if (text.trim() === "") return undefined;
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  // A window that the old form of the kernel's structure has room for may be told there.
  const inContext = number(/replay_window (\d+)/);
  return {
    esn: /flag .*\besn\b/.test(text),
    replayWindow: Number.isNaN(inContext) ? number(/replay-window (\d+)/) : inContext,
    outOfWindow: number(/stats:\s+replay-window (\d+)/),
    replayed: number(/stats:\s+replay-window \d+ replay (\d+)/),
    packets: number(/lifetime current:\s+\d+\(bytes\), (\d+)\(packets\)/),
    text,
  };
}
