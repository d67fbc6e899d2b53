import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { GraphQLSchemaHost } from "@nestjs/graphql";
import { WakeUpBus } from "../src/platform/bus/bus.js";
import { fleetMutations } from "./audited-fleet.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { enrol } from "./enrol.js";
import { ADD_PEER, CREATE_NETWORK, CREATE_SITE, type MadeSite, ONBOARD_SITE } from "./fleet.js";
import { handoverOf } from "./handover.js";
import { ASSIGN, CREATE_GROUP, person, pool, SET_PASSWORD } from "./people.js";
import {
  COMPLETE_AUTHORITY,
  createPeople,
  HOLD,
  IMPORT_AUTHORITY,
  type Issued,
  issue,
  OpenSsl,
  REKEY,
  RELEASE,
  RENEW,
  REQUEST_AUTHORITY,
  REVOKE,
  SIGN_CSR,
} from "./pki.js";

/** What one mutation needs of those before it. */
interface World {
  hub: MadeSite;
  spare: MadeSite;
  branch: MadeSite;
  rotationId: string;
  scheduleId: string;
  networkId: string;
  peerId: string;
  tokenId: string;
  tunnelId: string;
  password: string;
  requestId: string;
  requestCsr: string;
  profileId: string;
  certificate: Issued;
  importedKey: string;
  foreignId: string;
  poolId: string;
  groupId: string;
  personId: string;
  leaseId: string;
  serviceId: string;
  token: string;
  handoverId: string;
  handoverLink: string;
  acmeAccountId: string;
  acmeCertificateId: string;
  dnsZoneId: string;
}

const GIVEN_PASSWORD = "a password that is long enough";
const BINDING_KEY = "a-binding-key-from-a-directory";
const TSIG_KEY = Buffer.from("a key of a name server, 32 octets").toString("base64");
const PSK = "correct horse battery staple";

let cp: TestControlPlane;
let openssl: OpenSsl;
const world = {} as World;

beforeAll(async () => {
  cp = await startControlPlane();
  openssl = new OpenSsl();
  world.password = cp.first.oneTimePassword;
  // An agent's part, without one: every gateway looks connected, and every command is carried out.
  const bus = cp.application.nest.get(WakeUpBus);
  bus.subscribe("command", ({ commandId }) => void bus.publish("commandResult", { commandId }));
});
afterAll(async () => {
  openssl?.remove();
  await cp?.close();
});

const connect = () =>
  query(
    cp.connection,
    `INSERT INTO agent_sessions (gateway_id, organization_id, session_id, replica_id, contract_version)
    SELECT id, organization_id, gen_random_uuid(), gen_random_uuid(), 1 FROM gateways ON CONFLICT DO NOTHING`,
  );

const COMMAND = (name: string) => `mutation ($input: TunnelCommandInput!) { ${name}(input: $input) { id } }`;
const command = (name: string) => async () => {
  await connect();
  await cp.get(COMMAND(name), { input: { tunnelId: world.tunnelId } });
};

const heldRotation = (name: string, type: string, input: object = {}) =>
  cp.get(`mutation ($input: ${type}!) { ${name}(input: $input) { id } }`, { input: { ...input, hold: true } });
const BY_ID = (name: string) => `mutation ($id: ID!) { ${name}(id: $id) { id } }`;
const remoteAccessGateway = (name: string) => () =>
  cp.get(`mutation ($id: ID!, $gatewayId: ID!) { ${name}(id: $id, gatewayId: $gatewayId) { id } }`, {
    id: world.serviceId,
    gatewayId: world.spare.gateway.id,
  });

