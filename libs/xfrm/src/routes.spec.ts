import { IpAddress, Prefix } from "@sallyport/base";
import type { Route } from "@sallyport/linux-io";
import { ROUTE_TABLE, TunnelRoutes } from "./routes.js";

/** Routes as a kernel would keep them, and how often they were listed. */
class FakeNetlink {
  readonly standing = new Map<string, Route>();
  listed = 0;

  async routes(): Promise<Route[]> {
    this.listed++;
    return [...this.standing.values()];
  }
  async addRoute(route: Route): Promise<void> {
    this.standing.set(`${route.kind} ${route.destination}`, route);
  }
  async removeRoute(route: Route): Promise<void> {
    this.standing.delete(`${route.kind} ${route.destination}`);
  }
  lookup = async (): Promise<Route | undefined> => undefined;
  links = async () => [{ index: 3, name: "wan", up: true, mtu: 1492 }];
  rules = async () => [];
  addRule = async () => {};
  removeRule = async () => {};
  addresses = async () => [];
  addAddress = async () => {};
  removeAddress = async () => {};
  link = async () => undefined;
  close = () => {};
}

const to = (destination: string, via: string) => ({
  destination: Prefix.parse(destination),
  via: IpAddress.parse(via),
});

function lab() {
  const kernel = new FakeNetlink();
  return { kernel, routes: new TunnelRoutes(kernel) };
}

it("thousands of routes come and go, and the kernel's are listed once", async () => {
  const { kernel, routes } = lab();
  const many = Array.from({ length: 2_000 }, (_, n) => to(`10.${n >> 8}.${n & 255}.0/24`, `10.${n >> 8}.${n & 255}.1`));
  for (const route of many) await routes.install(route);
  expect(kernel.standing.size).toBe(4_000);
  for (const route of many) await routes.remove(route);
  expect(kernel.standing.size).toBe(0);
  expect(kernel.listed).toBe(1);
});

it("the far end is left out as long as a route leads to a network that holds it", async () => {
  const { kernel, routes } = lab();
  const [wide, narrow, other] = [
    to("10.0.0.0/8", "10.1.2.3"),
    to("10.1.0.0/16", "10.1.2.3"),
    to("10.2.0.0/16", "10.1.2.3"),
  ];
  for (const route of [wide, narrow, other]) await routes.install(route);
  await routes.remove(wide);
  expect([...kernel.standing.keys()]).toContain("throw 10.1.2.3/32");
  await routes.remove(narrow);
  expect([...kernel.standing.keys()]).toEqual(["unicast 10.2.0.0/16"]);
});

it("a route of an earlier run is removed as if it were of this one, and nobody else's", async () => {
  const { kernel, routes } = lab();
  const left = (destination: string, protocol: number) =>
    kernel.addRoute({ destination: Prefix.parse(destination), table: ROUTE_TABLE, protocol, kind: "unicast" });
  await left("10.5.0.0/16", ROUTE_TABLE);
  await left("10.6.0.0/16", 4);
  await routes.remove(to("10.5.0.0/16", "192.0.2.1"));
  await routes.remove(to("10.6.0.0/16", "192.0.2.1"));
  expect([...kernel.standing.keys()]).toEqual(["unicast 10.6.0.0/16"]);
});

describe("what fits into a tunnel", () => {
  const mtus = (kernel: FakeNetlink) =>
    Object.fromEntries([...kernel.standing.values()].map(({ destination, mtu }) => [destination.toString(), mtu]));

  it("is told to its routes, those that are there and those that come, and to no others", async () => {
    const { kernel, routes } = lab();
    const far = IpAddress.parse("192.0.2.2");
    await routes.install(to("10.2.0.0/16", "192.0.2.2"));
    await routes.install(to("10.9.0.0/16", "192.0.2.9"));
    await routes.fits(far, 1226);
    await routes.install(to("fd02::/64", "192.0.2.2"));
    expect(mtus(kernel)).toEqual({ "10.2.0.0/16": 1226, "10.9.0.0/16": undefined, "fd02::/64": 1280 });
    // A route that leads elsewhere now has what fits there.
    await routes.install(to("10.2.0.0/16", "192.0.2.9"));
    await routes.fits(far, 1400);
    expect(mtus(kernel)).toEqual({ "10.2.0.0/16": undefined, "10.9.0.0/16": undefined, "fd02::/64": 1400 });
  });

  it("is forgotten with the last SA", async () => {
    const { kernel, routes } = lab();
    const far = IpAddress.parse("192.0.2.2");
    await routes.fits(far, 1226);
    await routes.fits(far, 1226);
    routes.forget(far);
    await routes.install(to("10.2.0.0/16", "192.0.2.2"));
    routes.forget(far);
    await routes.install(to("10.3.0.0/16", "192.0.2.2"));
    expect(mtus(kernel)).toEqual({ "10.2.0.0/16": 1226, "10.3.0.0/16": undefined });
  });

  it("comes from the link that leads there, or from what the kernel was told", async () => {
    const { kernel, routes } = lab();
    const far = IpAddress.parse("192.0.2.2");
    expect(await routes.pathMtu(far)).toBe(Number.POSITIVE_INFINITY);
    const route = {
      ...to("192.0.2.0/24", "192.0.2.2"),
      table: 254,
      protocol: 2,
      kind: "unicast",
      interfaceIndex: 3,
    } as const;
    kernel.lookup = async () => route;
    expect(await routes.pathMtu(far)).toBe(1492);
    kernel.lookup = async () => ({ ...route, mtu: 1300 });
    expect(await routes.pathMtu(far)).toBe(1300);
  });
});
