import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mschapVerifier } from "@sallyport/intent";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { ADD_PEER, CREATE_SITE, describeFleet, type Fleet } from "./fleet.js";
import { ASSIGN, CREATE_GROUP, CREATE_PERSON, CREATE_POOL, person, pool, SET_PASSWORD } from "./people.js";

let cp: TestControlPlane;
let fleet: Fleet;

beforeAll(async () => {
  cp = await startControlPlane();
  fleet = await describeFleet(cp);
});
afterAll(() => cp?.close());

const refusal = async (source: string, variables: object, token?: string) =>
  (await cp.send(source, variables, token)).errors?.[0]?.extensions;

async function tokenWith(...permissions: string[]): Promise<string> {
  const { createApiToken } = await cp.get<{ createApiToken: { token: string } }>(
    "mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { token } }",
    { input: { name: permissions.join(), permissions } },
  );
  return createApiToken.token;
}

describe("an address pool", () => {
  test("has canonical ranges, counts what it gives, and is audited", async () => {
    const made = await pool(cp, "Staff", ["10.9.0.0/24", "10.9.1.10-10.9.1.19"], ["10.9.0.1-10.9.0.9"]);
    const six = await pool(cp, "Staff 6", ["2001:DB8:9::/64"]);
    const data = await cp.get(
      "{ addressPools { edges { node { id name family addresses exclusions size staticLeases { edges { node { id } } } } } } }",
    );
    expect(data).toEqual({
      addressPools: {
        edges: [
          {
            node: {
              ...{ id: made, name: "Staff", family: 4, size: "255", staticLeases: { edges: [] } },
              addresses: ["10.9.0.0/24", "10.9.1.10-10.9.1.19"],
              exclusions: ["10.9.0.1-10.9.0.9"],
            },
          },
          { node: expect.objectContaining({ id: six, family: 6, size: "18446744073709551615" }) },
        ],
      },
    });
    const audit = await query(cp.connection, "SELECT action, after FROM audit_entries WHERE target_id = $1", [made]);
    expect(audit).toEqual([
      {
        action: "createAddressPool",
        after: expect.objectContaining({ name: "Staff", exclusions: ["10.9.0.1-10.9.0.9"] }),
      },
    ]);
  });

  test.each([
    ["a site's network", { addresses: ["10.8.0.0/24", "10.1.7.0-10.1.7.9"] }, "intent/overlap", "input.addresses[1]"],
    ["a network that lies in it", { addresses: ["10.0.0.0-10.5.0.0"] }, "intent/overlap", "input.addresses[0]"],
    ["another pool", { addresses: ["10.9.1.19"] }, "intent/overlap", "input.addresses[0]"],
    ["two families", { addresses: ["10.8.0.0/24", "fd00::/64"] }, "pool/bad-addresses", "input.addresses[1]"],
    ["an address twice", { addresses: ["10.8.0.0/24", "10.8.0.7"] }, "pool/bad-addresses", "input.addresses[1]"],
    [
      "nothing left",
      { addresses: ["10.8.0.7"], exclusions: ["10.8.0.0/24"] },
      "pool/bad-addresses",
      "input.exclusions",
    ],
    ["no addresses", { addresses: [] }, "api/bad-input", "input.addresses"],
    ["a range that ends before it begins", { addresses: ["10.8.0.9-10.8.0.1"] }, "api/bad-input", "input.addresses[0]"],
    ["half the internet", { addresses: ["128.0.0.0/1"] }, "api/bad-input", "input.addresses[0]"],
    ["a name that is taken", { name: "staff", addresses: ["10.8.0.0/24"] }, "api/name-taken", "input.name"],
  ])("is refused for %s", async (_, change, code, field) => {
    const before = await query(cp.connection, "SELECT count(*) FROM address_pools");
    const input = { name: "Guests", exclusions: [], ...change };
    expect(await refusal(CREATE_POOL, { input })).toMatchObject({ code, field });
    expect(await query(cp.connection, "SELECT count(*) FROM address_pools")).toEqual(before);
  });

  test("names who is in its way, and is in the way of sites and peers in turn", async () => {
    const input = { name: "Guests", addresses: ["10.2.0.0-10.2.0.9"] };
    expect(await refusal(CREATE_POOL, { input })).toMatchObject({
      other: 'site "Vienna" (10.2.0.0/16)',
      value: "10.2.0.0-10.2.0.9",
    });
    const site = { name: "Graz", subnets: ["10.7.0.0/16", "10.9.0.128/25"], gateway: {} };
    expect(await refusal(CREATE_SITE, { input: site })).toMatchObject({
      code: "intent/overlap",
      field: "input.subnets[1]",
      other: 'address pool "Staff" (10.9.0.0/24)',
    });
    const peer = { name: "P", gatewayId: fleet.hub.gateway.id, host: "203.0.113.9", preSharedKey: "long enough" };
    expect(await refusal(ADD_PEER, { input: { ...peer, subnets: ["2001:db8:9::/48"] } })).toMatchObject({
      code: "intent/overlap",
      field: "input.subnets[0]",
    });
  });

  test("changes, but not so that a person's own address is lost, and is not deleted under it", async () => {
    const id = await pool(cp, "Movable", ["10.20.0.0/24"]);
    const ann = await person(cp, "movable@example.org");
    const { assignAddress } = await cp.get<{ assignAddress: { id: string } }>(ASSIGN, {
      input: { poolId: id, roadWarriorId: ann, address: "10.20.0.7" },
    });
    const update = "mutation ($input: UpdateAddressPoolInput!) { updateAddressPool(input: $input) { name addresses } }";
    const grown = { id, name: "Moved", addresses: ["10.20.0.0/24", "10.21.0.0/24"] };
    expect(await cp.get(update, { input: grown })).toEqual({
      updateAddressPool: { name: "Moved", addresses: grown.addresses },
    });
    expect(await refusal(update, { input: { id, addresses: ["10.20.0.8-10.20.0.99"] } })).toMatchObject({
      code: "pool/not-in-pool",
      field: "input.addresses",
    });
    expect(await refusal(update, { input: { id, addresses: ["10.20.0.0/24", "10.1.9.0/24"] } })).toMatchObject({
      code: "intent/overlap",
      field: "input.addresses[1]",
    });
    const remove = "mutation ($id: ID!) { deleteAddressPool(id: $id) { name } }";
    expect(await refusal(remove, { id })).toMatchObject({ code: "api/in-use", field: "id" });
    await cp.get("mutation ($id: ID!) { releaseAddress(id: $id) { address } }", { id: assignAddress.id });
    expect(await cp.get(remove, { id })).toEqual({ deleteAddressPool: { name: "Moved" } });
    expect(await refusal(remove, { id })).toMatchObject({ code: "api/not-found" });
  });
});

