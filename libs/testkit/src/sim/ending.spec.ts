import { DH, EXCHANGE, type IkeEvent, NOTIFY, type Payload, PROTOCOL, peekHeader } from "@sallyport/ike";
import { childOf, configOf, peerOf } from "./configs.js";
import { CALLERS, office } from "./office.spec-helper.js";
import { IKE_OFFER, type Reply } from "./scripted-peer.js";
import { childPayloads, nonce, SECRET } from "./stage.spec-helper.js";

const { CREATE_CHILD_SA, IKE_AUTH, INFORMATIONAL } = EXCHANGE;
const DELETE: Payload = { kind: "D", protocol: PROTOCOL.IKE, spis: [] };
const notifies = (reply: Reply | undefined) => reply?.payloads.flatMap((p) => (p.kind === "N" ? [p.type] : [])) ?? [];
const downs = (events: readonly IkeEvent[]) => events.flatMap((e) => (e.event === "ike-down" ? [e.reason] : []));

/** Every IKE SA that stood is gone, each was told of once, and nothing of it is left. */
function expectGone({ b }: ReturnType<typeof office>, ended = CALLERS): void {
  expect(b.engine.sizes()).toMatchObject({ ikeSas: 0, waiting: 0, halfOpen: 0 });
  expect(b.engine.backlog).toBe(0);
  expect(b.dataPlane.sas.size).toBe(0);
  expect(b.of("ike-down")).toHaveLength(ended);
  expect(b.of("child-down")).toHaveLength(ended);
}

describe("the ends of many IKE SAs", () => {
  test("are begun a few in each step, and no later than at once", () => {
    const o = office();
    o.down();
    expect(o.steps()).toEqual([0]);
    expect(o.b.engine.backlog).toBe(CALLERS);
    o.sim.run(0);
    expect(o.steps()).toEqual([32, 32, 6]);
    expect(o.answerAll()).toBe(CALLERS);
    expectGone(o);
    expect(new Set(downs(o.b.events))).toEqual(new Set(["deleted-locally"]));
    o.call();
    o.down();
    expect(o.steps().at(-1)).toBe(1);
  });

  test("are told to those who ask as soon as they are decided", () => {
    const o = office();
    o.down();
    expect(o.b.engine.stands("a")).toBe(false);
    expect(o.b.established()).toEqual([]);
    expect(o.b.engine.sizes().ikeSas).toBe(CALLERS);
  });

  test("come once, however often they are decided", () => {
    const o = office();
    for (let i = 0; i < 3; i++) o.down();
    o.sim.run(0);
    expect(o.answerAll()).toBe(CALLERS);
    o.down();
    o.sim.run(0);
    expect(o.answerAll()).toBe(0);
    expectGone(o);
  });

  test("come with the first of two reasons", () => {
    const o = office();
    o.down();
    o.b.configure(configOf());
    o.sim.run(0);
    expect(o.answerAll()).toBe(CALLERS);
    expectGone(o);
    expect(new Set(downs(o.b.events))).toEqual(new Set(["deleted-locally"]));
  });

  test("a peer's own Delete in between is answered, and is not the reason", () => {
    const o = office();
    o.down();
    const last = o.callers.at(-1);
    expect(last?.ask(INFORMATIONAL, [DELETE])?.payloads).toEqual([]);
    expect(downs(o.b.events)).toEqual(["deleted-locally"]);
    o.sim.run(0);
    expect(o.answerAll()).toBe(CALLERS - 1);
    o.sim.run(11);
    expectGone(o);
  });

  test("a rekey of the peer in between makes no heir, and the Delete goes out", () => {
    const o = office();
    o.down();
    const last = o.callers.at(-1);
    const proposal = { number: 1, protocol: PROTOCOL.IKE, spi: new Uint8Array(8).fill(7), transforms: IKE_OFFER };
    const ke: Payload = { kind: "KE", group: DH.x25519.transformId, data: new Uint8Array(32).fill(9) };
    const reply = last?.ask(CREATE_CHILD_SA, [{ kind: "SA", proposals: [proposal] }, nonce(), ke]);
    expect(notifies(reply)).toEqual([NOTIFY.TEMPORARY_FAILURE]);
    expect(notifies(last?.ask(CREATE_CHILD_SA, childPayloads(0x9000, [nonce()])))).toEqual([NOTIFY.TEMPORARY_FAILURE]);
    o.sim.run(0);
    expect(o.answerAll()).toBe(CALLERS);
    expectGone(o);
  });

  test("a handshake in between comes to nothing when it was there before, and stands when it came later", () => {
    const o = office();
    const before = o.another(5_000n);
    o.b.command({ command: "shutdown" });
    expect(before.ask(IKE_AUTH, before.authPayloads("a.example", SECRET, childPayloads(0x8000)))).toBeUndefined();
    expect(() => o.another(5_001n)).toThrow("no IKE_SA_INIT response");
    o.sim.run(0);
    o.answerAll();
    expectGone(o);
    const p = office();
    p.down();
    p.call();
    expect(p.b.established()).toHaveLength(1);
    p.sim.run(0);
    p.answerAll();
    p.sim.run(10);
    expect(p.b.established()).toHaveLength(1);
    expect(p.b.dataPlane.sas.size).toBe(2);
  });

  test("a timer, a probe and an SA of the data plane that runs out in between begin the end and nothing else", () => {
    const o = office();
    const { reqid, spiIn } = o.b.peer("a")?.sas.at(-1)?.children[0] ?? { reqid: 0, spiIn: 0 };
    o.down();
    o.b.command({ command: "probe", peer: "a" });
    o.b.command({ command: "rekey-ike", peer: "a" });
    const sa = { destination: o.b.address, protocol: "esp", spi: spiIn } as const;
    o.b.handle({ on: "dataplane", now: o.sim.now, event: { on: "expire", reqid, sa, hard: false } });
    o.sim.run(0);
    const asked = o.asked.map(({ datagram }) => datagram);
    expect(asked).toHaveLength(CALLERS);
    o.answerAll();
    expectGone(o);
  });
});

