import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type RunningApplication, startApplication } from "../src/application.js";
import { MasterKeyService } from "../src/features/master-key/master-key.service.js";
import { SEALED_TABLES } from "../src/features/master-key/sealed-tables.js";
import { CONFIG, type Config } from "../src/platform/config/config.js";
import { createLog } from "../src/platform/log/log.js";
import { Prisma } from "../src/platform/prisma/generated/client.js";
import { Vault } from "../src/platform/vault/vault.js";
import { eventually, startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { enrol } from "./enrol.js";
import { ADD_PEER, describeFleet } from "./fleet.js";
import { createPeople, ISSUE } from "./pki.js";

const [old, next] = [randomBytes(32).toString("base64"), randomBytes(32).toString("base64")] as const;
const TABLES = ["secrets", "intent_revisions", "authority_keys", "road_warriors"];

// Keys of every size and many runs of openssl, on machines that do other things too.
let cp: TestControlPlane;
let profileId: string;
const others: RunningApplication[] = [];

beforeAll(async () => {
  cp = await startControlPlane({ SALLYPORT_MASTER_KEY: old });
  const { hub, branch } = await describeFleet(cp);
  await enrol(cp, hub);
  await enrol(cp, branch);
  const input = { name: "Partner", gatewayId: hub.gateway.id, host: "203.0.113.9", subnets: ["192.168.7.0/24"] };
  await cp.get(ADD_PEER, { input: { ...input, preSharedKey: "correct horse battery staple" } });
  await query(
    cp.connection,
    `INSERT INTO road_warriors (id, organization_id, name, username, sealed, key_id, updated_at)
     SELECT $1, id, 'Ann', 'ann@example.org', $2, $3, now() FROM organizations`,
    Object.values(personOf(new Vault(old))),
  );
  ({ profileId } = await createPeople(cp));
  await eventually(
    () => query(cp.connection, "SELECT 1 FROM intent_revisions"),
    (rows) => rows.length > 0,
  );
});
afterAll(async () => {
  for (const application of others) await application.close();
  await cp?.close();
});

const PERSON = "01900000-0000-7000-8000-000000000001";
function personOf(vault: Vault) {
  const { sealed, keyId } = vault.seal(`road-warrior/${PERSON}`, "verifier");
  return { id: PERSON, sealed: Buffer.from(sealed), keyId };
}

async function start(keys: string): Promise<RunningApplication> {
  const config = cp.application.nest.get<Config>(CONFIG);
  const resources = { config, log: createLog("silent"), vault: new Vault(keys), connection: cp.connection };
  const application = await startApplication(resources);
  others.push(application);
  return application;
}

async function keyIds(): Promise<Record<string, unknown[]>> {
  const found: Record<string, unknown[]> = {};
  for (const table of TABLES) {
    const rows = await query(cp.connection, `SELECT DISTINCT key_id FROM ${table} WHERE sealed IS NOT NULL`);
    found[table] = rows.map((row) => row.key_id);
  }
  return found;
}

const everywhere = (keyId: string) => Object.fromEntries(TABLES.map((table) => [table, [keyId]]));

test("every table with sealed values is known", () => {
  const sealed = Object.values(Prisma.ModelName).filter((name) => {
    const fields = (Prisma as unknown as Record<string, Record<string, string>>)[`${name}ScalarFieldEnum`];
    return fields !== undefined && "sealed" in fields;
  });
  expect(SEALED_TABLES.map((table) => table.model).toSorted()).toEqual(sealed.toSorted());
});

test("a new master key takes over: what the old one sealed is sealed again, twice at once too, and the old one can go", async () => {
  expect(await keyIds()).toEqual(everywhere(new Vault(old).keyId));
  const both = await start(`${next}\n${old}`);
  const service = both.nest.get(MasterKeyService);
  await Promise.all([service.run(), service.run()]);
  // The replica that still has the old key first may take some of the turns, and leaves what it takes to the other.
  await eventually(keyIds, (ids) => isDeepStrictEqual(ids, everywhere(new Vault(next).keyId)), 60_000);
  const told = await cp.get<{ rotations: { edges: { node: object }[] } }>(
    "{ rotations(first: 5) { edges { node { kind requestedBy plan { name } } } } }",
  );
  expect(told.rotations.edges.map(({ node }) => node)).toEqual([
    { kind: "MASTER_KEY", requestedBy: "master key", plan: [{ name: "reseal" }] },
  ]);
  expect(await service.run()).toBe(0);

  const alone = await start(next);
  const names = [{ type: "EMAIL", value: "a@example.org" }];
  const response = await fetch(`${alone.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${cp.first.apiToken}` },
    body: JSON.stringify({ query: ISSUE, variables: { input: { profileId, holder: "a", names } } }),
  });
  expect(await response.json()).toMatchObject({
    data: { issueCertificate: { certificate: { id: expect.any(String) } } },
  });
  const [row] = await query(cp.connection, "SELECT sealed, key_id FROM road_warriors");
  const opened = new Vault(next).unseal(`road-warrior/${PERSON}`, {
    sealed: row?.sealed as Buffer,
    keyId: String(row?.key_id),
  });
  expect(opened.toString()).toBe("verifier");
});

test("without the old key nothing is lost, and it says what is missing", async () => {
  const stranger = await start(`${randomBytes(32).toString("base64")}`).catch((error: unknown) => error as Error);
  if (stranger instanceof Error) expect(stranger.message).toMatch(/which is not configured/);
  else await expect(stranger.nest.get(MasterKeyService).run()).rejects.toMatchObject({ code: "platform/unsealable" });
  expect(await keyIds()).toEqual(everywhere(new Vault(next).keyId));
});
