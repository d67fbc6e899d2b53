import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Command } from "@sallyport/contract";
import { certificatesFromPem, readCertificate } from "@sallyport/pki";
import { pino } from "pino";
import { ChallengeResponder, RequestedKeys } from "../../apps/agent/src/certify/index.js";
import { Credentials } from "../../apps/agent/src/daemon/credentials.js";
import { IntentStore } from "../../apps/agent/src/store/index.js";
import { RenewalService } from "../../apps/control-plane/src/features/acme/renewal.service.js";
import { renewalName } from "../../apps/control-plane/src/features/acme/renewal-info.js";
import { AccessService } from "../../apps/control-plane/src/features/handover/access.service.js";
import { Database } from "../../apps/control-plane/src/platform/database/database.js";
import { startControlPlane, type TestControlPlane } from "../../apps/control-plane/test/control-plane.js";
import { query } from "../../apps/control-plane/test/database.js";
import { CREATE_SITE, type MadeSite } from "../../apps/control-plane/test/fleet.js";
import { pool } from "../../apps/control-plane/test/people.js";
import { eventually, TestAgent } from "./harness.js";
import { loopbackTls, Pebble, type PebbleOptions } from "./pebble.js";

const CREATE_ACCOUNT = "mutation ($input: CreateAcmeAccountInput!) { createAcmeAccount(input: $input) { id state } }";
const REQUEST = "mutation ($input: RequestAcmeCertificateInput!) { requestAcmeCertificate(input: $input) { id } }";
const STATE = `{
  acmeAccounts { edges { node { id state accountUrl failure { code problem { type } } } } }
  acmeCertificates { edges { node {
    id names renewAt certificate { id kind issuer names fingerprint deployedAt supersededAt keyKind: holder }
    orders { state names attempts failure { code message problem { type detail status } } }
  } } }
}`;

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly problem: { readonly type: string; readonly detail: string } | null;
}
interface AcmeOrder {
  readonly state: string;
  readonly failure: Failure | null;
}
interface State {
  acmeAccounts: {
    edges: { node: { id: string; state: string; accountUrl: string | null; failure: Failure | null } }[];
  };
  acmeCertificates: {
    edges: {
      node: {
        id: string;
        renewAt: string | null;
        certificate: { fingerprint: string; issuer: string } | null;
        orders: AcmeOrder[];
      };
    }[];
  };
}

/** A gateway with the parts that certificates need, answering on the ports that Pebble asks at. */
class Gateway {
  readonly requested: RequestedKeys;
  readonly challenges: ChallengeResponder;
  readonly credentials: Credentials;
  /** False: it says that it answers, and does not. */
  answers = true;
  serviceId = "";

  constructor(
    readonly agent: TestAgent,
    readonly id: string,
    ports: Pebble["ports"],
  ) {
    this.requested = new RequestedKeys(agent.state);
    this.challenges = new ChallengeResponder(pino({ level: "silent" }), ports);
    this.credentials = new Credentials(undefined, this.requested);
    agent.onCommand = (action) => this.#command(action);
  }

  async #command(action: NonNullable<Command["action"]>): Promise<Uint8Array | undefined> {
    if (action.case === "requestCertificate") return this.requested.request(action.value, new Set());
    if (action.case === "presentChallenge" && this.answers) await this.challenges.present(action.value);
    if (action.case === "withdrawChallenge") await this.challenges.withdraw(action.value.token);
    return undefined;
  }

  /** The connection in which the gateway shows a certificate of a public authority, as it was confirmed. */
  async shown(name: string) {
    const { intent } = await new IntentStore(this.agent.state).load();
    for (const { local } of intent?.connections ?? []) {
      if (local.method !== "certificate" || !("value" in local.identity) || local.identity.value !== name) continue;
      return local.certificates?.[0];
    }
    return undefined;
  }
}

let cp: TestControlPlane;
let directory: string;
let serial = 0;
const agents: TestAgent[] = [];
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "sallyport-acme-"));
  cp = await startControlPlane();
}, 60_000);
afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});
afterAll(async () => {
  await Promise.all(agents.map((a) => a.channel?.stop()));
  await cp.close();
  await rm(directory, { recursive: true, force: true });
});

async function pebble(options: PebbleOptions = {}): Promise<Pebble> {
  const started = await Pebble.start(options);
  ends.push(() => started.stop());
  return started;
}

async function account(at: Pebble, more: object = {}): Promise<string> {
  const { createAcmeAccount } = await cp.get<{ createAcmeAccount: { id: string } }>(CREATE_ACCOUNT, {
    input: {
      ...{ name: `Account ${++serial}`, directoryUrl: at.url, directoryRoots: at.roots, termsOfServiceAgreed: true },
      ...{ contacts: ["mailto:ops@example.org"], ...more },
    },
  });
  return createAcmeAccount.id;
}

