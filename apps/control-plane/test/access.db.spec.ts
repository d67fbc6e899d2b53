import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";
import { WakeUpBus } from "../src/platform/bus/bus.js";
import { Database } from "../src/platform/database/database.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { CREATE_SITE, describeFleet } from "./fleet.js";
import { subscribe } from "./subscribe.js";

const ME = "{ me { operator { email role lastLoginAt } organization { slug } permissions } }";
const SIGN_IN =
  "mutation ($email: String!, $password: String!) { signIn(email: $email, password: $password) { token mustChangePassword expiresAt } }";
const CREATE_TOKEN =
  "mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { token apiToken { id name prefix permissions expiresAt } } }";
const REVOKE = "mutation ($id: ID!) { revokeApiToken(id: $id) { revokedAt } }";

interface Created {
  createApiToken: { token: string; apiToken: { id: string; prefix: string; permissions: string[] } };
}

let cp: TestControlPlane;
beforeAll(async () => {
  cp = await startControlPlane();
});
afterAll(() => cp?.close());

const codeOf = async (source: string, variables: object, token: string | null) =>
  (await cp.send(source, variables, token)).errors?.[0]?.extensions.code;

describe("who may do what", () => {
  test.each([
    ["no token", null],
    ["a token that is none", "hunter2"],
    ["a token that nobody made", `sp_${"A".repeat(43)}`],
  ])("nothing goes with %s", async (_, token) => {
    expect(await codeOf("{ sites { edges { node { id } } } }", {}, token)).toBe("api/unauthenticated");
    expect(
      await codeOf(
        'mutation { createSite(input: { name: "x", subnets: [], gateway: {} }) { site { id } } }',
        {},
        token,
      ),
    ).toBe("api/unauthenticated");
  });

  test("the first token is its operator's", async () => {
    expect(await cp.get(ME)).toMatchObject({
      me: { operator: { email: "admin@localhost", role: "ADMIN" }, organization: { slug: "default" } },
    });
  });

  test("neither passwords nor tokens are stored as they are", async () => {
    const dump = JSON.stringify(
      await query(
        cp.connection,
        "SELECT row_to_json(o)::text FROM operators o UNION ALL SELECT row_to_json(t)::text FROM api_tokens t",
      ),
    );
    expect(dump).not.toContain(cp.first.oneTimePassword);
    expect(dump).not.toContain(cp.first.apiToken);
    expect(dump).not.toContain(Buffer.from(cp.first.apiToken).toString("hex"));
    expect(dump).toContain("$argon2id$v=19$m=19456,t=2,p=1$");
  });

  test("a narrowed token does what it says and makes no wider one", async () => {
    const { createApiToken } = await cp.get<Created>(CREATE_TOKEN, {
      input: { name: "dashboard", permissions: ["fleet:read", "token:write"] },
    });
    const { token, apiToken } = createApiToken;
    expect(apiToken.prefix).toBe(token.slice(0, 11));
    expect((await cp.send("{ fleetHealth { gateways } }", {}, token)).errors).toBeUndefined();
    const site = { input: { name: "X", subnets: ["10.0.0.0/24"], gateway: {} } };
    expect(await codeOf(CREATE_SITE, site, token)).toBe("api/forbidden");
    expect(await codeOf(CREATE_TOKEN, { input: { name: "wider", permissions: ["site:write"] } }, token)).toBe(
      "api/bad-input",
    );
    const plain = await cp.send<Created>(CREATE_TOKEN, { input: { name: "same" } }, token);
    expect(plain.data?.createApiToken.apiToken.permissions.toSorted()).toEqual(["fleet:read", "token:write"]);
  });

  test("a revoked token and an expired one are refused", async () => {
    const { createApiToken } = await cp.get<Created>(CREATE_TOKEN, { input: { name: "short-lived" } });
    const { token, apiToken } = createApiToken;
    expect((await cp.send(ME, {}, token)).errors).toBeUndefined();
    await query(cp.connection, "UPDATE api_tokens SET expires_at = now() WHERE id = $1", [apiToken.id]);
    expect((await cp.send(ME, {}, token)).errors?.[0]).toMatchObject({ message: "this token has expired" });
    await query(cp.connection, "UPDATE api_tokens SET expires_at = now() + interval '1 day' WHERE id = $1", [
      apiToken.id,
    ]);
    await cp.get(REVOKE, { id: apiToken.id });
    expect((await cp.send(ME, {}, token)).errors?.[0]).toMatchObject({ message: "this token was revoked" });
    const { apiTokens } = await cp.get<{ apiTokens: { edges: { node: { id: string } }[] } }>(
      "{ apiTokens { edges { node { id } } } }",
    );
    expect(apiTokens.edges.length).toBeGreaterThan(0);
    expect(apiTokens.edges.map((e) => e.node.id)).not.toContain(apiToken.id);
  });

  test("the one-time password buys a change of password and nothing else", async () => {
    const { email, oneTimePassword } = cp.first;
    const { signIn } = await cp.get<{ signIn: { token: string; mustChangePassword: boolean } }>(SIGN_IN, {
      email,
      password: oneTimePassword,
    });
    expect(signIn.mustChangePassword).toBe(true);
    expect(await codeOf("{ sites { edges { node { id } } } }", {}, signIn.token)).toBe("api/forbidden");
    const change =
      "mutation ($current: String!, $next: String!) { changePassword(current: $current, next: $next) { id } }";
    expect(await codeOf(change, { current: oneTimePassword, next: "short" }, signIn.token)).toBe("api/bad-input");
    expect(await codeOf(change, { current: "wrong password", next: "a long enough one" }, signIn.token)).toBe(
      "api/bad-input",
    );
    expect(
      (await cp.send(change, { current: oneTimePassword, next: "a long enough one" }, signIn.token)).errors,
    ).toBeUndefined();
    expect(await codeOf(ME, {}, signIn.token)).toBe("api/unauthenticated");
    const again = await cp.send<{ signIn: { token: string } }>(SIGN_IN, { email, password: "a long enough one" }, null);
    expect((await cp.send("{ sites { edges { node { id } } } }", {}, again.data?.signIn.token)).errors).toBeUndefined();
  });

  test("guessing is slowed down, and an unknown account looks like a wrong password", async () => {
    const unknown = await cp.send(SIGN_IN, { email: "nobody@localhost", password: "x" }, null);
    const wrong = await cp.send(SIGN_IN, { email: "admin@localhost", password: "x" }, null);
    expect(unknown.errors?.map((e) => e.message)).toEqual(wrong.errors?.map((e) => e.message));
    const codes = [];
    for (let i = 0; i < 6; i++) codes.push(await codeOf(SIGN_IN, { email: "admin@localhost", password: "x" }, null));
    expect(codes).toContain("api/too-many-attempts");
    expect(await codeOf(SIGN_IN, { email: "admin@localhost", password: "a long enough one" }, null)).toBe(
      "api/too-many-attempts",
    );
  });

  test("roles: a viewer reads, and cannot let others in", async () => {
    const create =
      "mutation ($input: CreateOperatorInput!) { createOperator(input: $input) { oneTimePassword operator { id } } }";
    const input = { email: "Viewer@example.org", name: "Viewer", role: "VIEWER" };
    const { createOperator } = await cp.get<{ createOperator: { operator: { id: string } } }>(create, { input });
    expect(await codeOf(create, { input }, cp.first.apiToken)).toBe("api/name-taken");
    const { createApiToken } = await cp.get<Created>(CREATE_TOKEN, { input: { name: "to be given away" } });
    await query(cp.connection, "UPDATE api_tokens SET operator_id = $1 WHERE id = $2", [
      createOperator.operator.id,
      createApiToken.apiToken.id,
    ]);
    const { token } = createApiToken;
    expect((await cp.send("{ sites { edges { node { id } } } }", {}, token)).errors).toBeUndefined();
    expect(await codeOf(CREATE_SITE, { input: { name: "X", subnets: ["10.0.0.0/24"], gateway: {} } }, token)).toBe(
      "api/forbidden",
    );
    expect(await codeOf(create, { input: { ...input, email: "b@c" } }, token)).toBe("api/forbidden");
    expect(await codeOf("{ auditEntries { edges { node { id } } } }", {}, token)).toBe("api/forbidden");
  });
});