/** In the order in which they need each other. */
const MUTATIONS: Readonly<Record<string, () => Promise<unknown>>> = {
  createSite: async () => {
    const site = (name: string, subnet: string, host: string) =>
      cp.get<{ createSite: MadeSite }>(CREATE_SITE, { input: { name, subnets: [subnet], gateway: { host } } });
    world.hub = (await site("Hub", "10.1.0.0/16", "198.51.100.1")).createSite;
    world.spare = (await site("Spare", "10.2.0.0/16", "198.51.100.2")).createSite;
  },
  createNetwork: async () => {
    const input = {
      ...{ name: "Offices", hubGatewayIds: [world.hub.gateway.id] },
      // For rotations.
      authentication: "PRE_SHARED_KEY",
    };
    world.networkId = (await cp.get<{ createNetwork: { id: string } }>(CREATE_NETWORK, { input })).createNetwork.id;
  },
  onboardSite: async () => {
    const input = { name: "Branch", subnets: ["10.3.0.0/16"], networkId: world.networkId, gateway: {} };
    world.branch = (await cp.get<{ onboardSite: MadeSite }>(ONBOARD_SITE, { input })).onboardSite;
    world.tunnelId = String((await query(cp.connection, "SELECT id FROM tunnels"))[0]?.id);
  },
  updateGateway: () =>
    cp.get("mutation ($input: UpdateGatewayInput!) { updateGateway(input: $input) { id } }", {
      input: { id: world.spare.gateway.id, host: "198.51.100.3" },
    }),
  reissueEnrolment: async () => {
    const { reissueEnrolment } = await cp.get<{ reissueEnrolment: { token: string } }>(
      "mutation ($id: ID!) { reissueEnrolment(gatewayId: $id) { token } }",
      { id: world.hub.gateway.id },
    );
    world.token = reissueEnrolment.token;
  },
  initiateTunnel: command("initiateTunnel"),
  rekeyTunnel: command("rekeyTunnel"),
  terminateTunnel: command("terminateTunnel"),
  addExternalPeer: async () => {
    const input = {
      name: "Partner",
      gatewayId: world.hub.gateway.id,
      host: "203.0.113.9",
      preSharedKey: PSK,
      subnets: ["192.168.7.0/24"],
    };
    world.peerId = (await cp.get<{ addExternalPeer: { id: string } }>(ADD_PEER, { input })).addExternalPeer.id;
  },
  removeExternalPeer: () => cp.get("mutation ($id: ID!) { removeExternalPeer(id: $id) { id } }", { id: world.peerId }),
  createCertificateAuthority: async () => {
    world.profileId = (await createPeople(cp)).profileId;
  },
  createCertificateProfile: async () => {
    await createPeople(cp, { name: "More people" });
  },
  requestCertificateAuthority: async () => {
    const { requestCertificateAuthority: made } = await cp.get<{
      requestCertificateAuthority: { id: string; csr: string };
    }>(REQUEST_AUTHORITY, { input: { name: "Online" } });
    world.requestId = made.id;
    world.requestCsr = made.csr;
  },
  completeCertificateAuthority: async () => {
    const self = ["-subj", "/CN=Elsewhere", "-nodes", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl.run("req", "-x509", "-newkey", "rsa:2048", ...self, "-addext", "keyUsage=keyCertSign,cRLSign");
    openssl.file("on.csr", world.requestCsr);
    openssl.file("on.ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n");
    const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "on.ext"];
    const certificates = openssl.run("x509", "-req", "-in", "on.csr", ...by).replace(/[\s\S]*?(?=-----BEGIN)/, "");
    const input = { requestId: world.requestId, certificates: certificates + openssl.run("x509", "-in", "ca.pem") };
    await cp.get(COMPLETE_AUTHORITY, { input });
  },
  importCertificateAuthority: async () => {
    const self = ["-subj", "/CN=Imported", "-nodes", "-keyout", "im.key", "-out", "im.pem"];
    openssl.run("req", "-x509", "-newkey", "rsa:2048", ...self, "-addext", "keyUsage=keyCertSign,cRLSign");
    world.importedKey = openssl.run("pkey", "-in", "im.key");
    const certificates = openssl.run("x509", "-in", "im.pem");
    await cp.get(IMPORT_AUTHORITY, { input: { certificates, privateKey: world.importedKey } });
  },
  removeCertificateProfile: async () => {
    const [row] = await query(cp.connection, "SELECT id FROM certificate_profiles WHERE name = 'More people'");
    await cp.get("mutation ($id: ID!) { removeCertificateProfile(id: $id) { id } }", { id: row?.id });
  },
  issueCertificate: async () => {
    world.certificate = await issue(cp, world.profileId, "alice@example.org");
  },
  signCsr: async () => {
    const csr = openssl.request("bob", "/CN=bob", "-addext", "subjectAltName=email:bob@example.org");
    await cp.get(SIGN_CSR, { input: { profileId: world.profileId, holder: "bob", csr } });
  },
  renewCertificate: () => cp.get(RENEW, { id: world.certificate.certificate.id }),
  rekeyCertificate: () => cp.get(REKEY, { input: { id: world.certificate.certificate.id } }),
  holdCertificate: () => cp.get(HOLD, { id: world.certificate.certificate.id }),
  releaseCertificate: () => cp.get(RELEASE, { id: world.certificate.certificate.id }),
  recordCertificate: async () => {
    const pem = openssl.run("x509", "-in", "im.pem");
    const { recordCertificate } = await cp.get<{ recordCertificate: { id: string } }>(
      "mutation ($input: RecordCertificateInput!) { recordCertificate(input: $input) { id } }",
      { input: { pem, holder: "Partner" } },
    );
    world.foreignId = recordCertificate.id;
  },
  forgetCertificate: () => cp.get("mutation ($id: ID!) { forgetCertificate(id: $id) { id } }", { id: world.foreignId }),
  revokeCertificate: () => cp.get(REVOKE, { input: { id: world.certificate.certificate.id } }),
  createAddressPool: async () => {
    world.poolId = await pool(cp, "People", ["10.9.0.0/24"]);
  },
  updateAddressPool: () =>
    cp.get("mutation ($input: UpdateAddressPoolInput!) { updateAddressPool(input: $input) { id } }", {
      input: { id: world.poolId, name: "Staff" },
    }),
  createRoadWarriorGroup: async () => {
    const made = await cp.get<{ createRoadWarriorGroup: { id: string } }>(CREATE_GROUP, { name: "People" });
    world.groupId = made.createRoadWarriorGroup.id;
  },
  renameRoadWarriorGroup: () =>
    cp.get("mutation ($id: ID!, $name: String!) { renameRoadWarriorGroup(id: $id, name: $name) { id } }", {
      id: world.groupId,
      name: "Staff",
    }),
  createRoadWarrior: async () => {
    world.personId = await person(cp, "ann@example.org", { groupIds: [world.groupId] });
  },
  updateRoadWarrior: () =>
    cp.get("mutation ($input: UpdateRoadWarriorInput!) { updateRoadWarrior(input: $input) { id } }", {
      input: { id: world.personId, sessionLimit: 2 },
    }),
  setRoadWarriorPassword: () => cp.get(SET_PASSWORD, { id: world.personId, password: GIVEN_PASSWORD }),
  assignAddress: async () => {
    const input = { poolId: world.poolId, roadWarriorId: world.personId, address: "10.9.0.200" };
    world.leaseId = (await cp.get<{ assignAddress: { id: string } }>(ASSIGN, { input })).assignAddress.id;
  },
  createRemoteAccess: async () => {
    const input = {
      ...{ name: "Staff", gatewayIds: [world.hub.gateway.id], methods: ["EAP_MSCHAPV2"], shares: 2 },
      ...{ networks: ["10.1.0.0/16"], poolIds: [world.poolId] },
    };
    const made = await cp.get<{ createRemoteAccess: { id: string } }>(
      "mutation ($input: CreateRemoteAccessInput!) { createRemoteAccess(input: $input) { id } }",
      { input },
    );
    world.serviceId = made.createRemoteAccess.id;
  },
  createHandover: async () => {
    await enrol(cp, { ...world.hub, enrolment: { ...world.hub.enrolment, token: world.token } });
    const input = { roadWarriorId: world.personId, remoteAccessId: world.serviceId };
    const { handover, link } = await handoverOf(cp, input);
    world.handoverId = handover.id;
    world.handoverLink = link;
  },
  rotatePreSharedKeys: async () => {
    await enrol(cp, world.branch);
    const made = await cp.get<{ rotatePreSharedKeys: { id: string } }>(
      "mutation ($input: RotatePreSharedKeysInput!) { rotatePreSharedKeys(input: $input) { id } }",
      { input: { tunnelIds: [world.tunnelId] } },
    );
    world.rotationId = made.rotatePreSharedKeys.id;
  },
  rotateGatewayCertificates: () =>
    heldRotation("rotateGatewayCertificates", "RotateGatewaysInput", { gatewayIds: [world.hub.gateway.id] }),
  rotateAgentCertificates: () =>
    heldRotation("rotateAgentCertificates", "RotateGatewaysInput", { gatewayIds: [world.branch.gateway.id] }),
  rotateIssuingAuthority: () => heldRotation("rotateIssuingAuthority", "RotationInput"),
  rotateRootAuthority: () => heldRotation("rotateRootAuthority", "RotationInput"),
  rotateMasterKey: async () => {
    const keys = await query(cp.connection, "SELECT DISTINCT key_id FROM intent_revisions");
    await query(cp.connection, "UPDATE intent_revisions SET key_id = 'another'");
    await heldRotation("rotateMasterKey", "RotationInput");
    await query(cp.connection, "UPDATE intent_revisions SET key_id = $1", [keys[0]?.key_id]);
  },
  createRotationSchedule: async () => {
    const make = "mutation { made: createRotationSchedule(input: { kind: PRE_SHARED_KEY, everyDays: 90 }) { id } }";
    world.scheduleId = (await cp.get<{ made: { id: string } }>(make)).made.id;
  },
  deleteRotationSchedule: () => cp.get(BY_ID("deleteRotationSchedule"), { id: world.scheduleId }),
  pauseRotation: () => cp.get(BY_ID("pauseRotation"), { id: world.rotationId }),
  resumeRotation: () => cp.get(BY_ID("resumeRotation"), { id: world.rotationId }),
  abortRotation: () => cp.get(BY_ID("abortRotation"), { id: world.rotationId }),
  withdrawHandover: () => cp.get(BY_ID("withdrawHandover"), { id: world.handoverId }),
  updateRemoteAccess: () =>
    cp.get("mutation ($input: UpdateRemoteAccessInput!) { updateRemoteAccess(input: $input) { id } }", {
      input: { id: world.serviceId, name: "Everybody" },
    }),
  addRemoteAccessGateway: remoteAccessGateway("addRemoteAccessGateway"),
  withdrawRemoteAccessGateway: remoteAccessGateway("withdrawRemoteAccessGateway"),
  deleteRemoteAccess: () => cp.get(BY_ID("deleteRemoteAccess"), { id: world.serviceId }),
  releaseAddress: () => cp.get(BY_ID("releaseAddress"), { id: world.leaseId }),
  removeRoadWarriorPassword: () => cp.get(BY_ID("removeRoadWarriorPassword"), { id: world.personId }),
  revokeRoadWarrior: () =>
    cp.get(
      "mutation ($input: RevokeRoadWarriorInput!) { revokeRoadWarrior(input: $input) { roadWarrior { enabled } } }",
      { input: { id: world.personId } },
    ),
  deleteRoadWarrior: () => cp.get(BY_ID("deleteRoadWarrior"), { id: world.personId }),
  deleteRoadWarriorGroup: () => cp.get(BY_ID("deleteRoadWarriorGroup"), { id: world.groupId }),
  deleteAddressPool: () => cp.get(BY_ID("deleteAddressPool"), { id: world.poolId }),
  createAcmeAccount: async () => {
    const input = {
      ...{ name: "CA", directoryUrl: "https://127.0.0.1:1/directory", termsOfServiceAgreed: true },
      externalAccountBinding: { keyId: "customer", hmacKey: BINDING_KEY },
    };
    const made = await cp.get<{ createAcmeAccount: { id: string } }>(
      "mutation ($input: CreateAcmeAccountInput!) { createAcmeAccount(input: $input) { id } }",
      { input },
    );
    world.acmeAccountId = made.createAcmeAccount.id;
  },
  registerAcmeAccount: () => cp.get(BY_ID("registerAcmeAccount"), { id: world.acmeAccountId }),
  requestAcmeCertificate: async () => {
    const { acmeAccountId: accountId, hub } = world;
    const made = await cp.get<{ requestAcmeCertificate: { id: string } }>(
      "mutation ($input: RequestAcmeCertificateInput!) { requestAcmeCertificate(input: $input) { id } }",
      { input: { accountId, gatewayId: hub.gateway.id, names: ["vpn.example.org"] } },
    );
    world.acmeCertificateId = made.requestAcmeCertificate.id;
  },
  updateAcmeCertificate: () =>
    cp.get("mutation ($input: UpdateAcmeCertificateInput!) { updateAcmeCertificate(input: $input) { id } }", {
      input: { id: world.acmeCertificateId, renewalWindow: { from: "02:30", minutes: 120 } },
    }),
  showAnnouncedKey: async () => {
    const announce = "UPDATE acme_orders SET show_at = now() + interval '1 hour' WHERE acme_certificate_id = $1";
    await query(cp.connection, announce, [world.acmeCertificateId]);
    await cp.get(BY_ID("showAnnouncedKey"), { id: world.acmeCertificateId });
  },
  deleteAcmeCertificate: () => cp.get(BY_ID("deleteAcmeCertificate"), { id: world.acmeCertificateId }),
  deleteAcmeAccount: () => cp.get(BY_ID("deleteAcmeAccount"), { id: world.acmeAccountId }),
  createDnsZone: async () => {
    const update = { server: "192.0.2.53", keyName: "acme-key", secret: TSIG_KEY };
    const made = await cp.get<{ createDnsZone: { id: string } }>(
      "mutation ($input: CreateDnsZoneInput!) { createDnsZone(input: $input) { id } }",
      { input: { name: "example.org", update } },
    );
    world.dnsZoneId = made.createDnsZone.id;
  },
  updateDnsZone: () =>
    cp.get("mutation ($input: UpdateDnsZoneInput!) { updateDnsZone(input: $input) { id } }", {
      input: { id: world.dnsZoneId, program: "zone-editor", nameServers: ["192.0.2.53"] },
    }),
  deleteDnsZone: () => cp.get(BY_ID("deleteDnsZone"), { id: world.dnsZoneId }),
  retireGateway: () => cp.get("mutation ($id: ID!) { retireGateway(id: $id) { id } }", { id: world.spare.gateway.id }),
  createOperator: () =>
    cp.get("mutation ($input: CreateOperatorInput!) { createOperator(input: $input) { oneTimePassword } }", {
      input: { email: "b@example.org", name: "B", role: "VIEWER" },
    }),
  createApiToken: async () => {
    const { createApiToken } = await cp.get<{ createApiToken: { apiToken: { id: string } } }>(
      "mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { apiToken { id } } }",
      { input: { name: "dashboard" } },
    );
    world.tokenId = createApiToken.apiToken.id;
  },
  revokeApiToken: () => cp.get("mutation ($id: ID!) { revokeApiToken(id: $id) { id } }", { id: world.tokenId }),
  signIn: () =>
    cp.get("mutation ($email: String!, $password: String!) { signIn(email: $email, password: $password) { token } }", {
      email: cp.first.email,
      password: world.password,
    }),
  changePassword: () =>
    cp.get("mutation ($current: String!, $next: String!) { changePassword(current: $current, next: $next) { id } }", {
      current: world.password,
      next: GIVEN_PASSWORD,
    }),
  ...fleetMutations(() => cp, world),
};