/** A gateway that serves road warriors. */
async function gateway(at: Pebble): Promise<Gateway> {
  const number = ++serial;
  const { createSite } = await cp.get<{ createSite: MadeSite }>(CREATE_SITE, {
    input: { name: `Site ${number}`, subnets: [`10.${number}.0.0/16`], gateway: { host: `198.51.100.${number}` } },
  });
  const agent = new TestAgent(path.join(directory, `agent-${number}`));
  agents.push(agent);
  const made = new Gateway(agent, createSite.gateway.id, at.ports);
  ends.push(() => made.challenges.close());
  await agent.enrol(createSite.enrolment.token);
  agent.connect();
  const { createRemoteAccess } = await cp.get<{ createRemoteAccess: { id: string } }>(
    "mutation ($input: CreateRemoteAccessInput!) { createRemoteAccess(input: $input) { id } }",
    {
      input: {
        ...{ name: `Service ${number}`, gatewayIds: [made.id], shares: 1, networks: [`10.${number}.0.0/16`] },
        ...{ poolIds: [await pool(cp, `Pool ${number}`, [`172.16.${number}.0/24`], [])], methods: ["CERTIFICATE"] },
      },
    },
  );
  made.serviceId = createRemoteAccess.id;
  await eventually(() => agent.keeper.confirmed > 0);
  return made;
}

async function accountState(id: string) {
  const { acmeAccounts } = await cp.get<State>(STATE);
  return acmeAccounts.edges.find((e) => e.node.id === id)?.node;
}

async function certificateState(id: string) {
  const { acmeCertificates } = await cp.get<State>(STATE);
  return acmeCertificates.edges.find((e) => e.node.id === id)?.node;
}

async function order(made: Gateway, accountId: string, names: readonly string[], more: object = {}): Promise<string> {
  const input = { gatewayId: made.id, accountId, names, ...more };
  const { requestAcmeCertificate } = await cp.get<{ requestAcmeCertificate: { id: string } }>(REQUEST, { input });
  return requestAcmeCertificate.id;
}

async function ended(id: string): Promise<AcmeOrder> {
  return eventually(async () => {
    const [newest] = (await certificateState(id))?.orders ?? [];
    return (newest?.state === "ISSUED" || newest?.state === "FAILED") && newest;
  }, 60_000);
}

it("a gateway gets a certificate by HTTP-01 of a directory that is slow and refuses nonces; another order brings a new key, and nothing else changes", async () => {
  const at = await pebble({
    faults: { PEBBLE_VA_NOSLEEP: "0", PEBBLE_VA_SLEEPTIME: "2", PEBBLE_WFE_NONCEREJECT: "40" },
  });
  const made = await gateway(at);
  const issuingRoot = await at.issuingRoot();
  const accountId = await account(at, { directoryRoots: at.roots + issuingRoot });
  const id = await order(made, accountId, ["vpn.example.org", "gw.example.org"]);
  expect(await ended(id)).toMatchObject({ state: "ISSUED", failure: null });

  const first = await eventually(() => made.shown("vpn.example.org"));
  const leaf = new X509Certificate(Buffer.from(first.leaf ?? "", "base64"));
  expect(leaf.subjectAltName).toBe("DNS:vpn.example.org, DNS:gw.example.org");
  expect(leaf.checkIssued(new X509Certificate(Buffer.from(first.intermediates[0] ?? "", "base64")))).toBe(true);
  expect(made.credentials.credential(first)).toMatchObject({ key: first.fingerprint, keyKind: { type: "ec" } });
  expect(await certificateState(id)).toMatchObject({
    certificate: { kind: "FOREIGN", issuer: expect.stringContaining("Pebble"), fingerprint: first.fingerprint },
  });

  // Profiles of devices say what the gateway shows.
  const { nest } = cp.application;
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
  await order(made, accountId, ["vpn.example.org"], { keyType: "RSA_2048" });
  expect(await ended(id)).toMatchObject({ state: "ISSUED" });
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
}, 90_000);

it("a challenge that nobody answers ends the order with the authority's own account of it", async () => {
  const at = await pebble();
  const made = await gateway(at);
  made.answers = false;
  const id = await order(made, await account(at), ["nobody.example.org"]);
  expect(await ended(id)).toMatchObject({
    state: "FAILED",
    failure: {
      code: "acme/challenge-failed",
      message: expect.stringContaining("nobody.example.org"),
      problem: { type: "urn:ietf:params:acme:error:connection" },
    },
  });
  const { events } = await cp.get<{ events: { edges: { node: { kind: string } }[] } }>(
    "{ events(first: 20) { edges { node { kind } } } }",
  );
  expect(events.edges.map((e) => e.node.kind)).toContain("acme/order-failed");
  made.answers = true;
  await order(made, (await cp.get<State>(STATE)).acmeAccounts.edges.at(-1)?.node.id ?? "", ["nobody.example.org"]);
  expect(await ended(id)).toMatchObject({ state: "ISSUED" });
}, 90_000);

