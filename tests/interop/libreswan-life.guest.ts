import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createAuthority, eventually, logged, ping } from "@sallyport/testkit";
import { againstLibreswan } from "./daemons.js";
import { credential, endBy, type LibreswanCase, libreswanSetup, wholeNet } from "./libreswan-lab.js";
import { C, CASES, NS, several, TOPOLOGY } from "./libreswan-life-lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

const run = promisify(execFile);
const childOf = (c: LibreswanCase) => `${c.tunnel.id}-net`;

const lab = againstLibreswan(NS, TOPOLOGY).forFile(async () => {
  const authority = await createAuthority("Interop root", "rsa");
  const intermediate = await authority.subordinate("Interop intermediate", "rsa");
  const own = await intermediate.issue("ours.test", "rsa");
  const { peer, agent } = libreswanSetup(
    CASES.map((c) => ({ ...c, settings: { "initial-contact": "yes", ...c.settings } })),
    {
      authorities: [{ name: "root", certificate: authority.certificate, trusted: true }],
      credentials: [credential("rsa", await authority.issue("rsa.peer.test", "rsa"))],
      connections: several().connections,
    },
    { own, authority },
  );
  const connections = CASES.map((c) => (c === C.several ? several().connection : c.connection));
  return {
    peer,
    agent: {
      credential: { ...own, certificate: `${own.certificate.trimEnd()}\n${intermediate.certificate}` },
      intent: { ...agent.intent, connections },
    },
  };
});

const inTheirs = (...command: string[]) => run("ip", ["netns", "exec", NS.theirs, ...command]);
const inBoth = (...command: string[]) =>
  Promise.all([NS.ours, NS.theirs].map((ns) => run("ip", ["netns", "exec", ns, ...command])));

describe("traps, libreswan", () => {
  scenario(
    { proves: 9, peer: "libreswan", role: "initiator" },
    "the first packet starts a tunnel of ours",
    async () => {
      const { tunnel: t } = C.trap;
      expect((await lab.pair.ping(t, 1, { waitMs: 1_000 })).sent).toBe(1);
      expect((await lab.pair.both(t)).ours.initiator).toBe(true);
      expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
    },
    120_000,
  );

  scenario(
    { proves: 9, peer: "libreswan", role: "responder" },
    "the first packet starts a tunnel of theirs",
    async () => {
      const { tunnel: t } = C.trapped;
      await lab.peer.route(childOf(C.trapped));
      await ping(NS.theirs, t.ours.host, { source: t.theirs.host, count: 2, intervalMs: 500 });
      expect((await lab.pair.both(t)).ours.initiator).toBe(false);
      expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
    },
    120_000,
  );

  for (const [c, by] of [
    [C.narrowed, "ours"],
    [C.narrows, "theirs"],
  ] as const) {
    scenario(
      { proves: 9, peer: "libreswan", role: STARTED_BY[by] },
      `a tunnel is narrowed to what the responder allows, started by ${by}`,
      async () => {
        await lab.pair.up(c.tunnel, by);
        const { child } = await lab.pair.both(c.tunnel);
        const narrow = wholeNet(c.tunnel.theirs.subnet).replace(".255:", ".15:");
        expect(child.theirs.localTs).toEqual([narrow]);
        expect(await lab.pair.ping(c.tunnel, 5)).toMatchObject({ received: 5 });
      },
      120_000,
    );
  }
});

