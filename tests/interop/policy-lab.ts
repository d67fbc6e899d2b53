import { once } from "node:events";
import type { ChildIntent, ConnectionIntent, GatewayIntent, PolicyIntent } from "@sallyport/intent";
import { eventually, type PeerChild, type PeerConnection, spawnIn } from "@sallyport/testkit";
import { type CableDifferences, cableTopology, cableTunnel } from "./cable.js";
import { againstStrongswan, type StrongswanLab } from "./daemons.js";
import { gatewayIntent, peerConnection, type TunnelCase } from "./lab.js";

/** A tunnel whose ends differ in what they do by themselves. */
export interface Case extends TunnelCase {
  /** What our connection and its child have besides. */
  readonly mine?: Partial<ConnectionIntent>;
  readonly child?: Partial<ChildIntent>;
  readonly theirChild?: Partial<PeerChild>;
}
export const policyCase = (n: number, id: string, more: Partial<Case> = {}): Case => cableTunnel(n, id, more);

interface PolicyStatus {
  readonly id: string;
  readonly active: boolean;
  readonly sas: number;
  readonly dynamic: boolean;
  readonly state: string;
}

/** An agent and strongSwan on one cable, for all tests of a file. */
export class PolicyLab {
  readonly #tunnels: readonly Case[];
  readonly #policies: readonly PolicyIntent[] | undefined;
  readonly #lab: StrongswanLab;

  constructor(
    name: string,
    tunnels: Readonly<Record<string, Case>>,
    more: { readonly cable?: CableDifferences; readonly policies?: readonly PolicyIntent[] } = {},
  ) {
    this.#tunnels = Object.values(tunnels);
    this.#policies = more.policies;
    const ends = { ours: `sp-${name}-ours`, theirs: `sp-${name}-theirs` };
    this.#lab = againstStrongswan(ends, cableTopology(ends, this.#tunnels, more.cable)).forFile(() => ({
      peer: {
        secrets: this.secrets(),
        connections: this.#tunnels.map((t) => this.theirs(t)),
        settings: { retransmit_tries: "2", retransmit_timeout: "0.4" },
      },
      agent: { intent: this.intent() },
    }));
  }

  get ends() {
    return this.#lab.ends;
  }
  get agent() {
    return this.#lab.agent;
  }
  get peer() {
    return this.#lab.peer;
  }
  get pair() {
    return this.#lab.pair;
  }

  /** Our intent of all tunnels, each connection changed by `change`. */
  intent(
    change: (connection: ConnectionIntent) => ConnectionIntent = (c) => c,
    policies: readonly PolicyIntent[] | undefined = this.#policies,
  ): GatewayIntent {
    const base = gatewayIntent("ours.test", this.#tunnels);
    const connections = base.connections.map((connection, i): ConnectionIntent => {
      const { mine, child } = this.#tunnels[i] as Case;
      return change({ ...connection, ...mine, children: connection.children.map((c) => ({ ...c, ...child })) });
    });
    return { ...base, connections, ...(policies && { policies }) };
  }

  theirs(t: Case): PeerConnection {
    const connection = peerConnection(t);
    return { ...connection, children: connection.children.map((c) => ({ ...c, ...t.theirChild })) };
  }

  secrets() {
    return this.#tunnels.map((t) => ({ owners: [t.theirs.name], secret: t.psk ?? "" }));
  }

  /** Resolves when we have no established SA of a tunnel any more. */
  async foundDead(t: Case): Promise<void> {
    await eventually(`${t.id} is found dead`, async () => {
      const { sas } = await this.agent.peer(t.id);
      return sas.every((sa) => sa.state !== "established") || undefined;
    });
  }

  /** What we say of the policies of a tunnel. */
  async policyOf(t: Case): Promise<readonly PolicyStatus[]> {
    const { policies } = (await this.agent.status()) as unknown as { policies: readonly PolicyStatus[] };
    return policies.filter((p) => p.id === `${t.id}-net`);
  }

  /** Whether a TCP connection from our host to theirs is answered on a port. */
  async answers(t: Case, port: number): Promise<boolean> {
    const script = (code: string) => ["-e", code];
    const server = spawnIn(
      this.ends.theirs,
      process.execPath,
      script(`require("net").createServer(s=>s.end("hello")).listen(${port},"${t.theirs.host}",()=>console.log("on"))`),
      { stdio: ["ignore", "pipe", "ignore"] },
    );
    try {
      if (server.stdout) await once(server.stdout, "data");
      const options = `{host:"${t.theirs.host}",port:${port},localAddress:"${t.ours.host}"}`;
      const client = spawnIn(
        this.ends.ours,
        process.execPath,
        script(
          `const s=require("net").connect(${options});s.on("data",()=>process.exit(0));s.on("error",()=>process.exit(1));setTimeout(()=>process.exit(2),1500)`,
        ),
      );
      const [code] = await once(client, "exit");
      return code === 0;
    } finally {
      server.kill("SIGKILL");
    }
  }
}
