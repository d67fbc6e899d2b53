import { IpAddress, Prefix } from "@sallyport/base";
import type { Route } from "@sallyport/linux-io";
import { PathMtus } from "./path-mtu.js";

const peer = IpAddress.parse("198.51.100.1");
const path = { source: IpAddress.parse("192.0.2.1"), destination: peer };
const route = (more: Partial<Route> = {}): Route => ({
  destination: Prefix.any(4),
  table: 254,
  protocol: 3,
  kind: "unicast",
  interfaceIndex: 2,
  ...more,
});

function mtus(found: () => Promise<Route | undefined>) {
  let now = 0;
  const link = (index: number, mtu: number) => ({ index, mtu, name: `eth${index}`, up: true });
  const asked = { links: 0, lookups: 0 };
  const netlink = {
    lookup: async () => {
      asked.lookups++;
      return found();
    },
    links: async () => {
      asked.links++;
      return [link(1, 65_536), link(2, 1_492)];
    },
  };
  return { told: new PathMtus({ now: () => now, wall: () => now }, netlink), pass: (ms: number) => (now += ms), asked };
}

test("a link's MTU, unless the route has a smaller one", async () => {
  expect(await mtus(async () => route()).told.ofLink(path)).toBe(1_492);
  expect(await mtus(async () => route({ mtu: 1_300 })).told.ofLink(path)).toBe(1_300);
});

test("no route, no link, no answer: nothing is known", async () => {
  for (const found of [
    async () => undefined,
    async () => route({ interfaceIndex: 9 }),
    async () => {
      throw new Error("gone");
    },
  ]) {
    expect(await mtus(found).told.ofLink(path)).toBe(Number.POSITIVE_INFINITY);
  }
});

test("a router is believed for ten minutes, but not below what every path carries", () => {
  const { told, pass } = mtus(async () => route());
  expect(told.learn(peer, 1_280)).toBe(1_280);
  expect(told.told(peer)).toBe(1_280);
  expect(told.learn(peer, 68)).toBe(576);
  expect(told.learn(IpAddress.parse("2001:db8::1"), 100)).toBe(1_280);
  pass(600_000);
  expect(told.told(peer)).toBe(Number.POSITIVE_INFINITY);
});

test("routers' words about ever more peers are not all remembered (hostile input 29)", () => {
  const { told } = mtus(async () => route());
  for (let i = 0; i < 5_000; i++) told.learn(IpAddress.fromBigInt(4, 0x0a00_0000n + BigInt(i)), 1_280);
  expect(told.remembered).toBe(4_096);
  expect(told.told(IpAddress.parse("10.0.0.0"))).toBe(Number.POSITIVE_INFINITY);
  expect(told.told(IpAddress.fromBigInt(4, 0x0a00_0000n + 4_999n))).toBe(1_280);
});

test("SAs that come together share what the kernel said, for a second", async () => {
  const other = { ...path, destination: IpAddress.parse("198.51.100.2") };
  const { told, pass, asked } = mtus(async () => route());
  const all = await Promise.all([told.ofLink(path), told.ofLink(path), told.ofLink(other)]);
  expect(all).toEqual([1_492, 1_492, 1_492]);
  expect(asked).toEqual({ links: 1, lookups: 2 });
  pass(999);
  await told.ofLink(path);
  expect(asked).toEqual({ links: 1, lookups: 2 });
  pass(1);
  await told.ofLink(path);
  expect(asked).toEqual({ links: 2, lookups: 3 });
});
