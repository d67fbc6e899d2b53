import { randomBytes, X509Certificate } from "node:crypto";
import path from "node:path";
import type { TsigAlgorithm } from "@sallyport/dns";
import { certificatesFromPem, readCertificate } from "@sallyport/pki";
import { IntentStore } from "../../apps/agent/src/store/index.js";
import { DnsRecordService } from "../../apps/control-plane/src/features/dns-zones/dns-record.service.js";
import { RecordJob } from "../../apps/control-plane/src/features/dns-zones/record.job.js";
import { AccessService } from "../../apps/control-plane/src/features/handover/access.service.js";
import { Database } from "../../apps/control-plane/src/platform/database/database.js";
import { query } from "../../apps/control-plane/test/database.js";
import { AcmeLab, REQUEST, STATE, type State } from "./acme-lab.js";
import { eventually } from "./harness.js";
import { Knot } from "./knot.js";
import type { PebbleOptions } from "./pebble.js";

let lab: AcmeLab;

beforeAll(async () => {
  lab = await AcmeLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab.stop());

it("a gateway gets a certificate by HTTP-01 of a directory that is slow and refuses nonces; another order brings a new key, and nothing else changes", async () => {
  const at = await lab.pebble({
    faults: { PEBBLE_VA_NOSLEEP: "0", PEBBLE_VA_SLEEPTIME: "2", PEBBLE_WFE_NONCEREJECT: "40" },
  });
  const made = await lab.gateway(at);
  const issuingRoot = await at.issuingRoot();
  const accountId = await lab.account(at, { directoryRoots: at.roots + issuingRoot });
  const id = await lab.order(made, accountId, ["vpn.example.org", "gw.example.org"]);
  expect(await lab.ended(id)).toMatchObject({ state: "ISSUED", failure: null });

  const first = await eventually(() => made.shown("vpn.example.org"));
  const leaf = new X509Certificate(Buffer.from(first.leaf ?? "", "base64"));
  expect(leaf.subjectAltName).toBe("DNS:vpn.example.org, DNS:gw.example.org");
  expect(leaf.checkIssued(new X509Certificate(Buffer.from(first.intermediates[0] ?? "", "base64")))).toBe(true);
  expect(made.credentials.credential(first)).toMatchObject({ key: first.fingerprint, keyKind: { type: "ec" } });
  expect(await lab.certificateState(id)).toMatchObject({
    certificate: { kind: "FOREIGN", issuer: expect.stringContaining("Pebble"), fingerprint: first.fingerprint },
  });

  // Profiles of devices say what the gateway shows.
  const { nest } = lab.plane.application;
  const access = nest.get(AccessService, { strict: false });
  const place = { remoteAccessId: made.serviceId, gatewayId: made.id };
  const described = await nest.get(Database, { strict: false }).transaction(async (tx) => {
    const { id: organizationId } = await tx.organization.findFirstOrThrow();
    return access.load(tx, organizationId, place);
  });
  expect(described.gateway).toMatchObject({ identity: { value: "vpn.example.org" } });
  expect(described.gateway.authorities.map((a) => a.fingerprint)).toEqual([
    readCertificate(certificatesFromPem(issuingRoot)[0] as Uint8Array).fingerprint,
  ]);

  const { intent: before } = await new IntentStore(made.agent.state).load();
  await lab.order(made, accountId, ["vpn.example.org"], { keyType: "RSA_2048" });
  expect(await lab.ended(id)).toMatchObject({ state: "ISSUED" });
  const second = await eventually(async () => {
    const shown = await made.shown("vpn.example.org");
    return shown && shown.fingerprint !== first.fingerprint && shown;
  });
  expect(made.credentials.credential(second)).toMatchObject({ keyKind: { type: "rsa" } });
  // Who is in the middle of a handshake may still need the old key.
  expect(made.credentials.privateKey(first.fingerprint).type).toBe("private");
  const { intent: after } = await new IntentStore(made.agent.state).load();
  const others = (intent: typeof before) => ({
    ...intent,
    revision: 0,
    connections: intent?.connections.map((c) => ({ ...c, local: 0 })),
  });
  expect(others(after)).toEqual(others(before));
});

it("a challenge that nobody answers ends the order with the authority's own account of it", async () => {
  const at = await lab.pebble();
  const made = await lab.gateway(at);
  made.answers = false;
  const id = await lab.order(made, await lab.account(at), ["nobody.example.org"]);
  expect(await lab.ended(id)).toMatchObject({
    state: "FAILED",
    failure: {
      code: "acme/challenge-failed",
      message: expect.stringContaining("nobody.example.org"),
      problem: { type: "urn:ietf:params:acme:error:connection" },
    },
  });
  const { events } = await lab.plane.get<{ events: { edges: { node: { kind: string } }[] } }>(
    "{ events(first: 20) { edges { node { kind } } } }",
  );
  expect(events.edges.map((e) => e.node.kind)).toContain("acme/order-failed");
  // The other way, by the gateway's port for TLS.
  made.answers = true;
  const account = (await lab.plane.get<State>(STATE)).acmeAccounts.edges.at(-1)?.node.id ?? "";
  await lab.order(made, account, ["nobody.example.org"], { challenge: "TLS_ALPN_01" });
  expect(await lab.ended(id)).toMatchObject({ state: "ISSUED" });
});

it("a directory that wants to know its customers gets an external account binding, and refuses who has none", async () => {
  const key = Buffer.alloc(32, 7).toString("base64url");
  const at = await lab.pebble({ bindings: { "customer-1": key } });
  const known = await lab.account(at, { externalAccountBinding: { keyId: "customer-1", hmacKey: key } });
  await eventually(async () => (await lab.accountState(known))?.state === "READY");
  const unknown = await lab.account(at);
  const refused = await eventually(async () => {
    const state = await lab.accountState(unknown);
    return state?.state === "FAILED" && state;
  });
  expect(refused).toMatchObject({
    accountUrl: null,
    failure: {
      code: "acme/refused",
      problem: { type: "urn:ietf:params:acme:error:externalAccountRequired" },
    },
  });
  const made = await lab.gateway(at);
  const input = { gatewayId: made.id, accountId: unknown, names: ["vpn.example.org"] };
  const { errors } = await lab.plane.send(REQUEST, { input });
  expect(errors?.[0]?.extensions).toMatchObject({ code: "acme/account-failed", field: "input.accountId" });
});

it("an order goes on where it stopped when the gateway comes back", async () => {
  const at = await lab.pebble();
  const made = await lab.gateway(at);
  await made.agent.channel.stop();
  const id = await lab.order(made, await lab.account(at), ["away.example.org"]);
  await eventually(
    async () => ((await lab.certificateState(id))?.orders[0]?.failure?.code ?? "") === "agents/not-connected",
  );
  made.agent.connect();
  expect(await lab.ended(id)).toMatchObject({ state: "ISSUED" });
});

it("refuses what no authority would certify, a second order beside the first, and more orders than the account may begin", async () => {
  const at = await lab.pebble();
  const made = await lab.gateway(at);
  const accountId = await lab.account(at, { ordersPerWeek: 1 });
  const refusal = async (input: object) => {
    const { errors } = await lab.plane.send(REQUEST, {
      input: { gatewayId: made.id, accountId, names: ["a.example.org"], ...input },
    });
    return errors?.[0]?.extensions;
  };
  expect(await refusal({ names: [] })).toMatchObject({ code: "api/bad-input", field: "input.names" });
  expect(await refusal({ names: ["*.example.org"] })).toMatchObject({ code: "api/bad-input", field: "input.names[0]" });
  expect(await refusal({ names: ["localhost"] })).toMatchObject({ code: "api/bad-input" });
  expect(await refusal({ keyType: "ED25519" })).toMatchObject({ code: "api/bad-input", field: "input.keyType" });
  made.answers = false;
  const id = await lab.order(made, accountId, ["b.example.org"]);
  expect(await refusal({})).toMatchObject({ code: "acme/order-running" });
  await lab.ended(id);
  expect(await refusal({})).toMatchObject({ code: "acme/budget-spent", field: "input.accountId" });
});

const CREATE_ZONE = "mutation ($input: CreateDnsZoneInput!) { createDnsZone(input: $input) { id nameServers } }";
const UPDATE_ZONE = "mutation ($input: UpdateDnsZoneInput!) { updateDnsZone(input: $input) { id } }";
const DELETE_ZONE = "mutation ($id: ID!) { deleteDnsZone(id: $id) { id } }";

/** A name server, and a Pebble that asks it. */
async function named(algorithm: TsigAlgorithm, faults: PebbleOptions["faults"] = {}) {
  const key = { name: "acme-key", algorithm, secret: randomBytes(32) };
  const knot = await Knot.start(key);
  lab.ends(() => knot.stop());
  const update = {
    server: knot.server,
    keyName: key.name,
    algorithm: algorithm === "hmac-sha256" ? "HMAC_SHA256" : "HMAC_SHA512",
    secret: key.secret.toString("base64"),
  };
  return { knot, update, at: await lab.pebble({ resolver: knot.server, faults }) };
}

it("a gateway that nobody reaches gets a certificate with a wildcard by DNS-01; the records go, also after a crash", async () => {
  const { knot, update, at } = await named("hmac-sha512", { PEBBLE_AUTHZREUSE: "100" });
  const made = await lab.gateway(at);
  made.answers = false;
  const accountId = await lab.account(at);
  const request = { gatewayId: made.id, accountId, challenge: "DNS_01" };
  const refusal = async (...names: string[]) => {
    const { errors } = await lab.plane.send(REQUEST, { input: { ...request, names } });
    return errors?.[0]?.extensions;
  };
  const names = ["vpn.example.org", "*.vpn.example.org"];
  expect(await refusal(...names)).toMatchObject({ code: "dns/no-zone", field: "input.names[0]" });
  const { createDnsZone: zone } = await lab.plane.get<{ createDnsZone: { id: string; nameServers: string[] } }>(
    CREATE_ZONE,
    { input: { name: "Example.org.", update } },
  );
  expect(zone.nameServers).toEqual([knot.server]);
  expect(await refusal("*.vpn.example.org")).toMatchObject({ code: "api/bad-input", field: "input.names[0]" });
  expect(await refusal("a.example.org", "b.example.org", "*.example.org")).toMatchObject({ code: "api/bad-input" });

  const id = await lab.order(made, accountId, names, { challenge: "DNS_01" });
  expect(await lab.ended(id)).toMatchObject({ state: "ISSUED", failure: null });
  const shown = await eventually(() => made.shown("vpn.example.org"));
  const leaf = new X509Certificate(Buffer.from(shown.leaf ?? "", "base64"));
  expect(leaf.subjectAltName).toBe("DNS:vpn.example.org, DNS:*.vpn.example.org");
  expect(await knot.texts("_acme-challenge.vpn.example.org")).toEqual([]);
  const rows = (text: string) => query(lab.plane.connection, text);
  expect(await rows("SELECT 1 FROM dns_records")).toEqual([]);

  // The directory knows the names now and asks for no proof.
  await lab.order(made, accountId, names, { challenge: "DNS_01" });
  expect(await lab.ended(id)).toMatchObject({ state: "ISSUED", failure: null });

  // As if the process had ended between the record and the end of its order.
  const { nest } = lab.plane.application;
  const [order] = await rows("SELECT id::text, organization_id::text AS org FROM acme_orders ORDER BY id DESC LIMIT 1");
  const left = { name: "_acme-challenge.vpn.example.org", text: "left" };
  await nest.get(DnsRecordService, { strict: false }).publish(String(order?.org), String(order?.id), [left]);
  expect(await knot.texts(left.name)).toEqual([left.text]);
  const { errors } = await lab.plane.send(DELETE_ZONE, { id: zone.id });
  expect(errors?.[0]?.extensions).toMatchObject({ code: "api/in-use" });
  await nest.get(RecordJob, { strict: false }).tick();
  await eventually(async () => (await knot.texts(left.name)).length === 0);
  await eventually(async () => (await rows("SELECT 1 FROM dns_records")).length === 0);
  await lab.plane.get("mutation ($id: ID!) { deleteAcmeCertificate(id: $id) { id } }", { id });
  await lab.plane.get(DELETE_ZONE, { id: zone.id });
});

it("an order that a name server's key, or a program, holds up goes on with the right one", async () => {
  const { knot, update, at } = await named("hmac-sha256");
  const made = await lab.gateway(at);
  const accountId = await lab.account(at);
  const wrong = { ...update, secret: randomBytes(32).toString("base64") };
  const { createDnsZone: zone } = await lab.plane.get<{ createDnsZone: { id: string } }>(CREATE_ZONE, {
    input: { name: "example.org", update: wrong },
  });
  const held = async () => {
    const id = await lab.order(made, accountId, ["vpn.example.org"], { challenge: "DNS_01" });
    return eventually(async () => {
      const failure = (await lab.certificateState(id))?.orders[0]?.failure;
      return failure && { id, failure };
    });
  };
  const { id, failure } = await held();
  expect(failure).toMatchObject({ code: "dns/bad-signature", message: expect.stringContaining("BADSIG") });
  await lab.plane.get(UPDATE_ZONE, { input: { id: zone.id, update } });
  expect(await lab.ended(id)).toMatchObject({ state: "ISSUED", failure: null });

  const byProgram = { id: zone.id, program: "edits-zones", nameServers: [knot.server] };
  await lab.plane.get(UPDATE_ZONE, { input: byProgram });
  const without = await held();
  // Nobody waits for a program that is not there.
  expect(without.failure).toMatchObject({ code: "dns/no-such-program" });
  expect(await lab.ended(id)).toMatchObject({ state: "FAILED" });
  await knot.program(path.join(lab.directory, byProgram.program));
  await lab.order(made, accountId, ["vpn.example.org"], { challenge: "DNS_01" });
  expect(await lab.ended(id)).toMatchObject({ state: "ISSUED", failure: null });
  expect(await knot.texts("_acme-challenge.vpn.example.org")).toEqual([]);
});
