import type { Rng } from "@sallyport/base";
import {
  authOctets,
  DH,
  decodeInner,
  decodeMessage,
  deriveIkeKeys,
  EXCHANGE,
  encodeMessage,
  generate,
  type Header,
  type IkeKeys,
  type IkeSuite,
  type Payload,
  PROTOCOL,
  protector,
  pskAuth,
  type SkProtector,
  shared,
} from "@sallyport/ike";
import type { Packet, Tap } from "./network.js";
import { IKE_OFFER } from "./scripted-peer.js";
import type { Simulation } from "./simulation.js";

const SUITE: IkeSuite = { encryption: "aes-gcm-16", keyBits: 256, prf: "hmac-sha2-256", group: "x25519" };
const SPI = 0x5e5e_5e5en;

/** A request of the engine, opened. */
export interface Request {
  readonly header: Header;
  readonly payloads: readonly Payload[];
}

/**
 * A responder that knows the keys and no rules: it takes whatever goes to an address, and answers the protected requests as
 * `answer` says; undefined: not at all. What a hostile gateway can do to a client is tried with it.
 */
export class ScriptedServer {
  readonly requests: Request[] = [];
  readonly #pair = generate("x25519");
  readonly #nonce: Uint8Array;
  #first: Uint8Array = new Uint8Array(0);
  #ni: Uint8Array = new Uint8Array(0);
  #keys: IkeKeys | undefined;
  #protector: SkProtector | undefined;

  constructor(
    private readonly sim: Simulation,
    private readonly rng: Rng,
    address: string,
    private readonly answer: (request: Request, server: ScriptedServer) => readonly Payload[] | undefined,
  ) {
    this.#nonce = rng.bytes(32);
    const tap: Tap = (packet) => {
      if (packet.to.address.toString() !== address) return packet;
      this.#serve(packet);
      return undefined;
    };
    sim.network.taps.push(tap);
  }

  #serve(packet: Packet): void {
    const message = decodeMessage(packet.datagram);
    const { header, encrypted } = message;
    if (header.exchange === EXCHANGE.IKE_SA_INIT) this.#init(packet);
    else if (encrypted && this.#protector && !header.response) {
      const request = { header, payloads: decodeInner(encrypted.firstPayload, this.#protector.open(message)) };
      this.requests.push(request);
      const payloads = this.answer(request, this);
      const back = { ...header, initiator: false, response: true };
      if (payloads) this.#send(packet, this.#protector.seal(back, payloads, this.rng));
    }
  }

  #init(packet: Packet): void {
    const { header, payloads } = decodeMessage(packet.datagram);
    const ke = payloads.find((p) => p.kind === "KE");
    const nonce = payloads.find((p) => p.kind === "Nonce");
    if (!ke || !nonce) throw new Error("no IKE_SA_INIT");
    this.#ni = nonce.data;
    this.#first = encodeMessage({ ...header, responderSpi: SPI, initiator: false, response: true }, [
      {
        kind: "SA",
        proposals: [{ number: 1, protocol: PROTOCOL.IKE, spi: new Uint8Array(0), transforms: IKE_OFFER }],
      },
      { kind: "KE", group: DH.x25519.transformId, data: this.#pair.publicValue },
      { kind: "Nonce", data: this.#nonce },
    ]);
    this.#keys = deriveIkeKeys({
      suite: SUITE,
      sharedSecret: shared(this.#pair, ke.data),
      ni: this.#ni,
      nr: this.#nonce,
      initiatorSpi: header.initiatorSpi,
      responderSpi: SPI,
    });
    this.#protector = protector(SUITE, this.#keys, false);
    this.#send(packet, this.#first);
  }

  #send({ from, to }: Packet, datagram: Uint8Array): void {
    this.sim.network.inject({ from: to, to: from, datagram });
  }

  /** IDr and AUTH by a pre-shared key. */
  proof(name: string, secret: Uint8Array): Payload[] {
    const id = { idType: 2, data: new TextEncoder().encode(name) };
    const octets = authOctets({
      prf: SUITE.prf,
      message: this.#first,
      nonce: this.#ni,
      skP: this.#keys?.pr ?? new Uint8Array(0),
      idType: id.idType,
      idData: id.data,
    });
    return [
      { kind: "IDr", ...id },
      { kind: "AUTH", method: 2, data: pskAuth(SUITE.prf, secret, octets) },
    ];
  }
}
