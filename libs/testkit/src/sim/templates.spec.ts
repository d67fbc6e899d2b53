import type { ChildConfig } from "@sallyport/ike";
import { childOf, configOf, peerOf, range } from "./configs.js";
import { type Pair, pair } from "./simulation.js";

const UDP = 17;
const L2TP = 1701;
type Template = NonNullable<ChildConfig["template"]>;

/** `a` asks for what it has children for; `b` has a template for networks of 10.0.0.0/8 in front of its 10.2.0.0/16. */
function between(template: Template, ...children: readonly Partial<ChildConfig>[]): Pair {
  const asked = children.map((child, n) => childOf("a", { id: `child-${n}`, name: `child-${n}`, ...child }));
  const given = childOf("b", { id: "template", name: "template", template, remote: [range("10.0.0.0/8")] });
  const ends = pair({
    a: configOf(peerOf("a", { children: asked })),
    b: configOf(peerOf("b", { children: [given], passive: true })),
  });
  ends.sim.run(5);
  return ends;
}

const selectors = ({ b }: Pair, direction: string) =>
  [...b.dataPlane.policies.values()]
    .filter((p) => p.direction === direction)
    .map(({ selector: s }) => `${s.source}[${s.sourcePort ?? "*"}] ${s.destination}[${s.destinationPort ?? "*"}]`)
    .sort();

describe("a policy template", () => {
  it("takes what fits inside, side by side, each with policies of its own that go with the SA", () => {
    const ends = between(
      "port-strict",
      { local: [range("10.1.0.0/16")], remote: [range("10.2.7.0/24")] },
      { local: [range("10.77.0.0/24")], remote: [range("10.2.8.0/24"), range("10.2.9.9/32")] },
    );
    const { sim, a, b } = ends;
    expect(b.established()[0]?.children.map((c) => c.child)).toEqual(["template", "template"]);
    expect(new Set(b.dataPlane.inbound().map((sa) => sa.reqid)).size).toBe(2);
    expect(selectors(ends, "out")).toEqual([
      "10.2.7.0/24[*] 10.1.0.0/16[*]",
      "10.2.8.0/24[*] 10.77.0.0/24[*]",
      "10.2.9.9/32[*] 10.77.0.0/24[*]",
    ]);
    for (const policy of b.dataPlane.policies.values()) expect(policy.template?.level).toBe("unique");
    a.command({ command: "rekey-child", peer: "b", child: "child-0" });
    sim.run(20);
    expect(selectors(ends, "out")).toHaveLength(3);
    a.command({ command: "terminate", peer: "b", child: "child-1" });
    sim.run(5);
    expect(selectors(ends, "out")).toEqual(["10.2.7.0/24[*] 10.1.0.0/16[*]"]);
    a.command({ command: "terminate", peer: "b" });
    sim.run(15);
    expect([b.dataPlane.policies.size, b.dataPlane.routes.size, b.dataPlane.sas.size]).toEqual([0, 0, 0]);
    expect(b.engine.sizes()).toMatchObject({ held: 0, ikeSas: 0, generated: 0 });
  });

  it.each<[string, Partial<ChildConfig>]>([
    ["a remote network outside", { local: [range("192.168.0.0/24")] }],
    ["a remote network that is wider", { local: [range("0.0.0.0/0")] }],
    ["a local network outside", { local: [range("10.1.0.0/16")], remote: [range("10.3.0.0/24")] }],
    ["one that fits and one that does not", { local: [range("10.1.0.0/16"), range("172.16.0.0/12")] }],
  ])("refuses %s, with both sides' values", (_, child) => {
    const { a, b } = between("port-strict", child);
    expect(b.peer("a")?.lastError).toMatchObject({
      code: "ike/ts-unacceptable",
      ours: "template 10.2.0.0/16 === 10.0.0.0/8",
      theirs: expect.stringContaining("==="),
    });
    expect(a.peer("b")?.childErrors["child-0"]).toMatchObject({ code: "ike/ts-unacceptable" });
    expect(b.dataPlane.policies.size).toBe(0);
  });

  it.each<[Template, string]>([
    ["port-strict", "10.2.0.0/16[1701] 10.1.0.5/32[1701]"],
    ["port-override", "10.2.0.0/16[*] 10.1.0.5/32[*]"],
  ])("with %s makes policies for %s", (template, wanted) => {
    const ends = between(template, {
      local: [range("10.1.0.5/32", UDP, L2TP)],
      remote: [range("10.2.0.0/16", UDP, L2TP)],
    });
    expect(selectors(ends, "out")).toEqual([wanted]);
    expect(ends.a.established()[0]?.children[0]?.local).toEqual([range("10.1.0.5/32", UDP, L2TP)]);
  });

  it("is negotiated by the peer alone", () => {
    const { sim, b } = between("port-strict");
    b.command({ command: "initiate", peer: "a" });
    b.command({ command: "initiate", peer: "a", child: "template" });
    sim.run(5);
    expect([b.engine.sizes().ikeSas, b.dataPlane.policies.size]).toEqual([0, 0]);
  });
});