describe("tenancy", () => {
  test("another organization's things are not there", async () => {
    const { hub, networkId } = await describeFleet(cp);
    const other = "01920000-0000-7000-8000-00000000beef";
    await query(cp.connection, "INSERT INTO organizations (id, name, slug) VALUES ($1, 'Other', 'other')", [other]);
    const { createApiToken } = await cp.get<Created>(CREATE_TOKEN, { input: { name: "to be moved" } });
    await query(
      cp.connection,
      `WITH o AS (INSERT INTO operators (id, organization_id, email, name, password_hash)
      VALUES ('01920000-0000-7000-8000-00000000cafe', $1, 'other@example.org', 'Other', 'x') RETURNING id)
      UPDATE api_tokens SET organization_id = $1, operator_id = (SELECT id FROM o) WHERE id = $2`,
      [other, createApiToken.apiToken.id],
    );
    const { token } = createApiToken;
    const { data } = await cp.send(
      `{ sites { edges { node { id } } } gateways { edges { node { id } } } tunnels { edges { node { id } } }
      events { edges { node { id } } } auditEntries { edges { node { id } } } networks { edges { node { id } } } apiTokens { edges { node { id name } } } fleetHealth { gateways } }`,
      {},
      token,
    );
    const none = { edges: [] };
    expect(data).toEqual({
      sites: none,
      gateways: none,
      tunnels: none,
      events: none,
      auditEntries: none,
      networks: none,
      apiTokens: { edges: [expect.anything()] },
      fleetHealth: { gateways: 0 },
    });
    expect(await codeOf("query ($id: ID!) { gateway(id: $id) { id } }", { id: hub.gateway.id }, token)).toBe(
      "api/not-found",
    );
    const network = "mutation ($input: CreateNetworkInput!) { createNetwork(input: $input) { id } }";
    expect(await codeOf(network, { input: { name: "N", hubGatewayIds: [hub.gateway.id] } }, token)).toBe(
      "api/not-found",
    );
    const site = "mutation ($input: OnboardSiteInput!) { onboardSite(input: $input) { site { id } } }";
    expect(await codeOf(site, { input: { name: "S", subnets: ["10.1.0.0/16"], networkId, gateway: {} } }, token)).toBe(
      "api/not-found",
    );
    // The same prefix and the same names in another organization are nobody's business.
    expect(
      (await cp.send(CREATE_SITE, { input: { name: "Headquarters", subnets: ["10.1.0.0/16"], gateway: {} } }, token))
        .errors,
    ).toBeUndefined();
  });

  test("a query that names no organization is refused before it is sent", async () => {
    const { client } = cp.application.nest.get(Database);
    await expect(client.site.findMany({})).rejects.toMatchObject({ code: "platform/no-tenant" });
    await expect(client.gateway.updateMany({ where: { name: "x" }, data: { name: "y" } })).rejects.toMatchObject({
      code: "platform/no-tenant",
    });
    await expect(client.gateway.deleteMany()).rejects.toMatchObject({ code: "platform/no-tenant" });
  });
});

