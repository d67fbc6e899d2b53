import type { EapMethod, PeerConfig, PpkConfig } from "@sallyport/ike";
import fc from "fast-check";
import { disagreements } from "./agreement.js";
import { configOf, peerOf } from "./configs.js";
import { SimKeys, trusting } from "./sim-keys.js";
import { pair } from "./simulation.js";

const utf8 = new TextEncoder();
const ppk = (id: string, required: boolean, secret = `the secret of ${id}`): PpkConfig => ({
  id: utf8.encode(id),
  secret: utf8.encode(secret),
  required,
});
const fqdn = (name: string) => ({ type: "fqdn", name }) as const;

type Way = "psk" | "certificate" | EapMethod;

/** How `a` proves itself; `b` does by its PSK or certificate. */
function lab(way: Way, a: PpkConfig | undefined, b: PpkConfig | undefined) {
  const keys = new SimKeys();
  const password = utf8.encode("wonderland");
  const eapUsers = new Map([["people", new Map([["alice", password]])]]);
  let ofA: Partial<PeerConfig> = {};
  let ofB: Partial<PeerConfig> = {};
  if (way !== "psk") {
    const own = keys.issue("root", fqdn("b.example"));
    ofA = { localAuth: [keys.issue("root", fqdn("a.example"))], remoteAuth: [trusting(fqdn("b.example"), "root")] };
    ofB = { localAuth: [own], remoteAuth: [trusting(fqdn("a.example"), "root")] };
  }
  if (way !== "psk" && way !== "certificate") {
    const eap = { methods: [way], identity: "alice", password };
    const server = { methods: [way], identity: "ask", users: "people" } as const;
    ofA = { ...ofA, localAuth: [{ method: "eap", identity: fqdn("a.example"), eap }] };
    ofB = { ...ofB, remoteAuth: [{ method: "eap", identity: { match: "any" }, eap: server }] };
  }
  return pair({
    keys,
    a: configOf(peerOf("a", { ...ofA, ...(a && { ppk: a }) })),
    b: { ...configOf(peerOf("b", { ...ofB, ...(b && { ppk: b }) })), eapUsers },
  });
}

const WAYS: Way[] = ["psk", "certificate", "md5", "mschapv2"];

describe.each(WAYS)("a PPK beside %s (RFC 8784)", (way) => {
  const up = (a: PpkConfig | undefined, b: PpkConfig | undefined, used: string | undefined) => {
    const { sim, a: one, b: other } = lab(way, a, b);
    sim.run(1);
    expect(disagreements(one, other)).toEqual([]);
    expect([one.established()[0]?.ppk, other.established()[0]?.ppk]).toEqual([used, used]);
    return { sim, one, other };
  };

  test.each([
    ["required at both ends", true, true],
    ["optional for the initiator", false, true],
    ["optional for the responder", true, false],
    ["optional", false, false],
  ])("%s: it is in the keys", (_, a, b) => {
    const { sim, one, other } = up(ppk("x", a), ppk("x", b), "x");
    one.command({ command: "rekey-ike", peer: "b" });
    one.command({ command: "rekey-child", peer: "b", child: "net" });
    sim.run(20);
    expect(disagreements(one, other)).toEqual([]);
    expect(one.established()[0]?.ppk).toBe("x");
  });

  test("another one at the other end, and optional: both do without", () => {
    up(ppk("x", false), ppk("y", false), undefined);
  });

  test("one end alone has one, and does not insist", () => {
    up(ppk("x", false), undefined, undefined);
    up(undefined, ppk("x", false), undefined);
  });

  test.each([
    ["the initiator's is required, the responder has none", ppk("x", true), undefined, "a", "no PPK"],
    ["the responder's is required, the initiator has none", undefined, ppk("x", true), "b", "no PPK"],
    ["both required, of other names", ppk("x", true), ppk("y", true), "b", "PPK x, required"],
    ["the responder requires another", ppk("x", false), ppk("y", true), "b", "PPK x"],
    ["the initiator requires another", ppk("x", true), ppk("y", false), "b", "PPK x, required"],
  ] as const)("refused: %s", (_, a, b, who, theirs) => {
    const { sim, a: one, b: other } = lab(way, a, b);
    sim.run(1);
    expect([...one.established(), ...other.established()]).toEqual([]);
    const error = (who === "a" ? one : other).of("auth-failed")[0]?.error ?? one.of("negotiation-failed")[0]?.error;
    expect(error).toMatchObject({ code: "ike/ppk-mismatch", theirs: expect.stringContaining(theirs) });
    expect(JSON.stringify([error])).not.toContain("the secret of");
    sim.run(60);
    expect(other.dataPlane.inbound()).toEqual([]);
  });

  test("another secret under the same name is refused, optional or not", () => {
    const { sim, a, b } = lab(way, ppk("x", false), ppk("x", false, "another"));
    sim.run(1);
    expect([...a.established(), ...b.established()]).toEqual([]);
    expect(b.of("auth-failed").length).toBeGreaterThan(0);
  });

  test("in bad weather", () => {
    fc.assert(
      fc.property(fc.boolean(), fc.boolean(), fc.nat(30), (x, y, delay) => {
        const { sim, a, b } = lab(way, ppk("x", x), ppk("x", y));
        a.cryptoDelay = delay;
        sim.faults({ loss: 0.2, duplication: 0.2, delay: 10, jitter: 60 });
        sim.run(120);
        sim.faults({ loss: 0, duplication: 0, delay: 10, jitter: 0 });
        sim.run(60);
        expect(disagreements(a, b)).toEqual([]);
        expect(b.established()[0]?.ppk).toBe("x");
      }),
      { numRuns: 8 },
    );
  });
});
