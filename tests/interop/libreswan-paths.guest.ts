import { Secret } from "@sallyport/intent";
import { createAuthority, eventually, ping, type Topology } from "@sallyport/testkit";
import { againstLibreswan } from "./daemons.js";
import type { TunnelCase } from "./lab.js";
import {
  ASKS_ADDRESS,
  byCertificate,
  credential,
  type Differences,
  endBy,
  GIVES_ADDRESS,
  type LibreswanCase,
  libreswanCase,
  libreswanSetup,
  logOf,
  type Settings,
} from "./libreswan-lab.js";
import { STARTED_BY, scenario } from "./scenario.js";
import type { ScenarioNumber } from "./scenarios.js";

/** Our end and libreswan's share a cable, and each of them has another way to the other through a router that hides it. */
const NS = {
  ours: "sp-lpaths-ours",
  theirs: "sp-lpaths-theirs",
  hidesUs: "sp-lpaths-r1",
  hidesThem: "sp-lpaths-r2",
};

/** Where a tunnel's ends are: which IP is outside and inside, and addresses other than those of the cable. */
interface Place extends Omit<Differences, "tunnel"> {
  readonly outer?: 4 | 6;
  readonly inner?: 4 | 6;
  readonly auth?: TunnelCase["auth"];
  readonly name?: string;
  readonly ours?: string;
  readonly theirs?: string;
}
let next = 1;
function make(id: string, { outer = 4, inner = 4, auth = "psk", name, ours, theirs, ...differences }: Place = {}) {
  const n = next++;
  const inside = (side: 1 | 2) =>
    inner === 4
      ? { subnet: `10.${side}.${n}.0/24`, host: `10.${side}.${n}.1` }
      : { subnet: `2001:db8:${side}0:${n}::/64`, host: `2001:db8:${side}0:${n}::1` };
  const address = outer === 4 ? ["192.0.2.1", `192.0.2.${10 + n}`] : ["2001:db8::1", `2001:db8::1:${n}`];
  return libreswanCase(n, id, {
    tunnel: {
      auth,
      ours: { name: "ours.test", address: ours ?? address[0] ?? "", ...inside(1) },
      theirs: { name: name ?? `theirs${n}.test`, address: theirs ?? address[1] ?? "", ...inside(2) },
    },
    ...differences,
  });
}

const PORTS = { ike: 500, natt: 4500 };
const ANYWHERE = () => ({ role: "responder", remote: { ports: PORTS } }) as const;
const signedBy = (leftauth: "rsasig" | "ecdsa"): Settings => ({
  ...byCertificate(leftauth === "ecdsa" ? "ecdsa" : "rsa"),
  authby: undefined,
  leftauth,
  rightauth: "rsasig",
});
const ASYMMETRIC = { name: "rsa.peer.test", auth: "certificate" } as const;
const shared = (id: string) =>
  ({ method: "psk", keyId: `psk-${id}`, secret: new Secret(`a secret of ${id}`) }) as const;
const OURS = { type: "fqdn", value: "ours.test" } as const;

const C = {
  sixInSix: make("six-in-six", { outer: 6, inner: 6 }),
  fourInSix: make("four-in-six", { outer: 6, inner: 4 }),
  sixInFour: make("six-in-four", { outer: 4, inner: 6 }),
  weAreHidden: make("we-are-hidden", {
    ours: "192.168.6.2",
    theirs: "198.51.100.2",
    settings: { right: "%any" },
  }),
  theyAreHidden: make("they-are-hidden", {
    ours: "203.0.113.2",
    theirs: "192.168.5.2",
    connection: ANYWHERE,
  }),
  ecdsa: make("ecdsa", { auth: "certificate", name: "ecdsa.peer.test", settings: signedBy("ecdsa") }),
  weShare: make("we-share", {
    ...ASYMMETRIC,
    connection: () => ({ local: { identity: OURS, ...shared("we-share") } }),
    theirPsk: "a secret of we-share",
    settings: { ...signedBy("rsasig"), rightauth: "secret" },
  }),
  theyShare: make("they-share", {
    auth: "certificate",
    connection: (plain) => ({ peer: { identity: plain.peer.identity, ...shared("they-share") } }),
    theirPsk: "a secret of they-share",
    settings: { authby: undefined, leftauth: "secret", rightauth: "rsasig", rightca: "%any" },
  }),
  road: make("road", {
    connection: (plain) => ({
      ...ANYWHERE(),
      modeConfig: { poolIds: ["pool"], dns: ["10.1.9.53"] },
      children: plain.children.map((child) => ({ ...child, remoteSubnets: [] })),
    }),
    settings: ASKS_ADDRESS,
  }),
  office: make("office", {
    connection: (plain) => ({
      role: "initiator",
      addressRequest: { families: ["ipv4"] },
      children: plain.children.map((child) => ({ ...child, localSubnets: [] })),
    }),
    settings: { ...GIVES_ADDRESS, modecfgdns: "10.2.10.53" },
  }),
};
const CASES = Object.values(C);
const DIRECT = CASES.filter((c) => /^(192\.0\.2|2001)/.test(c.tunnel.theirs.address));

