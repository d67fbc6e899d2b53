import { IpAddress } from "@sallyport/base";
import { DEFAULT_LIMITS } from "@sallyport/ike";
import { ADDRESSES, configOf, type Packet, pair, peerOf } from "@sallyport/testkit";
import { FuzzInput, holds } from "./input.ts";
import { orderly } from "./invariants.ts";

const SOURCES = ["192.0.2.1", "198.51.100.1", "203.0.113.7", "2001:db8::7"].map((a) => IpAddress.parse(a));
const LIMITS = { ...DEFAULT_LIMITS, halfOpen: 8, halfOpenPerSource: 4, cookieThreshold: 4 };
const MAX_STEPS = 24;

/**
 * Two engines before there are keys, and strangers: each step is a datagram of the input, a datagram that an engine sent – as it
 * was or changed – or time that passes. Nothing of this is authenticated, so nothing may be established but by the engines' own
 * messages.
 */
export function fuzz(data: Uint8Array): void {
  const input = new FuzzInput(data);
  const { sim, a, b } = pair({
    a: { ...configOf(peerOf("a")), limits: LIMITS },
    b: { ...configOf(peerOf("b", { passive: true })), limits: LIMITS },
  });
  const seen: Packet[] = [];
  sim.network.taps.push((packet) => {
    if (seen.length < 64) seen.push(packet);
    return undefined;
  });
  sim.run(0.1);
  for (let step = 0; step < MAX_STEPS && input.left > 0; step++) {
    const to = input.u8() & 1 ? a : b;
    const local = { address: to.address, port: input.u8() & 1 ? 4500 : 500 };
    const remote = { address: input.pick(SOURCES), port: input.u8() & 1 ? 4500 : 500 };
    switch (input.u8() % 4) {
      case 0:
        to.receive(local, remote, input.take(input.u16() % 2_000));
        break;
      case 1: {
        const packet = seen[input.u8() % Math.max(1, seen.length)];
        const target = packet && sim.peers.get(packet.to.address.toString());
        if (packet) target?.receive(packet.to, packet.from, packet.datagram);
        break;
      }
      case 2: {
        const packet = seen[input.u8() % Math.max(1, seen.length)];
        const datagram = Uint8Array.from(packet?.datagram ?? []);
        for (let n = input.u8() % 8; n > 0; n--) datagram[input.u16() % Math.max(1, datagram.length)] = input.u8();
        to.receive(local, remote, datagram);
        break;
      }
      case 3:
        sim.run(input.u8() / 4);
        break;
    }
  }
  for (const peer of [a, b]) orderly(peer);
  holds(b.engine.sizes().halfOpen <= LIMITS.halfOpen, () => `${b.engine.sizes().halfOpen} half-open IKE SAs`);
  sim.run(120);
  const { halfOpen } = b.engine.sizes();
  holds(halfOpen <= 1, () => `${halfOpen} half-open IKE SAs two minutes later`);
  holds(ADDRESSES.b === b.address.toString(), () => "the peers were mixed up");
}
