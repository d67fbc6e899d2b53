import type { ModeConfig, PeerConfig, UserModeConfig } from "@sallyport/ike";
import { childOf, range } from "./configs.js";
import { gateway, ip, lab, person, text, virtual } from "./road-warrior.spec-helper.js";
import type { SimPeer } from "./sim-peer.js";

const ANN = "ann@example.org";
const BOB = "bob@example.org";
const user = (name: string, more: Partial<UserModeConfig> = {}): UserModeConfig => ({
  identity: { type: "email", name },
  ...more,
});
const only = (...users: UserModeConfig[]): Partial<ModeConfig> => ({ users, onlyUsers: true });
/** A caller that asks for everything. */
const GREEDY = { children: [childOf("a", { local: [], remote: [range("0.0.0.0/0"), range("::/0")] })] };
const reached = (peer: SimPeer) =>
  peer.established().map((sa) => sa.children.map((c) => c.remote.map((r) => `${r.first}-${r.last}`).join()).join("; "));
const people = (b: SimPeer) =>
  b
    .established()
    .map((sa) => sa.remoteId)
    .toSorted();

describe("a connection for its users alone", () => {
  it("refuses everybody else, whatever he proves", () => {
    const { sim, b, join } = lab(gateway({ mode: only(user(ANN)) }));
    const [ann, bob] = [join(ANN, "203.0.113.1"), join(BOB, "203.0.113.2")];
    sim.run(3);
    expect(people(b)).toEqual([ANN]);
    expect([ann, bob].map((p) => p.established().length)).toEqual([1, 0]);
    expect(bob.engine.status().peers[0]?.lastError?.code).toBe("ike/authentication-failed");
    expect(b.engine.status().peers[0]?.lastError).toMatchObject({
      code: "ike/not-a-user",
      theirs: expect.stringContaining(BOB),
    });
    expect(b.dataPlane.sas.size).toBe(2);
  });

  it("ends what belongs to who is taken off the list, at once, and nobody else's", () => {
    const { sim, b, join } = lab(gateway({ mode: only(user(ANN), user(BOB)) }));
    join(ANN, "203.0.113.1");
    const bob = join(BOB, "203.0.113.2");
    sim.run(3);
    expect(people(b)).toEqual([ANN, BOB]);
    b.configure(gateway({ mode: only(user(BOB)) }));
    expect(b.dataPlane.sas.size).toBe(2);
    sim.run(30);
    expect(people(b)).toEqual([BOB]);
    expect(bob.of("ike-down")).toEqual([]);
  });

  test.each([10, 20, 30, 40, 50, 60, 70, 80])("does so %i ms into a handshake too", (ms) => {
    const { sim, b, join } = lab(gateway({ mode: only(user(ANN)) }));
    b.cryptoDelay = b.dataPlaneDelay = 10;
    const ann = join(ANN, "203.0.113.1");
    sim.run(ms / 1000);
    b.configure(gateway({ mode: only(user(BOB)) }));
    sim.run(20);
    expect([...b.established(), ...ann.established()]).toEqual([]);
    expect(b.dataPlane.sas.size).toBe(0);
  });
});

