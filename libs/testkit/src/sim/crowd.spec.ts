import { DH, EXCHANGE, NOTIFY, type PeerConfig, PROTOCOL } from "@sallyport/ike";
import { IKE_OFFER, type Reply, type ScriptedPeer } from "./scripted-peer.js";
import { childPayloads, nonce, SECRET, stage } from "./stage.spec-helper.js";

const { CREATE_CHILD_SA, IKE_AUTH, INFORMATIONAL } = EXCHANGE;
const notifies = (reply: Reply | undefined) => reply?.payloads.flatMap((p) => (p.kind === "N" ? [p.type] : [])) ?? [];

/** An engine and callers of one identity, each proving it rightly. */
function crowd(more: Partial<PeerConfig>) {
  const { sim, b, another } = stage(1, more);
  let n = 0;
  /** What its IKE_AUTH was answered with, notifications only. */
  const call = (initialContact = false): { readonly peer: ScriptedPeer; readonly told: readonly number[] } => {
    const peer = another(BigInt(1_000 + ++n));
    const payloads = peer.authPayloads("a.example", SECRET, childPayloads(0x4000 + n));
    const none = new Uint8Array(0);
    const contact = { kind: "N", protocol: 0, type: NOTIFY.INITIAL_CONTACT, spi: none, data: none } as const;
    return { peer, told: notifies(peer.ask(IKE_AUTH, initialContact ? [...payloads, contact] : payloads)) };
  };
  return { sim, b, call };
}

const REFUSED = [NOTIFY.AUTHENTICATION_FAILED];

describe("IKE SAs of one authenticated identity (hostile input 21)", () => {
  test("are bounded where several may stand, the limit is named, and a place that becomes free is given", () => {
    const { b, call } = crowd({ uniqueness: "keep", sasPerIdentity: 3 });
    const [first] = [call(), call(), call()];
    expect(b.established()).toHaveLength(3);
    for (let i = 0; i < 5; i++) expect(call().told).toEqual(REFUSED);
    expect(b.established()).toHaveLength(3);
    const error = {
      code: "ike/too-many-sas",
      exchange: "IKE_AUTH",
      ours: "uniqueness keep, sasPerIdentity 3",
      theirs: "a.example",
    };
    expect(b.of("auth-failed")).toHaveLength(5);
    expect(b.of("auth-failed")[0]).toMatchObject({ peer: "a", error });
    expect(b.peer("a")?.lastError).toMatchObject(error);
    first?.peer.ask(INFORMATIONAL, [{ kind: "D", protocol: PROTOCOL.IKE, spis: [] }]);
    expect(call().told).not.toEqual(REFUSED);
    expect(b.established()).toHaveLength(3);
  });

  test("do not keep a peer out that has lost them all and says so", () => {
    const { sim, b, call } = crowd({ uniqueness: "keep", sasPerIdentity: 2 });
    for (let i = 0; i < 2; i++) call();
    expect(call().told).toEqual(REFUSED);
    expect(call(true).told).not.toEqual(REFUSED);
    sim.run(1);
    expect(b.established()).toHaveLength(1);
  });

  test("are bounded with those that are on their way out, whoever never answers their Delete", () => {
    const { sim, b, call } = crowd({ uniqueness: "replace", sasPerIdentity: 2 });
    const callers = Array.from({ length: 100 }, () => call());
    const taken = callers.filter(({ told }) => told[0] !== NOTIFY.AUTHENTICATION_FAILED);
    expect(taken).toHaveLength(2 * 2 + 64);
    expect(b.peer("a")?.lastError).toMatchObject({ code: "ike/too-many-sas" });
    const offer = { number: 1, protocol: PROTOCOL.IKE, spi: new Uint8Array(8).fill(7), transforms: IKE_OFFER };
    const rekey = taken
      .at(-1)
      ?.peer.ask(CREATE_CHILD_SA, [
        { kind: "SA", proposals: [offer] },
        nonce(),
        { kind: "KE", group: DH.x25519.transformId, data: new Uint8Array(32).fill(9) },
      ]);
    expect(notifies(rekey)).toEqual([NOTIFY.TEMPORARY_FAILURE]);
    sim.run(60);
    expect(b.engine.sizes().ikeSas).toBeLessThan(4);
    expect(call().told).not.toEqual(REFUSED);
  });
});
