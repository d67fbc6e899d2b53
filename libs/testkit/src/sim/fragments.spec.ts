import { Prefix } from "@sallyport/base";
import { type PeerConfig, peekHeader } from "@sallyport/ike";
import { disagreements } from "./agreement.js";
import { ADDRESSES, childOf, configOf, peerOf, range } from "./configs.js";
import type { Packet } from "./network.js";
import { pair } from "./simulation.js";

const IKE_SA_INIT = 34;
const SKF = 53;
const OVERHEAD = 20 + 8 + 4;

/** So many networks on one side that IKE_AUTH does not fit in one packet, whoever sends it. */
const networks = Array.from({ length: 60 }, (_, i) => range(`10.1.${i}.0/24`));
const wide = (mine: "a" | "b", more: Partial<PeerConfig> = {}) =>
  peerOf(mine, {
    children: [childOf(mine, mine === "a" ? { local: networks } : { remote: networks })],
    mobike: { enabled: false, acceptFrom: [], checkRoutability: true, forbidNat: false },
    ...more,
  });

/** A path that swallows packets above `mtu` without a word, in one direction or both. */
function blackHole(mtu: number, from?: string, more: Partial<PeerConfig> = {}) {
  const ends = pair({ a: configOf(wide("a", more)), b: configOf(wide("b", more)) });
  const sizes: number[] = [];
  ends.sim.network.taps.push((packet) => {
    sizes.push(packet.datagram.length + OVERHEAD);
    const concerned = from === undefined || packet.from.address.toString() === from;
    return concerned && packet.datagram.length + OVERHEAD > mtu ? undefined : packet;
  });
  return { ...ends, sizes };
}

describe("a path that swallows long packets", () => {
  test.each([
    ["both ways", undefined],
    ["on the way there", ADDRESSES.a],
    ["on the way back", ADDRESSES.b],
  ])("%s: smaller fragments get through", (_, from) => {
    const { sim, a, b } = blackHole(600, from);
    sim.run(20);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.count("fragments-made-smaller") + b.count("fragments-made-smaller")).toBeGreaterThan(0);
    expect(a.of("negotiation-failed")).toEqual([]);
  });

  test("what was learnt counts for later messages and for the IKE SA of the next rekey", () => {
    const { sim, a, b, sizes } = blackHole(600);
    sim.run(20);
    for (const command of [
      { command: "rekey-ike", peer: "b" } as const,
      { command: "rekey-child", peer: "b", child: "net" } as const,
    ]) {
      sizes.length = 0;
      a.command(command);
      sim.run(10);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(576);
    }
    sim.run(10);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("smaller than anything that has to pass: given up, not tried with ever smaller ones", () => {
    const { sim, a } = blackHole(500);
    sim.run(120);
    expect(a.established()).toEqual([]);
    expect(a.count("fragments-made-smaller")).toBeLessThan(5);
    expect(a.of("negotiation-failed").map((e) => e.error.code)).toContain("ike/no-response");
  });

  test("IKE_SA_INIT is never cut", () => {
    const { sim, sizes } = blackHole(1_000, undefined, { fragmentSize: 160 });
    const cut: number[] = [];
    sim.network.taps.push((packet) => {
      const header = peekHeader(packet.datagram);
      if (header?.exchange === IKE_SA_INIT && packet.datagram[16] === SKF) cut.push(packet.datagram.length);
      return packet;
    });
    sim.run(5);
    expect(cut).toEqual([]);
    expect(Math.max(...sizes.slice(2))).toBeLessThanOrEqual(160);
  });
});

test("over IPv6 and the port of NAT traversal, fragments fit in 1,280 octets", () => {
  const { sim, a, b } = pair({ a: configOf(), b: configOf() });
  sim.readdress(a, "2001:db8::a");
  sim.readdress(b, "2001:db8::b");
  const [here, there] = [a.addresses[0], b.addresses[0]];
  if (!here || !there) throw new Error("no addresses");
  const sizes: number[] = [];
  sim.network.taps.push((packet) => {
    sizes.push(packet.datagram.length + 40 + 8 + 4);
    return packet;
  });
  const ends = { a: { local: here, remote: there }, b: { local: there, remote: here } };
  const configured = (mine: "a" | "b") => {
    const { local, remote } = ends[mine];
    return configOf(
      wide(mine, {
        local: { address: local, port: 500 },
        remote: { endpoint: { address: remote, port: 500 }, accept: [Prefix.of(remote, 128)] },
      }),
    );
  };
  b.configure(configured("b"));
  a.configure(configured("a"));
  sim.run(2);
  expect(disagreements(a, b)).toEqual([]);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(1_280);
  expect(Math.max(...sizes)).toBeGreaterThan(1_200);
});

test("a request in fragments that comes again is answered once, not for every fragment (hostile input 22)", () => {
  const small = { fragmentSize: 576 };
  const { sim, a, b } = pair({ a: configOf(wide("a", small)), b: configOf(wide("b", small)) });
  const requests: Packet[] = [];
  let answers = 0;
  sim.network.taps.push((p) => {
    const peek = peekHeader(p.datagram);
    if (p.from.address.equals(a.address) && peek?.messageId === 1) requests.push(p);
    if (p.from.address.equals(b.address)) answers++;
    return p;
  });
  sim.run(1);
  expect(requests.length).toBeGreaterThan(1);
  const whole = answers - 1;
  answers = 0;
  for (const packet of requests) sim.network.inject(packet);
  sim.run(0.5);
  expect(answers).toBe(whole);
  expect(b.count("retransmission-answered")).toBe(1);
});
