import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { describeFleet, type Fleet, ONBOARD_SITE } from "./fleet.js";

let cp: TestControlPlane;
let fleet: Fleet;

beforeAll(async () => {
  cp = await startControlPlane();
  fleet = await describeFleet(cp);
});
afterAll(() => cp?.close());

describe("onboarding a branch with one mutation", () => {
  test("gives the site, its gateway and a command with a token that expires", () => {
    const { site, gateway, enrolment } = fleet.branch;
    expect(site.name).toBe("Vienna");
    expect(gateway).toMatchObject({ name: "Vienna", identity: "gw-vienna.default.sallyport" });
    expect(enrolment.command).toContain(enrolment.token);
    expect(Date.parse(enrolment.expiresAt)).toBeGreaterThan(Date.now());
  });

  test("lists gateways with their sites, and the tunnel between them", async () => {
    const data = await cp.get(`{
      gateways { edges { node { name host state connected site { name subnets } } } pageInfo { hasNextPage } }
      tunnels { edges { node { name state network { name hubs { name } spokes { edges { node { name } } } } ends { gateway { name } state stale } } } }
    }`);
    expect(data).toMatchObject({
      gateways: {
        edges: [
          {
            node: {
              name: "Headquarters",
              host: "198.51.100.1",
              site: { name: "Headquarters", subnets: ["10.1.0.0/16"] },
            },
          },
          { node: { name: "Vienna", host: null, state: "AWAITING_ENROLMENT", connected: false } },
        ],
        pageInfo: { hasNextPage: false },
      },
      tunnels: {
        edges: [
          {
            node: {
              state: "PENDING",
              network: {
                name: "Offices",
                hubs: [{ name: "Headquarters" }],
                spokes: { edges: [{ node: { name: "Vienna" } }] },
              },
              ends: expect.arrayContaining([expect.objectContaining({ state: "PENDING", stale: true })]),
            },
          },
        ],
      },
    });
  });

  test("leaves an audit entry for each mutation, without secrets", async () => {
    const { auditEntries } = await cp.get<{ auditEntries: { edges: { node: Record<string, unknown> }[] } }>(
      "{ auditEntries(first: 20) { edges { node { action actorName origin targetKind before after } } } }",
    );
    const actions = auditEntries.edges.map((e) => e.node.action);
    expect(actions).toEqual(expect.arrayContaining(["createSite", "createNetwork", "onboardSite", "createGateway"]));
    const text = JSON.stringify(auditEntries);
    expect(text).not.toContain(fleet.branch.enrolment.token);
    expect(text).not.toContain(cp.first.apiToken);
    const entry = auditEntries.edges.find((e) => e.node.action === "onboardSite")?.node;
    expect(entry).toMatchObject({
      actorName: "admin@localhost",
      origin: "127.0.0.1",
      targetKind: "site",
      before: null,
    });
  });

  const refused = (what: string, input: object, error: object) => [what, input, error] as const;
  test.each([
    refused(
      "a subnet of another site",
      { subnets: ["10.9.0.0/16", "10.1.128.0/17"] },
      {
        code: "intent/overlap",
        field: "input.subnets[1]",
        value: "10.1.128.0/17",
        expected: 'a prefix that does not overlap 10.1.0.0/16 of site "Headquarters"',
      },
    ),
    refused(
      "a prefix with host bits",
      { subnets: ["10.9.0.1/16"] },
      {
        code: "base/bad-prefix",
        field: "input.subnets[0]",
        value: "10.9.0.1/16",
        expected: "10.9.0.0/16 (no host bits set)",
      },
    ),
    refused(
      "a name that is taken",
      { name: "vienna" },
      { code: "api/name-taken", field: "input.name", value: "vienna" },
    ),
    refused(
      "a gateway's name that is taken",
      { gateway: { name: "Headquarters" } },
      {
        code: "api/name-taken",
        field: "input.gateway.name",
      },
    ),
    refused("no subnet", { subnets: [] }, { code: "api/bad-input", field: "input.subnets" }),
    refused(
      "a host that is none",
      { gateway: { host: "not a host" } },
      { code: "api/bad-input", field: "input.gateway.host" },
    ),
    refused(
      "a port that is none",
      { gateway: { ikePort: 70000 } },
      { code: "api/bad-input", field: "input.gateway.ikePort" },
    ),
    refused(
      "an unknown network",
      { networkId: "01920000-0000-7000-8000-000000000000" },
      {
        code: "api/not-found",
        field: "input.networkId",
      },
    ),
  ])("refuses %s, naming the field, and changes nothing", async (_, change, error) => {
    const count = () =>
      query(
        cp.connection,
        `SELECT (SELECT count(*) FROM sites) AS sites, (SELECT count(*) FROM gateways) AS gateways,
          (SELECT count(*) FROM subnets) AS subnets, (SELECT count(*) FROM audit_entries WHERE action NOT LIKE 'refuse%') AS entries,
          (SELECT count(*) FROM tunnels) AS tunnels, (SELECT count(*) FROM enrolment_tokens) AS tokens`,
      );
    const before = await count();
    const input = { name: "Graz", subnets: ["10.9.0.0/16"], networkId: fleet.networkId, gateway: {}, ...change };
    const { data, errors } = await cp.send(ONBOARD_SITE, { input });
    expect(data).toBeNull();
    expect(errors).toHaveLength(1);
    expect(errors?.[0]?.extensions).toMatchObject(error);
    expect(await count()).toEqual(before);
  });
});
