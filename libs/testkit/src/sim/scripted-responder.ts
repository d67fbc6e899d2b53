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
import { IKE_OFFER } from "./scripted-peer.js";

const SUITE: IkeSuite = { encryption: "aes-gcm-16", keyBits: 256, prf: "hmac-sha2-256", group: "x25519" };
const NO_OCTETS = new Uint8Array(0);

/** A responder that knows the keys and no rules: what a server that is not what it should be can do to a client is tried with it. */
export class ScriptedResponder {
  mid = 0;
  /** Of the newest IKE SA, the only one that it speaks on. */
  #spi = 99n;
  readonly #pair = generate("x25519");
  readonly #nonce: Uint8Array;
  #header: Header | undefined;
  #ni: Uint8Array = NO_OCTETS;
  #first: Uint8Array = NO_OCTETS;
  #keys: IkeKeys | undefined;
  #protector: SkProtector | undefined;

  constructor(private readonly rng: Rng) {
    this.#nonce = rng.bytes(32);
  }

  /** The answer to an IKE_SA_INIT request; afterwards there are keys. Undefined for one that has no key to go on with. */
  init(request: Uint8Array): Uint8Array | undefined {
    const { header, payloads } = decodeMessage(request);
    const ke = payloads.find((p) => p.kind === "KE");
    const nonce = payloads.find((p) => p.kind === "Nonce");
    if (!ke || !nonce || ke.group !== DH.x25519.transformId) return undefined;
    this.mid = 0;
    this.#spi++;
    this.#header = { ...header, responderSpi: this.#spi, initiator: false };
    this.#ni = nonce.data;
    const { initiatorSpi } = header;
    const sharedSecret = shared(this.#pair, ke.data);
    this.#keys = deriveIkeKeys({
      suite: SUITE,
      sharedSecret,
      ni: this.#ni,
      nr: this.#nonce,
      initiatorSpi,
      responderSpi: this.#spi,
    });
    this.#protector = protector(SUITE, this.#keys, false);
    this.#first = encodeMessage({ ...this.#header, response: true }, [
      { kind: "SA", proposals: [{ number: 1, protocol: PROTOCOL.IKE, spi: NO_OCTETS, transforms: IKE_OFFER }] },
      { kind: "KE", group: DH.x25519.transformId, data: this.#pair.publicValue },
      { kind: "Nonce", data: this.#nonce },
    ]);
    return this.#first;
  }

  /** IDr and AUTH by a pre-shared key: a right proof. */
  proof(name: string, secret: Uint8Array): Payload[] {
    const id = { idType: 2, data: new TextEncoder().encode(name) };
    const octets = authOctets({
      prf: SUITE.prf,
      message: this.#first,
      nonce: this.#ni,
      skP: this.#keys?.pr ?? NO_OCTETS,
      idType: id.idType,
      idData: id.data,
    });
    return [
      { kind: "IDr", ...id },
      { kind: "AUTH", method: 2, data: pskAuth(SUITE.prf, secret, octets) },
    ];
  }

  /** What the engine says in a request, if it is one of this IKE SA. */
  open(datagram: Uint8Array): readonly Payload[] | undefined {
    const message = decodeMessage(datagram);
    if (message.header.responderSpi !== this.#spi || !message.encrypted || !this.#protector) return undefined;
    return decodeInner(message.encrypted.firstPayload, this.#protector.open(message));
  }

  answer(request: Uint8Array, payloads: readonly Payload[]): Uint8Array | undefined {
    const { exchange, messageId } = decodeMessage(request).header;
    return this.#seal({ exchange, messageId, response: true }, payloads);
  }

  ask(exchange: number, payloads: readonly Payload[], messageId: number): Uint8Array | undefined {
    return this.#seal({ exchange, messageId, response: false }, payloads);
  }

  #seal(about: Pick<Header, "exchange" | "messageId" | "response">, payloads: readonly Payload[]) {
    if (!this.#header || !this.#protector) return undefined;
    return this.#protector.seal({ ...this.#header, ...about }, payloads, this.rng);
  }
}

export const isIkeSaInit = (datagram: Uint8Array) => datagram[18] === EXCHANGE.IKE_SA_INIT;
