import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { IpAddress } from "@sallyport/base";
import {
  AUTH_METHOD,
  addFragment,
  checkPlacement,
  decodeInner,
  decodeMessage,
  EXCHANGE,
  encodeInner,
  encodeMessage,
  type Message,
  NOTIFY,
  NOTIFY_DATA,
  type Payload,
  type PayloadKind,
  type PayloadOf,
  PROTOCOL,
  type Proposal,
  type Reassembly,
} from "../wire/index.js";
import {
  authOctets,
  childSuite,
  deriveChildKeys,
  deriveIkeKeys,
  deriveRekeyedIkeKeys,
  type IkeKeys,
  type IkeSuite,
  ikeSuite,
  natDetectionHash,
  prf,
  protector,
  pskAuth,
  type SkProtector,
  verifyAuth,
  verifyPskAuth,
} from "./index.js";

/** A whole exchange between two strongSwan daemons with the keys that they logged: see `source` in each file. */
interface Recording {
  readonly source: string;
  readonly authentication: string;
  readonly psk?: string;
  readonly ikeSas: readonly { sharedSecret: string; skeyseed: string; keys: Record<keyof IkeKeys, string> }[];
  readonly auth: Record<"initiator" | "responder", { octets: string; data?: string }>;
  readonly children: readonly ({ sharedSecret?: string } & Record<
    "initiator" | "responder",
    { encryption: string; integrity: string }
  >)[];
  readonly messages: readonly { from: "a" | "b"; hex: string }[];
}

const folder = new URL("./vectors/", import.meta.url);
const recordings = readdirSync(folder)
  .filter((name) => name.startsWith("charon-"))
  .map((name) => [name, JSON.parse(readFileSync(new URL(name, folder), "utf8")) as Recording] as const);

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");
const hexKeys = (keys: IkeKeys) => Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, hex(key)]));

function only<K extends PayloadKind>(payloads: readonly Payload[], kind: K): PayloadOf<K> {
  const found = payloads.filter((p): p is PayloadOf<K> => p.kind === kind);
  expect(found).toHaveLength(1);
  return found[0] as PayloadOf<K>;
}

function proposalOf(payloads: readonly Payload[]): Proposal {
  const { proposals } = only(payloads, "SA");
  expect(proposals).toHaveLength(1);
  return proposals[0] as Proposal;
}

/** One message with its payloads, opened by the keys of its IKE SA. */
interface Opened {
  readonly message: Message;
  readonly inner: readonly Payload[];
}

/** One IKE SA of the recording as a listener with its keys sees it. */
class Tap {
  readonly #initiator: SkProtector;
  readonly #responder: SkProtector;
  #reassembly: Reassembly | undefined;

  constructor(
    readonly suite: IkeSuite,
    readonly keys: IkeKeys,
    readonly initiatorSpi: bigint,
  ) {
    this.#initiator = protector(suite, keys, true);
    this.#responder = protector(suite, keys, false);
  }

  open(message: Message): readonly Payload[] | undefined {
    const { encrypted } = message;
    if (!encrypted) throw new Error("not encrypted");
    const end = message.header.initiator ? this.#responder : this.#initiator;
    const plaintext = end.open(message);
    const { fragment } = encrypted;
    if (!fragment) return this.#decode(encrypted.firstPayload, plaintext);
    const { reassembly, complete } = addFragment(this.#reassembly, { ...encrypted, fragment }, plaintext);
    this.#reassembly = complete ? undefined : reassembly;
    return complete && this.#decode(complete.firstPayload, complete.plaintext);
  }

  #decode(firstPayload: number, plaintext: Uint8Array): readonly Payload[] {
    const inner = decodeInner(firstPayload, plaintext);
    expect(encodeInner(inner)).toEqual({ firstPayload, plaintext: Uint8Array.from(plaintext) });
    return inner;
  }

