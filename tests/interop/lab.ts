import type { IkeStatus } from "@sallyport/ike";
import type { ConnectionIntent, GatewayIntent } from "@sallyport/intent";
import { Secret } from "@sallyport/intent";
import {
  type Agent,
  type Authority,
  type Credential,
  eventually,
  type IkeView,
  type Peer,
  type PeerConnection,
  type PeerIkeSa,
  type PingOptions,
  type PingResult,
  ping,
  startPing,
} from "@sallyport/testkit";

/** Userspace in plain namespaces; the same tests run in a guest with ESP when this says `kernel`. */
export const DATA_PLANE = process.env.SALLYPORT_INTEROP_DATA_PLANE === "kernel" ? "kernel" : "userspace";
export const PEER_DATA_PLANE = DATA_PLANE === "kernel" ? "kernel-netlink" : "kernel-libipsec";

export type Authentication = "psk" | "certificate";

/** One tunnel between an agent and strongSwan, from which both ends' configurations are made. */
export interface TunnelCase {
  /** Names the connection and its child at both ends. */
  readonly id: string;
  readonly auth: Authentication;
  readonly ours: { readonly name: string; readonly address: string; readonly subnet: string; readonly host: string };
  readonly theirs: { readonly name: string; readonly address: string; readonly subnet: string; readonly host: string };
  readonly ike: readonly string[];
  readonly esp: readonly string[];
  readonly psk?: string;
  /** Settings in which strongSwan differs from us. */
  readonly peer?: Partial<PeerConnection> & { readonly esp?: readonly string[]; readonly remoteTs?: readonly string[] };
}

const HOUR = 3600;

export function connectionIntent(tunnel: TunnelCase): ConnectionIntent {
  const secret = { keyId: `psk-${tunnel.id}`, secret: new Secret(tunnel.psk ?? "") };
  const local = { type: "fqdn", value: tunnel.ours.name } as const;
  const peer = { type: "fqdn", value: tunnel.theirs.name } as const;
  return {
    id: tunnel.id,
    name: tunnel.id,
    role: "both",
    remote: { host: tunnel.theirs.address, ports: { ike: 500, natt: 4500 } },
    ikeProposals: tunnel.ike,
    local:
      tunnel.auth === "psk"
        ? { method: "psk", identity: local, ...secret }
        : { method: "certificate", identity: local },
    peer:
      tunnel.auth === "psk"
        ? { method: "psk", identity: peer, ...secret }
        : { method: "certificate", identity: peer, trustAnchorIds: ["authority"] },
    ikeRekeySeconds: 4 * HOUR,
    dpd: { intervalSeconds: 0 },
    children: [
      {
        id: `${tunnel.id}-net`,
        name: `${tunnel.id}-net`,
        mode: "tunnel",
        localSubnets: [tunnel.ours.subnet],
        remoteSubnets: [tunnel.theirs.subnet],
        espProposals: tunnel.esp,
        rekeySeconds: HOUR,
        startAction: "none",
      },
    ],
  };
}

export function gatewayIntent(
  name: string,
  tunnels: readonly TunnelCase[],
  certificates?: { readonly own: Credential; readonly authority: Authority },
): GatewayIntent {
  return {
    schema: 1,
    revision: 1,
    gateway: { id: name, name },
    identity: { type: "fqdn", value: name },
    ports: { ike: 500, natt: 4500 },
    ...(certificates && { certificate: { fingerprint: certificates.own.fingerprint, intermediates: [] } }),
    trustAnchors: certificates ? [{ id: "authority", der: certificates.authority.der.toString("base64") }] : [],
    connections: tunnels.map(connectionIntent),
    options: { commitConfirmSeconds: 60, reportSeconds: 5 },
  };
}

export function peerConnection(tunnel: TunnelCase, certificate?: Credential): PeerConnection {
  const auth = tunnel.auth === "psk" ? "psk" : "pubkey";
  const { esp, remoteTs, ...differing } = tunnel.peer ?? {};
  return {
    name: tunnel.id,
    localAddress: tunnel.theirs.address,
    remoteAddress: tunnel.ours.address,
    proposals: tunnel.ike,
    local: { auth, id: tunnel.theirs.name, ...(certificate && { certificate: certificate.certificate }) },
    remote: { auth, id: tunnel.ours.name },
    children: [
      {
        name: `${tunnel.id}-net`,
        localTs: [tunnel.theirs.subnet],
        remoteTs: remoteTs ?? [tunnel.ours.subnet],
        proposals: esp ?? tunnel.esp,
      },
    ],
    ...differing,
  };
}

export interface BothEnds<Sa extends IkeView = PeerIkeSa> {
  readonly ours: IkeStatus;
  readonly theirs: Sa;
  readonly child: { readonly ours: IkeStatus["children"][number]; readonly theirs: Sa["children"][number] };
}

