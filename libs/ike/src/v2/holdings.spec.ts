import { IpAddress, Prefix } from "@sallyport/base";
import type { PolicySpec } from "@sallyport/dataplane";
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

test("one that says something else replaces it in place", () => {
  const holdings = new Holdings();
  holdings.holdPolicy(policy("10.2.0.0/16", 1));
  const other = policy("10.2.0.0/16", 2);
  expect(holdings.holdPolicy(other)).toEqual([{ op: "installPolicy", args: [other] }]);
  expect(holdings.releasePolicy(other)).toEqual([]);
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