describe("every mutation leaves an audit entry", () => {
  test("and every mutation of the schema is in this table", () => {
    const { schema } = cp.application.nest.get(GraphQLSchemaHost);
    const fields = Object.keys(schema.getMutationType()?.getFields() ?? {});
    expect(fields.toSorted()).toEqual(Object.keys(MUTATIONS).toSorted());
  });

  test.each(Object.entries(MUTATIONS))("%s", async (action, run) => {
    const written = () =>
      query(cp.connection, "SELECT id, actor_name, target_id FROM audit_entries WHERE action = $1", [action]);
    const before = await written();
    await run();
    const after = await written();
    expect(after.length).toBeGreaterThan(before.length);
    expect(after.at(-1)).toMatchObject({ actor_name: cp.first.email, target_id: expect.any(String) });
  });

  test("and none of them holds a secret", async () => {
    const text = JSON.stringify(await query(cp.connection, "SELECT row_to_json(a)::text FROM audit_entries a"));
    const keys = [world.importedKey, world.certificate.privateKey as string];
    const secrets = [
      PSK,
      BINDING_KEY,
      TSIG_KEY,
      world.token,
      world.handoverLink.slice(-40),
      GIVEN_PASSWORD,
      world.password,
      world.hub.enrolment.token,
      ...keys,
    ];
    for (const secret of secrets) {
      expect(text).not.toContain(secret);
    }
  });
});
