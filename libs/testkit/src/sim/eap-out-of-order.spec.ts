import { createHash } from "node:crypto";
import { EAP_CODE, type EapMethod, EXCHANGE, NOTIFY, type Payload, type PeerConfig } from "@sallyport/ike";
import { configOf, peerOf } from "./configs.js";
import type { Reply } from "./scripted-peer.js";
import { childPayloads, nonce, SECRET, stage } from "./stage.spec-helper.js";

const { IKE_AUTH, CREATE_CHILD_SA } = EXCHANGE;
const utf8 = new TextEncoder();
const IDI: Payload = { kind: "IDi", idType: 2, data: utf8.encode("a.example") };
/** A gateway that proves itself by a key and asks its callers by EAP. */
const serving = (method: EapMethod): Partial<PeerConfig> => ({
  remoteAuth: [
    { method: "eap", identity: { match: "any" }, eap: { methods: [method], identity: "ask", users: "people" } },
  ],
});
const USERS = new Map([
  [
    "people",
    new Map([
      ["alice", utf8.encode("wonderland")],
      ["empty", new Uint8Array(0)],
    ]),
  ],
]);

const notifies = (reply: Reply | undefined) => reply?.payloads.flatMap((p) => (p.kind === "N" ? [p.type] : [])) ?? [];
const eapIn = (reply: Reply | undefined) => {
  const found = reply?.payloads.find((p) => p.kind === "EAP");
  if (!found) throw new Error("no EAP in the answer");
  return found;
};
const answer = (identifier: number, type: number, text: string): Payload => ({
  kind: "EAP",
  code: EAP_CODE.RESPONSE,
  identifier,
  data: Uint8Array.of(type, ...utf8.encode(text)),
});

/** A caller who has been asked for its identity. */
function asked(method: EapMethod = "gtc") {
  const s = stage(1, serving(method));
  s.b.configure({ ...configOf(peerOf("b", { passive: true, ...serving(method) })), eapUsers: USERS });
  const request = eapIn(s.peer.ask(IKE_AUTH, [IDI, ...childPayloads(0x2000)]));
  return { ...s, request };
}

/** The same, who has said its name and password. */
function passed() {
  const s = asked();
  const gtc = eapIn(s.peer.ask(IKE_AUTH, [answer(s.request.identifier, 1, "alice")]));
  return { ...s, verdict: s.peer.ask(IKE_AUTH, [answer(gtc.identifier, 6, "wonderland")]) };
}

const keyed = (peer: ReturnType<typeof passed>["peer"], secret: Uint8Array) =>
  peer.authPayloads("a.example", secret, []).filter((p) => p.kind === "AUTH");

describe("before EAP is over (hostile input 18)", () => {
  test("the right answers let the caller in", () => {
    const { b, peer, verdict } = passed();
    expect(eapIn(verdict).code).toBe(EAP_CODE.SUCCESS);
    expect(b.established()).toEqual([]);
    peer.ask(IKE_AUTH, keyed(peer, peer.skPi));
    expect(b.established()).toHaveLength(1);
  });

  test.each([
    ["AUTH", [{ kind: "AUTH", method: 2, data: new Uint8Array(32) }]],
    ["AUTH beside EAP", [answer(0, 1, "alice"), { kind: "AUTH", method: 2, data: new Uint8Array(32) }]],
    ["nothing", []],
  ] as [string, Payload[]][])("%s while EAP goes on", (_, payloads) => {
    const { b, peer } = asked();
    expect(notifies(peer.ask(IKE_AUTH, payloads))).toEqual([NOTIFY.AUTHENTICATION_FAILED]);
    expect([b.established(), b.engine.sizes().halfOpen]).toEqual([[], 0]);
  });

  test("another identity in a later message of EAP (hostile input 8)", () => {
    const { b, peer, request } = asked();
    const other: Payload = { ...IDI, data: utf8.encode("admin.example") };
    const reply = peer.ask(IKE_AUTH, [other, answer(request.identifier, 1, "alice")]);
    expect(notifies(reply)).toEqual([NOTIFY.AUTHENTICATION_FAILED]);
    expect(b.established()).toEqual([]);
  });

  test("CREATE_CHILD_SA is not heard", () => {
    const { b, peer } = asked();
    expect(peer.ask(CREATE_CHILD_SA, childPayloads(0x3000, [nonce()]))).toBeUndefined();
    expect(b.count("illegal-transition")).toBe(1);
  });
});

test("AUTH by another key than that of EAP (hostile input 18)", () => {
  for (const secret of [SECRET, new Uint8Array(0), utf8.encode("wonderland")]) {
    const { b, peer } = passed();
    expect(notifies(peer.ask(IKE_AUTH, keyed(peer, secret)))).toEqual([NOTIFY.AUTHENTICATION_FAILED]);
    expect(b.established()).toEqual([]);
  }
});

test("an empty password is nobody's, not even where one is stored (hostile input 28)", () => {
  const { b, peer, request } = asked("md5");
  const challenge = eapIn(peer.ask(IKE_AUTH, [answer(request.identifier, 1, "empty")]));
  const { identifier, data } = challenge;
  const value = createHash("md5").update(Uint8Array.of(identifier)).update(data.subarray(2, 18)).digest();
  const hashed: Payload = {
    kind: "EAP",
    code: EAP_CODE.RESPONSE,
    identifier,
    data: Uint8Array.of(4, value.length, ...value),
  };
  expect(eapIn(peer.ask(IKE_AUTH, [hashed])).code).toBe(EAP_CODE.FAILURE);
  expect(b.established()).toEqual([]);
});
