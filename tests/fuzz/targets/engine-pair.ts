import type { Command } from "@sallyport/ike";
import { disagreements, type Packet, pair, type SimPeer } from "@sallyport/testkit";
import { FuzzInput, holds } from "./input.ts";
import { orderly } from "./invariants.ts";

const IKE_SA_INIT = 34;
const COMMANDS: readonly ((peer: string) => Command)[] = [
  (peer) => ({ command: "rekey-ike", peer }),
  (peer) => ({ command: "rekey-child", peer, child: "net" }),
  (peer) => ({ command: "probe", peer }),
  (peer) => ({ command: "initiate", peer }),
];

/** Milliseconds that keys and the data plane take from then on. */
const DELAYS = [0, 5, 40, 400];
/** Seconds in which both ends have to agree, and after which somebody looks whether they do. */
const PATIENCE = 300;
const LOOK = 100;

/** All that an engine shows but its counters. */
const shown = (peer: SimPeer) => JSON.stringify(peer.engine.status().peers);

/** Hands a changed datagram to its receiver, which must not act on it unless it is one that nobody could have signed. */
function deliverChanged(to: SimPeer, packet: Packet, datagram: Uint8Array): void {
  const before = shown(to);
  to.receive(packet.to, packet.from, datagram);
  if (packet.datagram[18] === IKE_SA_INIT || datagram[18] === IKE_SA_INIT) return;
  holds(shown(to) === before, () => `${to.name} acted on a message that was changed on the way`);
}

/**
 * Two engines with somebody between them who drops, repeats, delays, cuts and changes what they send, while operators rekey and
 * runners take their time. When he is gone, both ends agree on one IKE SA and one CHILD SA within five minutes.
 */
export function fuzz(data: Uint8Array): void {
  const input = new FuzzInput(data);
  const { sim, a, b } = pair({ seed: 3 });
  const kept: Packet[] = [];
  let meddles = true;
  sim.network.taps.push((packet) => {
    if (!meddles || input.left === 0) return packet;
    const to = sim.peers.get(packet.to.address.toString());
    switch (input.u8() % 8) {
      case 0:
        return undefined;
      case 1:
        sim.network.inject(packet);
        return packet;
      case 2:
        if (kept.length < 16) kept.push(packet);
        return undefined;
      case 3: {
        const old = kept.pop();
        if (old) sim.network.inject(old);
        return packet;
      }
      case 4: {
        const datagram = Uint8Array.from(packet.datagram);
        const at = input.u16() % datagram.length;
        datagram[at] = (datagram[at] ?? 0) ^ (input.u8() | 1);
        sim.clock.at(sim.clock.now + 1, () => to && deliverChanged(to, packet, datagram));
        return packet;
      }
      case 5: {
        const datagram = packet.datagram.slice(0, input.u16() % packet.datagram.length);
        sim.clock.at(sim.clock.now + 1, () => to && deliverChanged(to, packet, datagram));
        return undefined;
      }
      default:
        return packet;
    }
  });
  for (let step = 0; step < 24 && input.left > 0; step++) {
    const [peer, other] = input.u8() & 1 ? [a, b] : [b, a];
    const what = input.u8();
    if (what >= 240) for (const end of [a, b]) end.cryptoDelay = end.dataPlaneDelay = DELAYS[what & 3] ?? 0;
    if (what < 128) peer.command((COMMANDS[what % COMMANDS.length] as (typeof COMMANDS)[number])(other.name));
    sim.run(what < 64 ? 0.01 : (what & 63) / 4);
    orderly(peer);
  }
  meddles = false;
  let left: string[] = [];
  for (let waited = 0; waited < PATIENCE; waited += LOOK) {
    sim.run(LOOK);
    left = disagreements(a, b);
    if (left.length === 0) break;
  }
  for (const peer of [a, b]) orderly(peer);
  holds(left.length === 0, () => left.join("; "));
}
