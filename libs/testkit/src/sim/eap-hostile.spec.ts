import {
  answerEap,
  beginEapPeer,
  beginEapServer,
  type EapMethod,
  type EapPayload,
  type EapPeer,
  type EapServer,
  type EapStep,
  resumeEapPeer,
  resumeEapServer,
  serveEap,
} from "@sallyport/ike";
import fc from "fast-check";
import { converseByEap, EAP_IDI, eapContext, eapPeerConfig, eapServerConfig, utf8 } from "./eap-rig.js";

const octets = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const packet = (code: number, identifier: number, hex = ""): EapPayload => ({
  kind: "EAP",
  code,
  identifier,
  data: octets(hex),
});
const ctx = eapContext("hostile");
const TLS = {
  key: "k",
  chain: [],
  trust: [],
  versions: { min: "1.2", max: "1.3" },
} as const;
const NAMES = `${Buffer.from(EAP_IDI.name).toString("hex")}`;

/** A server that has asked for the identity, or – with a method – has been told it and has begun. */
function serverAt(method?: EapMethod): EapServer {
  const config = eapServerConfig({ methods: method ? [method, "md5"] : ["md5"], tls: TLS });
  const { state } = beginEapServer(config, EAP_IDI, ctx);
  return method ? serveEap(state, packet(2, state.identifier, `01${NAMES}`), ctx).state : state;
}

function peerAt(methods: readonly EapMethod[] = ["mschapv2", "md5", "gtc", "tls"]): EapPeer {
  return beginEapPeer(eapPeerConfig({ methods, tls: TLS }), { serverProven: true });
}

const CHALLENGE = `1a 01 07 0015 10 ${"c1".repeat(16)}`;

/** A server's refusal always comes with EAP-Failure, and nothing it keeps goes on. */
function expectRefused(step: EapStep<EapServer>, code: string, text?: RegExp): void {
  expect(step.failed).toMatchObject({ code, ...(text && { message: expect.stringMatching(text) }) });
  expect(step.send?.code).toBe(4);
  expect([step.done, step.wait]).toEqual([undefined, undefined]);
  expect(serveEap(step.state, packet(2, step.state.identifier, "0400"), ctx).failed?.code).toBe("ike/eap-unexpected");
}

