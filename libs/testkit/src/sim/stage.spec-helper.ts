import { EXCHANGE, type Payload, type PeerConfig, PROTOCOL, peekHeader } from "@sallyport/ike";
import { ADDRESSES, configOf, peerOf } from "./configs.js";
import type { Packet } from "./network.js";
import { SeededRng } from "./rng.js";
import { ESP_OFFER, ScriptedPeer } from "./scripted-peer.js";
import { Simulation } from "./simulation.js";

export const SECRET = new TextEncoder().encode("a secret of some length");
export const spiBytes = (spi: number) => Uint8Array.of(spi >>> 24, (spi >>> 16) & 255, (spi >>> 8) & 255, spi & 255);

export function childPayloads(spi: number, extra: readonly Payload[] = []): Payload[] {
  const config = peerOf("a").children[0];
  const selector = (r: NonNullable<typeof config>["local"][number] | undefined) => {
    if (!r) throw new Error("no range");
    return [{ kind: "range", protocol: 0, startPort: 0, endPort: 65_535, start: r.first, end: r.last } as const];
  };
  return [
    { kind: "SA", proposals: [{ number: 1, protocol: PROTOCOL.ESP, spi: spiBytes(spi), transforms: ESP_OFFER }] },
    ...extra,
    { kind: "TSi", selectors: selector(config?.local[0]) },
    { kind: "TSr", selectors: selector(config?.remote[0]) },
  ];
}

export const nonce = (): Payload => ({ kind: "Nonce", data: new Uint8Array(32).fill(9) });
export const deletion = (...spis: number[]): Payload => ({
  kind: "D",
  protocol: PROTOCOL.ESP,
  spis: spis.map(spiBytes),
});

/** A real engine at `b` and a scripted initiator in the place of `a`. */
export function stage(seed = 1, more: Partial<PeerConfig> = {}) {
  const sim = new Simulation(seed);
  const b = sim.addPeer("b", ADDRESSES.b);
  b.configure(configOf(peerOf("b", { passive: true, ...more })));
  const out: Packet[] = [];
  /** Requests of the engine. */
  const asked: Packet[] = [];
  sim.network.taps.push((p) => {
    out.push(p);
    if (peekHeader(p.datagram)?.response === false) asked.push(p);
    return undefined;
  });
  const local = { address: b.address, port: 500 };
  const remote = { ...local, address: peerOf("a").local.address ?? b.address };
  /** One more scripted end at the same address, after its IKE_SA_INIT. */
  const another = (spi: bigint) => {
    const scripted = new ScriptedPeer(spi, new SeededRng(seed + Number(spi)), (datagram) => {
      out.length = 0;
      b.receive(local, remote, datagram);
      return out.map((p) => p.datagram);
    });
    scripted.init();
    return scripted;
  };
  return { sim, b, peer: another(77n), asked, another };
}

/** The same, authenticated and with a CHILD SA on whose SPI 0x2000 the scripted end receives. */
export function stageUp(seed?: number, more?: Partial<PeerConfig>) {
  const s = stage(seed, more);
  s.peer.ask(EXCHANGE.IKE_AUTH, s.peer.authPayloads("a.example", SECRET, childPayloads(0x2000)));
  if (s.b.established().length !== 1) throw new Error("the scripted peer was not let in");
  return s;
}
