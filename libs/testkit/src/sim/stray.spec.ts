import {
  EXCHANGE,
  encodeMessage,
  type Header,
  NOTIFY_DATA,
  notification,
  type Payload,
  PROTOCOL,
  peekHeader,
} from "@sallyport/ike";
import { disagreements } from "./agreement.js";
import { configOf, peerOf } from "./configs.js";
import type { Packet } from "./network.js";
import { IKE_OFFER } from "./scripted-peer.js";
import { pair } from "./simulation.js";
import { stage, stageUp } from "./stage.spec-helper.js";

const HEADER: Header = {
  initiatorSpi: 5n,
  responderSpi: 0n,
  exchange: EXCHANGE.IKE_SA_INIT,
  initiator: true,
  response: false,
  messageId: 0,
};
const INIT: readonly Payload[] = [
  { kind: "SA", proposals: [{ number: 1, protocol: PROTOCOL.IKE, spi: new Uint8Array(0), transforms: IKE_OFFER }] },
  { kind: "KE", group: 31, data: new Uint8Array(32).fill(9) },
  { kind: "Nonce", data: new Uint8Array(32) },
];

/** `b`, and a way to say something to it from where `a` is. */
function strangerAt(b = stage()) {
  const answers: Uint8Array[] = [];
  b.sim.network.taps.unshift((p) => {
    answers.push(p.datagram);
    return p;
  });
  const local = { address: b.b.address, port: 500 };
  const remote = { ...local, address: peerOf("a").local.address ?? local.address };
  return {
    ...b,
    say(datagram: Uint8Array): readonly Uint8Array[] {
      answers.length = 0;
      b.b.receive(local, remote, datagram);
      return [...answers];
    },
  };
}

test("other versions get an answer only when they are newer and ask (hostile input 1)", () => {
  const { b, say } = strangerAt();
  const of = (version: number, response = false) => {
    const datagram = encodeMessage({ ...HEADER, response }, INIT);
    datagram[17] = version;
    return say(datagram).length;
  };
  expect([of(0x10), of(0x00), of(0x30, true), of(0x30)]).toEqual([0, 0, 0, 1]);
  expect(b.count("other-version")).toBe(4);
});

test("an IKE_SA_INIT that is no first message makes nothing (hostile input 15)", () => {
  const { b, say } = strangerAt();
  const before = b.engine.sizes().ikeSas;
  for (const odd of [{ messageId: 1 }, { responderSpi: 9n }, { initiator: false }]) {
    expect(say(encodeMessage({ ...HEADER, ...odd }, INIT))).toEqual([]);
  }
  expect(b.engine.sizes().ikeSas).toBe(before);
  expect(b.count("bad-init")).toBe(3);
  expect(say(encodeMessage(HEADER, INIT))).toHaveLength(1);
});

test("a responder's other messages do not pass for its IKE_SA_INIT response (hostile input 15)", () => {
  const { sim, a, b } = pair();
  const seen: Packet[] = [];
  sim.network.taps.push((p) => {
    if (!p.from.address.equals(b.address) || p.datagram[18] !== EXCHANGE.IKE_SA_INIT) return p;
    seen.push(p);
    return undefined;
  });
  sim.run(0.1);
  const { datagram, from, to } = seen[0] as Packet;
  const bent = (at: number, value: number) => Uint8Array.from(datagram).with(at, value);
  // Another exchange, a request, another message ID.
  for (const other of [bent(18, EXCHANGE.IKE_AUTH), bent(19, 0), bent(23, 1)]) a.receive(to, from, other);
  expect(a.count("illegal-transition") + a.count("bad-init")).toBe(3);
  expect(a.engine.status().peers[0]?.sas[0]?.spiResponder).toMatch(/^0+$/);
  a.receive(to, from, datagram);
  expect(a.engine.status().peers[0]?.sas[0]?.spiResponder).not.toMatch(/^0+$/);
});

