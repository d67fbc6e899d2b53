import { Buffer } from "node:buffer";
import { configOf, peerOf } from "./configs.js";
import { pair } from "./simulation.js";

const allocUnsafe = Buffer.allocUnsafe;

afterEach(() => {
  Buffer.allocUnsafe = allocUnsafe;
});

/** Everything that goes out, and the keys of all SAs, in a tunnel's life with rekeys, fragments and a refusal. */
function life(leftover: number): string[] {
  Buffer.allocUnsafe = (size: number) => allocUnsafe(size).fill(leftover);
  const more = { fragmentSize: 200, window: 4 };
  const { sim, a, b } = pair({ seed: 5, a: configOf(), b: configOf(peerOf("b", more)) });
  const out: string[] = [];
  const keep = (octets: Uint8Array) => out.push(Buffer.from(octets).toString("hex"));
  sim.network.taps.push((p) => {
    keep(p.datagram);
    return p;
  });
  a.configure(configOf(peerOf("a", more)));
  sim.run(1);
  for (const sa of [...a.dataPlane.inbound(), ...b.dataPlane.outbound()]) keep(sa.encryption.key);
  a.command({ command: "rekey-child", peer: "b", child: "net" });
  b.command({ command: "rekey-ike", peer: "a" });
  sim.run(60);
  for (const sa of [...a.dataPlane.inbound(), ...b.dataPlane.outbound()]) keep(sa.encryption.key);
  a.command({ command: "terminate", peer: "b" });
  sim.run(60);
  return out;
}

test("whatever memory held before, the same octets go out (hostile input 23)", () => {
  const clean = life(0);
  expect(clean.length).toBeGreaterThan(20);
  expect(life(0xa5)).toEqual(clean);
});