const TOPOLOGY: Topology = {
  ipv6: true,
  namespaces: [
    {
      name: NS.ours,
      loopback: CASES.map((c) => `${c.tunnel.ours.host}/${c.tunnel.ours.host.includes(":") ? 128 : 32}`),
      routes: [
        { to: "10.2.0.0/16", via: "192.0.2.100" },
        { to: "10.9.0.0/24", via: "192.0.2.100" },
        { to: "198.51.100.0/24", via: "192.168.6.1" },
      ],
    },
    {
      name: NS.theirs,
      loopback: CASES.map((c) => `${c.tunnel.theirs.host}/${c.tunnel.theirs.host.includes(":") ? 128 : 32}`),
      routes: [
        { to: "10.1.0.0/16", via: "192.0.2.1" },
        { to: "10.9.1.0/24", via: "192.0.2.1" },
        { to: "2001:db8:10::/48", via: "2001:db8::1" },
        { to: "203.0.113.0/24", via: "192.168.5.1" },
      ],
    },
    { name: NS.hidesUs, forwards: true, hidesBehind: "out" },
    { name: NS.hidesThem, forwards: true, hidesBehind: "out" },
  ],
  cables: [
    [
      { namespace: NS.ours, device: "wan", addresses: ["192.0.2.1/24", "2001:db8::1/64"] },
      {
        namespace: NS.theirs,
        device: "wan",
        addresses: [
          "192.0.2.100/24",
          ...DIRECT.map((c) => c.tunnel.theirs.address).map((a) => `${a}/${a.includes(":") ? 64 : 24}`),
        ],
      },
    ],
    [
      { namespace: NS.ours, device: "lan", addresses: ["192.168.6.2/24"] },
      { namespace: NS.hidesUs, device: "in", addresses: ["192.168.6.1/24"] },
    ],
    [
      { namespace: NS.hidesUs, device: "out", addresses: ["198.51.100.1/24"] },
      { namespace: NS.theirs, device: "far", addresses: ["198.51.100.2/24"] },
    ],
    [
      { namespace: NS.theirs, device: "lan", addresses: ["192.168.5.2/24"] },
      { namespace: NS.hidesThem, device: "in", addresses: ["192.168.5.1/24"] },
    ],
    [
      { namespace: NS.hidesThem, device: "out", addresses: ["203.0.113.1/24"] },
      { namespace: NS.ours, device: "far", addresses: ["203.0.113.2/24"] },
    ],
  ],
};

const lab = againstLibreswan(NS, TOPOLOGY).forFile(async () => {
  const authority = await createAuthority("Interop root", "ecdsa");
  const credentials = [
    credential("rsa", await authority.issue("rsa.peer.test", "rsa")),
    credential("ecdsa", await authority.issue("ecdsa.peer.test", "ecdsa")),
  ];
  const own = await authority.issue("ours.test", "rsa");
  const authorities = [{ name: "root", certificate: authority.certificate, trusted: true }];
  const theirs = { authorities, credentials, setup: { uniqueids: "no" } };
  const { peer, agent } = libreswanSetup(CASES, theirs, { own, authority });
  const pools = [{ id: "pool", name: "pool", addresses: ["10.9.0.0/24"] }];
  return { peer, agent: { ...agent, intent: { ...agent.intent, pools } } };
});