describe("IKE fragments, libreswan", () => {
  /** Nothing longer than an IPv6 path's least MTU passes, whole or in fragments of IP. */
  const FILTERS = [
    ["-A", "OUTPUT", "-p", "udp", "-m", "length", "--length", "1281:65535", "-j", "DROP"],
    ["-A", "OUTPUT", "-f", "-j", "DROP"],
  ];

  beforeAll(async () => {
    for (const rule of FILTERS) await inBoth("iptables-legacy", ...rule);
    await inBoth("tc", "qdisc", "add", "dev", "wan", "root", "netem", "loss", "5%", "duplicate", "20%");
    await lab.peer.whack(["--debug", "base"]);
  }, 120_000);
  afterAll(async () => {
    await inBoth("tc", "qdisc", "del", "dev", "wan", "root");
    await inBoth("iptables-legacy", "-F", "OUTPUT");
    await lab.peer.whack(["--debug", "none"]);
  }, 120_000);

  for (const by of ["ours", "theirs"] as const) {
    scenario(
      { proves: [2, 10], peer: "libreswan", role: STARTED_BY[by] },
      `a chain of certificates passes a path of 1280 octets with loss and duplicates, started by ${by}`,
      async () => {
        const { tunnel: t } = C.fragments;
        if (by === "ours")
          await lab.agent.ask("up", { tunnel: t.id, child: childOf(C.fragments) }).catch(() => undefined);
        else await lab.peer.initiate(childOf(C.fragments), 40_000);
        await lab.pair.both(t, 40_000);
        await logged(lab.peer, /received IKE encrypted fragment number '2'/);
        await logged(lab.peer, /sending IKE fragment|recording fragment 2|sent fragment/i);
        // libreswan sends a DELETE only once, so that under loss its end may stay without an echo.
        if (by === "theirs") return;
        await lab.agent.ask("down", { tunnel: t.id });
        const none = async () => (await lab.peer.listSas(t.id)).length === 0 || undefined;
        await eventually("libreswan has none", none, 30_000);
      },
      120_000,
    );
  }
});

describe("several CHILD SAs, libreswan", () => {
  const { tunnel: t } = C.several;
  const NAMES = ["several-more", "several-net", "several-six"];
  const listed = async () => {
    const [ours, ...noMore] = (await lab.agent.peer(t.id)).sas.filter((sa) => sa.state === "established");
    const [theirs, ...none] = (await lab.peer.listSas(t.id)).filter((sa) => sa.state === "ESTABLISHED");
    expect([noMore, none]).toEqual([[], []]);
    const a = ours?.children
      .filter((c) => c.state === "installed")
      .map((c) => c.child)
      .sort();
    const b = theirs?.children
      .filter((c) => c.state === "INSTALLED")
      .map((c) => c.name)
      .sort();
    return { ours: a, theirs: b };
  };
  const both = (names: readonly string[]) =>
    eventually(`both ends have ${names}`, async () => {
      const { ours, theirs } = await listed();
      const same = [ours, theirs].every((list) => list?.join() === names.join());
      if (!same) throw new Error(JSON.stringify({ ours, theirs }));
      return true;
    });
  const six = () => ping(NS.ours, "2001:db8:2::1", { source: "2001:db8:1::1", count: 5 });

  scenario(
    { proves: 24, peer: "libreswan", role: "initiator" },
    "IPv4 and IPv6 in one IKE SA, started by ours; one goes, the others stay",
    async () => {
      for (const child of NAMES) await lab.agent.ask("up", { tunnel: t.id, child });
      await both(NAMES);
      expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
      expect(await six()).toMatchObject({ received: 5 });
      await lab.agent.ask("down", { tunnel: t.id, child: "several-more" });
      await both(["several-net", "several-six"]);
      expect(await six()).toMatchObject({ received: 5 });
      await lab.agent.ask("down", { tunnel: t.id });
      await lab.pair.gone(t);
    },
    120_000,
  );

  scenario(
    { proves: 24, peer: "libreswan", role: "responder" },
    "IPv4 and IPv6 in one IKE SA, started by theirs; one goes, the others stay",
    async () => {
      for (const child of ["several-net", "several-more", "several-six"]) await lab.peer.initiate(child);
      await both(NAMES);
      expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
      await lab.peer.terminate({ child: "several-more" });
      await both(["several-net", "several-six"]);
      expect(await six()).toMatchObject({ received: 5 });
    },
    120_000,
  );
});

