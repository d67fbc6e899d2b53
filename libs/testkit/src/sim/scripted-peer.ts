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
  TRANSFORM,
} from "@sallyport/ike";

const SUITE: IkeSuite = { encryption: "aes-gcm-16", keyBits: 256, prf: "hmac-sha2-256", group: "x25519" };
const NO_OCTETS = new Uint8Array(0);
const AES_GCM_16 = { type: TRANSFORM.ENCR, id: 20, keyBits: 256 };

/** A transform list that `configs.ts` takes, for IKE and for ESP. */
export const IKE_OFFER = [
  AES_GCM_16,
  { type: TRANSFORM.PRF, id: 5 },
  { type: TRANSFORM.DH, id: DH.x25519.transformId },
];
export const ESP_OFFER = [AES_GCM_16, { type: TRANSFORM.ESN, id: 0 }];

export interface Reply {
  readonly header: Header;
  readonly payloads: readonly Payload[];
}

/**
 * An initiator that knows the keys and no rules: it sends whatever it is told to, protected as it should be. What an
 * authenticated or almost authenticated peer can do to an engine is tried with it.
 */
export class ScriptedPeer {
  mid = 0;
  readonly replies: Reply[] = [];
  readonly #ni: Uint8Array;
  readonly #pair = generate("x25519");
  #spiR = 0n;
  #nr: Uint8Array = NO_OCTETS;
  #first: Uint8Array = NO_OCTETS;
  #keys: IkeKeys | undefined;
  #protector: SkProtector | undefined;

  constructor(
    readonly spi: bigint,
    private readonly rng: Rng,
    private readonly carry: (datagram: Uint8Array) => readonly Uint8Array[],
  ) {
    this.#ni = rng.bytes(32);
  }

  #header(exchange: number, mid: number): Header {
    return {
      initiatorSpi: this.spi,
      responderSpi: this.#spiR,
      exchange,
      initiator: true,
      response: false,
      messageId: mid,
    };
  }

  /** IKE_SA_INIT; afterwards there are keys. */
  init(): void {
    this.#first = encodeMessage(this.#header(EXCHANGE.IKE_SA_INIT, 0), [
      { kind: "SA", proposals: [{ number: 1, protocol: PROTOCOL.IKE, spi: NO_OCTETS, transforms: IKE_OFFER }] },
      { kind: "KE", group: DH.x25519.transformId, data: this.#pair.publicValue },
      { kind: "Nonce", data: this.#ni },
    ]);
    const [answer] = this.carry(this.#first);
    if (!answer) throw new Error("no IKE_SA_INIT response");
    const message = decodeMessage(answer);
    const ke = message.payloads.find((p) => p.kind === "KE");
    const nonce = message.payloads.find((p) => p.kind === "Nonce");
    if (!ke || !nonce) throw new Error("IKE_SA_INIT was refused");
    this.#spiR = message.header.responderSpi;
    this.#nr = nonce.data;
    this.#keys = deriveIkeKeys({
      suite: SUITE,
      sharedSecret: shared(this.#pair, ke.data),
      ni: this.#ni,
      nr: this.#nr,
      initiatorSpi: this.spi,
      responderSpi: this.#spiR,
    });
    this.#protector = protector(SUITE, this.#keys, true);
    this.mid = 1;
  }

  /** What keys AUTH after EAP without an MSK (RFC 7296 §2.16). */
  get skPi(): Uint8Array {
    return this.#keys?.pi ?? NO_OCTETS;
  }

  /** The payloads of a right IKE_AUTH. */
  authPayloads(name: string, secret: Uint8Array, child: readonly Payload[]): Payload[] {
    const id = { idType: 2, data: new TextEncoder().encode(name) };
    const skP = this.skPi;
    const octets = authOctets({
      prf: SUITE.prf,
      message: this.#first,
      nonce: this.#nr,
      skP,
      idType: id.idType,
      idData: id.data,
    });
    return [{ kind: "IDi", ...id }, { kind: "AUTH", method: 2, data: pskAuth(SUITE.prf, secret, octets) }, ...child];
  }

  /** Seals `payloads` and gives the answer, opened; undefined when there is none. Takes the next message ID unless told one. */
  ask(exchange: number, payloads: readonly Payload[], mid = this.mid++): Reply | undefined {
    return this.send(this.seal(exchange, payloads, mid));
  }

  seal(exchange: number, payloads: readonly Payload[], mid = this.mid): Uint8Array {
    if (!this.#protector) throw new Error("no keys yet");
    return this.#protector.seal(this.#header(exchange, mid), payloads, this.rng);
  }

  /** The same in fragments (RFC 7383). */
  sealFragments(exchange: number, payloads: readonly Payload[], maxBytes: number): Uint8Array[] {
    if (!this.#protector) throw new Error("no keys yet");
    return this.#protector.sealFragments(this.#header(exchange, this.mid), payloads, this.rng, maxBytes);
  }

  /** What a request of the engine says. */
  open(request: Uint8Array): Reply {
    const { header, encrypted, ...message } = decodeMessage(request);
    if (!encrypted || !this.#protector) throw new Error("no protected request");
    const plaintext = this.#protector.open({ header, encrypted, ...message });
    return { header, payloads: decodeInner(encrypted.firstPayload, plaintext) };
  }

  /** Answers a request of the engine. */
  answer(request: Uint8Array, payloads: readonly Payload[]): void {
    const { exchange, messageId } = this.open(request).header;
    const header = { ...this.#header(exchange, messageId), response: true };
    if (this.#protector) this.send(this.#protector.seal(header, payloads, this.rng));
  }

  send(datagram: Uint8Array): Reply | undefined {
    let last: Reply | undefined;
    for (const answer of this.carry(datagram)) {
      const message = decodeMessage(answer);
      if (!message.encrypted || !this.#protector || !message.header.response) continue;
      const payloads = decodeInner(message.encrypted.firstPayload, this.#protector.open(message));
      last = { header: message.header, payloads };
      this.replies.push(last);
    }
    return last;
  }
}