  /** Whether we would have sent the very same octets, given the IV; padding is the sender's choice and not compared. */
  reseal(message: Message, inner: readonly Payload[]): Uint8Array {
    const end = message.header.initiator ? this.#initiator : this.#responder;
    const at = message.encrypted?.bodyOffset ?? 0;
    const fresh = protector(this.suite, this.keys, end === this.#initiator);
    return fresh.seal(message.header, inner, { bytes: (n) => message.bytes.subarray(at, at + n) });
  }
}

/** Reads a recording from its first message to its last, checking every key on the way. */
function replay(r: Recording) {
  const messages = r.messages.map((m) => decodeMessage(bytes(m.hex)));
  const [init, answer] = messages as [Message, Message, ...Message[]];
  for (const m of [init, answer]) {
    checkPlacement({ header: m.header, clear: m.payloads, inner: undefined });
    expect(encodeMessage(m.header, m.payloads)).toEqual(m.bytes);
  }
  const ni = only(init.payloads, "Nonce").data;
  const nr = only(answer.payloads, "Nonce").data;
  const suite = ikeSuite(proposalOf(answer.payloads));
  const { initiatorSpi, responderSpi } = answer.header;
  const [first, second] = r.ikeSas as [Recording["ikeSas"][number], Recording["ikeSas"][number]];
  const keys = deriveIkeKeys({ suite, sharedSecret: bytes(first.sharedSecret), ni, nr, initiatorSpi, responderSpi });
  expect(hexKeys(keys)).toEqual(first.keys);

  const taps = [new Tap(suite, keys, initiatorSpi)];
  const opened: Opened[] = [];
  const children = [{ nonces: { ni, nr }, offered: 0 }];
  for (const message of messages.slice(2)) {
    const tap = taps.find((t) => t.initiatorSpi === message.header.initiatorSpi) as Tap;
    const inner = tap.open(message);
    if (!inner) continue;
    checkPlacement({ header: message.header, clear: message.payloads, inner });
    if (message.encrypted?.kind === "SK" && !suite.encryption.endsWith("cbc")) {
      expect(hex(tap.reseal(message, inner))).toBe(hex(message.bytes));
    }
    opened.push({ message, inner });
    if (message.header.exchange !== EXCHANGE.CREATE_CHILD_SA || !message.header.response) continue;
    const request = opened.at(-2)?.inner ?? [];
    const nonces = { ni: only(request, "Nonce").data, nr: only(inner, "Nonce").data };
    const chosen = proposalOf(inner);
    if (chosen.protocol === PROTOCOL.IKE) {
      const spi = (p: Proposal) => Buffer.from(p.spi).readBigUInt64BE();
      const input = {
        suite: ikeSuite(chosen),
        sharedSecret: bytes(second.sharedSecret),
        ...nonces,
        initiatorSpi: spi(proposalOf(request)),
        responderSpi: spi(chosen),
        oldD: keys.d,
        oldPrf: suite.prf,
      };
      const rekeyed = deriveRekeyedIkeKeys(input);
      expect(hexKeys(rekeyed)).toEqual(second.keys);
      taps.push(new Tap(input.suite, rekeyed, input.initiatorSpi));
    } else children.push({ nonces, offered: opened.length - 1 });
  }
  return { init, answer, ni, nr, suite, keys, opened, taps, children };
}

describe.each(recordings)("recorded exchange %s", (_name, r) => {
  const seen = replay(r);
  const [request, response] = seen.opened.map((o) => o.inner) as [readonly Payload[], readonly Payload[]];

  it("holds an IKE_SA_INIT, an IKE_AUTH, both rekeys and the deletes, all opened", () => {
    const exchanges = seen.opened.map((o) => o.message.header.exchange);
    expect(exchanges.slice(0, 2)).toEqual([EXCHANGE.IKE_AUTH, EXCHANGE.IKE_AUTH]);
    expect(exchanges.filter((e) => e === EXCHANGE.CREATE_CHILD_SA)).toHaveLength(4);
    expect(exchanges.filter((e) => e === EXCHANGE.INFORMATIONAL)).toHaveLength(6);
    expect(seen.taps).toHaveLength(2);
  });

  it("gives SKEYSEED as the daemon logged it", () => {
    const nonces = Buffer.concat([seen.ni, seen.nr]);
    const short = Buffer.concat([seen.ni.subarray(0, 8), seen.nr.subarray(0, 8)]);
    const key = seen.suite.prf.startsWith("aes") ? short : nonces;
    expect(hex(prf(seen.suite.prf, key, bytes(r.ikeSas[0]?.sharedSecret ?? "")))).toBe(r.ikeSas[0]?.skeyseed);
  });

  it.each([
    ["initiator", 0],
    ["responder", 1],
  ] as const)("verifies the AUTH of the %s", (side, index) => {
    const payloads = index === 0 ? request : response;
    const id = index === 0 ? only(payloads, "IDi") : only(payloads, "IDr");
    const octets = authOctets({
      prf: seen.suite.prf,
      message: index === 0 ? seen.init.bytes : seen.answer.bytes,
      nonce: index === 0 ? seen.nr : seen.ni,
      skP: index === 0 ? seen.keys.pi : seen.keys.pr,
      idType: id.idType,
      idData: id.data,
    });
    expect(hex(octets)).toBe(r.auth[side].octets);
    const auth = only(payloads, "AUTH");
    if (r.psk !== undefined) {
      const secret = new TextEncoder().encode(r.psk);
      expect(auth.method).toBe(AUTH_METHOD.SHARED_KEY);
      expect(hex(pskAuth(seen.suite.prf, secret, octets))).toBe(r.auth[side].data);
      expect(verifyPskAuth(seen.suite.prf, secret, octets, auth.data)).toBe(true);
      expect(verifyPskAuth(seen.suite.prf, secret, octets.slice(1), auth.data)).toBe(false);
      return;
    }
    const { publicKey } = new X509Certificate(only(payloads, "CERT").data);
    const scheme = verifyAuth(publicKey, auth, octets);
    expect(scheme.method).toBe(auth.method);
    expect(() => verifyAuth(publicKey, auth, octets.slice(1))).toThrow(
      expect.objectContaining({ code: "ike/bad-signature", field: "AUTH.signature" }),
    );
  });

  it("derives the keys of both CHILD SAs", () => {
    expect(r.children).toHaveLength(2);
    for (const [i, child] of seen.children.entries()) {
      const logged = r.children[i] as Recording["children"][number];
      const chosen = proposalOf(seen.opened[i === 0 ? 1 : child.offered]?.inner ?? []);
      const suite = childSuite(chosen);
      expect(suite.group !== undefined).toBe(logged.sharedSecret !== undefined);
      const keys = deriveChildKeys({
        suite,
        prf: seen.suite.prf,
        d: seen.keys.d,
        ...child.nonces,
        ...(logged.sharedSecret !== undefined && { sharedSecret: bytes(logged.sharedSecret) }),
      });
      for (const side of ["initiator", "responder"] as const) {
        expect(hex(keys[side].encryption)).toBe(logged[side].encryption);
        expect(hex(keys[side].integrity)).toBe(logged[side].integrity);
      }
    }
  });

  it("computes the NAT detection hash of the responder's address", () => {
    const hash = seen.init.payloads.find(
      (p): p is PayloadOf<"N"> => p.kind === "N" && p.type === NOTIFY.NAT_DETECTION_DESTINATION_IP,
    ) as PayloadOf<"N">;
    const endpoint = { address: IpAddress.parse("10.99.0.2"), port: 500 };
    expect(hex(natDetectionHash(seen.init.header.initiatorSpi, 0n, endpoint))).toBe(
      hex(NOTIFY_DATA.NAT_DETECTION_DESTINATION_IP.read(hash)),
    );
  });

  it("refuses every message with one bit changed, without a difference to tell", () => {
    const { message } = seen.opened.at(-1) as Opened;
    const tap = seen.taps[1] as Tap;
    for (let bit = (message.encrypted?.bodyOffset ?? 0) * 8; bit < message.bytes.length * 8; bit++) {
      const forged = Uint8Array.from(message.bytes);
      forged[bit >> 3] = (forged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => tap.open({ ...message, bytes: forged })).toThrow(
        expect.objectContaining({
          code: "ike/integrity",
          field: "SK",
          message: "the encrypted payload does not verify",
        }),
      );
    }
  });
});
