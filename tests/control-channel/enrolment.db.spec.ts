import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { create } from "@bufbuild/protobuf";
import { decodeToken, EnrolRequestSchema, encodeToken } from "@sallyport/contract";
import { certificatesFromPem, createRequest, generateKeys, readCertificate } from "@sallyport/pki";
import { renew } from "../../apps/agent/src/enrol/index.js";
import { TestAgent, TestControlPlane, TestDatabase } from "./harness.js";

let postgres: TestDatabase;
let plane: TestControlPlane;
let serial = 0;

beforeAll(async () => {
  postgres = await TestDatabase.open();
  plane = await new TestControlPlane(postgres).start();
});
afterAll(async () => {
  await plane.stop();
  await postgres.stop();
});

const name = () => `e${++serial}`;
const agent = () => new TestAgent(path.join(postgres.directory, `agent-${++serial}`));
const coded = (code: string, more: object = {}) => expect.objectContaining({ code, ...more });

async function counts(gatewayId: string) {
  const { organizationId } = plane.context;
  const { client } = plane.database;
  return {
    certificates: await client.certificate.count({ where: { organizationId, gatewayId } }),
    audits: await client.auditEntry.count({ where: { organizationId, targetId: gatewayId, action: "enrol" } }),
    events: await client.event.count({ where: { organizationId, gatewayId } }),
    state: (await plane.row(gatewayId)).state,
  };
}
const NOTHING = { certificates: 0, audits: 0, events: 0, state: "AWAITING_ENROLMENT" };

describe("enrolling with a token", () => {
  it("makes a machine the gateway, with keys of its own in files for its owner alone", async () => {
    const gateway = await plane.gateway(name());
    const made = agent();
    const recompiled = plane.intents.recompiled;
    const enrolment = await made.enrol(await plane.token(gateway.id));

    expect(enrolment).toMatchObject({ gatewayId: gateway.id, identity: gateway.identity });
    expect(await made.enrolmentStore.load()).toEqual(enrolment);
    for (const file of await readdir(made.state)) {
      expect((await stat(path.join(made.state, file))).mode & 0o777).toBe(0o600);
    }
    expect(((await stat(made.state)).mode & 0o777).toString(8)).toBe("700");
    expect(await counts(gateway.id)).toEqual({ certificates: 2, audits: 1, events: 1, state: "ENROLLED" });
    expect(plane.intents.recompiled).toBe(recompiled + 1);

    const [identity, issuing, root] = certificatesFromPem(enrolment.identities[0]?.certificates ?? "").map((c) =>
      readCertificate(c),
    );
    expect(identity?.names.dns).toEqual([gateway.identity]);
    expect(issuing?.subject.text).toBe("CN=Acme gateways issuing CA,O=Acme");
    expect(root?.subject.text).toBe("CN=Acme gateways root CA,O=Acme");
    // The database never sees a private key of a gateway, nor a CA's in the clear.
    const { organizationId } = plane.context;
    const keys = await plane.database.client.authorityKey.findMany({ where: { organizationId } });
    const curve = Buffer.from("06082a8648ce3d030107", "hex"); // the OID of P-256, which every PKCS#8 of these keys holds
    expect(keys.map((key) => Buffer.from(key.sealed).includes(curve))).toEqual([false, false]);
  });

  it("works once, for one of those who come at the same time", async () => {
    const gateway = await plane.gateway(name());
    const token = await plane.token(gateway.id);
    const all = await Promise.allSettled([agent(), agent(), agent(), agent()].map((a) => a.enrol(token)));
    expect(all.filter((r) => r.status === "fulfilled")).toHaveLength(1);
    for (const r of all) {
      if (r.status === "rejected") expect(r.reason).toEqual(coded("enrolment/token-used", { field: "token" }));
    }
    await expect(agent().enrol(token)).rejects.toEqual(coded("enrolment/token-used"));
    expect(await counts(gateway.id)).toEqual({ certificates: 2, audits: 1, events: 1, state: "ENROLLED" });
  });

  it("is refused when the token expired, and nothing changes", async () => {
    const gateway = await plane.gateway(name());
    const token = await plane.token(gateway.id);
    const { organizationId } = plane.context;
    const expiresAt = new Date(Date.now() - 1);
    await plane.database.client.enrolmentToken.updateMany({
      where: { organizationId, gatewayId: gateway.id },
      data: { expiresAt },
    });
    const late = agent();
    await expect(late.enrol(token)).rejects.toEqual(coded("enrolment/token-expired", { field: "token" }));
    expect(await counts(gateway.id)).toEqual(NOTHING);
    expect(await late.enrolmentStore.load()).toBeUndefined();
  });

  it("is refused when the token was replaced by a newer one, or never was", async () => {
    const gateway = await plane.gateway(name());
    const old = await plane.token(gateway.id);
    const fresh = await plane.token(gateway.id);
    await expect(agent().enrol(old)).rejects.toEqual(coded("enrolment/token-replaced"));
    const guessed = encodeToken({ ...decodeToken(fresh), secret: new Uint8Array(32).fill(1) });
    await expect(agent().enrol(guessed)).rejects.toEqual(coded("enrolment/token-unknown"));
    expect(await counts(gateway.id)).toEqual(NOTHING);
    await agent().enrol(fresh);
  });

  it("refuses a control plane with another CA than the pinned one, and does not show it the token", async () => {
    const gateway = await plane.gateway(name());
    const token = await plane.token(gateway.id);
    const wrong = encodeToken({ ...decodeToken(token), caPin: new Uint8Array(32).fill(7) });
    await expect(agent().enrol(wrong)).rejects.toEqual(
      coded("pki/pin-mismatch", { field: "caPin", expected: "07".repeat(32) }),
    );
    expect(await counts(gateway.id)).toEqual(NOTHING);
    await agent().enrol(token);
  });

  it("tries every control plane of the token, and says when none answers", async () => {
    const gateway = await plane.gateway(name());
    const content = decodeToken(await plane.token(gateway.id));
    const dead = "https://127.0.0.1:1";
    await expect(agent().enrol(encodeToken({ ...content, urls: [dead] }))).rejects.toEqual(coded("enrol/unreachable"));
    await agent().enrol(encodeToken({ ...content, urls: [dead, ...content.urls] }));
  });

  it("leaves the token as it was when a request is not good", async () => {
    const gateway = await plane.gateway(name());
    const token = await plane.token(gateway.id);
    const { secret } = decodeToken(token);
    const good = await createRequest(await generateKeys(), "x");
    const bad = Uint8Array.from(good);
    bad[bad.length - 1] = (bad.at(-1) as number) ^ 1;
    const request = { secret, identityCsr: bad, controlCsr: good, contractVersion: 1 };
    const enrolled = plane.enrolments.enrol(create(EnrolRequestSchema, request), undefined);
    await expect(enrolled).rejects.toEqual(coded("pki/bad-signature", { field: "identityCsr" }));
    await expect(
      plane.enrolments.enrol(create(EnrolRequestSchema, { ...request, contractVersion: 99 }), undefined),
    ).rejects.toEqual(coded("enrolment/unsupported-version", { value: "99" }));
    expect(await counts(gateway.id)).toEqual(NOTHING);
    await agent().enrol(token);
  });

  it("refuses a machine that is enrolled, and a gateway that is retired", async () => {
    const gateway = await plane.gateway(name());
    const made = agent();
    await made.enrol(await plane.token(gateway.id));
    const again = await plane.token(gateway.id);
    await expect(made.enrol(again)).rejects.toEqual(coded("enrol/already-enrolled", { field: "state" }));
    const { organizationId } = plane.context;
    await plane.database.client.gateway.update({
      where: { organizationId, id: gateway.id },
      data: { state: "RETIRED" },
    });
    await expect(agent().enrol(again)).rejects.toEqual(coded("enrolment/gateway-retired"));
    await expect(plane.token(gateway.id)).rejects.toEqual(coded("enrolment/gateway-retired"));
    await expect(plane.token(crypto.randomUUID())).rejects.toEqual(coded("api/not-found", { field: "gatewayId" }));
  });

  it("makes the earlier machine's certificates worthless when the gateway is enrolled again", async () => {
    const gateway = await plane.gateway(name());
    await agent().enrol(await plane.token(gateway.id));
    await agent().enrol(await plane.token(gateway.id));
    const { organizationId } = plane.context;
    const where = { organizationId, gatewayId: gateway.id };
    expect(await plane.database.client.certificate.count({ where: { ...where, revokedAt: null } })).toBe(2);
    expect(await plane.database.client.certificate.count({ where: { ...where, revokedAt: { not: null } } })).toBe(2);
  });
});

