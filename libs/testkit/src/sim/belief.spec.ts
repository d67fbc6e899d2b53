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
});
