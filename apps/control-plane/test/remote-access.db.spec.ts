import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mschapVerifier, parseIntent } from "@sallyport/intent";
import { IntentService } from "../src/features/intents/intent.service.js";
import { eventually, startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { enrol } from "./enrol.js";
import { CREATE_SITE, describeFleet, type Fleet, type MadeSite } from "./fleet.js";
import { handoverOf } from "./handover.js";
import { ASSIGN, CREATE_GROUP, person, pool, SET_PASSWORD } from "./people.js";
import { createPeople } from "./pki.js";

const CREATE = "mutation ($input: CreateRemoteAccessInput!) { createRemoteAccess(input: $input) { id shares } }";
const UPDATE = "mutation ($input: UpdateRemoteAccessInput!) { updateRemoteAccess(input: $input) { id networks } }";
const ADD = "mutation ($id: ID!, $gatewayId: ID!) { addRemoteAccessGateway(id: $id, gatewayId: $gatewayId) { id } }";
const WITHDRAW =
  "mutation ($id: ID!, $gatewayId: ID!) { withdrawRemoteAccessGateway(id: $id, gatewayId: $gatewayId) { id } }";
const PASSWORD = "correct horse battery";

let cp: TestControlPlane;
let fleet: Fleet;
let second: MadeSite;
let third: MadeSite;
let ids: { service: string; pool: string; staff: string; guests: string; ann: string; guest: string };

const refusal = async (source: string, variables: object, token?: string) =>
  (await cp.send(source, variables, token)).errors?.[0]?.extensions;

const reachable = (name: string, subnet: string, host: string) =>
  cp.get<{ createSite: MadeSite }>(CREATE_SITE, { input: { name, subnets: [subnet], gateway: { host } } });

const group = async (name: string) =>
  (await cp.get<{ createRoadWarriorGroup: { id: string } }>(CREATE_GROUP, { name })).createRoadWarriorGroup.id;

beforeAll(async () => {
  cp = await startControlPlane();
  fleet = await describeFleet(cp);
  ({ createSite: second } = await reachable("Second", "10.3.0.0/16", "198.51.100.2"));
  ({ createSite: third } = await reachable("Third", "10.4.0.0/16", "198.51.100.3"));
  await enrol(cp, fleet.hub);
  await enrol(cp, second);
  const [staff, guests] = [await group("Staff"), await group("Guests")];
  ids = {
    ...{ service: "", staff, guests },
    pool: await pool(cp, "Staff", ["10.9.0.0/24"], ["10.9.0.1-10.9.0.9"]),
    ann: await person(cp, "ann@example.org", { groupIds: [staff], sessionLimit: 2 }),
    guest: await person(cp, "guest@example.org", { groupIds: [guests] }),
  };
  await person(cp, "stranger@example.org");
  await cp.get(SET_PASSWORD, { id: ids.ann, password: PASSWORD });
  await cp.get(ASSIGN, { input: { poolId: ids.pool, roadWarriorId: ids.ann, address: "10.9.0.200" } });
});
afterAll(() => cp?.close());

/** The newest intent of a gateway, once all that was asked for is compiled. */
async function intentOf({ gateway }: MadeSite) {
  await eventually(
    () => query(cp.connection, "SELECT count(*)::int AS left FROM outbox"),
    ([row]) => row?.left === 0,
  );
  const latest = await cp.application.nest.get(IntentService, { strict: false }).latestFor(gateway.id);
  if (!latest) throw new Error(`${gateway.name} has no intent`);
  const intent = parseIntent(Buffer.from(latest.body).toString("utf8"));
  const connection = intent.connections.find((c) => c.modeConfig);
  const users = new Map(connection?.modeConfig?.users?.map((u) => [u.identity.value, u]));
  return { intent, connection, users };
}

const input = (change: object = {}) => ({
  name: "Staff",
  gatewayIds: [fleet.hub.gateway.id],
  shares: 2,
  poolIds: [ids.pool],
  methods: ["EAP_MSCHAPV2", "EAP_TLS"],
  networks: ["10.1.0.0/16"],
  dns: ["10.1.0.53"],
  splitDns: ["Corp.example."],
  groups: [{ groupId: ids.staff }, { groupId: ids.guests, networks: ["10.1.7.0/24"], dns: [] }],
  ...change,
});

describe("remote access", () => {
  test.each([
    [
      "a gateway that nobody can call",
      () => ({ gatewayIds: [fleet.branch.gateway.id] }),
      "intent/unreachable",
      "input.gatewayIds",
    ],
    ["fewer shares than gateways", () => ({ shares: 0 }), "api/bad-input", "input.shares"],
    ["shares of which nothing is left", () => ({ shares: 64 }), "intent/invalid-field", "input.poolIds"],
    ["no pool", () => ({ poolIds: [] }), "api/bad-input", "input.poolIds"],
    ["a pool twice", () => ({ poolIds: [ids.pool, ids.pool] }), "remote-access/pool-taken", "input.poolIds[1]"],
    ["no method", () => ({ methods: [] }), "api/bad-input", "input.methods"],
    ["nothing to reach", () => ({ networks: [], groups: [] }), "intent/invalid-field", "input.networks"],
    ["a network that is none", () => ({ networks: ["10.1.0.1/16"] }), "base/bad-prefix", "input.networks[0]"],
    ["a domain that is none", () => ({ splitDns: ["corp example"] }), "api/bad-input", "input.splitDns[0]"],
    [
      "a group twice",
      () => ({ groups: [{ groupId: ids.staff }, { groupId: ids.staff }] }),
      "api/bad-input",
      "input.groups[1].groupId",
    ],
    [
      "a name server that is none",
      () => ({ groups: [{ groupId: ids.staff, dns: ["x"] }] }),
      "base/bad-address",
      "input.groups[0].dns[0]",
    ],
    [
      "proposals that nobody can read",
      () => ({ ikeProposals: ["aes256-rot13"] }),
      "intent/bad-proposal",
      "input.ikeProposals[0]",
    ],
  ])("is refused for %s", async (_, change, code, field) => {
    expect(await refusal(CREATE, { input: input(change()) })).toMatchObject({ code, field });
    expect(await query(cp.connection, "SELECT 1 FROM remote_access")).toEqual([]);
  });

  test("reaches the gateway's intent: its share of the pool, who gets in, by what, and to where", async () => {
    const { createRemoteAccess } = await cp.get<{ createRemoteAccess: { id: string } }>(CREATE, { input: input() });
    ids.service = createRemoteAccess.id;
    const { intent, connection, users } = await intentOf(fleet.hub);
    expect(connection).toMatchObject({
      role: "responder",
      peer: { method: "eap", methods: ["tls", "mschapv2"], trustAnchorIds: [expect.any(String)] },
      modeConfig: { dns: ["10.1.0.53"], splitDns: ["corp.example"], splitInclude: ["10.1.0.0/16"], onlyUsers: true },
      children: [{ localSubnets: ["10.1.0.0/16", "10.1.7.0/24"], remoteSubnets: [] }],
    });
    expect([...users.keys()]).toEqual(["ann@example.org", "guest@example.org"]);
    expect(users.get("ann@example.org")).toMatchObject({ sessions: 2, reach: ["10.1.0.0/16"] });
    // It lies in the other share, which no gateway has yet.
    expect(users.get("ann@example.org")?.addresses).toBeUndefined();
    expect(users.get("guest@example.org")).toMatchObject({ reach: ["10.1.7.0/24"], dns: [], sessions: 1 });
    expect(intent.pools).toMatchObject([{ addresses: ["10.9.0.1-10.9.0.127"], except: ["10.9.0.1-10.9.0.9"] }]);
    expect(intent.eapUsers?.[0]?.users.map((u) => [u.name, u.verifier, u.secret.reveal()])).toEqual([
      ["ann@example.org", "nt-hash", mschapVerifier(PASSWORD).reveal()],
    ]);
  });

  test("gives another gateway another share, and a person's own address to the gateway whose share it lies in", async () => {
    await cp.get(ADD, { id: ids.service, gatewayId: second.gateway.id });
    const [a, b] = [await intentOf(fleet.hub), await intentOf(second)];
    expect(a.intent.pools?.[0]?.addresses).toEqual(["10.9.0.1-10.9.0.127"]);
    expect(b.intent.pools?.[0]?.addresses).toEqual(["10.9.0.128-10.9.0.254"]);
    expect(a.users.get("ann@example.org")?.addresses).toBeUndefined();
    expect(b.users.get("ann@example.org")?.addresses).toEqual(["10.9.0.200"]);
    const data = await cp.get(
      `{ remoteAccess { edges { node { name methods shares pools { name } gateways { share addresses gateway { name } }
         groups { group { name } networks dns splitDns } people { networks } } } } }`,
    );
    expect(data).toEqual({
      remoteAccess: {
        edges: [
          {
            node: {
              ...{
                name: "Staff",
                methods: ["EAP_MSCHAPV2", "EAP_TLS"],
                shares: 2,
                pools: [{ name: "Staff" }],
                people: [],
              },
              gateways: [
                { share: 0, addresses: ["10.9.0.1-10.9.0.127"], gateway: { name: "Headquarters" } },
                { share: 1, addresses: ["10.9.0.128-10.9.0.254"], gateway: { name: "Second" } },
              ],
              groups: [
                { group: { name: "Staff" }, networks: null, dns: null, splitDns: null },
                { group: { name: "Guests" }, networks: ["10.1.7.0/24"], dns: [], splitDns: null },
              ],
            },
          },
        ],
      },
    });
  });

  test("has no share for a third, keeps a withdrawn gateway's for it, and shares neither gateways nor pools", async () => {
    expect(await refusal(ADD, { id: ids.service, gatewayId: third.gateway.id })).toMatchObject({
      code: "remote-access/no-share-left",
      field: "gatewayId",
    });
    await cp.get(WITHDRAW, { id: ids.service, gatewayId: second.gateway.id });
    expect((await intentOf(second)).connection).toBeUndefined();
    expect(await refusal(ADD, { id: ids.service, gatewayId: third.gateway.id })).toMatchObject({
      code: "remote-access/no-share-left",
    });
    const other = await pool(cp, "Others", ["10.10.0.0/24"]);
    const more = { name: "Others", groups: [], shares: null };
    expect(
      await refusal(CREATE, { input: input({ ...more, gatewayIds: [second.gateway.id], poolIds: [other] }) }),
    ).toMatchObject({ code: "remote-access/gateway-taken", field: "input.gatewayIds[0]" });
    expect(await refusal(CREATE, { input: input({ ...more, gatewayIds: [third.gateway.id] }) })).toMatchObject({
      code: "remote-access/pool-taken",
      field: "input.poolIds[0]",
    });
    await cp.get(ADD, { id: ids.service, gatewayId: second.gateway.id });
    expect((await intentOf(second)).intent.pools?.[0]?.addresses).toEqual(["10.9.0.128-10.9.0.254"]);
  });

  test("holds on to what it uses", async () => {
    expect(await refusal("mutation ($id: ID!) { deleteAddressPool(id: $id) { id } }", { id: ids.pool })).toMatchObject({
      code: "api/in-use",
    });
    expect(
      await refusal("mutation ($id: ID!) { deleteRoadWarriorGroup(id: $id) { id } }", { id: ids.guests }),
    ).toMatchObject({ code: "api/in-use", field: "id" });
    const host = "mutation ($input: UpdateGatewayInput!) { updateGateway(input: $input) { id } }";
    expect(await refusal(host, { input: { id: second.gateway.id, host: null } })).toMatchObject({
      code: "intent/unreachable",
      field: "input.host",
    });
  });

  test("changes by its parts: methods, what a person reaches, who is in", async () => {
    const change = {
      ...{ id: ids.service, methods: ["CERTIFICATE"], networks: ["10.1.0.0/16", "10.3.0.0/16"] },
      groups: [{ groupId: ids.guests, networks: ["10.1.7.0/24"] }],
      people: [{ roadWarriorId: ids.guest, networks: ["10.3.9.0/24"], splitDns: ["guests.example"] }],
    };
    await cp.get(UPDATE, { input: change });
    const { intent, connection, users } = await intentOf(fleet.hub);
    expect(connection?.peer).toMatchObject({ method: "certificate", identity: { type: "any" } });
    expect(intent.eapUsers).toBeUndefined();
    expect([...users.keys()]).toEqual(["guest@example.org"]);
    expect(users.get("guest@example.org")).toMatchObject({ reach: ["10.3.9.0/24"], splitDns: ["guests.example"] });
    const [entry] = await query(
      cp.connection,
      "SELECT before, after FROM audit_entries WHERE action = 'updateRemoteAccess' AND target_id = $1",
      [ids.service],
    );
    expect(entry).toMatchObject({ before: { networks: ["10.1.0.0/16"] }, after: { methods: ["CERTIFICATE"] } });
    await cp.get(UPDATE, { input: { id: ids.service, methods: ["CERTIFICATE_AND_EAP_MSCHAPV2"] } });
    expect((await intentOf(fleet.hub)).connection).toMatchObject({
      peer: { method: "certificate" },
      peerRounds: [{ method: "eap", methods: ["mschapv2"], samePerson: true }],
    });
    await cp.get(UPDATE, { input: { id: ids.service, groups: [], people: [], methods: ["EAP_MSCHAPV2"] } });
    expect([...(await intentOf(fleet.hub)).users.keys()]).toEqual(
      ["ann", "guest", "stranger"].map((name) => `${name}@example.org`),
    );
  });

  test("has pools for groups and persons, and believes the roots that it names, strictly if it is to", async () => {
    const { root, profileId } = await createPeople(cp);
    const guests = await pool(cp, "Guests", ["10.11.0.0/24"]);
    const own = { groups: [{ groupId: ids.staff }, { groupId: ids.guests, poolIds: [guests] }], methods: ["EAP_TLS"] };
    expect(await refusal(UPDATE, { input: { id: ids.service, ...own } })).toMatchObject({
      ...{ code: "intent/unknown-reference", field: "input.poolIds", value: guests },
    });
    const people = [{ roadWarriorId: ids.ann, poolIds: [guests, ids.pool] }];
    const trust = { authorityIds: [root.id], strictRevocation: true };
    await cp.get(UPDATE, { input: { id: ids.service, ...own, people, poolIds: [ids.pool, guests], ...trust } });
    const { intent, connection, users } = await intentOf(fleet.hub);
    expect(connection?.modeConfig?.poolIds).toEqual([ids.pool, guests]);
    expect(users.get("guest@example.org")?.poolIds).toEqual([guests]);
    expect(users.get("ann@example.org")?.poolIds).toEqual([guests, ids.pool]);
    const anchorId = `${root.id}.strict`;
    expect(connection?.peer).toMatchObject({ method: "eap", trustAnchorIds: [anchorId] });
    const anchors = new Map(intent.trustAnchors.map((t) => [t.id, t.revocation]));
    expect(anchors.get(anchorId)).toBe("strict");
    // Tunnels of the gateway trust what they did.
    expect([...anchors.values()].filter((policy) => policy === undefined)).toHaveLength(anchors.size - 1);
    const input = { roadWarriorId: ids.guest, remoteAccessId: ids.service, certificate: { profileId } };
    expect((await handoverOf(cp, input)).handover.devices).toContain("SWANCTL");
    const data = await cp.get(
      "{ remoteAccess { edges { node { authorityIds strictRevocation groups { poolIds } people { poolIds } } } } }",
    );
    expect(data).toEqual({
      remoteAccess: {
        edges: [
          {
            node: {
              ...{ ...trust, groups: [{ poolIds: null }, { poolIds: [guests] }] },
              people: [{ poolIds: [guests, ids.pool] }],
            },
          },
        ],
      },
    });
    const rows = await query(
      cp.connection,
      "SELECT id FROM certificate_authorities WHERE purpose = 'GATEWAY_IDENTITY' AND level = 'ROOT'",
    );
    for (const [change, code, field] of [
      [{ authorityIds: [ids.pool] }, "api/not-found", "input.authorityIds[0]"],
      [{ authorityIds: [] }, "api/bad-input", "input.strictRevocation"],
      [{ authorityIds: [root.id, rows[0]?.id] }, "api/bad-input", "input.strictRevocation"],
      [{ groups: [{ groupId: ids.staff, poolIds: [] }] }, "api/bad-input", "input.groups[0].poolIds"],
      [{ poolIds: [ids.pool] }, "intent/unknown-reference", "input.poolIds"],
    ] as const) {
      expect(await refusal(UPDATE, { input: { id: ids.service, ...change } })).toMatchObject({ code, field });
    }
    const both = { authorityIds: [rows[0]?.id, root.id], strictRevocation: false };
    await cp.get(UPDATE, { input: { id: ids.service, ...both } });
    expect((await intentOf(fleet.hub)).connection?.peer).toMatchObject({
      trustAnchorIds: [String(rows[0]?.id), root.id].toSorted(),
    });
    const back = { groups: [], people: [], poolIds: [ids.pool], methods: ["EAP_MSCHAPV2"], authorityIds: [] };
    await cp.get(UPDATE, { input: { id: ids.service, ...back } });
  });

  test("lets nobody in who is disabled, or has lost the password", async () => {
    const update = "mutation ($input: UpdateRoadWarriorInput!) { updateRoadWarrior(input: $input) { id } }";
    await cp.get(update, { input: { id: ids.guest, enabled: false } });
    expect((await intentOf(fleet.hub)).users.has("guest@example.org")).toBe(false);
    await cp.get("mutation ($id: ID!) { removeRoadWarriorPassword(id: $id) { id } }", { id: ids.ann });
    const { intent, users } = await intentOf(fleet.hub);
    expect(users.has("ann@example.org")).toBe(true);
    expect(intent.eapUsers).toEqual([{ id: expect.any(String), users: [] }]);
  });

  test("needs a permission of its own, and ends for all its gateways", async () => {
    const { createApiToken } = await cp.get<{ createApiToken: { token: string } }>(
      "mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { token } }",
      { input: { name: "pools", permissions: ["pool:write", "fleet:read"] } },
    );
    expect(await refusal(CREATE, { input: input() }, createApiToken.token)).toMatchObject({ code: "api/forbidden" });
    await cp.get("mutation ($id: ID!) { deleteRemoteAccess(id: $id) { name } }", { id: ids.service });
    for (const site of [fleet.hub, second]) {
      const { intent, connection } = await intentOf(site);
      expect([connection, intent.pools, intent.eapUsers]).toEqual([undefined, undefined, undefined]);
    }
    expect(await refusal(UPDATE, { input: { id: ids.service } })).toMatchObject({ code: "api/not-found" });
  });
});
