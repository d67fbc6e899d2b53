import { Prefix } from "@sallyport/base";
import { type EapMethod, type EapPeerConfig, type EapServerConfig } from "@sallyport/ike";
import fc from "fast-check";
import { disagreements } from "./agreement.js";
import { configOf, peerOf } from "./configs.js";
import { CA, ID_A, ID_B, Keys, lab, USERS, utf8 } from "./eap-lab.spec-helper.js";
import { trusting } from "./sim-keys.js";
import { pair } from "./simulation.js";

describe("EAP (RFC 7296 §2.16)", () => {
  test.each<EapMethod>(["md5", "gtc", "mschapv2", "tls"])(
    "%s proves the client after the gateway's certificate",
    (method) => {
      const { sim, keys, a, b } = lab({ method });
      sim.run(1);
      expect(disagreements(a, b)).toEqual([]);
      expect(b.established()[0]).toMatchObject({ remoteId: "a.example", user: "alice" });
      expect(a.established()[0]).toMatchObject({ remoteId: "b.example", remoteCertificate: "b.example" });
      expect(keys.open.size).toBe(0);
    },
  );

  test("any method in bad weather, and a slow runner", () => {
    fc.assert(
      fc.property(fc.constantFrom<EapMethod>("md5", "gtc", "mschapv2", "tls"), fc.nat(40), (method, delay) => {
        const { sim, a, b } = lab({ method });
        a.cryptoDelay = delay;
        b.cryptoDelay = 40 - delay;
        sim.faults({ loss: 0.2, duplication: 0.2, delay: 10, jitter: 60 });
        sim.run(150);
        sim.faults({ loss: 0, duplication: 0, delay: 10, jitter: 0 });
        sim.run(90);
        expect(disagreements(a, b)).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });

  test("a client that does not trust the gateway says so, and leaves nothing half open", () => {
    const { sim, a, b } = lab({ a: { remoteAuth: [trusting(ID_B, "another root")] } });
    sim.run(1);
    expect(a.of("negotiation-failed")[0]?.error.code).toBe("sim/untrusted");
    expect(b.of("auth-failed")[0]?.error).toMatchObject({
      message: "the peer does not trust this end",
      theirs: "AUTHENTICATION_FAILED",
      exchange: "INFORMATIONAL",
    });
    expect(b.engine.status().halfOpen).toBe(0);
    expect([...a.established(), ...b.established()]).toEqual([]);
  });

  test("the user is who IDi says when the gateway does not ask (EAP-08)", () => {
    const email = { type: "email", name: "alice" } as const;
    const { sim, a, b } = lab({
      server: { identity: "ike" },
      a: {
        localAuth: [
          {
            method: "eap",
            identity: email,
            eap: { methods: ["md5"], identity: "alice", password: utf8.encode("wonderland") },
          },
        ],
      },
      method: "md5",
    });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("EAP as the second round (RFC 4739)", () => {
    const keys = new Keys();
    const eap: EapPeerConfig = { methods: ["md5"], identity: "bob", password: utf8.encode("builder") };
    const server: EapServerConfig = { methods: ["md5"], identity: "ask", users: "people" };
    const user = { type: "email", name: "bob@example.org" } as const;
    const { sim, a, b } = pair({
      keys,
      a: configOf(
        peerOf("a", {
          localAuth: [keys.issue(CA, ID_A), { method: "eap", identity: user, eap }],
          remoteAuth: [trusting(ID_B, CA)],
        }),
      ),
      b: {
        ...configOf(
          peerOf("b", {
            localAuth: [keys.issue(CA, ID_B)],
            remoteAuth: [trusting(ID_A, CA), { method: "eap", identity: { match: "any" }, eap: server }],
          }),
        ),
        eapUsers: USERS,
      },
    });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(b.established()[0]).toMatchObject({
      remoteCertificate: "a.example",
      remoteId: "bob@example.org",
      user: "bob",
    });
  });

  test("a wrong password: EAP-Failure, both ends say so, nothing stands", () => {
    const { sim, a, b } = lab({ client: { password: utf8.encode("looking glass") } });
    sim.run(1);
    expect(b.peer("a")?.lastError).toMatchObject({ code: "ike/eap-credentials", exchange: "IKE_AUTH" });
    expect(a.of("auth-failed")[0]?.error.code).toMatch(/^ike\/eap/);
    expect([...a.established(), ...b.established()]).toEqual([]);
    sim.run(60);
    expect(b.dataPlane.inbound()).toEqual([]);
    expect(JSON.stringify([a.events, b.events], (_, v) => (typeof v === "bigint" ? String(v) : v))).not.toMatch(
      /wonderland|looking/,
    );
  });

  test("configurations of one address are told apart by the user (IDENT-14)", () => {
    const { sim, a, b, ofB, served } = lab({ client: { identity: "bob", password: utf8.encode("builder") } });
    const [round] = ofB.remoteAuth;
    if (round.method !== "eap") throw new Error("EAP is wanted");
    const anywhere = { endpoint: undefined, accept: [Prefix.any(4)] };
    b.configure(
      served(
        { ...ofB, id: "alices", remote: anywhere, remoteAuth: [{ ...round, user: "alice" }] },
        { ...ofB, id: "a", remote: anywhere, remoteAuth: [{ ...round, user: "*ob" }] },
      ),
    );
    sim.run(3);
    expect(disagreements(a, b)).toEqual([]);
    b.configure(served({ ...ofB, id: "alices", remote: anywhere, remoteAuth: [{ ...round, user: "alice" }] }));
    sim.run(5);
    expect(b.established()).toEqual([]);
    expect(b.of("auth-failed").at(-1)?.error).toMatchObject({ code: "ike/identity-mismatch", ours: "alice" });
  });

  test.each([
    ["client's", 2],
    ["gateway's", 3],
  ] as const)("the %s TLS session is closed in the runner when its IKE SA is dropped", (_, last) => {
    const { sim, keys, a, b } = lab({ method: "tls" });
    let toB = 0;
    sim.network.taps.push((packet) => (packet.to.address.equals(b.address) && ++toB > last ? undefined : packet));
    sim.run(1);
    expect(keys.open.size).toBe(1);
    sim.run(200);
    a.command({ command: "terminate", peer: "b" });
    sim.run(60);
    expect([...keys.open]).toEqual([]);
    expect(b.engine.sizes().ikeSas).toBe(0);
  });
});

describe("EAP alone (RFC 5998)", () => {
  test("EAP-TLS proves both ends", () => {
    const { sim, a, b } = lab({ method: "tls", alone: true });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
  });

  test.each<EapMethod>(["md5", "gtc", "mschapv2"])(
    "%s does not prove a gateway: the client sends nothing to it",
    (method) => {
      const { sim, a, b } = lab({ method, alone: true });
      sim.run(1);
      expect([...a.established(), ...b.established()]).toEqual([]);
      expect(b.peer("a")?.lastError).toMatchObject({ code: "ike/not-configured", ours: method });
    },
  );

  test("a client that wants a certificate gives a gateway without one nothing", () => {
    const { sim, a, b } = lab({ method: "tls", alone: true, a: { remoteAuth: [trusting(ID_B, CA)] } });
    sim.run(1);
    expect([...a.established(), ...b.established()]).toEqual([]);
    expect(b.of("auth-failed")[0]?.error).toMatchObject({ ours: "EAP alone (RFC 5998)" });
  });

  test("a client refuses a gateway that fails in EAP-TLS", () => {
    const { sim, keys, a, b } = lab({ method: "tls", alone: true });
    keys.refuses = true;
    sim.run(1);
    expect([...a.established(), ...b.established()]).toEqual([]);
    expect(a.of("auth-failed")[0]?.error).toMatchObject({ code: "ike/eap-tls", exchange: "IKE_AUTH" });
  });
});

describe("a certificate and then EAP (RFC 4739)", () => {
  const anywhere = { endpoint: undefined, accept: [Prefix.any(4)] };

  /** A gateway that wants both, and a client that shows `name`'s certificate and knows alice's password, or one of them alone. */
  function both(name: string, shows: "both" | "certificate" | "password" = "both") {
    const all = lab();
    const { a, b, keys, ofA, ofB, served } = all;
    const [password] = ofA.localAuth;
    const [round] = ofB.remoteAuth;
    if (round.method !== "eap") throw new Error("EAP is wanted");
    const certificate = keys.issue(CA, { type: "fqdn", name });
    const localAuth = { both: [certificate, password], certificate: [certificate], password: [password] } as const;
    a.configure(configOf({ ...ofA, localAuth: localAuth[shows] }));
    const first = { ...trusting({ type: "fqdn", name }, CA), identity: { match: "any" } } as const;
    const remoteAuth = [first, { ...round, samePerson: true }] as const;
    b.configure(served({ ...ofB, remote: anywhere, remoteAuth }));
    // What the lab's own client has begun ends meanwhile.
    all.sim.run(60);
    return all;
  }

  test("lets in who proves the same name by both", () => {
    const { a, b } = both("alice");
    expect(disagreements(a, b)).toEqual([]);
    expect(b.established()[0]).toMatchObject({ user: "alice", remoteCertificate: "alice" });
  });

  test("lets nobody in with one person's certificate and another's password", () => {
    const { a, b } = both("bob");
    expect([...a.established(), ...b.established()]).toEqual([]);
    expect(b.of("auth-failed").at(-1)).toMatchObject({
      error: { code: "ike/identity-mismatch", ours: "bob" },
      refused: "alice",
    });
    expect(b.dataPlane.inbound()).toEqual([]);
  });

  test.each(["certificate", "password"] as const)("lets nobody in with the %s alone", (shows) => {
    const { a, b } = both("alice", shows);
    expect([...a.established(), ...b.established()]).toEqual([]);
    expect(b.of("auth-failed").at(-1)?.error.code).toBe("ike/authentication-failed");
    expect(b.dataPlane.inbound()).toEqual([]);
  });
});