describe("renewing", () => {
  it("gives new keys and certificates, keeps the old identity beside, and can be done again", async () => {
    const gateway = await plane.gateway(name());
    const made = agent();
    const first = await made.enrol(await plane.token(gateway.id));
    const second = await renew({ enrolment: first, store: made.enrolmentStore });
    expect(second.control.privateKey).not.toBe(first.control.privateKey);
    expect(second.identities[1]).toEqual(first.identities[0]);
    const third = await renew({ enrolment: second, store: made.enrolmentStore });
    expect(third.identities).toHaveLength(2);
    expect(await made.enrolmentStore.load()).toEqual(third);
    const { organizationId } = plane.context;
    const current = { organizationId, gatewayId: gateway.id, supersededAt: null, revokedAt: null };
    expect(await plane.database.client.certificate.count({ where: current })).toBe(2);
  });

  it("is refused to somebody whose certificate is revoked", async () => {
    const gateway = await plane.gateway(name());
    const made = agent();
    const enrolment = await made.enrol(await plane.token(gateway.id));
    await plane.database.transaction((tx) =>
      plane.certificates.revokeAll(tx, plane.context.organizationId, gateway.id),
    );
    await expect(renew({ enrolment, store: made.enrolmentStore })).rejects.toEqual(coded("agents/revoked"));
  });
});

it("two replicas that start on an empty database make one CA between them", async () => {
  const where = { organizationId: null, purpose: "CONTROL_CHANNEL" as const };
  await plane.database.transaction(async (tx) => {
    await tx.certificate.deleteMany({ where: { organizationId: plane.context.organizationId } });
    await tx.certificateAuthority.deleteMany({ where: { ...where, level: "ISSUING" } });
    await tx.certificateAuthority.deleteMany({ where });
  });
  const issuing = () =>
    plane.database.transaction((tx) => plane.authorities.issuing(tx, { purpose: "CONTROL_CHANNEL" }));
  const made = await Promise.all([issuing(), issuing(), issuing()]);
  expect(new Set(made.map((m) => m.id)).size).toBe(1);
  expect(await plane.database.client.certificateAuthority.count({ where })).toBe(2);
});