it("a directory that wants to know its customers gets an external account binding, and refuses who has none", async () => {
  const key = Buffer.alloc(32, 7).toString("base64url");
  const at = await pebble({ bindings: { "customer-1": key } });
  const known = await account(at, { externalAccountBinding: { keyId: "customer-1", hmacKey: key } });
  await eventually(async () => (await accountState(known))?.state === "READY");
  const unknown = await account(at);
  const refused = await eventually(async () => {
    const state = await accountState(unknown);
    return state?.state === "FAILED" && state;
  });
  expect(refused).toMatchObject({
    accountUrl: null,
    failure: {
      code: "acme/refused",
      problem: { type: "urn:ietf:params:acme:error:externalAccountRequired" },
    },
  });
  const made = await gateway(at);
  const input = { gatewayId: made.id, accountId: unknown, names: ["vpn.example.org"] };
  const { errors } = await cp.send(REQUEST, { input });
  expect(errors?.[0]?.extensions).toMatchObject({ code: "acme/account-failed", field: "input.accountId" });
}, 60_000);

it("an order goes on where it stopped when the gateway comes back", async () => {
  const at = await pebble();
  const made = await gateway(at);
  await made.agent.channel.stop();
  const id = await order(made, await account(at), ["away.example.org"]);
  await eventually(
    async () => ((await certificateState(id))?.orders[0]?.failure?.code ?? "") === "agents/not-connected",
  );
  made.agent.connect();
  expect(await ended(id)).toMatchObject({ state: "ISSUED" });
}, 90_000);

it("refuses what no authority would certify, a second order beside the first, and more orders than the account may begin", async () => {
  const at = await pebble();
  const made = await gateway(at);
  const accountId = await account(at, { ordersPerWeek: 1 });
  const refusal = async (input: object) => {
    const { errors } = await cp.send(REQUEST, {
      input: { gatewayId: made.id, accountId, names: ["a.example.org"], ...input },
    });
    return errors?.[0]?.extensions;
  };
  expect(await refusal({ names: [] })).toMatchObject({ code: "api/bad-input", field: "input.names" });
  expect(await refusal({ names: ["*.example.org"] })).toMatchObject({ code: "api/bad-input", field: "input.names[0]" });
  expect(await refusal({ names: ["localhost"] })).toMatchObject({ code: "api/bad-input" });
  expect(await refusal({ keyType: "ED25519" })).toMatchObject({ code: "api/bad-input", field: "input.keyType" });
  made.answers = false;
  const id = await order(made, accountId, ["b.example.org"]);
  expect(await refusal({})).toMatchObject({ code: "acme/order-running" });
  await ended(id);
  expect(await refusal({})).toMatchObject({ code: "acme/budget-spent", field: "input.accountId" });
}, 60_000);