test("a message in the clear to an IKE SA with keys is counted and nothing else (hostile input 15)", () => {
  const up = stageUp();
  const { b, say, peer } = strangerAt(up);
  const spi = b.established()[0]?.spiResponder ?? "";
  const clear = (payloads: readonly Payload[], exchange: number) =>
    say(
      encodeMessage(
        { ...HEADER, initiatorSpi: peer.spi, responderSpi: BigInt(`0x${spi}`), exchange, messageId: peer.mid },
        payloads,
      ),
    );
  expect(clear([notification("INVALID_IKE_SPI")], EXCHANGE.INFORMATIONAL)).toEqual([]);
  expect(clear(INIT, EXCHANGE.CREATE_CHILD_SA)).toEqual([]);
  expect([b.count("unprotected"), b.count("invalid-ike-spi-hint")]).toEqual([1, 1]);
  expect(b.established()).toHaveLength(1);
});

test("a responder that asks for one cookie after the other is not followed for ever (hostile input 21)", () => {
  const { sim, a, b } = pair({ a: configOf() });
  let asked = 0;
  sim.network.taps.push((p) => {
    const peek = peekHeader(p.datagram);
    if (!p.from.address.equals(a.address) || peek?.exchange !== EXCHANGE.IKE_SA_INIT) return p;
    if (++asked > 1_000) return undefined;
    const header = { ...HEADER, initiatorSpi: peek.initiatorSpi, initiator: false, response: true };
    const datagram = encodeMessage(header, [NOTIFY_DATA.COOKIE.build(Uint8Array.of(asked >> 8, asked & 255))]);
    sim.network.inject({ from: p.to, to: p.from, datagram });
    return undefined;
  });
  a.configure(configOf(peerOf("a")));
  sim.run(3);
  expect(asked).toBeLessThan(20);
  expect(a.count("refusal-loop")).toBeGreaterThan(0);
  sim.network.taps.length = 0;
  sim.run(60);
  expect(disagreements(a, b)).toEqual([]);
});

test("a refusal is never longer than what it refuses (hostile input 22)", () => {
  const { b, say } = strangerAt();
  b.configure({ ...configOf(peerOf("b", { passive: true })), limits: { ...configOf().limits, cookieThreshold: 0 } });
  // The shortest request that has a nonce; a COOKIE takes 29 octets more than its header.
  const short = encodeMessage(HEADER, [{ kind: "Nonce", data: new Uint8Array(16) }]);
  expect(say(short)).toEqual([]);
  expect(b.count("answer-too-long")).toBe(1);
  expect(say(encodeMessage(HEADER, INIT))).toHaveLength(1);
});

describe("an initiator that was asked for a cookie", () => {
  /**
   * `b` demands cookies, stops to, takes `a`'s first request when it comes again – that answer is lost –, and then hears the one with
   * the cookie.
   */
  function crossed() {
    const { sim, a, b } = pair({ a: configOf(), b: configOf() });
    const demanding = (cookieThreshold: number) =>
      b.configure({ ...configOf(peerOf("b")), limits: { ...configOf().limits, cookieThreshold } });
    demanding(0);
    const requests: Packet[] = [];
    let lost = false;
    sim.network.taps.push((p) => {
      if (lost) return undefined;
      const peek = peekHeader(p.datagram);
      if (!p.from.address.equals(a.address) || peek?.exchange !== EXCHANGE.IKE_SA_INIT) return p;
      requests.push(p);
      if (requests.length !== 2) return p;
      demanding(256);
      const [first] = requests as [Packet];
      lost = true;
      b.receive(first.to, first.from, first.datagram);
      lost = false;
      return p;
    });
    a.configure(configOf(peerOf("a")));
    return { sim, a, b, requests };
  }

  test("goes on with it, though its first request was taken meanwhile (RFC 7296 §2.6)", () => {
    const { sim, a, b } = crossed();
    sim.run(1);
    expect(a.established()).toHaveLength(1);
    expect([b.count("init-started-over"), b.count("bad-init")]).toEqual([1, 0]);
    sim.run(60);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("cannot be taken for by somebody whose cookie is not good", () => {
    const { sim, a, b, requests } = crossed();
    sim.run(0.025);
    const withCookie = requests[1] as Packet;
    const bent = Uint8Array.from(withCookie.datagram);
    // Within the cookie, which stands first.
    bent[28 + 8 + 3] = (bent[28 + 8 + 3] ?? 0) ^ 1;
    b.receive(withCookie.to, withCookie.from, bent);
    expect(b.count("init-started-over")).toBe(0);
    expect(b.count("bad-init")).toBe(1);
    sim.run(60);
    expect(disagreements(a, b)).toEqual([]);
  });
});