describe("an address of one's own", () => {
  test("is of the pool, nobody else's, and one of each family", async () => {
    const [four, six] = [
      await pool(cp, "Own 4", ["10.30.0.0/24"], ["10.30.0.9"]),
      await pool(cp, "Own 6", ["fd00:30::/64"]),
    ];
    const [ann, bob] = [await person(cp, "own-ann@example.org"), await person(cp, "own-bob@example.org")];
    const assign = (poolId: string, roadWarriorId: string, address: string) => ({
      input: { poolId, roadWarriorId, address },
    });
    await cp.get(ASSIGN, assign(four, ann, "10.30.0.7"));
    await cp.get(ASSIGN, assign(six, ann, "fd00:30::7"));
    expect(await refusal(ASSIGN, assign(four, bob, "10.30.0.7"))).toMatchObject({ code: "pool/address-taken" });
    for (const address of ["10.30.0.9", "10.30.0.0", "10.30.0.255", "10.31.0.1", "fd00:30::9"]) {
      expect(await refusal(ASSIGN, assign(four, bob, address))).toMatchObject({
        code: "pool/not-in-pool",
        value: address,
      });
    }
    expect(await refusal(ASSIGN, assign(four, bob, "10.30.0"))).toMatchObject({ field: "input.address" });
    await cp.get(ASSIGN, assign(four, ann, "10.30.0.8"));
    const found = await cp.get(
      `query ($first: Int!) { roadWarriors(first: $first) { edges { node { username staticLeases { address pool { name } roadWarrior { username } } } } } }`,
      { first: 100 },
    );
    expect(found).toMatchObject({
      roadWarriors: {
        edges: expect.arrayContaining([
          {
            node: {
              username: "own-ann@example.org",
              staticLeases: [
                { address: "fd00:30::7", pool: { name: "Own 6" }, roadWarrior: { username: "own-ann@example.org" } },
                { address: "10.30.0.8", pool: { name: "Own 4" }, roadWarrior: { username: "own-ann@example.org" } },
              ],
            },
          },
        ]),
      },
    });
  });
});