describe("a defect of the engine itself", () => {
  test("at the end of one IKE SA takes that one away without a word, and keeps no other from ending", () => {
    let breaks = false;
    const retransmission = {
      ...{ backoff: 1.8, max: 20_000, tries: 5 },
      get initial() {
        if (!breaks) return 500;
        breaks = false;
        throw new RangeError("broken");
      },
    };
    const o = office({ retransmission });
    breaks = true;
    o.down();
    o.sim.run(0);
    expect(o.b.count("internal-error")).toBe(1);
    expect(o.answerAll()).toBe(CALLERS - 1);
    expectGone(o);
    expect(downs(o.b.events).sort()).toEqual([...Array(CALLERS - 1).fill("deleted-locally"), "failed"]);
  });
});

describe("what is wanted while many IKE SAs end", () => {
  test("`up` calls at once, and its IKE SA stays", () => {
    const o = office({ passive: false });
    o.down();
    o.b.command({ command: "initiate", peer: "a" });
    expect(o.b.engine.backlog).toBeGreaterThan(0);
    expect(o.b.engine.status().peers[0]?.sas.filter((sa) => sa.initiator)).toMatchObject([{ state: "connecting" }]);
    o.sim.run(0);
    expect(o.asked.filter(({ datagram }) => peekHeader(datagram)?.exchange === EXCHANGE.IKE_SA_INIT)).toHaveLength(1);
    o.answerAll();
    expect(o.b.engine.sizes().ikeSas).toBe(1);
    expect(o.b.engine.status().peers[0]?.sas).toMatchObject([{ initiator: true, state: "connecting" }]);
  });

  test("a configuration that has the peer again lets newcomers in, and the others go all the same", () => {
    const o = office();
    o.b.configure(configOf());
    expect(o.b.engine.backlog).toBe(CALLERS);
    o.b.configure(configOf(peerOf("b", o.config)));
    o.call();
    expect(o.b.established()).toHaveLength(1);
    o.sim.run(0);
    o.answerAll();
    expect(o.b.established()).toHaveLength(1);
    expect(new Set(downs(o.b.events))).toEqual(new Set(["config-changed"]));
    expect(o.b.of("ike-down")).toHaveLength(CALLERS);
  });

  test("another secret takes what is on its way out from the data plane without waiting for anybody", () => {
    const o = office();
    o.down();
    const secrets = [new TextEncoder().encode("another secret altogether")];
    const identity = { match: "is", identity: { type: "fqdn", name: "a.example" } } as const;
    o.b.configure(configOf(peerOf("b", { ...o.config, remoteAuth: [{ method: "psk", identity, secrets }] })));
    o.sim.run(0);
    expect(o.b.dataPlane.sas.size).toBe(0);
    o.answerAll();
    expectGone(o);
  });

  test("nothing leaves in clear in between: policies of a trap stay as long as it is configured, those of SAs as long as they", () => {
    const children = [childOf("b", { startAction: "trap" })];
    const o = office({ children });
    const policies = () => [...o.b.dataPlane.policies.values()].map((p) => `${p.direction} ${p.action}`).sort();
    const before = policies();
    expect(before.length).toBeGreaterThan(0);
    o.down();
    while (o.b.engine.backlog > 0) {
      expect(policies()).toEqual(before);
      o.sim.run(0);
    }
    o.answerAll();
    expectGone(o);
    expect(policies()).toEqual(before);
    o.b.configure(configOf());
    expect(policies()).toEqual([]);
  });

  test("the IKE SAs of a peer that is dropped hold their policies until each is gone", () => {
    const o = office();
    const before = o.b.dataPlane.policies.size;
    expect(before).toBeGreaterThan(0);
    o.b.configure(configOf());
    expect(o.b.dataPlane.policies.size).toBe(before);
    o.sim.run(0);
    expect(o.b.dataPlane.policies.size).toBe(before);
    o.answerAll();
    expectGone(o);
    expect(o.b.engine.sizes().held).toBe(0);
    expect(o.b.dataPlane.policies.size).toBe(0);
  });

  test("peers that never answer are gone after the last retransmission", () => {
    const o = office();
    o.b.command({ command: "shutdown" });
    o.sim.run(300);
    expectGone(o);
    expect(o.b.dataPlane.policies.size).toBe(0);
  });
});
