import { IpAddress, Prefix } from "@sallyport/base";
import { type EapMethod, type EapServerConfig, type EapUsers, ntHash, type RemoteAuth } from "@sallyport/ike";
import { configOf } from "./configs.js";
import { CA, lab, TLS, USERS, utf8 } from "./eap-lab.spec-helper.js";
import { anchor } from "./sim-keys.js";

type Password = Exclude<EapMethod, "tls">;
const PASSWORDS: readonly Password[] = ["md5", "gtc", "mschapv2"];
const C = "203.0.113.7";

const people = (...changes: readonly (readonly [string, string | undefined])[]): ReadonlyMap<string, EapUsers> => {
  const set = new Map(USERS.get("people"));
  for (const [name, password] of changes) {
    if (password === undefined) set.delete(name);
    else set.set(name, utf8.encode(password));
  }
  return new Map([["people", set]]);
};

/** Gateway `b` with alice at `a` and bob at `c`. */
function staffed(method: EapMethod = "mschapv2") {
  const made = lab({ method, b: { passive: true, children: [] } });
  const { sim, b, ofA, ofB } = made;
  const everywhere = { ...ofB.remote, endpoint: undefined, accept: [Prefix.parse("0.0.0.0/0")] };
  const children = ofA.children.map((c) => ({ ...c, local: c.remote, remote: c.local, startAction: "none" as const }));
  const gateway = { ...ofB, remote: everywhere, children: children.map((c) => ({ ...c, level: "unique" as const })) };
  const config = (eap: Partial<EapServerConfig> = {}, users: ReadonlyMap<string, EapUsers> = USERS, user?: string) => {
    const remoteAuth = gateway.remoteAuth.map((round) =>
      round.method === "eap" && round.eap
        ? { ...round, eap: { ...round.eap, ...eap }, ...(user !== undefined && { user }) }
        : round,
    ) as unknown as readonly [RemoteAuth];
    return { ...configOf({ ...gateway, remoteAuth }), eapUsers: users };
  };
  b.configure(config());
  const c = sim.addPeer("c", C);
  const round = ofA.localAuth[0];
  if (round.method !== "eap" || !round.eap) throw new Error("no client of EAP");
  const bob = { ...round.eap, identity: "bob", password: utf8.encode("builder") };
  c.configure(
    configOf({
      ...ofA,
      local: { ...ofA.local, address: IpAddress.parse(C) },
      localAuth: [{ method: "eap", identity: { type: "fqdn", name: "c.example" }, eap: bob }],
    }),
  );
  sim.run(2);
  const users = () =>
    b
      .established()
      .map((sa) => sa.user)
      .toSorted();
  if (users().join() !== "alice,bob") throw new Error(`up: ${users()}`);
  return { ...made, c, config, users, bob: b.established().find((sa) => sa.user === "bob")?.spiInitiator };
}