describe("what a user reaches", () => {
  const limited = only(user(ANN, { reach: [range("10.2.7.0/24")] }), user(BOB));

  it("is cut from what the connection protects, whatever he asks for", () => {
    const { sim, join } = lab(gateway({ mode: limited }));
    const [ann, bob] = [join(ANN, "203.0.113.1", GREEDY), join(BOB, "203.0.113.2", GREEDY)];
    sim.run(3);
    expect(reached(ann)).toEqual(["10.2.7.0-10.2.7.255"]);
    expect(reached(bob)).toEqual(["0.0.0.0-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]);
  });

  it("stays over rekeys of both kinds, whoever begins", () => {
    const { sim, b, join } = lab(gateway({ mode: limited }));
    const ann = join(ANN, "203.0.113.1", GREEDY);
    sim.run(3);
    for (const [who, peer] of [[ann, "b"] as const, [b, "people"] as const]) {
      who.command({ command: "rekey-ike", peer });
      sim.run(15);
      who.command({ command: "rekey-child", peer, child: "net" });
      sim.run(15);
    }
    sim.run(80);
    expect(ann.of("child-rekeyed")).toHaveLength(2);
    expect(reached(ann)).toEqual(["10.2.7.0-10.2.7.255"]);
    const local = b.established().flatMap((sa) => sa.children.map((c) => `${c.local[0]?.first} ${c.local.length}`));
    expect(local).toEqual(["10.2.7.0 1"]);
  });

  it("refuses the CHILD SA where nothing of it is asked for", () => {
    const { sim, b, join } = lab(gateway({ mode: limited }));
    const ann = join(ANN, "203.0.113.1", { children: [childOf("a", { local: [], remote: [range("10.2.8.0/24")] })] });
    sim.run(1);
    expect(ann.established().flatMap((sa) => sa.children)).toEqual([]);
    expect(b.engine.status().peers[0]?.lastError).toMatchObject({ code: "ike/ts-unacceptable" });
  });

  it("ends a CHILD SA that reaches further than it should from now on, and the next one reaches no further", () => {
    const { sim, b, join } = lab(gateway({ mode: only(user(ANN), user(BOB)) }));
    const [ann, bob] = [join(ANN, "203.0.113.1", GREEDY), join(BOB, "203.0.113.2", GREEDY)];
    sim.run(3);
    const kept = b.established().find((sa) => sa.remoteId === BOB)?.children[0]?.spiIn;
    b.configure(gateway({ mode: limited }));
    sim.run(60);
    expect(reached(ann)).toEqual(["10.2.7.0-10.2.7.255"]);
    expect(bob.of("child-down")).toEqual([]);
    expect(b.established().find((sa) => sa.remoteId === BOB)?.children[0]?.spiIn).toBe(kept);
    // More than before is nothing to end it for.
    b.configure(gateway({ mode: only(user(ANN, { reach: [range("10.2.0.0/16")] }), user(BOB)) }));
    sim.run(5);
    expect(reached(ann)).toEqual(["10.2.7.0-10.2.7.255"]);
  });
});

describe("how many IKE SAs a user has at once", () => {
  const KEEP: Partial<PeerConfig> = { uniqueness: "keep" };
  const silent = { initialContact: false } as const;

  it("is said for each of them; the next one is refused", () => {
    const mode = only(user(ANN, { sas: 2, addresses: [ip("10.9.0.200")] }), user(BOB, { sas: 1 }));
    const { sim, b, join } = lab(gateway({ mode }, KEEP));
    const devices = [1, 2, 3].map((n) => join(ANN, `203.0.113.${n}`, silent));
    sim.run(2);
    join(BOB, "203.0.113.9", silent);
    sim.run(2);
    expect(people(b)).toEqual([ANN, ANN, BOB]);
    expect(devices.map((d) => d.established().length).toSorted()).toEqual([0, 1, 1]);
    // The address that is Ann's own goes to one device.
    const four = devices.flatMap((d) => text(virtual(d)?.local)[0] ?? []);
    expect(new Set(four).size).toBe(2);
    expect(four).toContain("10.9.0.200");
    expect(b.engine.status().peers[0]?.lastError).toMatchObject({ ours: "uniqueness keep, sasPerIdentity 2" });
  });
});

describe("whom the gateway refuses, as it tells", () => {
  const refusals = (b: SimPeer) =>
    [...b.of("auth-failed"), ...b.of("address-refused"), ...b.of("negotiation-failed")].map(
      ({ error, refused }) => `${error.code} ${refused}`,
    );

  it("is who is none of its users, and who has as many IKE SAs as he may", () => {
    const { sim, b, join } = lab(gateway({ mode: only(user(ANN, { sas: 1 })) }, { uniqueness: "keep" }));
    join(ANN, "203.0.113.1", { initialContact: false });
    sim.run(2);
    join(BOB, "203.0.113.2");
    sim.addPeer("second", "203.0.113.3").configure(person(ANN, "203.0.113.3", { initialContact: false }));
    sim.run(2);
    expect(new Set(refusals(b))).toEqual(new Set([`ike/not-a-user ${BOB}`, `ike/too-many-sas ${ANN}`]));
  });

  it("is who asks by name for an address that no pool of it has, or that is somebody else's, and gets another one", () => {
    const { sim, b, join } = lab(gateway({ mode: only(user(ANN), user(BOB)) }));
    const ann = join(ANN, "203.0.113.1");
    sim.run(3);
    const comesBackTo = (config: ReturnType<typeof gateway>) => {
      const had = text(virtual(ann)?.local)[0] as string;
      ann.command({ command: "terminate", peer: "b" });
      sim.run(15);
      b.configure(config);
      ann.command({ command: "initiate", peer: "b" });
      sim.run(15);
      const has = text(virtual(ann)?.local)[0];
      expect(has).toMatch(/^10\.9\.0\./);
      expect(has).not.toBe(had);
      return had;
    };
    const four = Number(text(virtual(ann)?.local)[0]?.split(".")[3]);
    comesBackTo(gateway({ mode: only(user(ANN), user(BOB)), last: `10.9.0.${four - 1}` }));
    expect(refusals(b)).toEqual([`ike/address-outside-pool ${ANN}`]);
    const mine = ip(text(virtual(ann)?.local)[0] as string);
    const taken = comesBackTo(gateway({ mode: only(user(ANN), user(BOB, { addresses: [mine] })) }));
    expect(refusals(b)).toEqual([`ike/address-outside-pool ${ANN}`, `ike/address-taken ${ANN}`]);
    expect(b.of("address-refused")[1]?.error).toMatchObject({ theirs: taken, ours: "pool four, pool six" });
    expect(b.of("auth-failed")).toEqual([]);
  });
});
