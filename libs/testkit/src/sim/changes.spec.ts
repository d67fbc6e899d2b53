import { IpAddress, Prefix } from "@sallyport/base";
import type { ChildConfig, IkeConfig, LocalAuth, PeerConfig, RemoteAuth } from "@sallyport/ike";
import { reaches } from "./agreement.js";
import { ADDRESSES, childOf, configOf, ESP_PROPOSAL, peerOf, range } from "./configs.js";
import type { SimPeer } from "./sim-peer.js";
import { Simulation } from "./simulation.js";

/** What a change of one field of one peer may do to that peer's own tunnel; it never does anything to another's. */
type Effect = "untouched" | "rekeyed" | "replaced";

interface Case<T> {
  readonly change: (config: T) => T;
  readonly effect: Effect;
}
type Cases<T> = { readonly [F in Exclude<keyof T, "id">]-?: Case<T> | readonly Case<T>[] };

const utf8 = new TextEncoder();
const next = <T>(change: Partial<T>, effect: Effect): Case<T> => ({
  change: (config) => ({ ...config, ...change }),
  effect,
});

/** Every field has to be here. */
const PEER: Cases<PeerConfig> = {
  name: next<PeerConfig>({ name: "another name" }, "untouched"),
  local: next<PeerConfig>({ local: { address: IpAddress.parse(ADDRESSES.a), port: 4500 } }, "replaced"),
  remote: [
    next<PeerConfig>(
      { remote: { endpoint: { address: IpAddress.parse(ADDRESSES.b), port: 500 }, accept: [Prefix.any(4)] } },
      "untouched",
    ),
    next<PeerConfig>(
      { remote: { endpoint: { address: IpAddress.parse(ADDRESSES.b), port: 4500 }, accept: [Prefix.any(4)] } },
      "replaced",
    ),
  ],
  passive: next<PeerConfig>({ passive: true }, "untouched"),
  proposals: {
    change: (p) => ({ ...p, proposals: p.proposals.map((x) => ({ ...x, prf: ["hmac-sha2-512", ...x.prf] })) }),
    effect: "rekeyed",
  },
  localAuth: [
    {
      change: (p) => ({ ...p, localAuth: [{ ...p.localAuth[0], secret: utf8.encode("another") } as LocalAuth] }),
      effect: "untouched",
    },
    {
      change: (p) => {
        const identity = { type: "fqdn", name: "new.example" } as const;
        return { ...p, localAuth: [{ ...p.localAuth[0], identity } as LocalAuth] };
      },
      effect: "replaced",
    },
  ],
  remoteAuth: [
    {
      change: (p) => {
        const [round] = p.remoteAuth;
        const secrets = round.method === "psk" ? [utf8.encode("another"), ...round.secrets] : [];
        return { ...p, remoteAuth: [{ ...round, secrets } as RemoteAuth] };
      },
      effect: "untouched",
    },
    {
      change: (p) => ({ ...p, remoteAuth: [{ ...p.remoteAuth[0], identity: { match: "any" } }] }),
      effect: "replaced",
    },
  ],
  ppk: next<PeerConfig>(
    { ppk: { id: utf8.encode("ppk"), secret: utf8.encode("quantum"), required: false } },
    "untouched",
  ),
  lifetime: next<PeerConfig>({ lifetime: { soft: 10_000, jitter: 0, hard: 20_000 } }, "untouched"),
  keyingTries: next<PeerConfig>({ keyingTries: 3 }, "untouched"),
  dpdInterval: next<PeerConfig>({ dpdInterval: 300 }, "untouched"),
  retransmission: next<PeerConfig>({ retransmission: { initial: 100, backoff: 2, max: 1_000, tries: 3 } }, "untouched"),
  fragmentation: next<PeerConfig>({ fragmentation: false }, "untouched"),
  fragmentSize: next<PeerConfig>({ fragmentSize: 576 }, "untouched"),
  mobike: next<PeerConfig>(
    { mobike: { enabled: false, acceptFrom: [], checkRoutability: false, forbidNat: false } },
    "untouched",
  ),
  forceEncapsulation: next<PeerConfig>({ forceEncapsulation: true }, "replaced"),
  natKeepalive: next<PeerConfig>({ natKeepalive: 5 }, "untouched"),
  initialContact: next<PeerConfig>({ initialContact: false }, "untouched"),
  uniqueness: next<PeerConfig>({ uniqueness: "never" }, "untouched"),
  sasPerIdentity: next<PeerConfig>({ sasPerIdentity: 1 }, "untouched"),
  modeConfig: next<PeerConfig>(
    { modeConfig: { pools: [], dns: [], domains: [], subnets: [], required: false, users: [] } },
    "untouched",
  ),
  request: next<PeerConfig>({ request: { families: [4], dns: false, hides: [] } }, "replaced"),
  window: next<PeerConfig>({ window: 7 }, "untouched"),
  reauthentication: next<PeerConfig>(
    { reauthentication: { after: 36_000, jitter: 60, mode: "make-before-break" } },
    "untouched",
  ),
  authLifetime: next<PeerConfig>({ authLifetime: 36_000 }, "untouched"),
  children: [
    { change: (p) => ({ ...p, children: [...p.children].reverse() }), effect: "untouched" },
    {
      change: (p) => ({ ...p, children: [...p.children, { ...childOf("a"), id: "more", startAction: "none" }] }),
      effect: "untouched",
    },
  ],
};

