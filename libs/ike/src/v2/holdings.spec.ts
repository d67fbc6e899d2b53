import { IpAddress, Prefix } from "@sallyport/base";
import type { PolicySpec } from "@sallyport/dataplane";
import fc from "fast-check";
import { sameValue } from "./equal.js";
import { Holdings } from "./holdings.js";

const policy = (destination: string, reqid: number): PolicySpec => ({
  direction: "out",
  selector: { source: Prefix.parse("10.1.0.0/16"), destination: Prefix.parse(destination), protocol: 0 },
  action: "encrypt",
  priority: 1,
  template: {
    source: IpAddress.parse("192.0.2.1"),
    destination: IpAddress.parse("192.0.2.2"),
    protocol: "esp",
    mode: "tunnel",
    reqid,
    level: "require",
  },
});

test("a policy is there as long as anybody holds it, and put in place once", () => {
  const holdings = new Holdings();
  const [a, b] = [policy("10.2.0.0/16", 1), policy("10.2.0.0/16", 1)];
  expect(holdings.holdPolicy(a)).toEqual([{ op: "installPolicy", args: [a] }]);
  expect(holdings.holdPolicy(b)).toEqual([]);
  expect(holdings.releasePolicy(a)).toEqual([]);
  expect(holdings.holds("out", b.selector)).toBe(true);
  expect(holdings.releasePolicy(b)).toEqual([{ op: "removePolicy", args: ["out", b.selector] }]);
  expect(holdings.releasePolicy(b)).toEqual([]);
  expect(holdings.size).toBe(0);
});

test("one that says something else replaces it in place, and gives it back", () => {
  const holdings = new Holdings();
  const [one, other] = [policy("10.2.0.0/16", 1), policy("10.2.0.0/16", 2)];
  holdings.holdPolicy(one);
  expect(holdings.holdPolicy(other)).toEqual([{ op: "installPolicy", args: [other] }]);
  expect(holdings.inForce(other) && !holdings.inForce(one)).toBe(true);
  expect(holdings.releasePolicy(other)).toEqual([{ op: "installPolicy", args: [one] }]);
  expect(holdings.releasePolicy(other)).toEqual([]);
  expect(holdings.releasePolicy(one)).toEqual([{ op: "removePolicy", args: ["out", one.selector] }]);
});

test("of several for the same packets the lowest priority value is in force, of equals the latest", () => {
  interface Step {
    readonly hold: boolean;
    readonly reqid: number;
    readonly priority: number;
  }
  const spec = ({ reqid, priority }: Step) => ({ ...policy("10.2.0.0/16", reqid), priority });
  const step = fc.record({
    hold: fc.boolean(),
    reqid: fc.integer({ min: 1, max: 3 }),
    priority: fc.constantFrom(1, 2),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const holdings = new Holdings();
      const claims: Step[] = [];
      let inForce: PolicySpec | undefined;
      for (const s of steps) {
        const held = claims.some((c) => c.reqid === s.reqid && c.priority === s.priority);
        if (!s.hold && !held) continue;
        const ops = s.hold ? holdings.holdPolicy(spec(s)) : holdings.releasePolicy(spec(s));
        if (s.hold) claims.push(s);
        else
          claims.splice(
            claims.findIndex((c) => c.reqid === s.reqid && c.priority === s.priority),
            1,
          );
        for (const op of ops) {
          if (op.op === "installPolicy") inForce = op.args[0];
          else if (op.op === "removePolicy") inForce = undefined;
        }
        const best = Math.min(...claims.map((c) => c.priority));
        expect(inForce?.priority).toBe(claims.length === 0 ? undefined : best);
        if (inForce) {
          const { template } = inForce;
          expect(claims.some((c) => c.priority === best && c.reqid === template?.reqid)).toBe(true);
        }
        if (s.hold && s.priority === best) expect(ops.length === 0 || inForce?.template?.reqid === s.reqid).toBe(true);
        expect(holdings.size).toBe(claims.length === 0 ? 0 : 1);
      }
    }),
  );
});

test("a route moves when its far end does", () => {
  const holdings = new Holdings();
  const route = (via: string) => ({ destination: Prefix.parse("10.2.0.0/16"), via: IpAddress.parse(via) });
  expect(holdings.holdRoute(route("192.0.2.2")).map((o) => o.op)).toEqual(["installRoute"]);
  expect(holdings.holdRoute(route("192.0.2.2"))).toEqual([]);
  expect(holdings.holdRoute(route("192.0.2.9")).map((o) => o.op)).toEqual(["removeRoute", "installRoute"]);
  expect(holdings.releaseRoute(route("192.0.2.2")).concat(holdings.releaseRoute(route("192.0.2.2")))).toEqual([]);
  expect(holdings.releaseRoute(route("192.0.2.9")).map((o) => o.op)).toEqual(["removeRoute"]);
});

test("configurations are compared by value", () => {
  const [a, b] = [policy("10.2.0.0/16", 1), policy("10.2.0.0/16", 1)];
  expect(sameValue(a, b)).toBe(true);
  expect(sameValue(a, policy("10.3.0.0/16", 1))).toBe(false);
  expect(sameValue({ x: 1n, y: Uint8Array.of(1) }, { x: 1n, y: Uint8Array.of(1) })).toBe(true);
  expect(sameValue({ x: 1n }, { x: 2n })).toBe(false);
  expect(sameValue({ x: undefined }, {})).toBe(true);
  expect(sameValue([1, 2], [1])).toBe(false);
  expect(sameValue(IpAddress.parse("::1"), IpAddress.parse("::2"))).toBe(false);
});
