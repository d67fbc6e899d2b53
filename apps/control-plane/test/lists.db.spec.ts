import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { CREATE_NETWORK, describeFleet, type Fleet, ONBOARD_SITE } from "./fleet.js";

interface Page {
  readonly edges: readonly { readonly node: { readonly name: string } }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

const PAGE = "{ edges { node { name } } pageInfo { hasNextPage endCursor } }";

let cp: TestControlPlane;
let fleet: Fleet;

beforeAll(async () => {
  cp = await startControlPlane();
  fleet = await describeFleet(cp);
  for (const [i, name] of ["Graz", "Linz", "Wels"].entries()) {
    await cp.get(ONBOARD_SITE, {
      input: { name, subnets: [`10.${10 + i}.0.0/16`], networkId: fleet.networkId, gateway: {} },
    });
  }
  for (const name of ["Labs", "Shops"]) {
    await cp.get(CREATE_NETWORK, { input: { name, hubGatewayIds: [fleet.hub.gateway.id] } });
    await cp.get("mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { token } }", {
      input: { name },
    });
    await cp.get("mutation ($input: CreateOperatorInput!) { createOperator(input: $input) { oneTimePassword } }", {
      input: { name, email: `${name}@example.org`, role: "VIEWER" },
    });
  }
});
afterAll(() => cp?.close());

/** All names, in pages of two. */
async function names(source: string, pick: (data: Record<string, unknown>) => Page): Promise<string[]> {
  const found: string[] = [];
  for (let after: string | null = null; ; ) {
    const page: Page = pick(await cp.get(source, { after }));
    expect(page.edges.length).toBeLessThanOrEqual(2);
    found.push(...page.edges.map((e) => e.node.name));
    after = page.pageInfo.endCursor;
    if (!page.pageInfo.hasNextPage) return found;
  }
}

describe("lists come in pages", () => {
  test.each([
    ["networks", ["Offices", "Labs", "Shops"]],
    ["operators", [expect.any(String), "Labs", "Shops"]],
    ["apiTokens", ["Shops", "Labs", expect.any(String)]],
  ])("%s", async (field, expected) => {
    const source = `query ($after: String) { ${field}(first: 2, after: $after) ${PAGE} }`;
    expect(await names(source, (data) => data[field] as Page)).toEqual(expected);
  });

  test("a network's spokes, also of several networks at once", async () => {
    const source = `query ($after: String) { networks(first: 200) { edges { node { name spokes(first: 2, after: $after) ${PAGE} } } } }`;
    type Networks = { edges: { node: { name: string; spokes: Page } }[] };
    const of = (name: string) => (data: Record<string, unknown>) => {
      const node = (data.networks as Networks).edges.find((e) => e.node.name === name)?.node;
      if (!node) throw new Error(`no network ${name}`);
      return node.spokes;
    };
    expect(await names(source, of("Offices"))).toEqual(["Vienna", "Graz", "Linz", "Wels"]);
    expect(await names(source, of("Labs"))).toEqual([]);
  });

  test("a page that is too large is refused", async () => {
    for (const source of [
      "{ networks(first: 201) { edges { cursor } } }",
      "{ networks { edges { node { spokes(first: 0) { edges { cursor } } } } } }",
    ]) {
      expect((await cp.send(source)).errors?.[0]?.extensions).toMatchObject({ code: "api/bad-input", field: "first" });
    }
  });
});