const CHILD: Cases<ChildConfig> = {
  name: next<ChildConfig>({ name: "another name" }, "untouched"),
  mode: next<ChildConfig>({ mode: "transport" }, "replaced"),
  local: next<ChildConfig>({ local: [range("10.1.0.0/24")] }, "replaced"),
  remote: next<ChildConfig>({ remote: [range("10.2.0.0/16", 6)] }, "replaced"),
  template: next<ChildConfig>({ template: "port-strict" }, "replaced"),
  proposals: [
    next<ChildConfig>({ proposals: [{ ...ESP_PROPOSAL, esn: [true, false] }] }, "rekeyed"),
    {
      change: (c) => {
        const weaker = { algorithm: "aes-gcm-16", keyBits: 128 } as const;
        return { ...c, proposals: c.proposals.map((p) => ({ ...p, encryption: [...p.encryption, weaker] })) };
      },
      effect: "rekeyed",
    },
  ],
  dontFragment: next<ChildConfig>({ dontFragment: "clear" }, "rekeyed"),
  pathMtu: next<ChildConfig>({ pathMtu: 1280 }, "rekeyed"),
  clampMss: next<ChildConfig>({ clampMss: false }, "rekeyed"),
  replayWindow: next<ChildConfig>({ replayWindow: 512 }, "rekeyed"),
  tfc: next<ChildConfig>({ tfc: 512 }, "rekeyed"),
  lifetime: next<ChildConfig>({ lifetime: { soft: 1_000, jitter: 0, hard: 2_000 } }, "untouched"),
  startAction: [
    next<ChildConfig>({ startAction: "none" }, "untouched"),
    next<ChildConfig>({ startAction: "trap" }, "untouched"),
  ],
  dpdAction: next<ChildConfig>({ dpdAction: "clear" }, "untouched"),
  level: [next<ChildConfig>({ level: "use" }, "untouched"), next<ChildConfig>({ level: "unique" }, "untouched")],
  priority: [next<ChildConfig>({ priority: 1_000 }, "untouched"), next<ChildConfig>({ priority: 3_000 }, "untouched")],
  reqid: next<ChildConfig>({ reqid: 77 }, "replaced"),
  routes: next<ChildConfig>({ routes: false }, "untouched"),
  routeSources: next<ChildConfig>({ routeSources: [IpAddress.parse("10.1.0.1")] }, "untouched"),
};

const flat = <T>(cases: Cases<T>) =>
  Object.entries(cases).flatMap(([field, list]) =>
    [list as Case<T> | readonly Case<T>[]].flat().map((one, i) => [`${field} ${i}`, one as Case<T>] as const),
  );

const C = "203.0.113.1";

/** `a` with tunnels to `b` and to `c`, whose configurations mirror what `mine` says of `b`. */
function star(mine: (peer: PeerConfig) => PeerConfig = (p) => p) {
  const far = (config: PeerConfig): PeerConfig => {
    const remote = IpAddress.parse(C);
    const [local, remoteAuth] = [config.localAuth, config.remoteAuth[0]];
    const identity = { type: "fqdn", name: "c.example" } as const;
    return {
      ...config,
      id: "c",
      name: "c",
      remote: { endpoint: { address: remote, port: 500 }, accept: [Prefix.of(remote, 32)] },
      localAuth: local,
      remoteAuth: [{ ...remoteAuth, identity: { match: "is", identity } }],
      children: config.children.map((c) => ({ ...c, remote: [range("10.3.0.0/16")] })),
    };
  };
  const c: PeerConfig = {
    ...peerOf("b"),
    local: { address: IpAddress.parse(C), port: 500 },
    localAuth: [{ ...peerOf("b").localAuth[0], identity: { type: "fqdn", name: "c.example" } } as LocalAuth],
    children: [childOf("b", { local: [range("10.3.0.0/16")] })],
  };
  return { a: configOf(mine(peerOf("a")), far(peerOf("a"))), b: configOf(peerOf("b")), c: configOf(c) };
}

