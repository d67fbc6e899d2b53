import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";
import { Confirmations } from "../src/features/revocations/confirmations.js";
import { WakeUpBus } from "../src/platform/bus/bus.js";
import { eventually, startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { enrol } from "./enrol.js";
import { describeFleet, type Fleet } from "./fleet.js";
import { person } from "./people.js";
import { createPeople, HOLD, issue, RELEASE } from "./pki.js";

let cp: TestControlPlane;
let fleet: Fleet;
let profileId: string;
const woken: number[] = [];

beforeAll(async () => {
  cp = await startControlPlane();
  fleet = await describeFleet(cp);
  await enrol(cp, fleet.hub);
  ({ profileId } = await createPeople(cp));
  cp.application.nest.get(WakeUpBus, { strict: false }).subscribe("revocation", ({ number }) => woken.push(number));
});
afterAll(() => cp?.close());

interface Entry {
  readonly id: string;
  readonly number: number;
  readonly kind: string;
  readonly name: string;
  readonly lifted: boolean;
  readonly confirmations: { readonly edges: readonly { readonly node: object }[] };
  readonly progress: object;
}

const ENTRY = `id number kind name lifted
  confirmations { edges { node { gateway { name } state confirmedAt endedSas } } }
  progress { gateways confirmed away endedSas completeAt }`;
const REVOKE = `mutation ($input: RevokeCertificateInput!) { revokeCertificate(input: $input) { state revocation { ${ENTRY} } } }`;
const UPDATE = `mutation ($input: UpdateRoadWarriorInput!) { updateRoadWarrior(input: $input) { revocation { ${ENTRY} } } }`;
const DELETE = `mutation ($id: ID!) { deleteRoadWarrior(id: $id) { revocation { ${ENTRY} } } }`;
const enable = async (id: string, enabled: boolean) => {
  const { updateRoadWarrior } = await cp.get<{ updateRoadWarrior: { revocation: Entry | null } }>(UPDATE, {
    input: { id, enabled },
  });
  return updateRoadWarrior.revocation;
};
const told = (entry: Entry) =>
  eventually(
    async () => woken,
    (numbers) => numbers.includes(entry.number),
  );

describe("revoking", () => {
  test("a certificate gives the gateways that have to hear of it, and wakes every replica", async () => {
    const { certificate } = await issue(cp, profileId, "alice@example.org");
    const { revokeCertificate } = await cp.get<{ revokeCertificate: { state: string; revocation: Entry } }>(REVOKE, {
      input: { id: certificate.id, reason: "KEY_COMPROMISE" },
    });
    expect(revokeCertificate).toMatchObject({
      state: "REVOKED",
      revocation: {
        kind: "CERTIFICATE",
        lifted: false,
        // The branch is not enrolled.
        confirmations: {
          edges: [
            {
              node: { gateway: { name: fleet.hub.gateway.name }, state: "AWAY", confirmedAt: null, endedSas: null },
            },
          ],
        },
        progress: { gateways: 1, confirmed: 0, away: 1, endedSas: 0, completeAt: null },
      },
    });
    await told(revokeCertificate.revocation);
    const { revocation } = await cp.get<{ revocation: Entry }>(
      `query ($id: ID!) { revocation(id: $id) { ${ENTRY} } }`,
      { id: revokeCertificate.revocation.id },
    );
    expect(revocation).toEqual(revokeCertificate.revocation);
  });

  test("is taken back by a release, and not written again when a hold becomes final", async () => {
    const { certificate } = await issue(cp, profileId, "bob@example.org");
    const entries = () =>
      query(cp.connection, `SELECT lifted FROM revocations WHERE subject_id = '${certificate.id}' ORDER BY number`);
    await cp.get(HOLD, { id: certificate.id });
    await cp.get(RELEASE, { id: certificate.id });
    await cp.get(HOLD, { id: certificate.id });
    await cp.get(REVOKE, { input: { id: certificate.id } });
    expect((await entries()).map((row) => row.lifted)).toEqual([false, true, false]);
  });

  test("of a person is what disabling and deleting do, and is lifted when the person or the name is back", async () => {
    const id = await person(cp, "ann@example.org");
    expect(await enable(id, true)).toBeNull();
    const refused = await enable(id, false);
    expect(refused).toMatchObject({ kind: "PERSON", name: "ann@example.org", lifted: false });
    expect((await enable(id, false))?.number).toBe(refused?.number);
    expect(await enable(id, true)).toMatchObject({ lifted: true });
    const { deleteRoadWarrior } = await cp.get<{ deleteRoadWarrior: { revocation: Entry } }>(DELETE, { id });
    expect(deleteRoadWarrior.revocation).toMatchObject({ name: "ann@example.org", lifted: false });
    const again = await person(cp, "ann@example.org");
    const [last] = await query(
      cp.connection,
      "SELECT lifted, subject_id FROM revocations WHERE key = 'ann@example.org' ORDER BY number DESC LIMIT 1",
    );
    expect(last).toEqual({ lifted: true, subject_id: again });
  });

  test("that nobody has written is a coded error", async () => {
    const answer = await cp.send("query ($id: ID!) { revocation(id: $id) { id } }", { id: crypto.randomUUID() });
    expect(answer.errors?.[0]?.extensions.code).toBe("api/not-found");
  });

  test("can be read as a list, newest first", async () => {
    const { revocations } = await cp.get<{ revocations: { edges: { node: { number: number } }[] } }>(
      "{ revocations(first: 50) { edges { node { number } } } }",
    );
    const numbers = revocations.edges.map((e) => e.node.number);
    expect(numbers).toEqual(numbers.toSorted((a, b) => b - a));
    expect(numbers.length).toBeGreaterThan(3);
  });

  test("has its confirmations in pages", async () => {
    const id = await person(cp, "paul@example.org");
    const entry = await enable(id, false);
    const more = ["01920000-0000-7000-8000-000000000001", "01920000-0000-7000-8000-000000000002"];
    for (const [i, gateway] of more.entries()) {
      await query(
        cp.connection,
        `INSERT INTO gateways (id, organization_id, site_id, name, identity, state, updated_at)
         SELECT $1, organization_id, site_id, $2, $2, 'RETIRED', now() FROM gateways WHERE id = $3`,
        [gateway, `more-${i}.example`, fleet.hub.gateway.id],
      );
      await query(
        cp.connection,
        `INSERT INTO revocation_tellings (revocation_id, gateway_id, organization_id, number, confirmed_at, ended_sas)
         SELECT id, $1, organization_id, number, now(), 2 FROM revocations WHERE id = $2`,
        [gateway, entry?.id],
      );
    }
    const PAGE = `query ($id: ID!, $after: String) { revocation(id: $id) {
      progress { gateways confirmed away endedSas completeAt }
      confirmations(first: 2, after: $after) { edges { node { state endedSas } } pageInfo { hasNextPage endCursor } } } }`;
    interface Page {
      revocation: { progress: object; confirmations: { edges: object[]; pageInfo: { endCursor: string } } };
    }
    const { revocation: first } = await cp.get<Page>(PAGE, { id: entry?.id });
    expect(first).toMatchObject({
      progress: { gateways: 3, confirmed: 2, away: 1, endedSas: 4, completeAt: null },
      confirmations: { edges: [1, 2].map(() => ({ node: { state: "CONFIRMED", endedSas: 2 } })) },
    });
    const after = first.confirmations.pageInfo.endCursor;
    const { revocation: rest } = await cp.get<Page>(PAGE, { id: entry?.id, after });
    expect(rest.confirmations).toMatchObject({
      edges: [{ node: { state: "AWAY", endedSas: null } }],
      pageInfo: { hasNextPage: false },
    });
    await query(cp.connection, "DELETE FROM gateways WHERE id = ANY ($1)", [more]);
  });

  test("is heard of by subscribers when a gateway confirms it", async () => {
    const id = await person(cp, "rita@example.org");
    const entry = await enable(id, false);
    const client = createClient({
      url: `${cp.application.url.replace("http", "ws")}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${cp.first.apiToken}` },
    });
    const source = `subscription { revocationConfirmed(id: "${entry?.id}") { ${ENTRY} } }`;
    const news = client.iterate<{ revocationConfirmed: Entry }>({ query: source });
    const next = async () => (await news.next()).value.data.revocationConfirmed;
    expect(await next()).toEqual(entry);
    const { me } = await cp.get<{ me: { organization: { id: string } } }>("{ me { organization { id } } }");
    const at = new Date();
    cp.application.nest.get(Confirmations, { strict: false }).take({
      organizationId: me.organization.id,
      gatewayId: fleet.hub.gateway.id,
      upTo: entry?.number ?? 0,
      ended: [{ number: entry?.number ?? 0, endedSas: 3 }],
      at,
    });
    const confirmed = { state: "CONFIRMED", confirmedAt: at.toISOString(), endedSas: 3 };
    expect(await next()).toMatchObject({
      confirmations: { edges: [{ node: confirmed }] },
      progress: { gateways: 1, confirmed: 1, away: 0, endedSas: 3, completeAt: at.toISOString() },
    });
    await client.dispose();
  });
});

