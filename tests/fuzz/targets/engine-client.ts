import { EXCHANGE, type Payload, type PeerConfig, peekHeader } from "@sallyport/ike";
import {
  ADDRESSES,
  childOf,
  configOf,
  isIkeSaInit,
  peerOf,
  range,
  ScriptedResponder,
  SeededRng,
  Simulation,
} from "@sallyport/testkit";
import { FuzzInput, holds } from "./input.ts";
import { orderly } from "./invariants.ts";
import { SECRET, spiOctets } from "./seeds.ts";

const EXCHANGES = [EXCHANGE.CREATE_CHILD_SA, EXCHANGE.INFORMATIONAL, EXCHANGE.IKE_AUTH, 43, 240];
/** Milliseconds that keys and the data plane take. */
const DELAYS = [0, 0, 5, 40];
const MAX_STEPS = 16;
const MAX_PAYLOADS = 12;
const MAX_ASKED = 16;
const MAX_INITS = 4;

const password = new TextEncoder().encode("dJ8s0-kq2_VtW5");
const person: Partial<PeerConfig> = {
  request: { families: [4, 6], dns: true, hides: [] },
  children: [childOf("a", { local: [], remote: [range("10.2.0.0/16")] })],
};
const CLIENTS: readonly PeerConfig[] = [
  peerOf("a"),
  peerOf("a", person),
  peerOf("a", {
    ...person,
    localAuth: [
      {
        method: "eap",
        identity: { type: "fqdn", name: "a.example" },
        eap: { methods: ["mschapv2", "md5", "gtc"], identity: "alice", password },
      },
    ],
  }),
  peerOf("a", { mobike: { enabled: true, acceptFrom: [], checkRoutability: true, forbidNat: false }, window: 1 }),
];

function payloadsOf(input: FuzzInput): Payload[] {
  const payloads: Payload[] = [];
  for (let count = input.u8() % MAX_PAYLOADS; count > 0; count--) {
    payloads.push({ kind: "unknown", type: input.u8(), data: input.take(input.u8()) });
  }
  return payloads;
}

/** The CHILD SA that a request asks for, as it was asked for. */
function agreed(asked: readonly Payload[]): Payload[] {
  return asked.flatMap((p): Payload[] => {
    if (p.kind === "SA") {
      const proposals = p.proposals.slice(0, 1).map((o) => ({ ...o, spi: spiOctets(0x3000) }));
      return [{ ...p, proposals }];
    }
    return p.kind === "TSi" || p.kind === "TSr" ? [p] : [];
  });
}

/**
 * An engine that calls a responder which has the keys and keeps no rule: it answers, after its proof or without, asks and stays
 * silent as the input says. The engine believes nobody who has not proven the secret, and lets everything go when it is told to.
 */
export function fuzz(data: Uint8Array): void {
  const input = new FuzzInput(data);
  const options = input.u8();
  const sim = new Simulation(9);
  const a = sim.addPeer("a", ADDRESSES.a);
  const responder = new ScriptedResponder(new SeededRng(11));
  const asked: Uint8Array[] = [];
  const from = { address: peerOf("b").local.address ?? a.address, port: 500 };
  const deliver = (datagram: Uint8Array | undefined) => {
    if (datagram) a.receive({ address: a.address, port: 500 }, from, datagram);
  };
  let inits = 0;
  sim.network.taps.push(({ datagram }) => {
    if (isIkeSaInit(datagram)) {
      if (inits++ < MAX_INITS) sim.clock.at(sim.clock.now + 1, () => deliver(responder.init(datagram)));
    } else if (peekHeader(datagram)?.response === false && asked.length < MAX_ASKED) asked.push(datagram);
    return undefined;
  });
  a.cryptoDelay = DELAYS[(options >> 1) & 3] ?? 0;
  a.dataPlaneDelay = a.cryptoDelay;
  a.configure(configOf(CLIENTS[(options >> 3) % CLIENTS.length] as PeerConfig));
  sim.run(0.2);
  let proven = false;
  for (let step = 0; step < MAX_STEPS && input.left > 0; step++) {
    const what = input.u8() % 6;
    const skew = input.u8();
    if (what < 3) {
      const request = asked.splice(skew % Math.max(1, asked.length), 1)[0];
      const said = request && responder.open(request);
      if (!request || !said) continue;
      const proof = what === 0 ? [] : responder.proof("b.example", SECRET);
      proven ||= what > 0;
      deliver(responder.answer(request, [...proof, ...(what === 2 ? agreed(said) : []), ...payloadsOf(input)]));
    } else if (what === 3) {
      deliver(responder.ask(input.pick(EXCHANGES), payloadsOf(input), responder.mid++));
    } else if (what === 4) {
      a.command({ command: (["rekey-ike", "probe", "initiate"] as const)[skew % 3] ?? "probe", peer: "b" });
    } else sim.run(skew < 200 ? skew / 50 : skew - 190);
    sim.run(a.cryptoDelay > 0 ? (skew & 7) / 50 : 0.005);
  }
  orderly(a);
  holds(proven || a.established().length === 0, () => "established without a proof");
  a.command({ command: "terminate", peer: "b" });
  sim.run(400);
  orderly(a);
  const { ikeSas, waiting, generated } = a.engine.sizes();
  const left = { ikeSas, waiting, generated, sas: a.dataPlane.sas.size, addresses: a.dataPlane.addresses.size };
  holds(
    Object.values(left).every((n) => n === 0),
    () => `left behind: ${JSON.stringify(left)}`,
  );
}
