import { disagreements } from "./agreement.js";
import { childOf, configOf, peerOf } from "./configs.js";
import type { Packet } from "./network.js";
import type { SimPeer } from "./sim-peer.js";
import { pair } from "./simulation.js";

const CREATE_CHILD_SA = 36;
const INFORMATIONAL = 37;
const RESPONSE = 0x20;

function read({ datagram, from }: Packet, a: SimPeer) {
  const [exchange, flags = 0] = datagram.subarray(18, 20);
  const spi = Buffer.from(datagram.subarray(0, 8)).toString("hex");
  return { exchange, spi, response: (flags & RESPONSE) !== 0, ours: from.address.equals(a.address) };
}

/** A peer may keep the IKE SA of its own rekey that lost, and would go on to use it (RFC 7296 §2.8.2). */
test.each([1, 2, 3, 4, 5, 6])(
  "of two rekeys at once, the loser goes at both ends, whoever forgets to delete it (seed %i)",
  (seed) => {
    const { sim, a, b } = pair({ seed });
    sim.run(1);
    const old = a.established("b")[0]?.spiInitiator;
    const forgetful = new Set<string>();
    sim.network.taps.push((packet) => {
      const { exchange, spi, response, ours } = read(packet, a);
      if (exchange !== INFORMATIONAL || response || spi === old) return packet;
      const survivor = a.established("b").some((sa) => sa.spiInitiator === spi);
      if (ours || survivor) return packet;
      forgetful.add(spi);
      return undefined;
    });
    a.command({ command: "rekey-ike", peer: "b" });
    b.command({ command: "rekey-ike", peer: "a" });
    sim.run(25);
    expect(disagreements(a, b)).toEqual([]);
    for (const end of [a, b]) expect(end.engine.sizes()).toMatchObject({ ikeSas: 1 });
    expect(a.of("child-down").concat(b.of("child-down"))).toEqual([]);
    // Which of both loses is up to the nonces.
    if (forgetful.size > 0) expect(a.of("ike-down").some((e) => forgetful.has(e.ike.spiInitiator))).toBe(true);
  },
);

test.each(Array.from({ length: 40 }, (_, apart) => apart))(
  "an IKE SA is rekeyed after the answer to a request for a CHILD SA that has come (%i ms apart, RFC 7296 §2.25.2)",
  (apart) => {
    const two = (mine: "a" | "b") => {
      const range = { protocol: 17, firstPort: 5000, lastPort: 5000 };
      const side = mine === "a" ? "remote" : "local";
      const ranges = childOf(mine)[side].map((r) => ({ ...r, ...range }));
      const second = childOf(mine, {
        id: "second",
        name: "second",
        [side]: ranges,
        startAction: "none",
        priority: 1000,
      });
      return configOf(peerOf(mine, { children: [childOf(mine), second] }));
    };
    const { sim, a, b } = pair({ seed: 1, a: two("a"), b: two("b") });
    sim.run(1);
    a.dataPlaneDelay = 15;
    const order: string[] = [];
    sim.network.taps.push((packet) => {
      const { exchange, response, ours } = read(packet, a);
      if (exchange !== CREATE_CHILD_SA) return packet;
      const what = response ? "answer" : "request";
      if (ours) order.push(`a sends its ${what}`);
      else sim.clock.at(sim.now + 10, () => order.push(`a has the ${what}`));
      return packet;
    });
    sim.clock.at(sim.now + 100, () => b.command({ command: "initiate", peer: "a", child: "second" }));
    sim.clock.at(sim.now + 100 + apart, () => a.command({ command: "rekey-ike", peer: "b" }));
    sim.run(60);
    expect(disagreements(a, b, 2)).toEqual([]);
    expect(a.of("ike-rekeyed")).toHaveLength(1);
    const asked = order.indexOf("a has the request");
    expect(order.slice(asked, order.indexOf("a sends its answer"))).not.toContain("a sends its request");
  },
);