describe("revoking a person", () => {
  const REVOKE_PERSON = `mutation ($input: RevokeRoadWarriorInput!) { revokeRoadWarrior(input: $input) {
    roadWarrior { enabled revocation { ${ENTRY} } }
    certificates { id state revocationReason revocation { ${ENTRY} } } } }`;
  interface Revoked {
    revokeRoadWarrior: { roadWarrior: { revocation: Entry }; certificates: { id: string; revocation: Entry }[] };
  }

  test("disables the person and revokes all that the person may prove the name by, and nobody else's", async () => {
    const id = await person(cp, "cara@example.org");
    const own = [await issue(cp, profileId, "cara@example.org"), await issue(cp, profileId, "Cara@example.org")];
    const other = await issue(cp, profileId, "dora@example.org");
    await cp.get(HOLD, { id: own[1]?.certificate.id });
    const { revokeRoadWarrior } = await cp.get<Revoked>(REVOKE_PERSON, { input: { id, reason: "SUPERSEDED" } });
    const { roadWarrior, certificates } = revokeRoadWarrior;
    expect(roadWarrior).toMatchObject({ enabled: false, revocation: { kind: "PERSON", name: "cara@example.org" } });
    expect(certificates.map((c) => c.id)).toEqual(own.map((o) => o.certificate.id));
    for (const certificate of certificates) {
      expect(certificate).toMatchObject({
        state: "REVOKED",
        revocationReason: "SUPERSEDED",
        revocation: { kind: "CERTIFICATE", lifted: false, confirmations: { edges: [{ node: { state: "AWAY" } }] } },
      });
    }
    await told(roadWarrior.revocation);
    const good = await query(cp.connection, "SELECT 1 FROM certificates WHERE id = $1 AND revoked_at IS NULL", [
      other.certificate.id,
    ]);
    expect(good).toHaveLength(1);
    const log = await query(
      cp.connection,
      `SELECT body FROM issuance_log WHERE body LIKE '%"event":"revoked"%' AND body LIKE '%${own[0]?.certificate.serial}%'`,
    );
    expect(log).toHaveLength(1);
    const again = await cp.get<Revoked>(REVOKE_PERSON, { input: { id } });
    expect(again.revokeRoadWarrior.certificates).toEqual([]);
    expect(again.revokeRoadWarrior.roadWarrior.revocation).toEqual(roadWarrior.revocation);
  });

  test("is no hold, is of somebody who is there, and needs the permission for people and for certificates", async () => {
    const id = await person(cp, "emil@example.org");
    for (const [input, code, field] of [
      [{ id, reason: "CERTIFICATE_HOLD" }, "api/bad-input", "input.reason"],
      [{ id: crypto.randomUUID() }, "api/not-found", "input.id"],
    ] as const) {
      const { errors } = await cp.send(REVOKE_PERSON, { input });
      expect(errors?.[0]?.extensions).toMatchObject({ code, field });
    }
    for (const permissions of [
      ["fleet:read", "road-warrior:write"],
      ["fleet:read", "certificate:write"],
    ]) {
      const { createApiToken } = await cp.get<{ createApiToken: { token: string } }>(
        "mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { token } }",
        { input: { name: "half", permissions } },
      );
      const { errors } = await cp.send(REVOKE_PERSON, { input: { id } }, createApiToken.token);
      expect(errors?.[0]?.extensions.code).toBe("api/forbidden");
    }
  });
});
