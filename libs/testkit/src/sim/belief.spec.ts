import { createHash } from "node:crypto";
import type { LocalAuth, PeerConfig, RemoteAuth } from "@sallyport/ike";
import { disagreements } from "./agreement.js";
import { configOf, peerOf } from "./configs.js";
import { SimKeys, trusting } from "./sim-keys.js";
import { pair } from "./simulation.js";

const utf8 = new TextEncoder();
const [OLD, YOUNG, OTHER] = ["a secret of some length", "the next secret", "nobody's"].map((t) => utf8.encode(t)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

function shows(mine: "a" | "b", secret: Uint8Array): Pick<PeerConfig, "localAuth"> {
  return { localAuth: [{ ...peerOf(mine).localAuth[0], secret } as LocalAuth] };
}

function takes(mine: "a" | "b", ...secrets: Uint8Array[]): Pick<PeerConfig, "remoteAuth"> {
  return { remoteAuth: [{ ...peerOf(mine).remoteAuth[0], secrets } as RemoteAuth] };
}

describe("a pre-shared key that is not accepted any more", () => {
  test.each(["a", "b"] as const)("ends the IKE SA that rests on it, where %s takes it back", (at) => {
    const { sim, a, b } = pair();
    sim.run(1);
    const [here, there] = at === "a" ? [a, b] : [b, a];
    const spi = here.dataPlane.inbound()[0]?.spi;
    here.configure(configOf(peerOf(at, takes(at, YOUNG))));
    // At once, whether the other end answers or not; and nothing leaves in clear.
    expect(here.dataPlane.sas.size).toBe(0);
    expect(here.dataPlane.policies.size).toBe(at === "a" ? 3 : 0);
    sim.run(20);
    expect(here.of("ike-down").map((e) => e.reason)).toEqual(["distrusted"]);
    expect(here.established()).toEqual([]);
    there.configure(configOf(peerOf(at === "a" ? "b" : "a", shows(at === "a" ? "b" : "a", YOUNG))));
    sim.run(90);
    expect(disagreements(a, b)).toEqual([]);
    expect(here.dataPlane.inbound()[0]?.spi).not.toBe(spi);
  });

  test("leaves IKE SAs alone that rest on another one", () => {
    const { sim, a, b } = pair({ b: configOf(peerOf("b", takes("b", OTHER, OLD))) });
    sim.run(1);
    b.configure(configOf(peerOf("b", takes("b", OLD, YOUNG))));
    a.command({ command: "rekey-ike", peer: "b" });
    sim.run(5);
    b.configure(configOf(peerOf("b", takes("b", OLD))));
    sim.run(5);
    expect(a.of("ike-down").filter((e) => e.reason !== "replaced")).toEqual([]);
    b.configure(configOf(peerOf("b", takes("b", YOUNG))));
    expect(b.dataPlane.sas.size).toBe(0);
  });

  test("a rotation in steps ends no IKE SA before the old one is retired, and none that has moved on", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    b.configure(configOf(peerOf("b", takes("b", OLD, YOUNG))));
    a.configure(configOf(peerOf("a", shows("a", YOUNG))));
    sim.run(5);
    expect(a.of("ike-down")).toEqual([]);
    a.command({ command: "terminate", peer: "b" });
    sim.run(1);
    a.command({ command: "initiate", peer: "b" });
    sim.run(1);
    b.configure(configOf(peerOf("b", takes("b", YOUNG))));
    sim.run(20);
    expect(a.of("ike-down").map((e) => e.reason)).toEqual(["deleted-locally"]);
    expect(disagreements(a, b)).toEqual([]);
  });

  test.each([5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60])(
    "%i ms into a handshake leaves no IKE SA that rests on it",
    (ms) => {
      const { sim, a, b } = pair();
      b.cryptoDelay = b.dataPlaneDelay = 10;
      sim.run(ms / 1000);
      b.configure(configOf(peerOf("b", takes("b", YOUNG))));
      sim.run(20);
      expect(b.established()).toEqual([]);
      expect(b.dataPlane.sas.size).toBe(0);
      expect(a.established()).toEqual([]);
    },
  );
});

