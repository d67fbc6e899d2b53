import { EXCHANGE, encodeMessage, NOTIFY, NOTIFY_DATA, notification, type Payload } from "@sallyport/ike";
import { disagreements } from "./agreement.js";
import { pair } from "./simulation.js";
import { childPayloads, nonce, spiBytes, stageUp } from "./stage.spec-helper.js";

const { CREATE_CHILD_SA, IKE_SA_INIT, INFORMATIONAL } = EXCHANGE;
const ERRORS = Object.entries(NOTIFY).filter(([, type]) => type < 16_384);
const STATUSES = Object.entries(NOTIFY).filter(([, type]) => type >= 16_384);

const notify = (type: number, data = new Uint8Array(0)): Payload => ({
  ...notification("INVALID_SYNTAX"),
  type,
  data,
});

describe("before keys (RFC 7296 §2.21.1)", () => {
  test.each(["NO_PROPOSAL_CHOSEN", "INVALID_SYNTAX", "INVALID_MAJOR_VERSION"] as const)(
    "a forged %s keeps nobody from connecting",
    (name) => {
      const { sim, a, b } = pair();
      let forged = 0;
      sim.network.taps.push((p) => {
        if (p.datagram[18] !== IKE_SA_INIT || forged++ > 0) return p;
        const initiatorSpi = new DataView(p.datagram.buffer, p.datagram.byteOffset).getBigUint64(0);
        const head = { initiatorSpi, responderSpi: 0n, exchange: IKE_SA_INIT, initiator: false, response: true };
        const datagram = encodeMessage({ ...head, messageId: 0 }, [notification(name)]);
        sim.network.inject({ from: p.to, to: p.from, datagram });
        return undefined;
      });
      sim.run(3);
      expect(forged).toBeGreaterThan(1);
      expect(disagreements(a, b)).toEqual([]);
      expect(a.of("negotiation-failed")).toEqual([]);
    },
  );
});

describe("in an IKE SA (RFC 7296 §2.21.3)", () => {
  test.each(ERRORS)("%s in answer to a rekey fails the rekey, and the IKE SA only if it is gone", (name, type) => {
    const { b, peer, asked } = stageUp();
    asked.length = 0;
    b.command({ command: "rekey-child", peer: "a", child: "net" });
    const request = asked.at(-1)?.datagram ?? new Uint8Array(0);
    const told = peer.open(request).payloads.find((p) => p.kind === "N" && p.type === NOTIFY.REKEY_SA);
    expect(told).toBeDefined();
    const data = name === "INVALID_KE_PAYLOAD" ? Uint8Array.of(0, 14) : new Uint8Array(0);
    peer.answer(request, [notify(type, data)]);
    const gone = name === "INVALID_SYNTAX";
    const childGone = gone || name === "CHILD_SA_NOT_FOUND";
    expect(b.established()).toHaveLength(gone ? 0 : 1);
    const states = b.established().flatMap((sa) => sa.children.map((c) => c.state));
    expect(states).toEqual(childGone ? [] : ["installed"]);
    expect(b.count("internal-error")).toBe(0);
    expect(asked.length).toBe(gone ? 2 : 1);
  });

  test.each([3, 50, 8192, 16_383])("error %i, which nobody knows, fails the exchange", (type) => {
    const { b, peer, asked } = stageUp();
    asked.length = 0;
    b.command({ command: "rekey-child", peer: "a", child: "net" });
    peer.answer(asked[0]?.datagram ?? new Uint8Array(0), [notify(type)]);
    expect(b.established()[0]?.children).toMatchObject([{ state: "installed" }]);
    expect(b.of("negotiation-failed")[0]?.error).toMatchObject({ theirs: `UNKNOWN_${type}` });
  });

  test.each([...ERRORS, ...STATUSES, ["a private error", 9000], ["a private status", 50_000]] as const)(
    "%s in a request of nothing else ends in an answer",
    (name, type) => {
      const { b, peer } = stageUp();
      const reply = peer.ask(INFORMATIONAL, [notify(type, Uint8Array.of(0, 0, 0, 9))]);
      expect(reply?.payloads.every((p) => p.kind === "N" || p.kind === "CP")).toBe(true);
      expect(b.established()).toHaveLength(name === "AUTHENTICATION_FAILED" ? 0 : 1);
      expect(b.count("internal-error")).toBe(0);
    },
  );

  test("a payload that nobody knows is ignored", () => {
    const { peer } = stageUp();
    const unknown = { kind: "unknown", type: 113, data: new Uint8Array(4) } as const;
    expect(peer.ask(INFORMATIONAL, [unknown])?.payloads).toEqual([]);
  });
});

describe("hints that nobody has signed (RFC 7296 §1.5, §2.21.4)", () => {
  test("INVALID_SPI begins a liveness check, seldom, and only about an SA that is there", () => {
    const { sim, a, b } = pair();
    sim.run(2);
    const spi = a.dataPlane.outbound()[0]?.spi ?? 0;
    const hint = (about: number, host = b.address) => {
      const head = { initiatorSpi: 7n, responderSpi: 0n, exchange: INFORMATIONAL, initiator: true, response: false };
      const datagram = encodeMessage({ ...head, messageId: 0 }, [notify(NOTIFY.INVALID_SPI, spiBytes(about))]);
      sim.network.inject({ from: { address: host, port: 500 }, to: { address: a.address, port: 500 }, datagram });
    };
    const before = sim.network.carried;
    hint(spi + 1);
    sim.run(1);
    expect(a.count("hint-followed")).toBe(0);
    for (let i = 0; i < 60; i++) {
      hint(spi);
      sim.run(0.1);
    }
    expect(a.count("hint-followed")).toBe(1);
    expect(sim.network.carried - before).toBe(61 + 2);
    sim.run(10);
    hint(spi);
    sim.run(1);
    expect(a.count("hint-followed")).toBe(2);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("a message ID outside the window is told to the peer whose it is, seldom, and not answered", () => {
    const { b, peer, sim, asked } = stageUp();
    asked.length = 0;
    const wrong = peer.seal(INFORMATIONAL, [], 77);
    const forged = Uint8Array.from(wrong);
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    expect(peer.send(forged)).toBeUndefined();
    expect(asked).toEqual([]);
    for (let i = 0; i < 5; i++) expect(peer.send(wrong)).toBeUndefined();
    expect(asked).toHaveLength(1);
    const told = peer.open(asked[0]?.datagram ?? wrong);
    expect(told.payloads).toEqual([NOTIFY_DATA.INVALID_MESSAGE_ID.build(77)]);
    peer.answer(asked[0]?.datagram ?? wrong, []);
    sim.run(11);
    peer.send(wrong);
    expect(asked).toHaveLength(2);
    expect(b.established()).toHaveLength(1);
  });
});

test("a request without traffic selectors is refused with both sides' values", () => {
  const { b, peer } = stageUp();
  const ke: Payload = { kind: "KE", group: 31, data: new Uint8Array(32).fill(9) };
  peer.ask(CREATE_CHILD_SA, childPayloads(0x3000, [nonce(), ke]).slice(0, 3));
  expect(b.of("negotiation-failed")[0]?.error).toMatchObject({ ours: "TSi and TSr", theirs: "none" });
});
