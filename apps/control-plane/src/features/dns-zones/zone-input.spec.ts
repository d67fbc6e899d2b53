import { zoneOf } from "./dns-zone.service.js";
import { serverAddress } from "./name-server.js";
import { checkAccess, checkZoneName } from "./zone-input.js";

const secret = Buffer.alloc(32, 1).toString("base64");
const update = { server: "ns.example.org", keyName: "Acme-Key.", algorithm: "hmac-sha256", secret } as const;

describe("what describes a zone", () => {
  it.each([
    ["ns.example.org", "ns.example.org:53", { host: "ns.example.org", port: 53 }],
    ["NS.example.org:5353", "ns.example.org:5353", { host: "ns.example.org", port: 5353 }],
    ["192.0.2.1", "192.0.2.1:53", { host: "192.0.2.1", port: 53 }],
    ["2001:DB8::1", "[2001:db8::1]:53", { host: "2001:db8::1", port: 53 }],
    ["[2001:db8::1]:5353", "[2001:db8::1]:5353", { host: "2001:db8::1", port: 5353 }],
  ])("takes %s as a server", (server, canonical, address) => {
    const { columns } = checkAccess({ update: { ...update, server }, nameServers: [] });
    expect(columns).toMatchObject({ server: canonical, nameServers: [canonical], keyName: "acme-key" });
    expect(serverAddress(canonical)).toEqual(address);
  });

  const refusals: [string, Parameters<typeof checkAccess>[0]][] = [
    ["input.update", { nameServers: [] }],
    ["input.update", { update, program: "p", nameServers: [] }],
    ["input.nameServers", { program: "p", nameServers: [] }],
    ["input.nameServers", { update, nameServers: Array(9).fill("ns.example.org") }],
    ["input.nameServers[0]", { update, nameServers: ["a b"] }],
    ["input.program", { program: "../p", nameServers: ["ns.example.org"] }],
    ["input.update.server", { update: { ...update, server: "ns.example.org:0" }, nameServers: [] }],
    ["input.update.server", { update: { ...update, server: "ns.example.org:65536" }, nameServers: [] }],
    ["input.update.keyName", { update: { ...update, keyName: "." }, nameServers: [] }],
    ["input.update.keyName", { update: { ...update, keyName: "a b" }, nameServers: [] }],
    ["input.update.secret", { update: { ...update, secret: "c2hvcnQ=" }, nameServers: [] }],
    ["input.update.secret", { update: { ...update, secret: `${secret}!` }, nameServers: [] }],
  ];
  it.each(refusals)("is refused at %s", (field, access) => {
    expect(() => checkAccess(access)).toThrow(expect.objectContaining({ field }));
    const told = (() => {
      try {
        return checkAccess(access);
      } catch (error) {
        return `${(error as Error).message}${JSON.stringify(error)}`;
      }
    })();
    if (field === "input.update.secret") expect(told).not.toContain(access.update?.secret);
  });

  it("is a name, and the longest that a record is in counts", () => {
    expect(checkZoneName("Example.ORG.")).toBe("example.org");
    for (const bad of ["org", "*.example.org", "", "a..b"]) {
      expect(() => checkZoneName(bad)).toThrow(expect.objectContaining({ field: "input.name" }));
    }
    const zones = [{ name: "example.org" }, { name: "vpn.example.org" }];
    expect(zoneOf(zones, "_acme-challenge.vpn.example.org")?.name).toBe("vpn.example.org");
    expect(zoneOf(zones, "_acme-challenge.example.org")?.name).toBe("example.org");
    expect(zoneOf(zones, "_acme-challenge.badexample.org")).toBeUndefined();
  });
});
