import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { ExpiryAlerts } from "../src/features/certificates/expiry-alerts.js";
import { CertificateSightings } from "../src/features/certificates/sightings.service.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { enrol } from "./enrol.js";
import { describeFleet, type Fleet } from "./fleet.js";
import { createAuthority, createPeople, HOLD, issue, OpenSsl, REVOKE } from "./pki.js";

interface Node {
  id: string;
  kind: string;
  state: string;
  holder: string;
  subject: string;
  notAfter: string;
  daysLeft: number;
  deployedAt: string | null;
  usedBy: string[];
  purpose: string | null;
}
interface Page {
  edges: { node: Node }[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

const LIST = `query ($first: Int!, $after: String, $filter: CertificateFilterInput) {
  certificates(first: $first, after: $after, filter: $filter) {
    edges { node { id kind state holder subject notAfter daysLeft deployedAt usedBy purpose } }
    pageInfo { hasNextPage endCursor } } }`;
const RECORD =
  "mutation ($input: RecordCertificateInput!) { recordCertificate(input: $input) { id kind names deployedAt daysLeft } }";
const FORGET = "mutation ($id: ID!) { forgetCertificate(id: $id) { id } }";

// Keys of every size and many runs of openssl, on machines that do other things too.
let cp: TestControlPlane;
let openssl: OpenSsl;
let fleet: Fleet;
let people: Awaited<ReturnType<typeof createPeople>>;

beforeAll(async () => {
  cp = await startControlPlane();
  openssl = new OpenSsl();
  fleet = await describeFleet(cp);
  await enrol(cp, fleet.hub);
  await enrol(cp, fleet.branch);
  people = await createPeople(cp);
  for (const name of ["a", "b", "c"]) await issue(cp, people.profileId, `${name}@example.org`);
});
afterAll(async () => {
  openssl?.remove();
  await cp?.close();
});

async function all(filter: object = {}, first = 200): Promise<Node[]> {
  const nodes: Node[] = [];
  for (let after: string | null = null; ; ) {
    const { certificates }: { certificates: Page } = await cp.get<{ certificates: Page }>(LIST, {
      first,
      after,
      filter,
    });
    nodes.push(...certificates.edges.map((e) => e.node));
    after = certificates.pageInfo.endCursor;
    if (!certificates.pageInfo.hasNextPage) return nodes;
  }
}

describe("the inventory", () => {
  test("has every certificate once, what expires first first, whatever the size of its pages", async () => {
    const whole = await all();
    const [row] = await query(
      cp.connection,
      "SELECT ((SELECT count(*) FROM certificates) + (SELECT count(*) FROM certificate_authorities))::int AS n",
    );
    expect(whole).toHaveLength(row?.n as number);
    expect(new Set(whole.map((n) => n.id)).size).toBe(whole.length);
    const times = whole.map((n) => n.notAfter);
    expect(times).toEqual(times.toSorted());
    expect(new Set(whole.map((n) => n.kind))).toEqual(new Set(["ISSUED", "AUTHORITY"]));
    for (const size of [1, 3]) expect((await all({}, size)).map((n) => n.id)).toEqual(whole.map((n) => n.id));
  });

  test("says where a gateway's are deployed and what rests on them", async () => {
    const filter = { gatewayId: fleet.hub.gateway.id };
    const own = await all(filter);
    expect(own.map((n) => [n.purpose, n.deployedAt, n.usedBy.length])).toEqual(
      expect.arrayContaining([
        ["GATEWAY_IDENTITY", "Headquarters", 1],
        ["CONTROL_CHANNEL", "Headquarters", 0],
      ]),
    );
    expect(own).toHaveLength(2);
    expect(own.every((n) => n.daysLeft === 89)).toBe(true);
  });

  test("can be asked for what ends soon, is revoked, or one authority issued", async () => {
    const [held, revoked] = await all({ authorityId: people.issuing.id });
    await cp.get(HOLD, { id: held?.id });
    await cp.get(REVOKE, { input: { id: revoked?.id } });
    const state = async (...states: string[]) => (await all({ states })).map((n) => n.id);
    expect(await state("HELD")).toEqual([held?.id]);
    expect(await state("REVOKED")).toEqual([revoked?.id]);
    expect(await state("EXPIRED")).toEqual([]);
    expect((await all({ authorityId: people.issuing.id })).map((n) => n.state).toSorted()).toEqual([
      "HELD",
      "REVOKED",
      "VALID",
    ]);
    const expiresBefore = new Date(Date.now() + 100 * 86_400_000).toISOString();
    const soon = await all({ expiresBefore });
    expect(new Set(soon.map((n) => n.purpose))).toEqual(new Set(["GATEWAY_IDENTITY", "CONTROL_CHANNEL"]));
  });

  test("keeps foreign ones until they are forgotten", async () => {
    const self = ["-subj", "/CN=vpn.example.com", "-addext", "subjectAltName=DNS:vpn.example.com", "-days", "20"];
    openssl.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "f.key", ...self, "-out", "f.pem");
    const pem = openssl.run("x509", "-in", "f.pem");
    const input = { pem, holder: "Let's Encrypt at the branch", gatewayId: fleet.branch.gateway.id };
    const { recordCertificate } = await cp.get<{ recordCertificate: { id: string } }>(RECORD, { input });
    expect(recordCertificate).toMatchObject({
      kind: "FOREIGN",
      names: ["dns:vpn.example.com"],
      deployedAt: "Vienna",
      daysLeft: 19,
    });
    expect((await all())[0]?.id).toBe(recordCertificate.id);
    const again = await cp.send(RECORD, { input });
    expect(again.errors?.[0]?.extensions.code).toBe("certificates/known");
    const { id } = recordCertificate;
    const refused = await cp.send(REVOKE, { input: { id } });
    expect(refused.errors?.[0]?.extensions.code).toBe("certificates/wrong-state");
    await cp.get(FORGET, { id });
    expect((await all()).map((n) => n.id)).not.toContain(id);
    const [issued] = await all({ authorityId: people.issuing.id });
    expect((await cp.send(FORGET, { id: issued?.id })).errors?.[0]?.extensions.code).toBe("certificates/wrong-state");
  });

  describe("what agents tell of", () => {
    const SEEN = `query { certificates(first: 200) { edges { node {
      id kind holder subject issuer serial deployedAt supersededAt daysLeft seenAt { gateway connection identity lastSeenAt }
    } } } }`;
    interface Seen {
      id: string;
      kind: string;
      holder: string;
      subject: string;
      deployedAt: string | null;
      supersededAt: string | null;
      daysLeft: number;
      seenAt: { gateway: string; connection: string | null; identity: string | null; lastSeenAt: string }[];
    }
    const seen = async () =>
      (await cp.get<{ certificates: { edges: { node: Seen }[] } }>(SEEN)).certificates.edges.map((e) => e.node);
    const der = (pem: string) => Uint8Array.from(Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64"));
    const partner = (days: number) => {
      const self = ["-subj", "/CN=vpn.partner.example", "-days", String(days)];
      openssl.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "p.key", ...self, "-out", "p.pem");
      return openssl.run("x509", "-in", "p.pem");
    };
    const at = (hour: number) => new Date(Date.UTC(2026, 0, 1, hour));
    const take = (gatewayId: string, ...told: readonly (readonly [string, string, string, number])[]) =>
      cp.application.nest.get(CertificateSightings, { strict: false }).take(
        gatewayId,
        told.map(([pem, connection, identity, hour]) => ({
          certificate: der(pem),
          connection,
          identity,
          at: at(hour),
        })),
      );

    test("is shown with where it is and who uses it; a foreign one until it is recorded, and a renewed one has a successor", async () => {
      const { hub, branch } = fleet;
      const [{ key = "", name = "" } = {}] = await query(cp.connection, "SELECT key, name FROM tunnels LIMIT 1");
      const [old, renewed] = [partner(20), partner(50)];
      await take(hub.gateway.id, [old, String(key), "vpn.partner.example", 1], ["bm90IG9uZQ==", "x", "", 1]);
      await take(branch.gateway.id, [old, "unknown", "vpn.partner.example", 2]);
      await take(hub.gateway.id, [old, String(key), "vpn.partner.example", 0]);
      const [first] = (await seen()).filter((n) => n.holder === "vpn.partner.example");
      expect(first).toMatchObject({
        ...{ kind: "FOREIGN", subject: "CN=vpn.partner.example", deployedAt: null, daysLeft: 19, supersededAt: null },
        seenAt: [
          { gateway: "Vienna", connection: "unknown", lastSeenAt: at(2).toISOString() },
          {
            gateway: "Headquarters",
            connection: name,
            identity: "vpn.partner.example",
            lastSeenAt: at(1).toISOString(),
          },
        ],
      });

      await take(hub.gateway.id, [renewed, String(key), "vpn.partner.example", 3]);
      const superseded = async () =>
        (await seen()).filter((n) => n.holder === "vpn.partner.example").map((n) => n.supersededAt !== null);
      expect(await superseded()).toEqual([true, false]);
      // Two devices with a certificate each: the other one is still there.
      await take(hub.gateway.id, [old, String(key), "vpn.partner.example", 4]);
      expect(await superseded()).toEqual([false, false]);

      const input = { pem: old, holder: "The partner" };
      expect(await cp.get(RECORD, { input })).toMatchObject({ recordCertificate: { id: first?.id, kind: "FOREIGN" } });
      expect((await cp.send(RECORD, { input })).errors?.[0]?.extensions.code).toBe("certificates/known");
      for (const { id } of (await seen()).filter((n) => n.subject === "CN=vpn.partner.example")) {
        await cp.get(FORGET, { id });
      }
    });

    test("confirms where our own are deployed", async () => {
      const [row] = await query(
        cp.connection,
        "SELECT id::text, encode(certificate, 'base64') AS der FROM certificates WHERE gateway_id = $1 AND purpose = 'GATEWAY_IDENTITY'",
        [fleet.hub.gateway.id],
      );
      const before = (await seen()).length;
      await take(fleet.hub.gateway.id, [String(row?.der), "", "", 5]);
      const all = await seen();
      expect(all).toHaveLength(before);
      expect(all.find((n) => n.id === row?.id)).toMatchObject({
        ...{ kind: "ISSUED", deployedAt: "Headquarters" },
        seenAt: [{ gateway: "Headquarters", connection: null, identity: null }],
      });
    });
  });

  test("tells operators of what was not renewed: at a quarter of its life, at a tenth, at its end, once each; not of what has a successor", async () => {
    const alerts = cp.application.nest.get(ExpiryAlerts, { strict: false });
    const days = (count: number) => new Date(Date.now() + count * 86_400_000);
    await query(
      cp.connection,
      "UPDATE certificates SET not_before = now() - interval '60 days', not_after = now() + interval '40 days', alerts_told = 0",
    );
    const told = async () =>
      (
        await query(
          cp.connection,
          "SELECT kind || ' ' || severity AS what, count(*)::int AS n FROM events WHERE kind LIKE 'certificates/%' GROUP BY 1 ORDER BY 1",
        )
      ).map(({ what, n }) => `${what} ${n}`);
    const [{ n: wanted } = { n: 0 }] = await query(
      cp.connection,
      `SELECT count(*)::int AS n FROM certificates c WHERE revoked_at IS NULL AND superseded_at IS NULL
         AND NOT EXISTS (SELECT 1 FROM certificates n WHERE n.replaces_id = c.id)`,
    );
    expect(Number(wanted)).toBeGreaterThan(3);
    const at = [days(0), days(16), days(20), days(31), days(39), days(41), days(90)];
    const seen: string[][] = [];
    for (const now of at) {
      await alerts.tick(now);
      seen.push(await told());
    }
    const [warning, error, over] = [
      `certificates/expiring WARNING ${wanted}`,
      `certificates/expiring ERROR ${wanted}`,
      `certificates/expired ERROR ${wanted}`,
    ];
    const [first, second, third] = [[warning], [error, warning], [over, error, warning]];
    expect(seen).toEqual([[], first, first, second, second, third, third]);
  });

  test("tells of CAs in the same way, not of one that is retired or waits", async () => {
    const alerts = cp.application.nest.get(ExpiryAlerts, { strict: false });
    await createAuthority(cp, { name: "Old Root" });
    await createAuthority(cp, { name: "Next Root" });
    await query(
      cp.connection,
      `UPDATE certificate_authorities SET not_before = now() - interval '60 days', not_after = now() + interval '40 days',
         alerts_told = 0, standby = name = 'Next Root', retired_at = CASE WHEN name = 'Old Root' THEN now() END`,
    );
    const told = () =>
      query(
        cp.connection,
        `SELECT e.facts ->> 'authority' AS name, e.kind || ' ' || e.severity AS what, message FROM events e
         WHERE e.facts ? 'authority' ORDER BY e.id`,
      );
    const names = (
      await query(
        cp.connection,
        "SELECT name FROM certificate_authorities WHERE organization_id IS NOT NULL AND name NOT IN ('Old Root', 'Next Root')",
      )
    ).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining([people.root.name, people.issuing.name]));
    const seen: string[] = [];
    for (const days of [0, 16, 20, 31, 39, 41, 90]) {
      await alerts.tick(new Date(Date.now() + days * 86_400_000));
      const all = await told();
      for (const { name, what } of all.slice(seen.length)) seen.push(`${days} ${what} ${name}`);
    }
    const each = (what: string) => names.map((name) => `${what} ${name}`);
    expect(seen.toSorted()).toEqual(
      [
        ...each("16 certificates/expiring WARNING"),
        ...each("31 certificates/expiring ERROR"),
        ...each("41 certificates/expired ERROR"),
      ].toSorted(),
    );
    expect((await told())[0]?.message).toMatch(/^the certificate of the CA .* was not renewed yet and expires \(20/);
  });

  test("takes no cursor but its own, and no page that is too large", async () => {
    const refusal = async (variables: object) =>
      (await cp.send(LIST, { first: 10, ...variables })).errors?.[0]?.extensions;
    expect(await refusal({ after: "bm8" })).toMatchObject({ code: "api/bad-input", field: "after" });
    expect(await refusal({ first: 201 })).toMatchObject({ code: "api/bad-input", field: "first" });
  });
});