export class Pair<Sa extends IkeView = PeerIkeSa> {
  readonly agent: Agent;
  readonly peer: Peer<Sa>;
  readonly namespaces: { readonly ours: string; readonly theirs: string };

  // Spelt out: programs that Node runs as they stand import this file too.
  constructor(agent: Agent, peer: Peer<Sa>, namespaces: { readonly ours: string; readonly theirs: string }) {
    this.agent = agent;
    this.peer = peer;
    this.namespaces = namespaces;
  }

  async up(tunnel: TunnelCase, initiator: "ours" | "theirs"): Promise<void> {
    if (initiator === "ours") await this.agent.ask("up", { tunnel: tunnel.id, child: `${tunnel.id}-net` });
    else await this.peer.initiate(`${tunnel.id}-net`);
  }

  /** Both ends' view of the tunnel as soon as each has one IKE SA with one CHILD SA, of the same SPIs as far as the peer tells. */
  both(tunnel: TunnelCase, timeoutMs?: number): Promise<BothEnds<Sa>> {
    return eventually(
      `${tunnel.id} is the same tunnel at both ends`,
      async () => {
        const ours = (await this.agent.peer(tunnel.id)).sas;
        const theirs = await this.peer.listSas(tunnel.id);
        const [a, ...moreA] = ours.filter((sa) => sa.state === "established");
        const [b, ...moreB] = theirs.filter((sa) => sa.state === "ESTABLISHED");
        if (!a || !b || moreA.length + moreB.length > 0) throw new Error(describe({ ours, theirs }));
        const [childA, ...childrenA] = a.children.filter((c) => c.state === "installed");
        const [childB, ...childrenB] = b.children.filter((c) => c.state === "INSTALLED");
        if (!childA || !childB || childrenA.length + childrenB.length > 0) throw new Error(describe({ ours, theirs }));
        const same =
          (b.initiatorSpi ?? a.spiInitiator) === a.spiInitiator &&
          (b.responderSpi ?? a.spiResponder) === a.spiResponder &&
          childA.spiIn === childB.spiOut &&
          childA.spiOut === childB.spiIn;
        if (!same) throw new Error(describe({ ours, theirs }));
        return { ours: a, theirs: b, child: { ours: childA, theirs: childB } };
      },
      timeoutMs,
    );
  }

  /** The same, once it is as `wanted` says. */
  settled(tunnel: TunnelCase, wanted: (ends: BothEnds<Sa>) => boolean, timeoutMs?: number): Promise<BothEnds<Sa>> {
    return eventually(
      `${tunnel.id} has changed at both ends`,
      async () => {
        const ends = await this.both(tunnel, 0);
        return wanted(ends) ? ends : undefined;
      },
      timeoutMs,
    );
  }

  /** Resolves when neither end has an SA of the tunnel, but for one of ours that only answers repetitions any more. */
  async gone(tunnel: TunnelCase): Promise<void> {
    await eventually(`${tunnel.id} is gone at both ends`, async () => {
      const ours = (await this.agent.peer(tunnel.id)).sas.filter((sa) => sa.state !== "deleting");
      const theirs = await this.peer.listSas(tunnel.id);
      if (ours.length + theirs.length > 0) throw new Error(describe({ ours, theirs }));
      return true;
    });
  }

  /** Pings through the tunnel. */
  ping(tunnel: TunnelCase, count = 20, options: PingOptions = {}): Promise<PingResult> {
    return ping(this.namespaces.ours, tunnel.theirs.host, { source: tunnel.ours.host, count, ...options });
  }

  /** Runs `action` under 100 pings a second and for a moment after it; gives what the pings saw. */
  async during(tunnel: TunnelCase, action: () => Promise<void>): Promise<PingResult> {
    const running = await startPing(this.namespaces.ours, tunnel.theirs.host, { source: tunnel.ours.host });
    try {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await action();
      await new Promise((resolve) => setTimeout(resolve, 200));
    } catch (error) {
      await running.stop();
      throw error;
    }
    return running.stop();
  }

  async rekey(tunnel: TunnelCase, what: "child" | "ike", by: "ours" | "theirs"): Promise<void> {
    if (by === "theirs") {
      if (what === "child") await this.peer.rekeyChild(`${tunnel.id}-net`);
      else await this.peer.rekeyIke(tunnel.id);
    } else {
      const child = what === "child" ? { child: `${tunnel.id}-net` } : {};
      await this.agent.ask("rekey", { tunnel: tunnel.id, ...child });
    }
  }
}

const describe = (ends: unknown) => `both ends say ${JSON.stringify(ends)}`;