describe("certificates", () => {
  const keys = new SimKeys();
  const identity = (name: string) => ({ type: "fqdn", name }) as const;
  const own = (mine: "a" | "b", issuer: string) => keys.issue(issuer, identity(`${mine}.example`));
  const ends = (mine: "a" | "b", local: LocalAuth, ...issuers: string[]) =>
    configOf(
      peerOf(mine, {
        localAuth: [local],
        remoteAuth: [trusting(identity(`${mine === "a" ? "b" : "a"}.example`), ...issuers)],
      }),
    );
  const locals = { a: own("a", "root"), b: own("b", "root") };
  const made = () => pair({ keys, a: ends("a", locals.a, "root"), b: ends("b", locals.b, "root", "other") });

  test("of a CA that is trusted no more end their IKE SAs; other CAs come and go without a trace", () => {
    const { sim, a, b } = made();
    sim.run(1);
    b.configure(ends("b", locals.b, "root", "third"));
    b.configure(ends("b", locals.b, "root"));
    sim.run(5);
    expect(a.of("ike-down").concat(b.of("ike-down"))).toEqual([]);
    b.configure(ends("b", locals.b, "third"));
    expect(b.dataPlane.sas.size).toBe(0);
    sim.run(5);
    expect(b.of("ike-down")[0]?.reason).toBe("distrusted");
    a.configure(ends("a", own("a", "third"), "root"));
    sim.run(90);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("a new certificate and key of this end count from the next authentication on (CERT-10)", () => {
    const { sim, a, b } = made();
    sim.run(1);
    a.configure(ends("a", own("a", "other"), "root"));
    sim.run(5);
    expect(a.of("ike-down")).toEqual([]);
    a.command({ command: "terminate", peer: "b" });
    sim.run(1);
    a.command({ command: "initiate", peer: "b" });
    sim.run(1);
    b.configure(ends("b", locals.b, "other"));
    sim.run(20);
    expect(b.of("ike-down").map((e) => e.reason)).toEqual(["deleted-by-peer"]);
    expect(disagreements(a, b)).toEqual([]);
  });

  describe("that are known by themselves", () => {
    const pinOf = (auth: LocalAuth) => {
      const der = auth.method === "certificate" ? auth.credentials[0].chain[0] : undefined;
      return createHash("sha256")
        .update(der ?? "")
        .digest();
    };
    const pinning = (...pinned: Uint8Array[]): PeerConfig["remoteAuth"] => [
      { ...trusting(identity("a.example"), "root"), pinned } as RemoteAuth,
    ];
    const b = (remoteAuth: PeerConfig["remoteAuth"]) => configOf(peerOf("b", { localAuth: [locals.b], remoteAuth }));
    const [own, next] = [pinOf(locals.a), pinOf(keys.issue("root", identity("a.example")))];
    const up = (remoteAuth: PeerConfig["remoteAuth"]) => {
      const made = pair({ keys, a: ends("a", locals.a, "root"), b: b(remoteAuth) });
      made.sim.run(1);
      expect(made.b.established()).toHaveLength(1);
      return made;
    };

    test("end their IKE SAs as soon as they are taken off the list, and not before", () => {
      const { sim, b: here } = up(pinning(own));
      here.configure(b(pinning(next, own)));
      here.configure(b(pinning(own)));
      sim.run(5);
      expect(here.of("ike-down")).toEqual([]);
      here.configure(b(pinning(next)));
      expect(here.dataPlane.sas.size).toBe(0);
      sim.run(60);
      expect(here.of("ike-down")[0]?.reason).toBe("distrusted");
      expect(here.established()).toEqual([]);
    });

    test("prove themselves anew when a CA is to vouch for them, and need none once they are on the list", () => {
      const { sim, b: here } = up(pinning(own));
      here.configure(b([trusting(identity("a.example"), "root")]));
      expect(here.dataPlane.sas.size).toBe(0);
      sim.run(90);
      expect(here.established()).toHaveLength(1);
      here.configure(b(pinning(own)));
      sim.run(2);
      expect(here.of("ike-down").map((e) => e.reason)).toEqual(["distrusted"]);
    });
  });
});