describe("selectors and lifetimes, libreswan", () => {
  for (const by of ["ours", "theirs"] as const) {
    scenario(
      { proves: 31, peer: "libreswan", role: STARTED_BY[by] },
      `a protocol selector, started by ${by}`,
      async () => {
        const { tunnel: t } = C.ports;
        await lab.pair.up(t, by);
        const { child } = await lab.pair.both(t);
        expect(child.theirs.localTs[0]).toMatch(/^10\.2\.7\.0-10\.2\.7\.255:.* 1$/);
        expect(child.theirs.remoteTs[0]).toMatch(/^10\.1\.7\.0-10\.1\.7\.255:.* 1$/);
        expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
        await endBy(lab, C.ports, by);
      },
      120_000,
    );

    scenario(
      { proves: 34, peer: "libreswan", role: STARTED_BY[by] },
      `extended sequence numbers, started by ${by}`,
      async () => {
        const { tunnel: t } = C.esn;
        await lab.pair.up(t, by);
        const { child } = await lab.pair.both(t);
        const spi = `0x${child.theirs.spiIn.toString(16).padStart(8, "0")}`;
        const { stdout } = await inTheirs("ip", "xfrm", "state", "list", "spi", spi);
        expect(stdout).toMatch(/flag .*esn/);
        expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
        await endBy(lab, C.esn, by);
      },
      120_000,
    );
  }

  for (const [c, by] of [
    [C.ourBytes, "ours"],
    [C.theirBytes, "theirs"],
  ] as const) {
    scenario(
      { proves: 34, peer: "libreswan", role: STARTED_BY[by] },
      `a CHILD SA is rekeyed after some octets, by ${by}`,
      async () => {
        await lab.pair.up(c.tunnel, by);
        const before = await lab.pair.both(c.tunnel);
        await ping(NS.ours, c.tunnel.theirs.host, { source: c.tunnel.ours.host, count: 45, size: 30_000 });
        const after = await lab.pair.settled(c.tunnel, ({ child }) => child.theirs.spiIn !== before.child.theirs.spiIn);
        expect(after.theirs.uniqueId).toBe(before.theirs.uniqueId);
        expect(await lab.pair.ping(c.tunnel, 5)).toMatchObject({ received: 5 });
      },
      120_000,
    );
  }
});

describe("dead peers, libreswan", () => {
  const DEAD = [C.clear, C.restart, C.hold];
  const quiet = async (c: LibreswanCase) =>
    (await lab.agent.peer(c.tunnel.id)).sas.every((sa) => sa.state !== "established");

  scenario(
    { proves: [6, 30], peer: "libreswan", role: "initiator" },
    "a libreswan that crashed is forgotten, negotiated with again, or waited for",
    async () => {
      for (const c of DEAD) await lab.pair.up(c.tunnel, "ours");
      for (const c of DEAD) await lab.pair.both(c.tunnel);
      await lab.peer.kill();
      await eventually(
        "its death is noticed",
        async () => {
          const all = await Promise.all(DEAD.map(quiet));
          return all.every(Boolean) || undefined;
        },
        120_000,
      );
      await inTheirs("ip", "xfrm", "state", "flush");
      await inTheirs("ip", "xfrm", "policy", "flush");
      await lab.peer.restart();
      await lab.pair.both(C.restart.tunnel, 60_000);
      expect(await lab.pair.ping(C.restart.tunnel, 5)).toMatchObject({ received: 5 });
      expect(await quiet(C.hold)).toBe(true);
      await lab.pair.ping(C.hold.tunnel, 1, { waitMs: 1_000 });
      await lab.pair.both(C.hold.tunnel);
      expect(await lab.pair.ping(C.hold.tunnel, 5)).toMatchObject({ received: 5 });
      expect(await quiet(C.clear)).toBe(true);
    },
    180_000,
  );

  scenario(
    { proves: 30, peer: "libreswan", role: "responder" },
    "a libreswan that crashed and comes back replaces what it had",
    async () => {
      const { tunnel: t } = C.clear;
      await lab.peer.initiate(childOf(C.clear));
      const before = await lab.pair.both(t);
      await lab.peer.kill();
      await inTheirs("ip", "xfrm", "state", "flush");
      await inTheirs("ip", "xfrm", "policy", "flush");
      await lab.peer.restart();
      await lab.peer.initiate(childOf(C.clear));
      const after = await lab.pair.both(t);
      expect(after.ours.spiInitiator).not.toBe(before.ours.spiInitiator);
      expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
    },
    120_000,
  );

  scenario(
    { proves: 6, peer: "libreswan", role: "responder" },
    "libreswan notices our crash and forgets us",
    async () => {
      const { tunnel: t } = C.crash;
      await lab.pair.up(t, "ours");
      await lab.pair.both(t);
      await lab.agent.kill();
      await eventually(
        "libreswan forgets us",
        async () => (await lab.peer.listSas(t.id)).length === 0 || undefined,
        30_000,
      );
    },
    120_000,
  );
});
