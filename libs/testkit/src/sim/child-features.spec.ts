import { EXCHANGE, notification } from "@sallyport/ike";
import { disagreements } from "./agreement.js";
import { childOf, configOf, ESP_PROPOSAL, peerOf, range } from "./configs.js";
import { pair } from "./simulation.js";
import { childPayloads, nonce, stageUp } from "./stage.spec-helper.js";

describe("padding against traffic analysis (RFC 7296 §1.3.1)", () => {
  const children = [childOf("b", { tfc: 1_000 })];

  test("is what the end that sends is configured for", () => {
    const { sim, a, b } = pair({ b: configOf(peerOf("b", { children })) });
    sim.run(1);
    expect([...a.dataPlane.outbound(), ...b.dataPlane.inbound()].map((sa) => sa.tfc)).toEqual([undefined, undefined]);
    expect(b.dataPlane.outbound().map((sa) => sa.tfc)).toEqual([1_000]);
  });

  test("is left away for a peer that does not take it", () => {
    const { b, peer } = stageUp(1, { children });
    expect(b.dataPlane.outbound().map((sa) => sa.tfc)).toEqual([1_000]);
    const refusal = notification("ESP_TFC_PADDING_NOT_SUPPORTED");
    peer.ask(EXCHANGE.CREATE_CHILD_SA, childPayloads(0x3000, [nonce(), refusal]));
    expect(b.dataPlane.outbound().map((sa) => sa.tfc)).toEqual([1_000, undefined]);
  });
});

describe("CHILD SAs", () => {
  const many = (mine: "a" | "b") => {
    const [local, remote] = mine === "a" ? [1, 2] : [2, 1];
    const both = (n: number) => [range(`10.${n}.0.0/24`), range(`10.${n}.1.0/24`), range(`fd00:${n}::/64`)];
    const udp = (n: number) => [range(`10.${n}.0.0/24`, 17, 7000), range(`fd00:${n}::/64`, 6, 443)];
    return configOf(
      peerOf(mine, {
        children: [
          childOf(mine, {
            local: both(local),
            remote: both(remote),
            startAction: "start",
            proposals: [{ ...ESP_PROPOSAL, esn: [true] }],
          }),
          childOf(mine, {
            id: "ports",
            name: "ports",
            local: udp(local),
            remote: udp(remote),
            priority: 1_000,
            startAction: "start",
          }),
        ],
      }),
    );
  };

  test("with several selectors of both families, one with extended sequence numbers; one is deleted, the other stays", () => {
    const { sim, a, b } = pair({ a: many("a"), b: many("b") });
    sim.run(30);
    expect(disagreements(a, b, 2)).toEqual([]);
    a.events.length = b.events.length = 0;
    const families = (policies: Iterable<{ selector: { source: { family: number } } }>) =>
      new Set([...policies].map((p) => p.selector.source.family));
    expect(families(a.dataPlane.policies.values())).toEqual(new Set([4, 6]));
    expect(a.dataPlane.inbound().map((sa) => sa.esn)).toEqual(expect.arrayContaining([true, false]));
    const before = a.established()[0]?.children.find((c) => c.child === "net");
    a.command({ command: "terminate", peer: "b", child: "ports" });
    sim.run(0.5);
    expect(a.established()[0]?.children).toMatchObject([{ child: "net", serial: before?.serial }]);
    expect(b.established()[0]?.children).toMatchObject([{ child: "net" }]);
    sim.run(60);
    expect(a.of("ike-down").concat(b.of("ike-down"))).toEqual([]);
  });

  test("rekeys of many that came up together are spread over the jitter, and hardly two ends begin one", () => {
    const lifetime = { soft: 3_600, jitter: 1_200, hard: 4_000 };
    const at: number[] = [];
    for (let seed = 1; seed <= 400; seed++) {
      const one = (mine: "a" | "b") =>
        configOf(peerOf(mine, { dpdInterval: 0, children: [childOf(mine, { lifetime })], lifetime }));
      const { sim, a, b } = pair({ seed, a: one("a"), b: one("b") });
      sim.run(1);
      for (const end of [a, b]) {
        const [ike] = end.established();
        at.push((ike?.rekeyAt ?? 0) / 1000, (ike?.children[0]?.rekeyAt ?? 0) / 1000);
      }
    }
    expect(Math.min(...at)).toBeGreaterThanOrEqual(2_400);
    expect(Math.max(...at)).toBeLessThanOrEqual(3_601);
    // Twelve shares of 100 seconds: each gets its twelfth, within a third of it.
    const shares = Array.from({ length: 12 }, (_, i) => at.filter((t) => Math.floor((t - 2_400) / 100) === i).length);
    const fair = at.length / 12;
    for (const share of shares) expect(Math.abs(share - fair)).toBeLessThan(fair / 3);
  });
});
