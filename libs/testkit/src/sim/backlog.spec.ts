import { createHash } from "node:crypto";
import { IpAddress, Prefix } from "@sallyport/base";
import { type Identity, NOTIFY, type Payload } from "@sallyport/ike";
import { childOf, configOf, peerOf } from "./configs.js";
import { CALLERS, office } from "./office.spec-helper.js";
import { SimKeys, trusting } from "./sim-keys.js";
import { Simulation } from "./simulation.js";

/** What 70 IKE SAs come to when 32 at most have their turn in a step, and none in that of the decision. */
const SLICED = [0, 32, 32, 6];
const MOBIKE: Payload = {
  kind: "N",
  protocol: 0,
  type: NOTIFY.MOBIKE_SUPPORTED,
  spi: new Uint8Array(0),
  data: new Uint8Array(0),
};
const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

describe("what is decided for many IKE SAs at once", () => {
  test.each([
    ["down TUNNEL CHILD", { command: "terminate", peer: "a", child: "net" }],
    ["rekey TUNNEL", { command: "rekey-ike", peer: "a" }],
    ["rekey TUNNEL CHILD", { command: "rekey-child", peer: "a", child: "net" }],
    ["a probe", { command: "probe", peer: "a" }],
  ] as const)("is done a few in each step: %s", (_, command) => {
    const o = office();
    const begun: number[] = [];
    const handle = o.b.engine.handle.bind(o.b.engine);
    o.b.engine.handle = (input) => {
      const before = o.b.engine.backlog;
      const effects = handle(input);
      if (input.on === "timer") begun.push(before - o.b.engine.backlog);
      return effects;
    };
    o.b.command(command);
    expect(o.steps()).toEqual([0]);
    expect(o.b.engine.backlog).toBe(CALLERS);
    o.b.command(command);
    expect(o.b.engine.backlog).toBe(CALLERS);
    o.sim.run(0);
    expect(begun).toEqual([32, 32, 6]);
    expect(o.b.engine.backlog).toBe(0);
    expect(o.asked).toHaveLength(CALLERS);
  });

  test("`down` of a child deletes it everywhere, and the IKE SAs stay", () => {
    const o = office();
    o.b.command({ command: "terminate", peer: "a", child: "net" });
    o.sim.run(0);
    expect(o.steps()).toEqual(SLICED);
    expect(o.answerAll()).toBe(CALLERS);
    o.sim.run(30);
    expect(o.b.dataPlane.sas.size).toBe(0);
    expect(o.b.of("child-down").map((e) => e.reason)).toEqual(Array(CALLERS).fill("deleted-locally"));
    expect(o.b.established()).toHaveLength(CALLERS);
  });

  test("a child that is wanted again before its Delete is begun is made anew", () => {
    const o = office();
    o.b.command({ command: "terminate", peer: "a", child: "net" });
    o.b.command({ command: "initiate", peer: "a", child: "net" });
    expect(o.b.engine.status().peers[0]?.sas.at(0)?.children).toMatchObject([{ state: "deleting" }]);
    o.sim.run(0);
    // One more than the Deletes: once its own is answered, the newest IKE SA asks for the child.
    expect(o.answerAll()).toBe(CALLERS);
    o.sim.run(10);
    expect(o.asked.length).toBeGreaterThan(0);
  });

  test("a peer's own request in between finds its Delete under way", () => {
    const o = office();
    o.b.command({ command: "terminate", peer: "a", child: "net" });
    o.steps();
    expect(o.callers.at(-1)?.ask(37, [])?.payloads).toEqual([]);
    expect(o.steps()).toEqual([2]);
    o.sim.run(0);
    expect(o.answerAll()).toBe(CALLERS);
  });

  test("another address of this machine", () => {
    const o = office({}, [MOBIKE]);
    o.sim.readdress(o.b, o.b.address.toString(), "198.51.100.2");
    expect(o.steps()).toEqual([0]);
    expect(o.b.engine.backlog).toBe(CALLERS);
    o.sim.run(0);
    expect(sum(o.steps())).toBe(CALLERS);
    expect(o.asked).toHaveLength(CALLERS);
  });

  test("another configuration: policies change hands without a gap, and what rests on the old one stays", () => {
    const o = office();
    const priorities = () => [...new Set([...o.b.dataPlane.policies.values()].map((p) => p.priority))];
    const [before = 0] = priorities();
    const children = [childOf("b", { priority: before + 7 })];
    o.b.configure(configOf(peerOf("b", { ...o.config, children })));
    expect(o.b.engine.backlog).toBe(CALLERS);
    while (o.b.engine.backlog > 0) {
      expect(o.b.dataPlane.policies.size).toBeGreaterThan(0);
      o.sim.run(0);
    }
    expect(priorities()).toEqual([before + 7]);
    expect(o.b.established()).toHaveLength(CALLERS);
    expect(o.asked).toEqual([]);
    o.call();
    expect(o.b.established()).toHaveLength(CALLERS + 1);
  });

  test("two configurations, one upon the other, come to the last one", () => {
    const o = office();
    o.b.configure(configOf(peerOf("b", { ...o.config, window: 4 })));
    o.b.configure(configOf(peerOf("b", { ...o.config, children: [childOf("b", { id: "other", name: "other" })] })));
    o.sim.run(0);
    o.answerAll();
    o.sim.run(1);
    o.answerAll();
    o.sim.run(1);
    expect(o.b.dataPlane.sas.size).toBe(0);
    expect(o.b.established()).toHaveLength(CALLERS);
  });

  test("the local address: IKE SAs that cannot move go", () => {
    const o = office();
    const local = { address: IpAddress.parse("198.51.100.2"), port: 500 };
    o.sim.readdress(o.b, o.b.address.toString(), "198.51.100.2");
    o.steps();
    o.b.configure(configOf(peerOf("b", { ...o.config, local })));
    o.sim.run(0);
    expect(o.steps()).toEqual(SLICED);
    expect(o.answerAll()).toBe(CALLERS);
    expect(o.b.engine.sizes().ikeSas).toBe(0);
  });
});