describe("renewal", () => {
  const renewals = () => cp.application.nest.get(RenewalService, { strict: false });
  const rows = (text: string, ...values: unknown[]) => query(cp.connection, text, values);
  const eventKinds = async () =>
    (await rows("SELECT kind, severity FROM events WHERE kind LIKE 'acme/%'")).map((e) => `${e.kind} ${e.severity}`);

  it("comes by itself at two thirds of a certificate's life, within the account's budget, and is told of when it does not", async () => {
    const at = await pebble();
    const made = await gateway(at);
    const accountId = await account(at);
    const id = await order(made, accountId, ["renewed.example.org"]);
    await ended(id);
    const first = await certificateState(id);
    const [life] = await rows(
      "SELECT not_before AS start, not_after AS end FROM certificates WHERE fingerprint = $1",
      first?.certificate?.fingerprint,
    );
    const [start, end] = [life?.start, life?.end].map(Number) as [number, number];
    const share = (Date.parse(first?.renewAt ?? "") - start) / (end - start);
    expect(share).toBeGreaterThan(0.6);
    expect(share).toBeLessThan(0.67);

    await rows("UPDATE acme_accounts SET orders_per_week = 1 WHERE id = $1", accountId);
    await rows("UPDATE acme_certificates SET renew_at = now() - interval '1 second' WHERE id = $1", id);
    await renewals().tick();
    expect(await eventKinds()).toContain("acme/renewal-delayed WARNING");
    expect((await certificateState(id))?.orders).toHaveLength(1);

    await rows("UPDATE acme_accounts SET orders_per_week = 9 WHERE id = $1", accountId);
    await renewals().tick(new Date(Date.now() + 3_700_000));
    const second = await eventually(async () => {
      const state = await certificateState(id);
      return state?.certificate?.fingerprint !== first?.certificate?.fingerprint && state;
    }, 30_000);
    expect(second.orders.map((o) => o.state)).toEqual(["ISSUED", "ISSUED"]);
    expect(
      await rows(
        "SELECT superseded_at IS NULL AS current FROM certificates WHERE gateway_id = $1 AND authority_id IS NULL ORDER BY id",
        made.id,
      ),
    ).toEqual([{ current: false }, { current: true }]);
    // Nothing is due, whoever looks.
    await renewals().tick();
    expect((await certificateState(id))?.orders).toHaveLength(2);

    const whole =
      "UPDATE certificates SET not_before = now() - interval '80 days', not_after = now() + interval '20 days'";
    await rows(`${whole} WHERE fingerprint = $1`, second.certificate?.fingerprint);
    await rows("UPDATE acme_certificates SET alert_at = now() - interval '1 second' WHERE id = $1", id);
    await renewals().tick();
    expect(await eventKinds()).toContain("acme/certificate-expiring WARNING");
    const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);
    await rows("UPDATE acme_certificates SET renew_at = $2 WHERE id = $1", id, inDays(365));
    await renewals().tick(inDays(11));
    await renewals().tick(inDays(21));
    expect(await eventKinds()).toEqual(
      expect.arrayContaining(["acme/certificate-expiring ERROR", "acme/certificate-expired ERROR"]),
    );
    expect(await rows("SELECT alert_at FROM acme_certificates WHERE id = $1", id)).toEqual([{ alert_at: null }]);
  }, 60_000);

  it("of a gateway that was enrolled anew comes at once: the key is gone", async () => {
    const at = await pebble();
    const made = await gateway(at);
    const id = await order(made, await account(at), ["anew.example.org"]);
    await ended(id);
    await rows("UPDATE gateways SET enrolled_at = now() WHERE id = $1", made.id);
    await renewals().tick();
    await eventually(
      async () => (await certificateState(id))?.orders.filter((o) => o.state === "ISSUED").length === 2,
      30_000,
    );
  }, 60_000);

  it("comes when the directory wants it (RFC 9773), which is asked as often as it says", async () => {
    const at = await pebble();
    const made = await gateway(at);
    const accountId = await account(at);
    const id = await order(made, accountId, ["ari.example.org"]);
    await ended(id);
    // Pebble of Debian 12 knows no renewal information: then a certificate's own time stands.
    const planned = (await certificateState(id))?.renewAt;
    await renewals().tick();
    await eventually(
      async () => (await rows("SELECT 1 FROM acme_certificates WHERE id = $1 AND ask_at IS NULL", id)).length === 1,
    );
    expect((await certificateState(id))?.renewAt).toBe(planned);

    const { key, cert, roots } = await loopbackTls();
    const asked: string[] = [];
    const [start, end] = [Date.now() + 3_600_000, Date.now() + 7_200_000];
    const server = createServer({ key, cert }, (request, response) => {
      asked.push(request.url ?? "");
      const place = `https://127.0.0.1:${(server.address() as AddressInfo).port}/ari`;
      const window = { suggestedWindow: { start: new Date(start).toISOString(), end: new Date(end).toISOString() } };
      response
        .setHeader("retry-after", "1800")
        .end(JSON.stringify(request.url === "/dir" ? { renewalInfo: place } : window));
    }).listen(0, "127.0.0.1");
    ends.push(async () => {
      server.closeAllConnections();
      server.close();
    });
    await once(server, "listening");
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/dir`;
    await rows(
      "UPDATE acme_accounts SET directory_url = $2, directory_roots = $3 WHERE id = $1",
      accountId,
      url,
      roots,
    );
    await rows("UPDATE acme_certificates SET ask_at = now() WHERE id = $1", id);
    await renewals().tick(new Date(Date.now() + 1_000));
    const moved = await eventually(async () => {
      const state = await certificateState(id);
      return state?.renewAt !== planned && state;
    });
    const time = Date.parse(moved.renewAt ?? "");
    expect(time >= start && time <= end).toBe(true);
    const [shown] = await rows(
      "SELECT certificate FROM certificates WHERE fingerprint = $1",
      moved.certificate?.fingerprint,
    );
    expect(asked).toEqual(["/dir", `/ari/${renewalName(readCertificate(shown?.certificate as Uint8Array))}`]);
    const [{ minutes } = { minutes: 0 }] = await rows(
      "SELECT extract(epoch FROM ask_at - now()) / 60 AS minutes FROM acme_certificates WHERE id = $1",
      id,
    );
    expect(Math.round(Number(minutes))).toBe(30);
  }, 60_000);
});