describe("subscriptions", () => {
  test.each([
    ["no token", undefined],
    ["a token that nobody made", `sp_${"A".repeat(43)}`],
  ])("need more than %s", async (_, token) => {
    const { next, end } = subscribe(cp, token, "subscription { tunnelChanged { id } }");
    const refused = await next().then(
      ({ value }) => JSON.stringify(value),
      (error: unknown) => JSON.stringify(error),
    );
    expect(refused).toContain("api/unauthenticated");
    await end();
  });

  test("of something that is not there say so", async () => {
    const { next, end } = subscribe(
      cp,
      cp.first.apiToken,
      'subscription { onboardingProgress(gatewayId: "x") { complete } }',
    );
    await expect(next()).rejects.toMatchObject([{ extensions: { code: "api/bad-input", field: "gatewayId" } }]);
    await end();
  });

  test("end when their token is revoked", async () => {
    const { createApiToken } = await cp.get<Created>(CREATE_TOKEN, { input: { name: "watcher" } });
    const { token, apiToken } = createApiToken;
    const { gateways } = await cp.get<{ gateways: { edges: { node: { id: string } }[] } }>(
      "{ gateways { edges { node { id } } } }",
    );
    const gatewayId = gateways.edges[0]?.node.id ?? "";
    const { next, end } = subscribe(
      cp,
      token,
      `subscription { onboardingProgress(gatewayId: "${gatewayId}") { complete } }`,
    );
    expect((await next()).value).toMatchObject({ data: { onboardingProgress: { complete: false } } });
    await cp.get(REVOKE, { id: apiToken.id });
    const over = next();
    const { me } = await cp.get<{ me: { organization: { id: string } } }>("{ me { organization { id } } }");
    await cp.application.nest.get(WakeUpBus).publish("onboarding", { organizationId: me.organization.id, gatewayId });
    expect((await over).done).toBe(true);
    await end();
  });
});