describe("a person", () => {
  test("has groups, a limit, and is found by them", async () => {
    const { createRoadWarriorGroup: staff } = await cp.get<{ createRoadWarriorGroup: { id: string } }>(CREATE_GROUP, {
      name: "Staff",
    });
    const id = await person(cp, "Ann@Example.org", { groupIds: [staff.id], sessionLimit: 3 });
    const about = "id name username enabled sessionLimit passwordSetAt groups { name }";
    expect(
      await cp.get(`query ($g: ID!) { roadWarriors(groupId: $g) { edges { node { ${about} } } } }`, { g: staff.id }),
    ).toEqual({
      roadWarriors: {
        edges: [
          {
            node: {
              ...{ id, name: "Ann@Example.org", username: "ann@example.org", enabled: true, sessionLimit: 3 },
              ...{ passwordSetAt: null, groups: [{ name: "Staff" }] },
            },
          },
        ],
      },
    });
    const update = `mutation ($input: UpdateRoadWarriorInput!) { updateRoadWarrior(input: $input) { ${about} } }`;
    expect(await cp.get(update, { input: { id, enabled: false, groupIds: [], name: "Ann" } })).toMatchObject({
      updateRoadWarrior: { enabled: false, groups: [], name: "Ann", sessionLimit: 3 },
    });
    expect(
      await cp.get(
        "{ roadWarriors(enabled: false) { edges { node { username } } } roadWarriorGroups { edges { node { name members { edges { node { id } } } } } } }",
      ),
    ).toEqual({
      roadWarriors: { edges: [{ node: { username: "ann@example.org" } }] },
      roadWarriorGroups: { edges: [{ node: { name: "Staff", members: { edges: [] } } }] },
    });
    const [entry] = await query(
      cp.connection,
      "SELECT before, after FROM audit_entries WHERE action = 'updateRoadWarrior' AND target_id = $1",
      [id],
    );
    expect(entry).toMatchObject({
      before: { groupIds: [staff.id], enabled: true },
      after: { groupIds: [], enabled: false },
    });
    await cp.get(update, { input: { id, enabled: true, groupIds: [staff.id] } });
    await cp.get("mutation ($id: ID!) { deleteRoadWarriorGroup(id: $id) { name } }", { id: staff.id });
    expect(await cp.get("{ roadWarriors(first: 200) { edges { node { username groups { name } } } } }")).toMatchObject({
      roadWarriors: { edges: expect.arrayContaining([{ node: { username: "ann@example.org", groups: [] } }]) },
    });
  });

  test.each([
    ["a user name that is none", { username: "ann smith" }, "api/bad-input", "input.username"],
    ["a pattern", { username: "*@example.org" }, "api/bad-input", "input.username"],
    ["a user name that is taken", { username: "ANN@example.org" }, "person/username-taken", "input.username"],
    ["no session at all", { sessionLimit: 0 }, "api/bad-input", "input.sessionLimit"],
    [
      "a group that is not there",
      { groupIds: ["01920000-0000-7000-8000-000000000000"] },
      "api/not-found",
      "input.groupIds[0]",
    ],
  ])("is refused for %s", async (_, change, code, field) => {
    const input = { name: "Someone", username: "someone@example.org", ...change };
    expect(await refusal(CREATE_PERSON, { input })).toMatchObject({ code, field });
    const left = await query(cp.connection, "SELECT 1 FROM road_warriors WHERE username = 'someone@example.org'");
    expect(left).toEqual([]);
  });

  test("has a password that is shown once, kept as a sealed hash, and in no record", async () => {
    const id = await person(cp, "pass@example.org");
    const { setRoadWarriorPassword: made } = await cp.get<{ setRoadWarriorPassword: { password: string } }>(
      SET_PASSWORD,
      { id },
    );
    expect(made.password).toMatch(/^([a-z2-9]{5}-){3}[a-z2-9]{5}$/);
    const chosen = "correct horse battery";
    const answer = await cp.get(SET_PASSWORD, { id, password: chosen });
    expect(answer).toEqual({
      setRoadWarriorPassword: { password: null, roadWarrior: { passwordSetAt: expect.any(String) } },
    });
    const dump = JSON.stringify(
      await query(
        cp.connection,
        "SELECT row_to_json(r)::text FROM road_warriors r UNION ALL SELECT row_to_json(a)::text FROM audit_entries a",
      ),
    );
    // NT hash of the chosen one, RFC 2759 §8.3.
    const hash = mschapVerifier(chosen).reveal();
    for (const secret of [made.password, chosen, hash, Buffer.from(chosen).toString("hex")])
      expect(dump).not.toContain(secret);
    for (const password of ["short", "x".repeat(257), "pass@example.org!!", `newline\n${chosen}`]) {
      const error = await refusal(SET_PASSWORD, { id, password });
      expect(error).toMatchObject({ code: "person/weak-password", field: "password", value: "***" });
    }
    await cp.get("mutation ($id: ID!) { removeRoadWarriorPassword(id: $id) { passwordSetAt } }", { id });
    const [row] = await query(
      cp.connection,
      "SELECT sealed, key_id, password_set_at FROM road_warriors WHERE id = $1",
      [id],
    );
    expect(row).toEqual({ sealed: null, key_id: null, password_set_at: null });
  });

  test("goes with the addresses that were its own", async () => {
    const [id, own] = [await person(cp, "leaver@example.org"), await pool(cp, "Leavers", ["10.40.0.0/24"])];
    await cp.get(ASSIGN, { input: { poolId: own, roadWarriorId: id, address: "10.40.0.7" } });
    await cp.get("mutation ($id: ID!) { deleteRoadWarrior(id: $id) { username } }", { id });
    expect(await query(cp.connection, "SELECT 1 FROM static_leases WHERE pool_id = $1", [own])).toEqual([]);
  });
});

