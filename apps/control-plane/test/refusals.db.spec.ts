import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { EventsReportSchema, Severity } from "@sallyport/contract";
import { ReportIngest } from "../src/features/agents/report-ingest.js";
import { eventually, startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { enrol } from "./enrol.js";
import { CREATE_SITE, describeFleet, type MadeSite } from "./fleet.js";
import { handoverOf, serveAnn, Visitor } from "./handover.js";
import { ASSIGN, CREATE_POOL, person, pool } from "./people.js";
import { createPeople, OpenSsl, SIGN_CSR } from "./pki.js";

// A change of the fleet is proved by whole negotiations, on machines that do other things too.
let cp: TestControlPlane;
let hub: MadeSite;
let ids: { service: string; ann: string; bob: string; profile: string; people: string; pool: string };
const openssl = new OpenSsl();

beforeAll(async () => {
  cp = await startControlPlane();
  ({ hub } = await describeFleet(cp));
  await enrol(cp, hub);
  const { profileId: people } = await createPeople(cp);
  const [bob, own] = [await person(cp, "bob@example.org"), await pool(cp, "Own", ["10.8.0.0/24"])];
  ids = { ...(await serveAnn(cp, hub.gateway.id)), bob, people, pool: own };
  await cp.get(ASSIGN, { input: { poolId: ids.pool, roadWarriorId: ids.ann, address: "10.8.0.7" } });
});
afterAll(async () => {
  openssl.remove();
  await cp?.close();
});

interface Entry {
  readonly action: string;
  readonly actorKind: string;
  readonly actorName: string;
  readonly origin: string | null;
  readonly targetKind: string;
  readonly targetId: string;
  readonly after: Readonly<Record<string, unknown>>;
}
const TOKEN = 'mutation { createApiToken(input: { name: "narrow", permissions: ["fleet:read"] }) { token } }';
const ENTRIES = `{ auditEntries(first: 50) { edges { node {
  action actorKind actorName origin targetKind targetId after
} } } }`;

/** Newest first. */
async function entries(action: string): Promise<Entry[]> {
  const { auditEntries } = await cp.get<{ auditEntries: { edges: { node: Entry }[] } }>(ENTRIES);
  return auditEntries.edges.map((edge) => edge.node).filter((entry) => entry.action === action);
}

const code = async (source: string, variables: object) =>
  (await cp.send(source, variables)).errors?.[0]?.extensions.code as string;

/** Takes the answer that a page shows apart from its words. */
const shown = ({ status, text }: { status: number; text: string }) =>
  `${status} ${/handover\/[a-z-]+/.exec(text)?.[0] ?? "none"}`;

let told = 0;
/** What an agent tells of somebody whom its gateway has refused. */
const refused = (about: { code: string; identity: string; times?: number; message?: string }, id = `e${++told}`) =>
  cp.application.nest.get(ReportIngest, { strict: false }).event(
    hub.gateway.id,
    create(EventsReportSchema, {
      events: [
        {
          ...{ id, code: about.code, message: about.message ?? about.code, severity: Severity.ERROR },
          ...{ at: timestampFromMs(Date.now()), tunnelId: "t1" },
          refusal: { identity: about.identity, remote: "203.0.113.9:4500", times: about.times ?? 1 },
        },
      ],
    }),
  );

const peers = () => entries("refusePeer");
const peersOf = async (about: string) => (await peers()).filter((e) => e.after.code === about);

describe("refused, coded and audited", () => {
  const sign = (name: string, input: object) => {
    const csr = openssl.request("other", "/CN=x", "-addext", `subjectAltName=email:${name}`);
    return code(SIGN_CSR, { input: { profileId: ids.people, holder: "ann@example.org", csr, ...input } });
  };
  const assign = (poolId: string, address: string) =>
    code(ASSIGN, { input: { poolId, roadWarriorId: ids.bob, address } });

  test.each([
    [
      "a CSR for a name that the profile does not permit",
      "refuseSignCsr",
      () => sign("boss@example.com", { holder: "boss" }),
      { code: "pki/outside-profile", field: "names[0]", value: "boss@example.com" },
    ],
    [
      "a CSR for another's name",
      "refuseSignCsr",
      () => sign("bob@example.org", {}),
      { code: "certificates/other-name", field: "input.names[0]", value: "bob@example.org" },
    ],
    [
      "a CSR that asks for another name than whoever hands it in",
      "refuseSignCsr",
      () => sign("bob@example.org", { names: [{ type: "EMAIL", value: "ann@example.org" }] }),
      { code: "certificates/other-name", field: "input.csr", value: "bob@example.org" },
    ],
    [
      "an address outside the pool, for good",
      "refuseAssignAddress",
      () => assign(ids.pool, "10.7.0.7"),
      { code: "pool/not-in-pool", field: "input.address", value: "10.7.0.7" },
    ],
    [
      "an address that is another's already",
      "refuseAssignAddress",
      () => assign(ids.pool, "10.8.0.7"),
      { code: "pool/address-taken", field: "input.address", value: "10.8.0.7" },
    ],
    [
      "what the caller's token does not permit",
      "refuseAssignAddress",
      async () => {
        const { createApiToken } = await cp.get<{ createApiToken: { token: string } }>(TOKEN);
        const input = { poolId: ids.pool, roadWarriorId: ids.bob, address: "10.8.0.9" };
        const { errors } = await cp.send(ASSIGN, { input }, createApiToken.token);
        return errors?.[0]?.extensions.code as string;
      },
      { code: "api/forbidden", field: "authorization", value: expect.any(String) },
    ],
    [
      "a prefix that is another site's",
      "refuseCreateSite",
      () => code(CREATE_SITE, { input: { name: "Twin", subnets: ["10.1.7.0/24"], gateway: {} } }),
      { code: "intent/overlap", field: "input.subnets[0]", value: "10.1.7.0/24" },
    ],
    [
      "a pool within a site's network",
      "refuseCreateAddressPool",
      () => code(CREATE_POOL, { input: { name: "Within", addresses: ["10.1.8.0/24"] } }),
      { code: "intent/overlap", field: "input.addresses[0]", value: "10.1.8.0/24" },
    ],
  ])("%s", async (_, action, ask, refusal) => {
    expect(await ask()).toBe(refusal.code);
    const [entry] = await entries(action);
    expect(entry).toMatchObject({
      ...{ actorKind: "operator", actorName: cp.first.email, origin: "127.0.0.1", targetKind: "operator" },
      after: { ...refusal, who: cp.first.email, times: 1, since: expect.any(String) },
    });
  });

  test("a used link, and a guessed one", async () => {
    const input = { roadWarriorId: ids.ann, remoteAccessId: ids.service, certificate: { profileId: ids.profile } };
    const { handover, link } = await handoverOf(cp, input);
    const guess = `${link.slice(0, -3)}${link.endsWith("AAA") ? "BBB" : "AAA"}`;
    expect(shown(await new Visitor(guess).get())).toBe("404 handover/unknown-link");
    expect((await new Visitor(link).choose("swanctl")).status).toBe(303);
    expect(shown(await new Visitor(link).choose("swanctl"))).toBe("410 handover/used");
    expect(await entries("refuseHandover")).toMatchObject(
      ["handover/used", "handover/unknown-link"].map((why) => ({
        ...{ actorKind: "system", targetKind: "handover", targetId: handover.id, origin: "127.0.0.1" },
        after: { code: why },
      })),
    );
  });

  // What a gateway says then is in tests/interop/revocation.interop.ts and remote-access.interop.ts.
  test.each([
    ["a revoked certificate", "pki/revoked"],
    ["an expired CRL under strict policy", "pki/revocation-unknown"],
    ["a request for an address outside the pool", "ike/address-outside-pool"],
    ["two gateways asked for the same static address: by the one that has not got it", "ike/address-outside-pool"],
    ["a request for somebody else's address", "ike/address-taken"],
    ["a session above the limit", "ike/too-many-sas"],
  ])("%s, at a gateway", async (title, why) => {
    const who = `${title.length}@example.org`;
    refused({ code: why, identity: who });
    const [entry] = await eventually(
      async () => (await peersOf(why)).filter((e) => e.after.who === who),
      (found) => found.length > 0,
    );
    expect(entry).toEqual({
      ...{ action: "refusePeer", actorKind: "agent", actorName: hub.gateway.name, origin: "203.0.113.9:4500" },
      ...{ targetKind: "gateway", targetId: hub.gateway.id },
      after: {
        ...{ code: why, who, remote: "203.0.113.9:4500", connection: "t1", message: why, times: 1 },
        since: expect.any(String),
      },
    });
  });
});

describe("the audit log", () => {
  test("has no second entry of a refusal that arrives twice, and none of an event that is no refusal", async () => {
    for (let i = 0; i < 2; i++) refused({ code: "ike/twice", identity: "x" }, "the same");
    const ingest = cp.application.nest.get(ReportIngest, { strict: false });
    const up = { id: "up", code: "ike/ike-up", message: "up", at: timestampFromMs(Date.now()) };
    ingest.event(hub.gateway.id, create(EventsReportSchema, { events: [up] }));
    await eventually(
      () => query(cp.connection, "SELECT 1 FROM events WHERE source_id = 'up'"),
      (rows) => rows.length === 1,
    );
    expect((await peersOf("ike/twice")).map((e) => e.after.times)).toEqual([1]);
    expect(await peersOf("ike/ike-up")).toEqual([]);
  });

  test("grows little in a flood: of one by orders of magnitude, of many up to a number, and other kinds are not lost", async () => {
    const before = (await query(cp.connection, "SELECT count(*)::int AS n FROM audit_entries"))[0]?.n as number;
    for (let i = 0; i < 250; i++) refused({ code: "ike/eap-credentials", identity: "mallory@example.org" });
    for (let i = 0; i < 250; i++) refused({ code: "ike/identity-mismatch", identity: `${i}.example` });
    refused({ code: "pki/expired", identity: "late@example.org", times: 3 });
    await eventually(
      () => peersOf("pki/expired"),
      (found) => found.length === 1,
    );
    expect((await peersOf("pki/expired"))[0]?.after).toMatchObject({ times: 3 });
    const written = await query(
      cp.connection,
      "SELECT after FROM audit_entries WHERE action = 'refusePeer' ORDER BY id DESC LIMIT 60",
    );
    const of = (why: string) => written.map((row) => row.after as Entry["after"]).filter((a) => a.code === why);
    expect(of("ike/eap-credentials").map((a) => a.times)).toEqual([100, 10, 1]);
    const strangers = of("ike/identity-mismatch");
    expect(strangers.filter((a) => a.who !== null)).toHaveLength(32);
    expect(strangers.filter((a) => a.who === null).map((a) => a.times)).toEqual([100, 10, 1]);
    const after = (await query(cp.connection, "SELECT count(*)::int AS n FROM audit_entries"))[0]?.n as number;
    expect(after - before).toBe(3 + 35 + 1);
  });

  test("grows little by a caller who tries again and again", async () => {
    const input = { poolId: ids.pool, roadWarriorId: ids.bob, address: "10.8.0.7" };
    for (let i = 0; i < 12; i++) expect(await code(ASSIGN, { input })).toBe("pool/address-taken");
    const written = await query(
      cp.connection,
      "SELECT after FROM audit_entries WHERE action = 'refuseAssignAddress' AND after ->> 'code' = 'pool/address-taken' ORDER BY id",
    );
    expect(written.map((row) => (row.after as Entry["after"]).times)).toEqual([1, 10]);
  });
});