describe("the API's own limits", () => {
  const post = (body: string, headers: Record<string, string> = {}) =>
    fetch(`${cp.application.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${cp.first.apiToken}`, ...headers },
      body,
    });

  test("GET, forms and text are refused", async () => {
    const get = await fetch(`${cp.application.url}/graphql?query={__typename}`, {
      headers: { authorization: `Bearer ${cp.first.apiToken}` },
    });
    expect(get.status).toBe(405);
    for (const type of ["application/x-www-form-urlencoded", "text/plain", "application/graphql"]) {
      expect((await post("query=%7B__typename%7D", { "content-type": type })).status).toBe(415);
    }
    expect((await post('{"query":"{__typename}"}', { "content-type": "application/json; charset=utf-8" })).status).toBe(
      200,
    );
  });

  test("what does not parse, or does not fit the schema, has a code", async () => {
    for (const source of ["{", "{ nothing }", "query ($x: Int!) { sites(first: $x) { edges { cursor } } }"]) {
      const { errors, status } = await cp.send(source);
      expect(errors?.[0]?.extensions.code).toBe("api/invalid-query");
      expect(status).toBe(400);
    }
    expect((await post("{")).status).toBe(400);
  });

  test("deep and expensive queries are refused", async () => {
    const deep = `{ sites { edges { node ${"{ gateways { site ".repeat(6)}{ id }${" } }".repeat(6)} } } }`;
    expect((await cp.send(deep)).errors?.[0]?.extensions.code).toBe("api/invalid-query");
    const costly =
      "query ($n: Int!) { tunnels(first: $n) { edges { node { network { spokes(first: 200) { edges { node { id name identity } } } } } } } }";
    expect((await cp.send(costly, { n: 200 })).errors?.[0]?.extensions).toMatchObject({
      code: "api/too-complex",
      expected: expect.stringContaining("50000"),
    });
    // The same document, whose costs its variables decide, also after it was compiled.
    for (let i = 0; i < 3; i++) expect((await cp.send(costly, { n: 1 })).errors).toBeUndefined();
    expect((await cp.send(costly, { n: 200 })).errors?.[0]?.extensions.code).toBe("api/too-complex");
  });

  test("another operation beside it does not hide an expensive one", async () => {
    const costly =
      "query Costly ($n: Int!) { tunnels(first: $n) { edges { node { network { spokes(first: 200) { edges { node { id name identity } } } } } } } }";
    const run = async (source: string, operationName: string, variables: object) => {
      const response = await post(JSON.stringify({ query: source, operationName, variables }));
      const { errors } = (await response.json()) as { errors?: { extensions: { code: string } }[] };
      return errors?.[0]?.extensions.code;
    };
    const both = `${costly} query Cheap { __typename }`;
    expect(await run(both, "Costly", { n: 200 })).toBe("api/too-complex");
    expect(await run(both, "Cheap", { n: 200 })).toBe("api/too-complex");
    expect(await run(both, "Costly", { n: 1 })).toBeUndefined();
    // Variables that only the other one needs may be absent.
    expect(await run(both, "Cheap", {})).toBeUndefined();
    expect(await run(both, "Costly", {})).toBe("api/invalid-query");
  });

  test("subscriptions have the same limits", async () => {
    const refusal = async (source: string, variables = {}) => {
      const client = createClient({
        url: `${cp.application.url.replace("http", "ws")}/graphql`,
        webSocketImpl: WebSocket,
        connectionParams: { authorization: `Bearer ${cp.first.apiToken}` },
      });
      const answer = await client
        .iterate({ query: source, variables })
        .next()
        .then(
          ({ value }) => value,
          (error: unknown) => error,
        );
      await client.dispose();
      return JSON.stringify(answer);
    };
    const fields = Array.from(
      { length: 100 },
      (_, i) => `n${i}: network { spokes(first: $n) { edges { node { id name identity } } } }`,
    );
    const costly = `subscription ($n: Int = 1) { tunnelChanged { ${fields.join(" ")} } }`;
    expect(await refusal(costly, { n: 200 })).toContain("api/too-complex");
    const long = `subscription { tunnelChanged { ${"id ".repeat(4_000)} } }`;
    expect(await refusal(long)).toContain("api/too-complex");
  });

  test("pages go on where the one before ended", async () => {
    const source =
      "query ($after: String) { sites(first: 1, after: $after) { edges { node { name } } pageInfo { hasNextPage endCursor } } }";
    type Page = {
      sites: { edges: { node: { name: string } }[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } };
    };
    const names: string[] = [];
    for (let after: string | null = null; ; ) {
      const { sites }: Page = await cp.get<Page>(source, { after });
      names.push(...sites.edges.map((e) => e.node.name));
      after = sites.pageInfo.endCursor;
      if (!sites.pageInfo.hasNextPage) break;
    }
    expect(names).toEqual(["Headquarters", "Vienna"]);
    expect((await cp.send("{ sites(first: 0) { edges { cursor } } }")).errors?.[0]?.extensions).toMatchObject({
      code: "api/bad-input",
      field: "first",
    });
    expect((await cp.send('{ sites(after: "x") { edges { cursor } } }')).errors?.[0]?.extensions).toMatchObject({
      code: "api/bad-input",
      field: "after",
    });
  });

  test("an unforeseen error shows an id and nothing else", async () => {
    await query(cp.connection, "ALTER TABLE events RENAME TO events_gone");
    const { errors } = await cp.send("{ events { edges { cursor } } }");
    await query(cp.connection, "ALTER TABLE events_gone RENAME TO events");
    expect(errors?.[0]?.message).toMatch(/^internal error [0-9a-f-]{36}$/);
    expect(errors?.[0]?.extensions).toMatchObject({ code: "api/internal", errorId: expect.any(String) });
    expect(JSON.stringify(errors)).not.toMatch(/prisma|relation|events_gone/i);
  });

  test("health end points", async () => {
    expect((await fetch(`${cp.application.url}/healthz`)).status).toBe(200);
    expect(await (await fetch(`${cp.application.url}/readyz`)).json()).toEqual({ status: "ok" });
  });
});