describe("what a user of EAP rests on", () => {
  test.each(PASSWORDS)("%s: a user who is gone is out at once, and nobody else", (method) => {
    const { sim, b, c, config, users, bob } = staffed(method);
    b.configure(config({}, people(["alice", undefined])));
    expect(b.dataPlane.sas.size).toBe(2);
    sim.run(1);
    expect(users()).toEqual(["bob"]);
    expect(b.of("ike-down").map((e) => e.reason)).toEqual(["distrusted"]);
    sim.run(20);
    expect(users()).toEqual(["bob"]);
    expect(b.established()[0]?.spiInitiator).toBe(bob);
    expect(c.of("ike-down")).toEqual([]);
  });

  test.each(PASSWORDS)("%s: another password ends what the old one has opened", (method) => {
    const { sim, a, b, c, config, users } = staffed(method);
    b.configure(config({}, people(["alice", "looking glass"], ["carol", "new here"])));
    sim.run(20);
    expect(users()).toEqual(["bob"]);
    expect([a.of("ike-down").length, c.of("ike-down").length]).toEqual([1, 0]);
  });

  it("is the hash of the password where the gateway knows no more, and another one ends what it has opened", () => {
    const hashes = (...changes: readonly (readonly [string, string | undefined])[]) => {
      const set = [...(people(...changes).get("people") ?? [])];
      return new Map([
        [
          "people",
          new Map(set.flatMap(([name, s]) => (s instanceof Uint8Array ? [[name, { ntHash: ntHash(s) }]] : []))),
        ],
      ]);
    };
    const { sim, b, config, users } = staffed();
    b.configure(config({}, hashes()));
    sim.run(20);
    // Both were known by their passwords and have to show anew that they know them.
    expect(b.of("ike-down").map((e) => e.reason)).toEqual(["distrusted", "distrusted"]);
    expect(users()).toEqual(["alice", "bob"]);
    b.configure(config({}, hashes(["carol", "new here"])));
    sim.run(20);
    expect(b.of("ike-down")).toHaveLength(2);
    b.configure(config({}, hashes(["bob", "another"])));
    sim.run(20);
    expect(users()).toEqual(["alice"]);
  });

  it("is not the set's name, nor its other users, and lasts over a rekey", () => {
    const { sim, a, b, config, users } = staffed();
    const moved = new Map([["staff", people(["carol", "new here"]).get("people") ?? new Map()]]);
    b.configure(config({ users: "staff" }, moved));
    sim.run(5);
    expect(users()).toEqual(["alice", "bob"]);
    a.command({ command: "rekey-ike", peer: "b" });
    sim.run(2);
    b.configure(config());
    expect(users()).toEqual(["alice", "bob"]);
    b.configure(config({}, people(["alice", undefined])));
    sim.run(5);
    expect(users()).toEqual(["bob"]);
  });

  it("is a method and a name that the configuration is for", () => {
    const { sim, b, config, users } = staffed();
    b.configure(config({ methods: ["md5", "mschapv2"] }));
    sim.run(2);
    expect(users()).toEqual(["alice", "bob"]);
    b.configure(config({}, USERS, "bob"));
    expect(b.dataPlane.sas.size).toBe(2);
    b.configure(config({ methods: ["gtc"] }));
    expect(b.dataPlane.sas.size).toBe(0);
  });

  test.each([10, 20, 30, 40, 50, 60, 70, 80])("goes %i ms into a handshake too", (ms) => {
    const made = lab({ method: "mschapv2" });
    const { sim, a, b, ofB } = made;
    b.cryptoDelay = b.dataPlaneDelay = 10;
    sim.run(ms / 1000);
    b.configure({ ...configOf(ofB), eapUsers: people(["alice", undefined]) });
    sim.run(20);
    expect([...a.established(), ...b.established()]).toEqual([]);
    expect(b.dataPlane.sas.size).toBe(0);
  });
});

describe("EAP-TLS rests on certificates", () => {
  it("whose anchor, taken back, takes the IKE SAs along", () => {
    const { sim, b, config, users } = staffed("tls");
    b.configure(config({ tls: { ...TLS, trust: [anchor("another"), ...TLS.trust] } }));
    sim.run(2);
    expect(users()).toEqual(["alice", "bob"]);
    b.configure(config({ tls: { ...TLS, trust: [anchor("another")] } }));
    expect(b.dataPlane.sas.size).toBe(0);
  });

  it("of the server too, for the client", () => {
    const { sim, a, b, ofA } = lab({ method: "tls", alone: true });
    sim.run(1);
    expect([a, b].map((end) => end.established().length)).toEqual([1, 1]);
    const [round] = ofA.localAuth;
    if (round.method !== "eap" || !round.eap) throw new Error("no client of EAP");
    a.configure(configOf({ ...ofA, localAuth: [{ ...round, eap: { ...round.eap, tls: { ...TLS, trust: [] } } }] }));
    expect(a.dataPlane.sas.size).toBe(0);
    expect(TLS.trust[0]?.ref).toBe(CA);
  });

  it("and ends when one of them is revoked", () => {
    const { sim, a, b } = lab({ method: "tls", alone: true });
    sim.run(1);
    const failure = { code: "pki/revoked", message: "CN=tls was revoked" };
    b.command({ command: "distrust", fingerprint: "00".repeat(32), failure });
    expect(b.dataPlane.sas.size).toBe(0);
    expect(b.peer("a")?.lastError).toMatchObject(failure);
    a.command({ command: "distrust", fingerprint: "00".repeat(32), failure });
    expect(a.dataPlane.sas.size).toBe(0);
  });
});
