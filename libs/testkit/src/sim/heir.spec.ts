import { disagreements } from "./agreement.js";
import { pair } from "./simulation.js";

const CREATE_CHILD_SA = 36;
const RESPONSE = 0x20;

/** Both ends rekey the IKE SA at once; neither the answer to `b` nor the Delete of `a` arrives, and `a`, who has seen both, goes on. */
test.each([1, 2, 3, 4, 5, 6].flatMap((seed) => [["rekey-child", seed] as const, ["terminate-child", seed] as const]))(
  "%s on the IKE SA of a rekey whose rival is undecided at the other end finds the CHILD SA (seed %s)",
  (what, seed) => {
    const { sim, a, b } = pair({ seed });
    sim.run(2);
    let cut = true;
    const old = a.established("b")[0]?.spiInitiator;
    sim.network.taps.push((packet) => {
      const lost =
        cut &&
        packet.from.address.equals(a.address) &&
        Buffer.from(packet.datagram.subarray(0, 8)).toString("hex") === old;
      const [exchange, flags = 0] = packet.datagram.subarray(18, 20);
      return lost && (exchange !== CREATE_CHILD_SA || (flags & RESPONSE) !== 0) ? undefined : packet;
    });
    b.command({ command: "rekey-ike", peer: "a" });
    a.command({ command: "rekey-ike", peer: "b" });
    sim.run(0.05);
    if (what === "rekey-child") a.command({ command: "rekey-child", peer: "b", child: "net" });
    else a.command({ command: "terminate", peer: "b", child: "net" });
    sim.run(0.3);
    cut = false;
    sim.run(5);
    if (what === "terminate-child") {
      expect(b.dataPlane.sas.size).toBe(0);
      a.command({ command: "initiate", peer: "b" });
    }
    sim.run(120);
    expect(disagreements(a, b)).toEqual([]);
  },
);

/** The same, and `b`, to whom `a` has said nothing on the new IKE SA yet, rekeys that one too. */
test.each([1, 2, 3, 4, 5, 6])("an IKE SA whose rival is undecided is not rekeyed (seed %s)", (seed) => {
  const { sim, a, b } = pair({ seed });
  sim.run(2);
  let cut = true;
  const old = a.established("b")[0]?.spiInitiator;
  sim.network.taps.push((packet) => {
    if (!cut || !packet.from.address.equals(a.address)) return packet;
    const [exchange, flags = 0] = packet.datagram.subarray(18, 20);
    if ((flags & RESPONSE) === 0) return exchange === CREATE_CHILD_SA ? packet : undefined;
    return Buffer.from(packet.datagram.subarray(0, 8)).toString("hex") === old ? undefined : packet;
  });
  b.command({ command: "rekey-ike", peer: "a" });
  a.command({ command: "rekey-ike", peer: "b" });
  sim.run(0.05);
  b.command({ command: "rekey-ike", peer: "a" });
  sim.run(0.3);
  cut = false;
  sim.run(30);
  a.command({ command: "rekey-ike", peer: "b" });
  sim.run(270);
  expect(disagreements(a, b)).toEqual([]);
});
