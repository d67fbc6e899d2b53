import { type Command, EXCHANGE, type Payload, peekHeader } from "@sallyport/ike";
import { ADDRESSES, peerOf, ScriptedPeer, SeededRng, type SimPeer, Simulation } from "@sallyport/testkit";
import { GATEWAYS } from "./gateways.ts";
import { FuzzInput, holds } from "./input.ts";
import { orderly } from "./invariants.ts";
import { SECRET } from "./seeds.ts";

const EXCHANGES = [EXCHANGE.IKE_AUTH, EXCHANGE.CREATE_CHILD_SA, EXCHANGE.INFORMATIONAL, 43, 240];
const STEPS = [...EXCHANGES, "answer", "command"] as const;
const COMMANDS: readonly ((peer: string) => Command)[] = [
  (peer) => ({ command: "rekey-ike", peer }),
  (peer) => ({ command: "rekey-child", peer, child: "net" }),
  (peer) => ({ command: "probe", peer }),
  (peer) => ({ command: "initiate", peer }),
  (peer) => ({ command: "terminate", peer, child: "net" }),
];
/** Milliseconds that keys and the data plane take. */
const DELAYS = [0, 0, 5, 40];
const MAX_MESSAGES = 12;
const MAX_PAYLOADS = 12;
const MAX_ASKED = 16;

function payloadsOf(input: FuzzInput): Payload[] {
  const payloads: Payload[] = [];
  for (let count = input.u8() % MAX_PAYLOADS; count > 0; count--) {
    payloads.push({ kind: "unknown", type: input.u8(), data: input.take(input.u8()) });
  }
  return payloads;
}

/** What the engine asks, to be answered with the keys of `peer`, who opens it first. */
function answer(peer: ScriptedPeer, asked: Uint8Array | undefined, payloads: readonly Payload[]): void {
  if (asked) peer.answer(asked, payloads);
}

function everythingGone(b: SimPeer): void {
  const { ikeSas, waiting, generated, leased } = b.engine.sizes();
  const { sas, policies } = b.dataPlane;
  const left = { ikeSas, waiting, generated, leased, sas: sas.size, policies: policies.size };
  holds(
    Object.values(left).every((n) => n === 0),
    () => `left behind: ${JSON.stringify(left)}`,
  );
}

/**
 * A peer that has the keys and keeps no rule: before or after authentication, a sequence of protected requests and answers with
 * payloads of the input, while an operator gives commands and keys and the data plane may take their time. Nobody who has not proven
 * the secret may be established, and once the peer is silent nothing of it stays.
 */
export function fuzz(data: Uint8Array): void {
  const input = new FuzzInput(data);
  const options = input.u8();
  const gateway = GATEWAYS[(options >> 3) % GATEWAYS.length] as (typeof GATEWAYS)[number];
  const [config] = gateway.config.peers;
  const sim = new Simulation(7);
  const b = sim.addPeer("b", ADDRESSES.b);
  b.configure(gateway.config);
  let answers: Uint8Array[] = [];
  const asked: Uint8Array[] = [];
  const local = { address: b.address, port: 500 };
  const remote = { ...local, address: peerOf("a").local.address ?? b.address };
  const peer = new ScriptedPeer(77n, new SeededRng(5), (datagram) => {
    answers = [];
    b.receive(local, remote, datagram);
    return answers;
  });
  // Requests on the IKE SA of a rekey have keys that this peer does not take the trouble to make.
  sim.network.taps.push(({ datagram }) => {
    const header = peekHeader(datagram);
    if (header?.response !== false) answers.push(datagram);
    else if (header.initiatorSpi === peer.spi && asked.length < MAX_ASKED) asked.push(datagram);
    return undefined;
  });
  peer.init();
  const proven = (options & 1) === 1 && gateway.request !== undefined;
  if (proven) peer.ask(EXCHANGE.IKE_AUTH, peer.authPayloads("a.example", SECRET, gateway.request ?? []));
  b.cryptoDelay = DELAYS[(options >> 1) & 3] ?? 0;
  b.dataPlaneDelay = b.cryptoDelay;
  for (let n = 0; n < MAX_MESSAGES && input.left > 0; n++) {
    const step = input.pick(STEPS);
    const skew = input.u8();
    if (skew >= 240) sim.run((skew - 239) * 8);
    else if (b.cryptoDelay > 0) sim.run((skew & 7) / 50);
    if (step === "command") {
      if (config) b.command(input.pick(COMMANDS)(config.id));
    } else if (step === "answer") {
      answer(peer, asked.splice(skew % Math.max(1, asked.length), 1)[0], payloadsOf(input));
    } else {
      const mid = Math.max(0, peer.mid + (skew > 8 ? 0 : skew - 4));
      const got = peer.ask(step, payloadsOf(input), mid);
      if (got || b.cryptoDelay > 0) peer.mid = mid + 1;
    }
  }
  orderly(b);
  holds(proven || b.established().length === 0, () => "established without a proof");
  sim.run(60);
  orderly(b);
  sim.run(300);
  everythingGone(b);
}