/** SAs, IKE and CHILD, of one tunnel at `a`. */
function sas(a: SimPeer, peer: string) {
  return a.established(peer).map((sa) => ({ spi: sa.spiInitiator, children: sa.children.map((c) => c.spiIn) }));
}

/** Both directions of the tunnel between `a` and `far`, one packet each millisecond; gives what was lost. */
function watch(sim: Simulation, ends: { a: SimPeer; far: SimPeer; to: string }, seconds: number): string[] {
  const lost: string[] = [];
  const prefix = Prefix.parse(ends.to);
  for (let ms = 0; ms < seconds * 1000; ms++) {
    sim.clock.at(sim.now + ms, () => {
      for (const [from, to, holds] of [
        [ends.a, ends.far, (p: Prefix, _: Prefix) => p.overlaps(prefix)],
        [ends.far, ends.a, (_: Prefix, p: Prefix) => p.overlaps(prefix)],
      ] as const) {
        const policy = [...from.dataPlane.policies.values()]
          .filter((p) => p.direction === "out" && holds(p.selector.destination, p.selector.source))
          .sort((x, y) => x.priority - y.priority)[0];
        const sa = policy?.template && from.dataPlane.sending(policy.template.reqid);
        if (!sa) lost.push(`${sim.now}: ${from.name} has no SA`);
        else
          sim.clock.at(sim.now + 5, () => reaches(sa, to) || lost.push(`${sim.now}: ${to.name} cannot open ${sa.spi}`));
      }
    });
  }
  return lost;
}

function changed(with_: IkeConfig["peers"][number]) {
  const sim = new Simulation(7);
  const [a, b, c] = [sim.addPeer("a", ADDRESSES.a), sim.addPeer("b", ADDRESSES.b), sim.addPeer("c", C)];
  const configs = star();
  b.configure(configs.b);
  c.configure(configs.c);
  a.configure(configs.a);
  sim.run(2);
  expect([sas(a, "b"), sas(a, "c")].map((x) => x.length)).toEqual([1, 1]);
  const before = { b: sas(a, "b"), c: sas(a, "c") };
  const others = { ops: c.dataPlane.log.length };
  const lost = {
    b: watch(sim, { a, far: b, to: "10.2.0.0/16" }, 8),
    c: watch(sim, { a, far: c, to: "10.3.0.0/16" }, 8),
  };
  sim.run(1);
  a.configure(star(() => with_).a);
  sim.run(9);
  return { sim, a, b, c, before, lost, quiet: () => c.dataPlane.log.length === others.ops };
}

function check(with_: PeerConfig, effect: Effect): void {
  const { a, c, before, lost, quiet } = changed(with_);
  expect(sas(a, "c")).toEqual(before.c);
  expect(lost.c).toEqual([]);
  expect(quiet()).toBe(true);
  expect(
    a
      .of("ike-down")
      .concat(c.of("ike-down"))
      .filter((e) => e.peer === "c"),
  ).toEqual([]);
  if (effect === "replaced") {
    expect(sas(a, "b")).not.toEqual(before.b);
    return;
  }
  expect(lost.b).toEqual([]);
  expect(a.of("ike-down").filter((e) => e.reason !== "replaced")).toEqual([]);
  if (effect === "untouched") expect(sas(a, "b")).toEqual(before.b);
  else {
    expect(sas(a, "b")).not.toEqual(before.b);
    expect(a.of("ike-rekeyed").length + a.of("child-rekeyed").length).toBe(1);
  }
  expect(a.peer("b")?.sas).toHaveLength(1);
}

describe("a change of one field of one peer under traffic does to that peer what is stated, and nothing to others (CERT-10)", () => {
  test.each(flat(PEER))("%s", (_, { change, effect }) => check(change(peerOf("a")), effect));

  test.each(flat(CHILD))("children: %s", (_, { change, effect }) => {
    const peer = peerOf("a");
    check({ ...peer, children: peer.children.map(change) }, effect);
  });

  test("a peer that comes or goes", () => {
    const { sim, a, before, lost } = changed({ ...peerOf("a"), id: "d", name: "d", passive: true });
    expect(sas(a, "c")).toEqual(before.c);
    expect(a.established("b")).toEqual([]);
    a.configure(star().a);
    sim.run(5);
    expect(sas(a, "c")).toEqual(before.c);
    expect(lost.c).toEqual([]);
    expect(a.established("b")).toHaveLength(1);
  });
});

test("what is not to leave in clear does not, while a tunnel is made anew", () => {
  const { a } = changed({ ...peerOf("a"), forceEncapsulation: true });
  expect(a.dataPlane.log).not.toContain("removePolicy");
});
