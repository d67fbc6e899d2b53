import type { PolicyIntent } from "@sallyport/intent";
import { eventually, ping } from "@sallyport/testkit";
import { againstLibreswan } from "./daemons.js";
import {
  endBy,
  libreswanCable,
  libreswanCase,
  libreswanConnection,
  libreswanSetup,
  wholeNet,
} from "./libreswan-lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

const NS = { ours: "sp-lpolicy-ours", theirs: "sp-lpolicy-theirs" };
const SIX = { ours: "fd00:1::/64", theirs: "fd00:2::/64" };
const C = {
  shunted: libreswanCase(1, "shunted"),
  narrowed: libreswanCase(2, "narrowed", {
    child: { localSubnets: ["10.1.2.0/24", SIX.ours], remoteSubnets: ["10.2.2.0/24", "10.22.2.0/24", SIX.theirs] },
    settings: { narrowing: "yes" },
  }),
  apart: libreswanCase(3, "apart", {
    child: {
      localSubnets: ["10.1.3.0/24", SIX.ours],
      remoteSubnets: ["10.2.3.0/24", SIX.theirs],
      template: "port-strict",
    },
  }),
};
const CASES = Object.values(C);

/** The upper half of the far network has a host of its own, for which a shunt of either end is. */
const HALF = { theirs: "10.2.1.128/25", host: "10.2.1.129" };
const shunt = (action: "drop" | "passthrough") => ({
  ...libreswanConnection(C.shunted.tunnel, {
    type: action,
    leftsubnet: HALF.theirs,
    authby: "never",
    ike: undefined,
    esp: undefined,
  }),
  name: action,
  ike: action,
});
const SIX_OF_APART = {
  ...libreswanConnection(C.apart.tunnel, { leftsubnet: SIX.theirs, rightsubnet: SIX.ours }),
  name: "apart-six",
};

const lab = againstLibreswan(
  NS,
  libreswanCable(NS, CASES, {
    ipv6: true,
    cable: { ours: ["2001:db8::1/64"], theirs: ["2001:db8::2/64"] },
    loopback: { ours: ["fd00:1::1/128"], theirs: [`${HALF.host}/32`, "fd00:2::1/128"] },
    routes: {
      ours: [
        { to: "10.2.0.0/16", via: "192.0.2.11" },
        { to: SIX.theirs, via: "2001:db8::2" },
      ],
      theirs: [
        { to: "10.1.0.0/16", via: "192.0.2.1" },
        { to: SIX.ours, via: "2001:db8::1" },
      ],
    },
  }),
).forFile(() => libreswanSetup(CASES, { connections: [shunt("drop"), shunt("passthrough"), SIX_OF_APART] }));

describe("shunts, libreswan", () => {
  const { tunnel: t } = C.shunted;
  const intent = (...policies: PolicyIntent[]) => ({
    ...libreswanSetup(CASES).agent.intent,
    ...(policies.length > 0 && { policies: [...policies, { action: "encrypt" } as const] }),
  });
  const ours = (action: "discard" | "none"): PolicyIntent => {
    return { action, id: action, name: action, local: [t.ours.subnet], remote: [HALF.theirs] };
  };
  const toHalf = (waitMs?: number) =>
    ping(NS.ours, HALF.host, { source: t.ours.host, count: 5, ...(waitMs && { waitMs }) });
  /** What the SAs have carried, as libreswan counts. */
  const carried = async () => (await lab.pair.both(t)).child.theirs.bytesIn;

  scenario(
    { proves: 31, peer: "libreswan", role: "initiator" },
    "our drop shunt stops its part of a tunnel, and the rest of it goes on",
    async () => {
      await lab.pair.up(t, "ours");
      const before = await lab.pair.both(t);
      expect(await toHalf()).toMatchObject({ received: 5 });
      await lab.agent.change({ intent: intent(ours("discard")) });
      expect(await toHalf(1_000)).toMatchObject({ received: 0 });
      expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
      await lab.agent.change({ intent: intent() });
      expect(await toHalf()).toMatchObject({ received: 5 });
      expect((await lab.pair.both(t)).child.ours.spiIn).toBe(before.child.ours.spiIn);
    },
    120_000,
  );

  scenario(
    { proves: 31, peer: "libreswan", role: "responder" },
    "libreswan's drop shunt stops its part of a tunnel, and the rest of it goes on",
    async () => {
      await lab.pair.both(t);
      await lab.peer.route("drop");
      expect(await toHalf(1_000)).toMatchObject({ received: 0 });
      expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
      await lab.peer.unroute("drop");
      expect(await toHalf()).toMatchObject({ received: 5 });
    },
    120_000,
  );

  scenario(
    { proves: 31, peer: "libreswan" },
    "pass shunts of both ends let their part go in clear, beside the tunnel",
    async () => {
      await lab.pair.both(t);
      await lab.agent.change({ intent: intent(ours("none")) });
      await lab.peer.route("passthrough");
      const before = await carried();
      expect(await toHalf()).toMatchObject({ received: 5 });
      expect(await carried()).toBe(before);
      expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
      expect(await carried()).toBeGreaterThan(before);
      await lab.peer.unroute("passthrough");
      await lab.agent.change({ intent: intent() });
      await endBy(lab, C.shunted, "ours");
    },
    120_000,
  );
});

describe("several selectors, libreswan", () => {
  for (const by of ["ours", "theirs"] as const) {
    scenario(
      { proves: 24, peer: "libreswan", role: STARTED_BY[by] },
      `ours of two families come down to the one that libreswan has, started by ${by}`,
      async () => {
        const { tunnel: t } = C.narrowed;
        await lab.pair.up(t, by);
        const { child } = await lab.pair.both(t);
        expect(child.theirs.localTs).toEqual([wholeNet(t.theirs.subnet)]);
        expect(child.theirs.remoteTs).toEqual([wholeNet(t.ours.subnet)]);
        expect([child.ours.local.length, child.ours.remote.length]).toEqual([1, 1]);
        expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
        await endBy(lab, C.narrowed, by);
      },
      120_000,
    );
  }

  scenario(
    { proves: 24, peer: "libreswan", role: "responder" },
    "one child of ours with IPv4 and IPv6 is two CHILD SAs of libreswan; one goes, the other stays",
    async () => {
      const { tunnel: t } = C.apart;
      for (const name of [`${t.id}-net`, "apart-six"]) await lab.peer.initiate(name);
      const six = () => ping(NS.ours, "fd00:2::1", { source: "fd00:1::1", count: 5 });
      const counts = async () => {
        const ours = (await lab.agent.peer(t.id)).sas.flatMap((sa) =>
          sa.children.filter((c) => c.state === "installed"),
        );
        const theirs = (await lab.peer.listSas(t.id)).flatMap((sa) => sa.children);
        return [ours.length, theirs.length].join();
      };
      await eventually("both have two", async () => (await counts()) === "2,2" || undefined);
      expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
      expect(await six()).toMatchObject({ received: 5 });
      await lab.peer.terminate({ child: `${t.id}-net` });
      await eventually("both have one", async () => (await counts()) === "1,1" || undefined);
      expect(await six()).toMatchObject({ received: 5 });
      // libreswan would bring it up again, and keeps an IKE SA that several connections had.
      await lab.peer.terminate({ child: "apart-six" });
      await endBy(lab, C.apart, "ours");
    },
    120_000,
  );
});