/** Brings a tunnel up from either end, with traffic through it. */
function fromBothEnds(
  proves: ScenarioNumber | readonly ScenarioNumber[],
  what: string,
  c: LibreswanCase,
  check = async () => {},
) {
  for (const by of ["ours", "theirs"] as const) {
    scenario(
      { proves, peer: "libreswan", role: STARTED_BY[by] },
      `${what}, started by ${by}`,
      async () => {
        await lab.pair.up(c.tunnel, by);
        const { ours, child } = await lab.pair.both(c.tunnel);
        expect(ours.initiator).toBe(by === "ours");
        expect(await lab.pair.ping(c.tunnel, 5)).toMatchObject({ received: 5 });
        expect(child.theirs.suite).toBe("AES_GCM_16_256-NONE");
        await check();
        await endBy(lab, c, by);
      },
      120_000,
    );
  }
}

describe("IPv6, libreswan", () => {
  fromBothEnds(27, "IPv6 in IPv6", C.sixInSix);
  fromBothEnds(27, "IPv4 in IPv6", C.fourInSix);
  fromBothEnds(27, "IPv6 in IPv4", C.sixInFour);
});

describe("NAT, libreswan", () => {
  for (const [c, by] of [
    [C.weAreHidden, "ours"],
    [C.theyAreHidden, "theirs"],
  ] as const) {
    scenario(
      { proves: [3, 4, 5], peer: "libreswan", role: STARTED_BY[by] },
      `a NAT before the caller, rekeyed behind it, started by ${by}`,
      async () => {
        await lab.pair.up(c.tunnel, by);
        const first = await lab.pair.both(c.tunnel);
        expect(first.ours.nat).toMatchObject(by === "ours" ? { local: true } : { remote: true });
        expect(await logOf(lab, c.tunnel)).toMatch(/ESPinUDP/);
        expect(await lab.pair.ping(c.tunnel, 5)).toMatchObject({ received: 5 });
        await lab.pair.rekey(c.tunnel, "child", by);
        await lab.pair.settled(c.tunnel, ({ child }) => child.theirs.spiIn !== first.child.theirs.spiIn);
        await lab.pair.rekey(c.tunnel, "ike", by);
        await lab.pair.settled(c.tunnel, ({ theirs }) => theirs.uniqueId !== first.theirs.uniqueId);
        expect(await lab.pair.ping(c.tunnel, 5)).toMatchObject({ received: 5 });
        await endBy(lab, c, by);
      },
      120_000,
    );
  }
});

describe("signatures, libreswan", () => {
  fromBothEnds([2, 29], "ECDSA for them, RSA for us", C.ecdsa);
  fromBothEnds(32, "a secret for us, a certificate for them", C.weShare, async () => {
    expect(await logOf(lab, C.weShare.tunnel)).toMatch(/authenticated peer using authby=secret/);
  });
  fromBothEnds(32, "a certificate for us, a secret for them", C.theyShare, async () => {
    expect(await logOf(lab, C.theyShare.tunnel)).toMatch(/authenticated peer '.*' digital signature/);
  });
});

describe("virtual addresses, libreswan", () => {
  scenario(
    { proves: 7, peer: "libreswan", role: "responder" },
    "libreswan gets an address of our pool and talks with it",
    async () => {
      const { tunnel: t } = C.road;
      await lab.pair.up(t, "theirs");
      const { ours } = await lab.pair.both(t);
      const [address = ""] = /10\.9\.0\.\d+/.exec(JSON.stringify(ours)) ?? [];
      expect(await logOf(lab, C.road.tunnel)).toContain(address);
      const traffic = () => ping(NS.theirs, t.ours.host, { source: address, count: 3, waitMs: 1_000 });
      await eventually("its address carries traffic", async () => (await traffic()).received === 3 || undefined);
      await endBy(lab, C.road, "theirs");
    },
    120_000,
  );

  scenario(
    { proves: 7, peer: "libreswan", role: "initiator" },
    "we get an address of libreswan's pool and talk with it",
    async () => {
      const { tunnel: t } = C.office;
      await lab.pair.up(t, "ours");
      const { ours } = await lab.pair.both(t);
      expect(JSON.stringify(ours)).toContain("10.9.1.10");
      expect(await ping(NS.ours, t.theirs.host, { source: "10.9.1.10", count: 5 })).toMatchObject({ received: 5 });
      await endBy(lab, C.office, "ours");
    },
    120_000,
  );
});
