import { type Payload, payloadText } from "@sallyport/ike";
import { configOf, peerOf } from "./configs.js";
import { pair, Simulation } from "./simulation.js";

describe("a trace", () => {
  it("tells every message of the peer, both ways, and stops when it is told to", () => {
    const { sim, a, b } = pair();
    b.command({ command: "trace", peer: "a", on: true });
    sim.run(2);
    expect(b.traces.map(({ direction, lines }) => `${direction} ${lines[0]}`)).toEqual([
      "in IKE_SA_INIT request 0",
      "out IKE_SA_INIT response 0",
      "in IKE_AUTH request 1",
      "out IKE_AUTH response 1",
    ]);
    const [, , auth] = b.traces;
    expect(auth?.lines).toEqual(expect.arrayContaining(["IDi FQDN a.example", "AUTH SHARED_KEY, 32 octets"]));
    expect(auth?.lines.find((line) => line.startsWith("TSi"))).toBe("TSi 10.1.0.0-10.1.255.255");
    b.command({ command: "trace", peer: "a", on: false });
    a.command({ command: "rekey-ike", peer: "b" });
    sim.run(2);
    expect(b.traces).toHaveLength(4);
  });

  it("tells a request that is refused", () => {
    const { sim, b } = pair({ b: configOf(peerOf("b", { remoteAuth: peerOf("a").localAuth as never })) });
    b.command({ command: "trace", peer: "a", on: true });
    sim.run(0.5);
    expect(b.traces.at(-1)?.lines).toContain("N AUTHENTICATION_FAILED");
  });

  it("does not tell of other peers", () => {
    const sim = new Simulation();
    const b = sim.addPeer("b", "198.51.100.1");
    const a = sim.addPeer("a", "192.0.2.1");
    const other = peerOf("b", { id: "other", remote: { endpoint: undefined, accept: [] }, passive: true });
    b.configure(configOf(peerOf("b"), other));
    a.configure(configOf(peerOf("a")));
    b.command({ command: "trace", peer: "other", on: true });
    sim.run(2);
    expect(a.established()).toHaveLength(1);
    expect(b.traces).toEqual([]);
  });
});

describe("a payload in words", () => {
  it("shows no octet of a proof, a password or a nonce", () => {
    const secret = new TextEncoder().encode("\x06a password");
    const payloads: Payload[] = [
      { kind: "AUTH", method: 2, data: secret },
      { kind: "EAP", code: 2, identifier: 7, data: secret },
      { kind: "Nonce", data: secret },
      { kind: "KE", group: 31, data: secret },
    ];
    expect(payloads.map(payloadText)).toEqual([
      "AUTH SHARED_KEY, 11 octets",
      "EAP RESPONSE 7 type 6, 11 octets",
      "Nonce 11 octets",
      "KE CURVE25519, 11 octets",
    ]);
  });

  it("lets no peer write to the terminal", () => {
    const data = Uint8Array.of(0x1b, 0x5b, 0x33, 0x31, 0x6d);
    expect(payloadText({ kind: "IDi", idType: 11, data })).toBe("IDi KEY_ID \\u{1b}[31m");
  });
});
