import { Fault, IpAddress } from "@sallyport/base";
import {
  DEFAULT_LIMITS,
  DH,
  EXCHANGE,
  NOTIFY,
  NOTIFY_DATA,
  type Payload,
  PROTOCOL,
  TRANSFORM,
  type TrafficSelector,
} from "@sallyport/ike";
import { childOf, ESP_PROPOSAL } from "./configs.js";
import { SeededRng } from "./rng.js";
import { type Reply, ScriptedPeer } from "./scripted-peer.js";
import { childPayloads, deletion, nonce, SECRET, stageUp } from "./stage.spec-helper.js";

const { CREATE_CHILD_SA, INFORMATIONAL } = EXCHANGE;
const notifies = (reply: Reply | undefined) => reply?.payloads.flatMap((p) => (p.kind === "N" ? [p.type] : [])) ?? [];

function selector(network: string, startPort: number, endPort: number): TrafficSelector {
  const [start, end] = [IpAddress.parse(`${network}.0.0`), IpAddress.parse(`${network}.255.255`)];
  return { kind: "range", protocol: 0, startPort, endPort, start, end };
}

/** A request for ports of the configured networks; 1 to 65534 at both ends takes 30 × 30 policies in each direction. */
function portsRequest(spi: number, first: number, last: number): Payload[] {
  return childPayloads(spi, [nonce()]).map((p) => {
    if (p.kind === "TSi") return { ...p, selectors: [selector("10.1", first, last)] };
    return p.kind === "TSr" ? { ...p, selectors: [selector("10.2", first, last)] } : p;
  });
}

describe("what an authenticated peer can make an engine hold (hostile input 3, 9, 29)", () => {
  test("policies of selectors that the peer makes fine are bounded for the whole IKE SA", () => {
    const { b, peer } = stageUp();
    const before = b.engine.sizes().held;
    for (let i = 0; i < 12; i++) peer.ask(CREATE_CHILD_SA, portsRequest(0x3000 + i, 1, 1_022 + i));
    const { held } = b.engine.sizes();
    expect(held).toBeGreaterThan(before);
    expect(held - before).toBeLessThanOrEqual(3 * DEFAULT_LIMITS.selectorsPerSa);
    expect(b.dataPlane.policies.size + b.dataPlane.routes.size).toBe(held);
    expect(b.peer("a")?.lastError).toMatchObject({ code: "ike/ts-unacceptable" });
    expect(b.established()).toHaveLength(1);
  });

  test("what is gone makes room again, and a rekey needs none", () => {
    const { b, peer } = stageUp();
    const fine = (spi: number) => peer.ask(CREATE_CHILD_SA, portsRequest(spi, 1, 1_022));
    expect(notifies(fine(0x3000))).toEqual([]);
    const others = () => peer.ask(CREATE_CHILD_SA, portsRequest(0x3001, 1, 2_046));
    expect(notifies(others())).toEqual([NOTIFY.TS_UNACCEPTABLE]);
    expect(notifies(fine(0x3002))).toEqual([]);
    peer.ask(INFORMATIONAL, [deletion(0x3000, 0x3002)]);
    expect(notifies(others())).toEqual([]);
    expect(b.established()[0]?.children).toHaveLength(2);
  });

  test("names of reqids for requests that are refused are forgotten", () => {
    const { b, peer } = stageUp();
    for (let i = 0; i < 50; i++) {
      const payloads = portsRequest(0x3000 + i, 1_024 + i, 1_024 + i).map(
        (p): Payload => (p.kind === "SA" ? { ...p, proposals: p.proposals.map((o) => ({ ...o, transforms: [] })) } : p),
      );
      expect(notifies(peer.ask(CREATE_CHILD_SA, payloads))).toEqual([NOTIFY.NO_PROPOSAL_CHOSEN]);
    }
    expect(b.engine.sizes().generated).toBe(0);
  });

  test("and so are those of requests that the data plane refuses, or that are overtaken by the end of the IKE SA", () => {
    const { sim, b, peer } = stageUp();
    b.dataPlaneDelay = 50;
    for (const op of ["allocateSpi", "installSa", "installPolicy"]) {
      b.dataPlane.refuse = (asked) =>
        asked.op === op ? new Fault("dataplane/refused", "no", { retry: false, expose: true }) : undefined;
      peer.send(peer.seal(CREATE_CHILD_SA, portsRequest(0x3000, 80, 80), peer.mid++));
      expect(b.engine.sizes().generated).toBe(1);
      sim.run(1);
      expect(b.engine.sizes().generated).toBe(0);
    }
    b.dataPlane.refuse = undefined;
    peer.send(peer.seal(CREATE_CHILD_SA, portsRequest(0x3000, 80, 80), peer.mid++));
    b.command({ command: "terminate", peer: "a" });
    sim.run(600);
    expect(b.engine.sizes()).toMatchObject({ ikeSas: 0, generated: 0, held: 0 });
    expect(b.dataPlane.sas.size).toBe(0);
  });

  test("no SPI stays reserved for a request that is refused after all", () => {
    const proposals = [{ ...ESP_PROPOSAL, pfs: ["x25519" as const] }];
    const { b, peer } = stageUp(1, { children: [childOf("b", { proposals })] });
    const group = { type: TRANSFORM.DH, id: DH.x25519.transformId };
    for (let i = 0; i < 20; i++) {
      const payloads = childPayloads(0x3000, [nonce(), { kind: "KE", group: group.id, data: new Uint8Array(32) }]).map(
        (p): Payload =>
          p.kind === "SA"
            ? { ...p, proposals: p.proposals.map((o) => ({ ...o, transforms: [...o.transforms, group] })) }
            : p,
      );
      expect(notifies(peer.ask(CREATE_CHILD_SA, payloads))).toEqual([NOTIFY.INVALID_SYNTAX]);
    }
    expect(b.dataPlane.log.filter((op) => op === "allocateSpi")).toHaveLength(21);
    expect(b.dataPlane.reserved.size).toBe(0);
  });
});