describe("a server of EAP refuses", () => {
  it.each([
    ["a request", (s: EapServer) => packet(1, s.identifier, "0161"), "ike/eap-unexpected"],
    ["success", (s: EapServer) => packet(3, s.identifier), "ike/eap-unexpected"],
    ["the answer to another request", (s: EapServer) => packet(2, s.identifier ^ 1, "0161"), "ike/eap-unexpected"],
    ["a method instead of the identity", (s: EapServer) => packet(2, s.identifier, "0400"), "ike/eap-unexpected"],
    ["a Nak of the identity", (s: EapServer) => packet(2, s.identifier, "0304"), "ike/eap-unexpected"],
    ["no identity", (s: EapServer) => packet(2, s.identifier, "01"), "ike/eap-malformed"],
    ["an identity that is no UTF-8", (s: EapServer) => packet(2, s.identifier, "01ff80"), "ike/eap-malformed"],
    ["one with control characters", (s: EapServer) => packet(2, s.identifier, "01610a62"), "ike/eap-malformed"],
    ["one of 1,025 octets", (s: EapServer) => packet(2, s.identifier, `01${"61".repeat(1025)}`), "ike/eap-malformed"],
    ["a packet of 5,000", (s: EapServer) => packet(2, s.identifier, "61".repeat(5000)), "ike/eap-oversize"],
  ])("%s at the beginning", (_what, make, code) => {
    const state = serverAt();
    expectRefused(serveEap(state, make(state), ctx), code);
  });

  it.each<[string, EapMethod, string, string]>([
    ["a second identity", "md5", "0161", "ike/eap-unexpected"],
    ["another method's answer", "mschapv2", `04 10 ${"00".repeat(16)}`, "ike/eap-unexpected"],
    ["an expanded Nak", "md5", "fe 000000 00000003", "ike/eap-unexpected"],
    ["a Nak for what we do not do", "mschapv2", "03 12", "ike/eap-no-method"],
    ["a Nak for nothing", "mschapv2", "03 00", "ike/eap-no-method"],
    ["MD5: no value", "md5", "04", "ike/eap-malformed"],
    ["MD5: a short value", "md5", "04 10 0011", "ike/eap-malformed"],
    ["MD5: another size", "md5", `04 11 ${"00".repeat(17)}`, "ike/eap-malformed"],
    ["GTC: nothing", "gtc", "06", "ike/eap-malformed"],
    ["GTC: 1,025 octets", "gtc", `06${"61".repeat(1025)}`, "ike/eap-malformed"],
    ["MSCHAPv2: success of its own", "mschapv2", "1a 03", "ike/eap-malformed"],
    ["MSCHAPv2: success in full", "mschapv2", "1a 03 00 0004", "ike/eap-unexpected"],
    ["MSCHAPv2: a wrong length", "mschapv2", "1a 02 00 00ff 31", "ike/eap-malformed"],
    ["MSCHAPv2: a change of password", "mschapv2", "1a 07 00 0004", "ike/eap-unexpected"],
    ["TLS: no flags", "tls", "0d", "ike/eap-malformed"],
    ["TLS: a start", "tls", "0d 20", "ike/eap-malformed"],
    ["TLS: nothing", "tls", "0d 00", "ike/eap-malformed"],
    ["TLS: fragments of no length", "tls", "0d 40 1603", "ike/eap-malformed"],
    ["TLS: more than it said", "tls", "0d 80 00000001 1603", "ike/eap-oversize"],
    ["TLS: less than it said", "tls", "0d 80 00000003 1603", "ike/eap-malformed"],
    ["TLS: a message of 64 KiB and one", "tls", "0d c0 00010001 16", "ike/eap-oversize"],
    ["TLS: half a length", "tls", "0d 80 0000", "ike/eap-malformed"],
  ])("%s", (_what, method, hex, code) => {
    const state = serverAt(method);
    expectRefused(serveEap(state, packet(2, state.identifier, hex), ctx), code);
  });

  it("a Nak once the method is under way", () => {
    const begun = serverAt("tls");
    const { state, send } = serveEap(begun, packet(2, begun.identifier, "0d c0 00000004 16"), ctx);
    expect(send?.data).toEqual(octets("0d 00"));
    expectRefused(serveEap(state, packet(2, state.identifier, "03 04"), ctx), "ike/eap-unexpected");
  });

  it("a length that changes, data beside our fragments, and a flight that grows for ever", () => {
    const begun = serverAt("tls");
    const { state } = serveEap(begun, packet(2, begun.identifier, "0d c0 00000004 16"), ctx);
    expectRefused(serveEap(state, packet(2, state.identifier, "0d c0 00000005 16"), ctx), "ike/eap-malformed");
    const { state: waiting, wait } = serveEap(begun, packet(2, begun.identifier, "0d 00 16"), ctx);
    expect(wait).toMatchObject({ kind: "eap-tls", open: { role: "server", prove: EAP_IDI } });
    expectRefused(serveEap(waiting, packet(2, waiting.identifier, "0d 00"), ctx), "ike/eap-unexpected");
    const { state: sending } = resumeEapServer(waiting, { output: new Uint8Array(5000) });
    expectRefused(serveEap(sending, packet(2, sending.identifier, "0d 00 16"), ctx), "ike/eap-unexpected");
    let step: EapStep<EapServer> = { state: begun };
    let rounds = 0;
    while (!step.failed) {
      const hex = rounds++ === 0 ? "0d c0 00010000 16" : "0d 40 16";
      step = serveEap(step.state, packet(2, step.state.identifier, hex), ctx);
    }
    expectRefused(step, "ike/eap-oversize", /200 requests/);
    expect(rounds).toBeLessThan(202);
  });

  it("a result of TLS that nobody asked for, and one that says nothing", () => {
    const begun = serverAt("tls");
    expectRefused(resumeEapServer(begun, { output: new Uint8Array() }), "ike/eap-unexpected");
    const { state } = serveEap(begun, packet(2, begun.identifier, "0d 00 16"), ctx);
    expectRefused(resumeEapServer(state, { output: new Uint8Array() }), "ike/eap-unexpected");
    expectRefused(resumeEapServer(state, { code: "x/y", message: "no" }), "ike/eap-tls", /no/);
  });

  it("the password of another user, however right it is", async () => {
    const { server } = await converseByEap({
      server: eapServerConfig({ methods: ["mschapv2"] }),
      peer: eapPeerConfig({ identity: "bob", password: utf8("pass of bob") }),
      meddle: (p, index) => (index === 1 ? { ...p, data: utf8(`\u0001${EAP_IDI.name}`) } : p),
    });
    expect(server.failed?.code).toBe("ike/eap-credentials");
  });
});

