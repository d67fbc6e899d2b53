import type { Rng } from "@sallyport/base";
import { decodeMessage, type Header, type Payload } from "@sallyport/ike";
import { isIkeSaInit, ScriptedResponder } from "./scripted-responder.js";
import type { Simulation } from "./simulation.js";

/** A request of the engine, opened. */
export interface Request {
  readonly header: Header;
  readonly payloads: readonly Payload[];
}

/**
 * A scripted responder at an address of the simulated network: it takes whatever goes there, and answers the protected requests as
 * `answer` says; undefined: not at all. What a hostile gateway can do to a client is tried with it.
 */
export class ScriptedServer {
  readonly requests: Request[] = [];
  readonly #responder: ScriptedResponder;

  constructor(
    private readonly sim: Simulation,
    rng: Rng,
    address: string,
    private readonly answer: (request: Request, responder: ScriptedResponder) => readonly Payload[] | undefined,
  ) {
    this.#responder = new ScriptedResponder(rng);
    sim.network.taps.push((packet) => {
      if (packet.to.address.toString() !== address) return packet;
      const datagram = this.#serve(packet.datagram);
      if (datagram) this.sim.network.inject({ from: packet.to, to: packet.from, datagram });
      return undefined;
    });
  }

  #serve(datagram: Uint8Array): Uint8Array | undefined {
    if (isIkeSaInit(datagram)) return this.#responder.init(datagram);
    const { header } = decodeMessage(datagram);
    const payloads = header.response ? undefined : this.#responder.open(datagram);
    if (!payloads) return undefined;
    const request = { header, payloads };
    this.requests.push(request);
    const answer = this.answer(request, this.#responder);
    return answer && this.#responder.answer(datagram, answer);
  }
}
