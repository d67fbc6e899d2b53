import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { ADD_PEER, describeFleet, type Fleet } from "./fleet.js";

const PSK = "correct horse battery staple";
let cp: TestControlPlane;
let fleet: Fleet;

beforeAll(async () => {
  cp = await startControlPlane();
  fleet = await describeFleet(cp);
});
afterAll(() => cp?.close());

const partner = (change: object = {}) => ({
  input: {
    name: "Partner",
    gatewayId: fleet.hub.gateway.id,
    host: "203.0.113.9",
    preSharedKey: PSK,
    subnets: ["192.168.7.0/24"],
    ...change,
  },
});

describe("an external peer", () => {
  test("whose proposals would not negotiate is refused with both sides' values, and nothing changes", async () => {
    const count = () =>
      query(cp.connection, "SELECT count(*) FROM external_peers UNION ALL SELECT count(*) FROM secrets");
    const before = await count();
    const { data, errors } = await cp.send(ADD_PEER, partner({ peerIkeProposals: ["3des-sha1-modp1024"] }));
    expect(data).toBeNull();
    expect(errors?.[0]?.extensions).toMatchObject({
      code: "intent/would-not-negotiate",
      field: "input.peerIkeProposals",
      ours: expect.stringContaining("aes256gcm16"),
      theirs: "3des-sha1-modp1024",
      exchange: "IKE_SA_INIT",
    });
    expect(await count()).toEqual(before);
  });

  test.each([
    [
      "ESP proposals",
      { peerEspProposals: ["3des-md5"] },
      { code: "intent/would-not-negotiate", field: "input.peerEspProposals" },
    ],
    [
      "a proposal that nobody can read",
      { ikeProposals: ["aes256-rot13"] },
      { code: "intent/bad-proposal", field: "input.ikeProposals[0]" },
    ],
    [
      "a subnet of the headquarters",
      { subnets: ["10.1.2.0/24"] },
      { code: "intent/overlap", field: "input.subnets[0]" },
    ],
    ["a short key", { preSharedKey: "1234" }, { code: "api/bad-input", field: "input.preSharedKey", value: "***" }],
    ["no way to know it", { host: null }, { code: "api/bad-input", field: "input.remoteIdentity" }],
    [
      "an unknown gateway",
      { gatewayId: "01920000-0000-7000-8000-000000000000" },
      { code: "api/not-found", field: "input.gatewayId" },
    ],
  ])("is refused for %s", async (_, change, error) => {
    const { errors } = await cp.send(ADD_PEER, partner(change));
    expect(errors?.[0]?.extensions).toMatchObject(error);
    expect(JSON.stringify(errors)).not.toContain(PSK);
  });

  test("that would is added, with a tunnel; its key is sealed and shown nowhere", async () => {
    const proposals = { peerIkeProposals: ["aes256-sha256-ecp256"], peerEspProposals: ["aes256gcm16-ecp256"] };
    await cp.get(ADD_PEER, partner(proposals));
    const data = await cp.get(`{
      externalPeers { edges { node { name host subnets remoteIdentity gateway { name } } } }
      tunnels { edges { node { name externalPeer { name } ends { gateway { name } } } } }
    }`);
    expect(data).toMatchObject({
      externalPeers: {
        edges: [
          {
            node: {
              subnets: ["192.168.7.0/24"],
              remoteIdentity: "address:203.0.113.9",
              gateway: { name: "Headquarters" },
            },
          },
        ],
      },
      tunnels: {
        edges: expect.arrayContaining([
          {
            node: {
              name: expect.any(String),
              externalPeer: { name: "Partner" },
              ends: [{ gateway: { name: "Headquarters" } }],
            },
          },
        ]),
      },
    });
    const dump = await query(
      cp.connection,
      "SELECT row_to_json(s)::text FROM secrets s UNION ALL SELECT row_to_json(a)::text FROM audit_entries a",
    );
    expect(JSON.stringify(dump)).not.toContain(PSK);
    expect(JSON.stringify(dump)).not.toContain(Buffer.from(PSK).toString("hex"));
  });

  test("is removed with its key and its tunnel", async () => {
    const { externalPeers } = await cp.get<{ externalPeers: { edges: { node: { id: string } }[] } }>(
      "{ externalPeers { edges { node { id } } } }",
    );
    const id = externalPeers.edges[0]?.node.id;
    await cp.get("mutation ($id: ID!) { removeExternalPeer(id: $id) { name } }", { id });
    const left = await query(
      cp.connection,
      "SELECT (SELECT count(*)::int FROM secrets) AS secrets, (SELECT count(*)::int FROM tunnels) AS tunnels",
    );
    expect(left).toEqual([{ secrets: 0, tunnels: 1 }]);
  });
});
