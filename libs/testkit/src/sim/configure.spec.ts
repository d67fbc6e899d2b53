import { disagreements } from "./agreement.js";
import { childOf, configOf, peerOf, range } from "./configs.js";
import { pair } from "./simulation.js";

const utf8 = new TextEncoder();

describe("a new configuration", () => {
  test("that says the same touches nothing", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    const [carried, ops] = [sim.network.carried, a.dataPlane.log.length];
    a.configure(configOf(peerOf("a")));
    b.configure(configOf(peerOf("b")));
    sim.run(5);
    expect(sim.network.carried).toBe(carried);
    expect(a.dataPlane.log.length).toBe(ops);
  });

  test("of names, lifetimes and intervals counts without a packet", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    const carried = sim.network.carried;
    a.configure(configOf(peerOf("a", { name: "headquarters", dpdInterval: 1 })));
    expect(sim.network.carried).toBe(carried);
    expect(a.established()[0]?.name).toBe("headquarters");
    sim.run(20);
    expect(sim.network.carried).toBeGreaterThan(carried + 20);
    expect(disagreements(a, b)).toEqual(["1 IKE SAs at a, 1 at b"].slice(1));
  });

  test.each([0, 5, 10, 15, 20, 25, 30, 35, 40])(
    "that comes %i ms after a rekey has begun counts from the next one on",
    (ms) => {
      const lifetime = { soft: 60, jitter: 0, hard: 90 };
      const { sim, a, b } = pair({ a: configOf(peerOf("a", { children: [childOf("a", { lifetime })] })) });
      a.cryptoDelay = 3;
      a.dataPlaneDelay = b.dataPlaneDelay = 12;
      sim.run(1);
      a.command({ command: "rekey-child", peer: "b", child: "net" });
      sim.run(ms / 1000);
      a.configure(
        configOf(peerOf("a", { children: [childOf("a", { lifetime: { soft: 36_000, jitter: 0, hard: 40_000 } })] })),
      );
      sim.run(600);
      expect(a.of("child-rekeyed").length).toBeLessThanOrEqual(2);
      expect(disagreements(a, b)).toEqual([]);
    },
  );

  test.each([0, 5, 10, 15, 20, 25, 30, 35, 40])(
    "that has other selectors %i ms after a rekey has begun ends what comes of it",
    (ms) => {
      const { sim, a, b } = pair();
      a.cryptoDelay = 3;
      a.dataPlaneDelay = b.dataPlaneDelay = 12;
      sim.run(1);
      a.command({ command: "rekey-child", peer: "b", child: "net" });
      sim.run(ms / 1000);
      const remote = [range("10.2.4.0/24")];
      a.configure(configOf(peerOf("a", { children: [childOf("a", { remote })] })));
      sim.run(60);
      expect(disagreements(a, b)).toEqual([]);
      expect(a.established()[0]?.children.map((c) => c.remote)).toEqual([remote]);
      a.configure(configOf(peerOf("a", { children: [] })));
      sim.run(10);
      expect(a.dataPlane.sas.size + a.dataPlane.policies.size).toBe(0);
    },
  );

  test("of one peer leaves the others alone", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    const other = { ...peerOf("a"), id: "c", name: "c", passive: true };
    a.configure(configOf(peerOf("a"), other));
    a.configure(configOf(peerOf("a"), { ...other, forceEncapsulation: true }));
    a.configure(configOf(peerOf("a")));
    sim.run(5);
    expect(a.of("ike-down").concat(b.of("ike-down"))).toEqual([]);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("without a peer ends its IKE SA at both ends and takes its policies away", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    a.configure(configOf());
    sim.run(20);
    expect(a.of("ike-down")[0]?.reason).toBe("config-changed");
    expect(b.of("ike-down")[0]?.reason).toBe("deleted-by-peer");
    expect(a.dataPlane.sas.size + a.dataPlane.policies.size + a.dataPlane.routes.size).toBe(0);
    expect(a.engine.sizes()).toMatchObject({ ikeSas: 0, halfOpen: 0, waiting: 0, held: 0 });
  });

  test("with other identities negotiates anew, without being asked", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    const id = { type: "fqdn", name: "new.example" } as const;
    const secret = utf8.encode("a secret of some length");
    b.configure(
      configOf(
        peerOf("b", { remoteAuth: [{ method: "psk", identity: { match: "is", identity: id }, secrets: [secret] }] }),
      ),
    );
    a.configure(configOf(peerOf("a", { localAuth: [{ method: "psk", identity: id, secret }] })));
    sim.run(90);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.established()[0]?.localId).toBe("new.example");
    expect(a.dataPlane.log).not.toContain("removePolicy");
  });

  test("a rotated secret is accepted beside the old one and drops nothing", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    const [old, young] = [utf8.encode("a secret of some length"), utf8.encode("the next secret")];
    const idA = { match: "is", identity: { type: "fqdn", name: "a.example" } } as const;
    b.configure(configOf(peerOf("b", { remoteAuth: [{ method: "psk", identity: idA, secrets: [old, young] }] })));
    a.configure(configOf(peerOf("a", { localAuth: [{ method: "psk", identity: idA.identity, secret: young }] })));
    sim.run(5);
    expect(a.of("ike-down")).toEqual([]);
    a.crash();
    a.dataPlane.sas.clear();
    a.configure(configOf(peerOf("a", { localAuth: [{ method: "psk", identity: idA.identity, secret: young }] })));
    sim.run(5);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("of one child touches only that child", () => {
    const more = (mine: "a" | "b", third: number) => {
      const [local, remote] =
        mine === "a" ? ["10.3.0.0/16", `10.${third}.0.0/16`] : [`10.${third}.0.0/16`, "10.3.0.0/16"];
      return childOf(mine, { id: "more", local: [range(local)], remote: [range(remote)] });
    };
    const both = (third: number) => ({
      a: configOf(peerOf("a", { children: [childOf("a"), more("a", third)] })),
      b: configOf(peerOf("b", { children: [childOf("b"), more("b", third)] })),
    });
    const { sim, a, b } = pair(both(4));
    sim.run(1);
    const before = a.established()[0]?.children.find((c) => c.child === "net")?.spiIn;
    b.configure(both(5).b);
    a.configure(both(5).a);
    sim.run(30);
    expect(disagreements(a, b, 2)).toEqual([]);
    const children = a.established()[0]?.children ?? [];
    expect(children.find((c) => c.child === "net")?.spiIn).toBe(before);
    expect(children.find((c) => c.child === "more")?.remote).toEqual([range("10.5.0.0/16")]);
    expect(a.of("ike-down")).toEqual([]);
    expect(a.dataPlane.policies.size).toBe(6);
  });
});