describe("a certificate of many that is not believed any more", () => {
  const A = { type: "fqdn", name: "a.example" } as const satisfies Identity;
  const B = { type: "fqdn", name: "b.example" } as const satisfies Identity;
  /** More than one step takes. */
  const MANY = 40;

  test("takes the CHILD SAs away without waiting for anybody, and tells the peers", () => {
    const keys = new SimKeys();
    const [theirs, ours] = [keys.issue("CA", A), keys.issue("CA", B)];
    const der = theirs.method === "certificate" ? theirs.credentials[0].chain[0] : undefined;
    const fingerprint = createHash("sha256")
      .update(der ?? "")
      .digest("hex");
    const sim = new Simulation(1, keys);
    const b = sim.addPeer("b", "198.51.100.1");
    const many = { passive: true, uniqueness: "keep", sasPerIdentity: MANY } as const;
    const remote = { endpoint: undefined, accept: [Prefix.parse("192.0.2.0/24")] };
    b.configure(configOf(peerOf("b", { ...many, remote, localAuth: [ours], remoteAuth: [trusting(A, "CA")] })));
    const callers = Array.from({ length: MANY }, (_, i) => {
      const address = `192.0.2.${i + 1}`;
      const caller = sim.addPeer(`a${i}`, address);
      const local = { address: caller.address, port: 500 };
      caller.configure(
        configOf(peerOf("a", { initialContact: false, local, localAuth: [theirs], remoteAuth: [trusting(B, "CA")] })),
      );
      return caller;
    });
    sim.run(2);
    expect(b.established()).toHaveLength(MANY);
    keys.revoked.add("a.example");
    b.command({ command: "distrust", fingerprint, failure: { code: "pki/revoked", message: "CN=a was revoked" } });
    expect(b.engine.backlog).toBe(MANY);
    expect(b.established()).toEqual([]);
    expect(b.dataPlane.sas.size).toBe(2 * MANY);
    sim.run(0);
    expect(b.engine.backlog).toBe(0);
    expect(b.dataPlane.sas.size).toBe(0);
    expect(b.of("child-down").map((e) => e.reason)).toEqual(Array(MANY).fill("distrusted"));
    expect(b.of("auth-failed")).toHaveLength(MANY);
    sim.run(60);
    expect(callers.flatMap((c) => c.established())).toEqual([]);
    expect(b.of("ike-down")).toHaveLength(MANY);
  });
});
