import {
  type Agent,
  type Authority,
  type Credential,
  createAuthority,
  eventually,
  type IkeView,
  type Peer,
  type Topology,
} from "@sallyport/testkit";
import { Lab } from "./daemons.js";
import { type BothEnds, gatewayIntent, Pair, type TunnelCase } from "./lab.js";
import { STARTED_BY, scenario } from "./scenario.js";
import type { PeerName, ScenarioNumber } from "./scenarios.js";

export type Starter = "ours" | "theirs";
/** By what both ends prove themselves: a secret or certificates of such keys. */
export type Kind = "psk" | "rsa" | "ecdsa";

/** One tunnel of a matrix and what the peer has to say of it, in its own words. */
export interface Row {
  readonly title: string;
  readonly id: string;
  readonly initiator: Starter;
  readonly kind: Kind;
  readonly ike: string;
  readonly esp: string;
  readonly ikeSuite: RegExp;
  readonly espSuite: (rekeyed: boolean) => string;
}

export interface Credentials {
  readonly authority: Authority;
  readonly rsa: Credential;
  readonly ecdsa: Credential;
}
export interface MatrixTunnel extends TunnelCase {
  readonly kind: Kind;
}

/** What differs between peers. */
export interface MatrixPeer<P extends Peer<Sa>, Sa extends IkeView> {
  readonly name: PeerName;
  /** What the names of the namespaces begin with. */
  readonly namespaces: string;
  readonly certificatesProve: readonly ScenarioNumber[];
  start(lab: Lab, namespace: string, tunnels: readonly MatrixTunnel[], credentials: Credentials): Promise<P>;
  /** Packets that a CHILD SA has carried, in and out. */
  packets(child: Sa["children"][number]): readonly [number, number];
  selector(subnet: string): string;
  identity(name: string): string;
  /** Absent: none is lost when a CHILD SA is rekeyed. Packets that this peer's way of doing it has cost so far. */
  lost?(agent: Agent, peer: P): Promise<number>;
}

const NET = { ecdsa: "192.0.2", rsa: "198.51.100" };
/** A gateway has one certificate: the first shows ECDSA, the second RSA. */
type Gateway = keyof typeof NET;
const GATEWAYS = ["ecdsa", "rsa"] as const;
const gatewayOf = (kind: Kind): Gateway => (kind === "rsa" ? "rsa" : "ecdsa");

function tunnelOf({ id, kind, ike, esp }: Row, n: number): MatrixTunnel {
  const gateway = gatewayOf(kind);
  const net = (side: 1 | 2) => ({ subnet: `10.${side}.${n}.0/24`, host: `10.${side}.${n}.1` });
  return {
    id,
    kind,
    auth: kind === "psk" ? "psk" : "certificate",
    psk: `a long secret of case ${n}`,
    ours: { name: `${gateway}.gateway.test`, address: `${NET[gateway]}.1`, ...net(1) },
    theirs: {
      name: kind === "psk" ? `peer${n}.test` : `${kind}.peer.test`,
      address: `${NET[gateway]}.${10 + n}`,
      ...net(2),
    },
    ike: [ike],
    esp: [esp],
  };
}