describe("commands", () => {
  test("terminate ends the tunnel until initiate", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    a.command({ command: "terminate", peer: "b" });
    sim.run(60);
    expect(a.engine.sizes()).toMatchObject({ ikeSas: 0, waiting: 0 });
    expect(a.of("ike-down")[0]?.reason).toBe("deleted-locally");
    a.command({ command: "initiate", peer: "b" });
    sim.run(1);
    sim.run(20);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("what the peer has deleted comes back when it is to be started", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    b.command({ command: "terminate", peer: "a" });
    sim.run(20);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.of("ike-down")[0]?.reason).toBe("deleted-by-peer");
    b.command({ command: "terminate", peer: "a", child: "net" });
    sim.run(20);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("shutdown deletes everything at both ends and begins nothing more", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    a.command({ command: "shutdown" });
    sim.run(1);
    expect(a.dataPlane.sas.size + a.dataPlane.policies.size + a.dataPlane.routes.size).toBe(0);
    expect(b.dataPlane.sas.size).toBe(0);
    sim.run(100);
    expect(a.established()).toEqual([]);
  });
});

test("uniqueness: a second IKE SA of the same identities replaces the first, or is refused, or stays", () => {
  for (const uniqueness of ["replace", "never", "keep"] as const) {
    const { sim, a, b } = pair({
      a: configOf(peerOf("a", { initialContact: false })),
      b: configOf(peerOf("b", { uniqueness })),
    });
    sim.run(1);
    a.crash();
    a.dataPlane.sas.clear();
    a.configure(configOf(peerOf("a", { initialContact: false })));
    sim.run(3);
    expect(b.established()).toHaveLength(uniqueness === "keep" ? 2 : 1);
    expect(a.established()).toHaveLength(uniqueness === "never" ? 0 : 1);
  }
});