describe("an SPI that a peer chooses", () => {
  test("is refused for a second CHILD SA, new or rekeyed, and the first one stays", () => {
    const { sim, b, peer } = stageUp();
    const rekey = NOTIFY_DATA.REKEY_SA.build({ protocol: PROTOCOL.ESP, spi: 0x2000 });
    for (const extra of [[nonce()], [rekey, nonce()]]) {
      expect(notifies(peer.ask(CREATE_CHILD_SA, childPayloads(0x2000, extra)))).toEqual([NOTIFY.TEMPORARY_FAILURE]);
    }
    expect(notifies(peer.ask(CREATE_CHILD_SA, childPayloads(0x3000, [nonce()])))).toEqual([]);
    const taken = childPayloads(0x3000, [rekey, nonce()]);
    expect(notifies(peer.ask(CREATE_CHILD_SA, taken))).toEqual([NOTIFY.TEMPORARY_FAILURE]);
    peer.ask(INFORMATIONAL, [deletion(0x2000)]);
    sim.run(20);
    expect(b.dataPlane.outbound().map((sa) => sa.spi)).toEqual([0x3000]);
    expect(b.dataPlane.reserved.size).toBe(0);
  });

  test("is refused while another IKE SA at the same address has it, so that nobody ends what is another's", () => {
    const { sim, b, peer } = stageUp(1, { uniqueness: "keep" });
    let answers: Uint8Array[] = [];
    sim.network.taps.unshift((packet) => {
      answers.push(packet.datagram);
      return packet;
    });
    const [victim] = b.dataPlane.outbound();
    const local = { address: b.address, port: 500 };
    const other = new ScriptedPeer(78n, new SeededRng(9), (datagram) => {
      answers = [];
      b.receive(local, { address: victim?.destination ?? b.address, port: 500 }, datagram);
      return answers;
    });
    other.init();
    other.ask(EXCHANGE.IKE_AUTH, other.authPayloads("a.example", SECRET, childPayloads(0x4000)));
    expect(b.established()).toHaveLength(2);
    const rekey = NOTIFY_DATA.REKEY_SA.build({ protocol: PROTOCOL.ESP, spi: 0x4000 });
    const stolen = childPayloads(0x2000, [rekey, nonce()]);
    expect(notifies(other.ask(CREATE_CHILD_SA, stolen))).toEqual([NOTIFY.TEMPORARY_FAILURE]);
    other.ask(INFORMATIONAL, [deletion(0x4000)]);
    other.ask(INFORMATIONAL, [{ kind: "D", protocol: PROTOCOL.IKE, spis: [] }]);
    sim.run(20);
    expect(b.dataPlane.outbound().map((sa) => sa.spi)).toEqual([0x2000]);
    expect(peer.ask(INFORMATIONAL, [])).toBeDefined();
  });
});