describe("a peer of EAP refuses", () => {
  const begin = (hex: string, peer = peerAt()) => answerEap(peer, packet(1, 9, hex), ctx);

  it.each<[string, readonly EapPayload[], string]>([
    ["success before anything", [packet(3, 0)], "ike/eap-unexpected"],
    ["success after the identity", [packet(1, 0, "01"), packet(3, 0)], "ike/eap-unexpected"],
    ["success before the server's proof", [packet(1, 0, CHALLENGE), packet(3, 0)], "ike/eap-unexpected"],
    ["a forged proof", [packet(1, 0, CHALLENGE), packet(1, 1, proof("00"))], "ike/eap-server-unproven"],
    ["a proof that is none", [packet(1, 0, CHALLENGE), packet(1, 1, proof("xy"))], "ike/eap-malformed"],
    ["a proof without a challenge", [packet(1, 1, proof("00"))], "ike/eap-unexpected"],
    ["a second challenge", [packet(1, 0, CHALLENGE), packet(1, 1, CHALLENGE)], "ike/eap-unexpected"],
    ["a second method", [packet(1, 0, CHALLENGE), packet(1, 1, "04 01 00")], "ike/eap-unexpected"],
    ["the identity within a method", [packet(1, 0, CHALLENGE), packet(1, 1, "01")], "ike/eap-unexpected"],
    ["two hashes of its password", [packet(1, 0, "04 01 00"), packet(1, 1, "04 01 01")], "ike/eap-unexpected"],
    ["an empty challenge", [packet(1, 0, "04 00")], "ike/eap-malformed"],
    ["to tell its password twice", [packet(1, 0, "06"), packet(1, 1, "06")], "ike/eap-unexpected"],
    ["a request for Nak", [packet(1, 0, "03")], "ike/eap-unexpected"],
    ["a response", [packet(2, 0, "01")], "ike/eap-unexpected"],
    ["TLS without a start", [packet(1, 0, "0d 00 16")], "ike/eap-unexpected"],
    ["a request of 5,000 octets", [packet(1, 0, "01".repeat(5000))], "ike/eap-oversize"],
    ["failure", [packet(4, 0)], "ike/eap-refused"],
  ])("%s", (_what, packets, code) => {
    let step: EapStep<EapPeer> = { state: peerAt() };
    for (const p of packets) step = answerEap(step.state, p, ctx);
    expect(step).toMatchObject({ failed: { code }, state: { at: "over", proven: undefined } });
    expect(step.done).toBeUndefined();
    expect(answerEap(step.state, packet(3, 0), ctx).done).toBeUndefined();
  });

  it("names itself and its methods when the server refuses", () => {
    expect(answerEap(begin(CHALLENGE).state, packet(4, 9), ctx).failed?.facts).toEqual({
      ours: `${EAP_IDI.name} by EAP-MSCHAPv2`,
      theirs: "EAP-Failure",
    });
  });

  it("success while TLS is under way, and a result that nobody asked for", () => {
    const { state, wait } = begin("0d 20");
    expect(wait).toMatchObject({ open: { role: "peer" }, input: new Uint8Array() });
    expect(answerEap(state, packet(3, 9), ctx).failed?.code).toBe("ike/eap-unexpected");
    const sent = resumeEapPeer(state, { output: octets("16") });
    expect(sent.send?.data).toEqual(octets("0d 00 16"));
    expect(answerEap(sent.state, packet(3, 9), ctx).failed?.code).toBe("ike/eap-unexpected");
    expect(resumeEapPeer(sent.state, { output: octets("16") }).failed?.code).toBe("ike/eap-unexpected");
  });

  it("a server without end", () => {
    let step: EapStep<EapPeer> = { state: peerAt() };
    for (let i = 0; !step.failed && i < 300; i++) step = answerEap(step.state, packet(1, i & 0xff, "02 48 69"), ctx);
    expect(step.failed).toMatchObject({ code: "ike/eap-oversize", message: expect.stringContaining("200") });
  });

  it("answers a notification, an unknown method and an expanded one as RFC 3748 says", () => {
    expect(begin("02 48 69").send).toEqual(packet(2, 9, "02"));
    expect(begin("12").send).toEqual(packet(2, 9, "03 1a 04 06 0d"));
    expect(begin("fe 000000 0000000d", peerAt(["md5"])).send).toEqual(packet(2, 9, "03 04"));
  });
});

/** EAP-MSCHAPv2's success with a proof of 20 octets `by`. */
function proof(by: string): string {
  const text = `S=${by.repeat(20).toUpperCase()} M=OK`;
  const length = (4 + text.length).toString(16).padStart(4, "0");
  return `1a 03 07 ${length} ${Buffer.from(text).toString("hex")}`;
}

describe("whatever comes", () => {
  const methods = ["md5", "gtc", "mschapv2", "tls"] as const;
  const hostile = fc.record({
    kind: fc.constant("EAP" as const),
    code: fc.constantFrom(1, 2, 2, 2, 3, 4),
    identifier: fc.nat(255),
    data: fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc
        .tuple(fc.constantFrom(1, 2, 3, 4, 6, 13, 26, 254), fc.uint8Array({ maxLength: 80 }))
        .map(([type, rest]) => Uint8Array.of(type, ...rest)),
    ),
  });

  it("a server never throws, never succeeds without the password, and ends with its first refusal", () => {
    fc.assert(
      fc.property(fc.constantFrom(undefined, ...methods), fc.array(hostile, { maxLength: 8 }), (method, packets) => {
        let state = serverAt(method);
        for (const p of packets) {
          const step = serveEap(state, { ...p, identifier: p.code === 2 ? state.identifier : p.identifier }, ctx);
          expect(step.done).toBeUndefined();
          if (step.failed) expect(step.state.at).toBe("over");
          state = step.wait ? resumeEapServer(step.state, { output: octets("16") }).state : step.state;
        }
      }),
      { numRuns: 500 },
    );
  });

  it("a peer never throws, and takes success only once it has proven itself", () => {
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 8 }), (packets) => {
        let state = peerAt();
        for (const p of packets) {
          const step = answerEap(state, p, ctx);
          if (step.done) expect(["md5", "gtc"]).toContain(step.done.method);
          if (step.done) expect(p.code).toBe(3);
          state = step.wait ? resumeEapPeer(step.state, { output: octets("16") }).state : step.state;
        }
      }),
      { numRuns: 500 },
    );
  });
});