describe("who may", () => {
  test("needs the permission for each", async () => {
    const reader = await tokenWith("fleet:read");
    const input = { name: "Refused", addresses: ["10.50.0.0/24"] };
    expect(await refusal(CREATE_POOL, { input }, reader)).toMatchObject({ code: "api/forbidden" });
    const forPools = await tokenWith("pool:write");
    const someone = { input: { name: "x", username: "x@example.org" } };
    expect(await refusal(CREATE_PERSON, someone, forPools)).toMatchObject({ code: "api/forbidden" });
    expect(await refusal(SET_PASSWORD, { id: fleet.networkId }, reader)).toMatchObject({ code: "api/forbidden" });
    expect(await refusal("{ roadWarriors { edges { node { id } } } }", {}, forPools)).toMatchObject({
      code: "api/forbidden",
    });
  });

  test("sees nothing of another organization", async () => {
    const [row] = await query(
      cp.connection,
      `INSERT INTO organizations (id, name, slug) VALUES (gen_random_uuid(), 'Other', 'other') RETURNING id::text AS id`,
    );
    const theirs = [row?.id];
    const [p] = await query(
      cp.connection,
      `INSERT INTO address_pools (id, organization_id, name, addresses, exclusions, updated_at)
       VALUES (gen_random_uuid(), $1, 'Theirs', '{10.60.0.0/24}', '{}', now()) RETURNING id::text AS id`,
      theirs,
    );
    const [w] = await query(
      cp.connection,
      `INSERT INTO road_warriors (id, organization_id, name, username, updated_at)
       VALUES (gen_random_uuid(), $1, 'Theirs', 'theirs@example.org', now()) RETURNING id::text AS id`,
      theirs,
    );
    expect(await refusal("mutation ($id: ID!) { deleteAddressPool(id: $id) { name } }", { id: p?.id })).toMatchObject({
      code: "api/not-found",
    });
    expect(await refusal(SET_PASSWORD, { id: w?.id })).toMatchObject({ code: "api/not-found" });
    // Their addresses and names are in nobody's way here.
    await pool(cp, "Theirs", ["10.60.0.0/24"]);
    await person(cp, "theirs@example.org");
  });
});