/** The same tests with every row: negotiation, traffic, every rekey from either end, the end. */
export function matrix<P extends Peer<Sa>, Sa extends IkeView>(rows: readonly Row[], is: MatrixPeer<P, Sa>): void {
  const cases = rows.map((row, index) => ({ ...row, t: tunnelOf(row, index + 1) }));
  const tunnels = cases.map((c) => c.t);
  const of = (gateway: Gateway) => tunnels.filter((t) => gatewayOf(t.kind) === gateway);
  const ns = { ecdsa: `${is.namespaces}-ecdsa`, rsa: `${is.namespaces}-rsa`, peer: `${is.namespaces}-peer` };
  const topology: Topology = {
    namespaces: [
      ...GATEWAYS.map((gateway) => ({ name: ns[gateway], loopback: of(gateway).map((t) => `${t.ours.host}/32`) })),
      {
        name: ns.peer,
        loopback: tunnels.map((t) => `${t.theirs.host}/32`),
        // Without a tunnel device a kernel needs some way towards our networks.
        routes: tunnels.map((t) => ({ to: t.ours.subnet, via: t.ours.address })),
      },
    ],
    cables: GATEWAYS.map((gateway) => [
      { namespace: ns[gateway], device: "wan", addresses: [`${NET[gateway]}.1/24`] },
      { namespace: ns.peer, device: gateway, addresses: of(gateway).map((t) => `${t.theirs.address}/24`) },
    ]),
  };
  let peer: P | undefined;
  const pairs: Partial<Record<Gateway, Pair<Sa>>> = {};
  const pairOf = (kind: Kind): Pair<Sa> => {
    const pair = pairs[gatewayOf(kind)];
    if (!pair) throw new Error("the lab did not start");
    return pair;
  };

  const lab = new Lab(topology);
  lab.forFile(async () => {
    const authority = await createAuthority("Interop root", "ecdsa");
    peer = await is.start(lab, ns.peer, tunnels, {
      authority,
      rsa: await authority.issue("rsa.peer.test", "rsa"),
      ecdsa: await authority.issue("ecdsa.peer.test", "ecdsa"),
    });
    for (const gateway of GATEWAYS) {
      const name = `${gateway}.gateway.test`;
      const own = await authority.issue(name, gateway);
      const intent = gatewayIntent(name, of(gateway), { own, authority });
      const agent = await lab.agent(ns[gateway], { credential: own, intent });
      pairs[gateway] = new Pair(agent, peer, { ours: ns[gateway], theirs: ns.peer });
    }
  });

  describe.each(cases)("$title", ({ t, kind, initiator, ikeSuite, espSuite }) => {
    const proved = kind === "psk" ? ([1] as const) : is.certificatesProve;
    const proof = { proves: [...proved, 15], peer: is.name, role: STARTED_BY[initiator] } as const;
    const lostSoFar = async () => {
      return (peer && (await is.lost?.(pairOf(kind).agent, peer))) ?? 0;
    };

    scenario(
      proof,
      "negotiates what was asked for, and both ends list the same SAs",
      async () => {
        await pairOf(kind).up(t, initiator);
        const { ours, theirs, child } = await pairOf(kind).both(t);
        expect([ours.initiator, theirs.initiator]).toEqual([initiator === "ours", initiator === "theirs"]);
        expect(theirs.suite).toMatch(ikeSuite);
        expect(child.theirs.suite).toBe(espSuite(false));
        expect(child.theirs.localTs).toEqual([is.selector(t.theirs.subnet)]);
        expect(child.theirs.remoteTs).toEqual([is.selector(t.ours.subnet)]);
        expect(theirs.remoteId).toBe(is.identity(t.ours.name));
        expect(ours.remoteId).toBe(t.theirs.name);
      },
      120_000,
    );

    scenario(
      proof,
      "carries traffic without loss, counted at the far end",
      async () => {
        expect(await pairOf(kind).ping(t, 20)).toMatchObject({ sent: 20, received: 20 });
        const { child } = await pairOf(kind).both(t);
        for (const packets of is.packets(child.theirs)) expect(packets).toBeGreaterThanOrEqual(20);
      },
      120_000,
    );

    for (const by of ["ours", "theirs"] as const) {
      const rekeyed = { peer: is.name, role: STARTED_BY[by] } as const;
      const pinged = async (what: "child" | "ike", check: (before: BothEnds<Sa>, after: BothEnds<Sa>) => void) => {
        const pair = pairOf(kind);
        const before = await pair.both(t);
        return pair.during(t, async () => {
          await pair.rekey(t, what, by);
          const after = await pair.settled(t, ({ theirs, child }) =>
            what === "ike"
              ? theirs.uniqueId !== before.theirs.uniqueId
              : child.theirs.spiIn !== before.child.theirs.spiIn,
          );
          check(before, after);
        });
      };

      scenario(
        { proves: 3, ...rekeyed },
        `rekeys the CHILD SA ${is.lost ? "and loses nothing that was sent in order" : "without loss"}, started by ${by}`,
        async () => {
          const lostBefore = await lostSoFar();
          const traffic = await pinged("child", (before, after) => {
            expect(after.theirs.uniqueId).toBe(before.theirs.uniqueId);
            expect(after.child.theirs.suite).toBe(espSuite(true));
          });
          expect(traffic.sent - traffic.received).toBeLessThanOrEqual((await lostSoFar()) - lostBefore);
          const { child } = await pairOf(kind).both(t);
          expect(is.packets(child.theirs)[0]).toBeGreaterThan(0);
        },
        120_000,
      );

      scenario(
        { proves: 4, ...rekeyed },
        `rekeys the IKE SA without loss, started by ${by}`,
        async () => {
          const traffic = await pinged("ike", (before, after) => {
            expect(after.theirs.initiator).toBe(by === "theirs");
            expect(after.theirs.suite).toBe(before.theirs.suite);
            expect(after.ours.spiInitiator).not.toBe(before.ours.spiInitiator);
            expect(after.child.theirs.spiIn).toBe(before.child.theirs.spiIn);
          });
          expect(traffic.lossPct).toBe(0);
        },
        120_000,
      );
    }

    scenario(
      { ...proof, proves: proved },
      "ends at both ends when one deletes it",
      async () => {
        const { agent } = pairOf(kind);
        if (initiator === "ours") await agent.ask("down", { tunnel: t.id });
        else await peer?.terminate({ ike: t.id });
        await pairOf(kind).gone(t);
        // The peer has forgotten it before its answer is here.
        await eventually(
          "no CHILD SA of ours is left",
          async () => (await agent.peer(t.id)).sas.every((sa) => sa.children.length === 0) || undefined,
        );
        expect((await pairOf(kind).ping(t, 2, { waitMs: 1_000 })).received).toBe(0);
      },
      120_000,
    );
  });
}
