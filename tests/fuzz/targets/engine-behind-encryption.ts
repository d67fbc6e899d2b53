import { EXCHANGE, type Payload } from "@sallyport/ike";
import { ADDRESSES, configOf, peerOf, ScriptedPeer, SeededRng, Simulation } from "@sallyport/testkit";
import { FuzzInput, holds } from "./input.ts";
import { orderly } from "./invariants.ts";
import { childRequest, SECRET } from "./seeds.ts";

const EXCHANGES = [EXCHANGE.IKE_AUTH, EXCHANGE.CREATE_CHILD_SA, EXCHANGE.INFORMATIONAL, 43, 240];
const MAX_MESSAGES = 12;
const MAX_PAYLOADS = 12;

/**
 * A peer that has the keys and keeps no rule: before or after authentication, a sequence of protected messages with payloads of
 * the input. Nobody who has not proven the secret may be established.
 */
export function fuzz(data: Uint8Array): void {
  const input = new FuzzInput(data);
  const sim = new Simulation(7);
  const b = sim.addPeer("b", ADDRESSES.b);
  b.configure(configOf(peerOf("b", { passive: true })));
  let answers: Uint8Array[] = [];
  sim.network.taps.push((packet) => {
    answers.push(packet.datagram);
    return undefined;
  });
  const local = { address: b.address, port: 500 };
  const remote = { ...local, address: peerOf("a").local.address ?? b.address };
  const peer = new ScriptedPeer(77n, new SeededRng(5), (datagram) => {
    answers = [];
    b.receive(local, remote, datagram);
    return answers;
  });
  peer.init();
  const proven = (input.u8() & 1) === 1;
  if (proven) peer.ask(EXCHANGE.IKE_AUTH, peer.authPayloads("a.example", SECRET, childRequest(0x2000)));
  for (let n = 0; n < MAX_MESSAGES && input.left > 0; n++) {
    const exchange = input.pick(EXCHANGES);
    const skew = input.u8();
    if (skew >= 240) sim.run((skew - 239) * 8);
    const mid = Math.max(0, peer.mid + (skew > 8 ? 0 : skew - 4));
    const payloads: Payload[] = [];
    for (let count = input.u8() % MAX_PAYLOADS; count > 0; count--) {
      payloads.push({ kind: "unknown", type: input.u8(), data: input.take(input.u8()) });
    }
    const answer = peer.ask(exchange, payloads, mid);
    if (answer) peer.mid = mid + 1;
  }
  orderly(b);
  holds(proven || b.established().length === 0, () => "established without a proof");
  sim.run(60);
  orderly(b);
}
