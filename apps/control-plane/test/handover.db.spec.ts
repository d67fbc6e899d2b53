import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { HandoverSweeper } from "../src/features/handover/sweeper.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { enrol } from "./enrol.js";
import { describeFleet, type Fleet } from "./fleet.js";
import { CREATE, type Created, handoverOf, serveAnn, Visitor } from "./handover.js";
import { person } from "./people.js";
import { createPeople, OpenSsl } from "./pki.js";

// A change of the fleet is proved by whole negotiations, on machines that do other things too.
let cp: TestControlPlane;
let fleet: Fleet;
let ids: { service: string; ann: string; stranger: string; profile: string; foreign: string };
const openssl = new OpenSsl();

const refusal = async (source: string, variables: object, token?: string) =>
  (await cp.send(source, variables, token)).errors?.[0]?.extensions;
const rows = (sql: string, ...values: unknown[]) => query(cp.connection, sql, values);
const audited = async (id: string) =>
  (await rows("SELECT action, after FROM audit_entries WHERE target_id = $1 ORDER BY id", id)).map((r) =>
    r.action === "refuseHandover" ? (r.after as { code: string }).code : r.action,
  );
const certificate = () => ({ certificate: { profileId: ids.profile } });
const input = (more: object = {}) => ({ roadWarriorId: ids.ann, remoteAccessId: ids.service, ...more });
const made = (more: object = {}): Promise<Created> => handoverOf(cp, input(more));

beforeAll(async () => {
  cp = await startControlPlane();
  fleet = await describeFleet(cp);
  await enrol(cp, fleet.hub);
  const { profileId: foreign } = await createPeople(cp);
  const stranger = await person(cp, "stranger@example.org");
  ids = { ...(await serveAnn(cp, fleet.hub.gateway.id, "Ann <b>")), foreign, stranger };
});
afterAll(async () => {
  openssl.remove();
  await cp?.close();
});

describe("a link with a key", () => {
  test("is shown once; neither it nor the key can be read in the database", async () => {
    const { handover, link, qrCode, passphrase, unavailable } = await made(certificate());
    expect(link).toMatch(new RegExp(`^${cp.application.url}/h/[\\w-]{64}$`));
    expect(qrCode).toMatch(/^<svg .*<path .*<\/svg>$/s);
    expect(passphrase).toMatch(/^([a-z2-9]{5}-){3}[a-z2-9]{5}$/);
    expect(unavailable).toEqual([]);
    expect(handover).toMatchObject({ state: "PENDING", roadWarrior: { username: "ann@example.org" } });
    expect(handover.devices).toHaveLength(8);
    const [row] = await rows("SELECT h.*, a.after FROM handovers h JOIN audit_entries a ON a.target_id = h.id");
    const text = JSON.stringify(row, (_, v) => (v?.type === "Buffer" ? Buffer.from(v.data).toString("latin1") : v));
    expect(text).not.toContain(passphrase);
    expect(text).not.toContain(link.slice(-40));
  });

  test("opens a page that looks closed from outside, as often as anybody looks", async () => {
    const { handover, link } = await made(certificate());
    const { headers, status, text } = await new Visitor(link).get();
    expect(status).toBe(200);
    expect(headers.get("content-security-policy")).toMatch(
      /^default-src 'none'; style-src 'sha256-[^']+'; form-action/,
    );
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(text).toContain("VPN for Ann &lt;b&gt;");
    expect(text).toContain('value="apple"');
    for (const method of ["GET", "HEAD"]) await fetch(link, { method });
    expect(await audited(handover.id)).toEqual(["createHandover"]);
    const iphone = await new Visitor(link, "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)").get();
    expect(iphone.text.indexOf('value="apple"')).toBeLessThan(iphone.text.indexOf("Another device"));
  });

  test("gives its key once, to one browser, which may try again; its certificate proves the user name", async () => {
    const { handover, link, passphrase } = await made(certificate());
    const [ann, other] = [new Visitor(link), new Visitor(link)];
    expect(await ann.choose("swanctl")).toMatchObject({ status: 303, location: new URL(link).pathname });
    expect(ann.cookie).toMatch(/; Max-Age=600; HttpOnly; SameSite=Strict$/);
    const { text } = await ann.get();
    expect(text).not.toContain(passphrase);
    const names = ["conf.d", "x509ca", "pkcs12"].every((folder) => text.includes(`/etc/swanctl/${folder}/`));
    expect(names).toBe(true);
    const [conf = "", ...more] = [...text.matchAll(/href="([^"]+\/files\/[^"]+)"/g)].map((m) => m[1] as string);
    const p12 = more.at(-1) ?? "";
    expect((await ann.file(conf)).toString()).toContain('remote_addrs = "198.51.100.1"');
    for (const time of [1, 2]) {
      openssl.file(`${time}.p12`, await ann.file(p12));
      const opened = openssl.run("pkcs12", "-in", `${time}.p12`, "-passin", `pass:${passphrase}`, "-nodes");
      expect(opened).toContain("PRIVATE KEY");
      openssl.file("ann.pem", opened);
    }
    expect(openssl.run("x509", "-in", "ann.pem", "-noout", "-ext", "subjectAltName")).toContain(
      "email:ann@example.org",
    );

    expect(await other.get(p12)).toMatchObject({ status: 410 });
    expect(await other.get()).toMatchObject({ status: 410, text: expect.stringContaining("handover/used") });
    expect(await other.choose("apple")).toMatchObject({ status: 410 });
    expect(await ann.choose("apple")).toMatchObject({ status: 410 });
    expect(await audited(handover.id)).toEqual([
      ...["createHandover", "collectHandover", "handover/used", "handover/used", "handover/used", "handover/used"],
    ]);
    expect(await rows("SELECT sealed, key_id FROM handovers WHERE id = $1", handover.id)).toEqual([
      { sealed: null, key_id: null },
    ]);
    const { handovers } = await cp.get<{ handovers: { edges: { node: { id: string; state: string } }[] } }>(
      "query ($id: ID) { handovers(roadWarriorId: $id) { edges { node { id state collectedAt } } } }",
      { id: ids.ann },
    );
    expect(handovers.edges[0]?.node).toMatchObject({ id: handover.id, state: "COLLECTED" });

    await rows("UPDATE handover_profiles SET files_until = now() WHERE handover_id = $1", handover.id);
    expect(await ann.get(p12)).toMatchObject({ status: 410 });
    const sweeper = cp.application.nest.get(HandoverSweeper, { strict: false });
    expect(await sweeper.run()).toEqual({ keys: 0, files: 1 });
    expect(await rows("SELECT files FROM handover_profiles WHERE handover_id = $1", handover.id)).toEqual([
      { files: null },
    ]);
  });

  test("gives it to one of two who ask at once", async () => {
    const { link } = await made(certificate());
    const answers = await Promise.all([1, 2, 3].map(() => new Visitor(link).choose("android")));
    expect(answers.map((a) => a.status).sort()).toEqual([303, 410, 410]);
  });

  test("gives Apple's devices a profile that the organization's CA has signed", async () => {
    const { link } = await made(certificate());
    const ann = new Visitor(link);
    await ann.choose("apple");
    const [at = ""] = [...(await ann.get()).text.matchAll(/href="([^"]+mobileconfig)"/g)].map((m) => m[1] as string);
    openssl.file("a.mobileconfig", await ann.file(at));
    openssl.file("root.pem", await ann.file(`${new URL(link).pathname}/ca.pem`));
    const verify = ["cms", "-verify", "-inform", "DER", "-in", "a.mobileconfig", "-CAfile", "root.pem"];
    const said = openssl.run(...verify, "-out", "a.plist");
    expect(said).toContain("Verification successful");
    expect(openssl.bytes("a.plist").toString()).toContain("<key>PayloadContent</key>");
  });

  test.each(["pkcs12-modern", "pkcs12-legacy"])("gives the key alone: %s", async (device) => {
    const { link, passphrase } = await made({ ...certificate(), devices: [device.toUpperCase().replace("-", "_")] });
    const ann = new Visitor(link);
    expect(await ann.choose("windows")).toMatchObject({ status: 400 });
    await ann.choose(device);
    const [at = ""] = [...(await ann.get()).text.matchAll(/href="([^"]+p12)"/g)].map((m) => m[1] as string);
    openssl.file("k.p12", await ann.file(at));
    const legacy = device === "pkcs12-legacy" ? ["-legacy"] : [];
    const opened = openssl.run("pkcs12", "-in", "k.p12", "-passin", `pass:${passphrase}`, "-nodes", ...legacy);
    expect(opened).toContain("PRIVATE KEY");
  });

  test("is wiped when it expires, its certificate is revoked, and everybody is told", async () => {
    const { handover, link } = await made(certificate());
    await rows("UPDATE handovers SET expires_at = now() - interval '1 second' WHERE id = $1", handover.id);
    expect(await new Visitor(link).choose("apple")).toMatchObject({ status: 410 });
    const sweeper = cp.application.nest.get(HandoverSweeper, { strict: false });
    expect(await sweeper.run()).toMatchObject({ keys: 1 });
    expect(await sweeper.run()).toMatchObject({ keys: 0 });
    expect(await audited(handover.id)).toEqual(["createHandover", "handover/expired", "expireHandover"]);
    expect(
      await rows(
        "SELECT sealed, revocation_reason FROM handovers h JOIN certificates c ON c.id = certificate_id WHERE h.id = $1",
        handover.id,
      ),
    ).toEqual([{ sealed: null, revocation_reason: "CESSATION_OF_OPERATION" }]);
    expect(await rows("SELECT kind FROM events WHERE kind = 'handover/expired'")).toHaveLength(1);
  });

  test("is worthless once it is withdrawn, or its certificate revoked", async () => {
    const withdraw = "mutation ($id: ID!) { withdrawHandover(id: $id) { state withdrawnAt } }";
    const [first, second] = [await made(certificate()), await made(certificate())];
    expect(await cp.get(withdraw, { id: first.handover.id })).toMatchObject({
      withdrawHandover: { state: "WITHDRAWN" },
    });
    expect(await new Visitor(first.link).get()).toMatchObject({ status: 410 });
    const [row] = await rows("SELECT sealed FROM handovers WHERE id = $1", first.handover.id);
    expect(row).toEqual({ sealed: null });
    await cp.get("mutation ($input: RevokeCertificateInput!) { revokeCertificate(input: $input) { id } }", {
      input: { id: second.handover.certificateId, reason: "KEY_COMPROMISE" },
    });
    expect(await new Visitor(second.link).choose("apple")).toMatchObject({
      ...{ status: 410, text: expect.stringContaining("handover/revoked") },
    });
  });
});

describe("a link without a key", () => {
  test("may be used until it ends, by several devices", async () => {
    const { handover, link, passphrase } = await made();
    expect(passphrase).toBeNull();
    expect(handover.devices).not.toContain("PKCS12_MODERN");
    for (const device of ["windows", "apple", "routeros"]) {
      const ann = new Visitor(link);
      expect(await ann.choose(device)).toMatchObject({ status: 303 });
      expect(await ann.get()).toMatchObject({ status: 200, text: expect.stringContaining("/files/0/") });
    }
    expect(await new Visitor(link).get()).toMatchObject({ status: 200 });
  });
});

describe("how a device proves the person", () => {
  const serve = (...methods: string[]) =>
    cp.get("mutation ($input: UpdateRemoteAccessInput!) { updateRemoteAccess(input: $input) { id } }", {
      input: { id: ids.service, methods },
    });
  /** The first file of what a device gets. */
  async function profile(device: string, more: object): Promise<string> {
    const { link } = await made({ ...more, devices: [device.toUpperCase()] });
    const ann = new Visitor(link);
    await ann.choose(device);
    const [at = ""] = [...(await ann.get()).text.matchAll(/href="([^"]+\/files\/0\/[^"]+)"/g)].map(
      (m) => m[1] as string,
    );
    return (await ann.file(at)).toString();
  }
  const windows = async (more: object) =>
    (await profile("windows", more)).match(/MachineCertificate|-Tls|\(New-EapConfiguration\)|LocalMachine\\My/g);
  const swanctl = async () =>
    [...(await profile("swanctl", certificate())).matchAll(/ auth = "([^"]+)"/g)].map((m) => m[1]);

  test("Windows: by EAP-TLS, else by a certificate of the machine's, and by a password without one (CLI-06)", async () => {
    await serve("CERTIFICATE", "EAP_TLS", "EAP_MSCHAPV2");
    expect(await windows(certificate())).toEqual(["-Tls"]);
    await serve("CERTIFICATE", "EAP_MSCHAPV2");
    expect(await windows(certificate())).toEqual(["LocalMachine\\My", "MachineCertificate"]);
    expect(await windows({})).toEqual(["(New-EapConfiguration)"]);
  });

  test("by a certificate and a password where there are both", async () => {
    await serve("CERTIFICATE", "CERTIFICATE_AND_EAP_MSCHAPV2");
    expect(await swanctl()).toEqual(["pubkey", "pubkey"]);
    await cp.get("mutation ($id: ID!) { setRoadWarriorPassword(id: $id) { password } }", { id: ids.ann });
    expect(await swanctl()).toEqual(["pubkey", "eap-mschapv2", "pubkey"]);
    await serve("CERTIFICATE", "EAP_TLS", "EAP_MSCHAPV2");
  });
});

describe("what is refused", () => {
  test.each([
    ["a person whom the service does not let in", () => ({ roadWarriorId: ids.stranger }), "handover/not-a-user"],
    [
      "an authority that no gateway trusts",
      () => ({ certificate: { profileId: ids.foreign } }),
      "handover/authority-not-trusted",
    ],
    [
      "a key that a device cannot use",
      () => ({ certificate: { profileId: ids.profile, keyType: "ED25519" }, devices: ["APPLE"] }),
      "handover/key-not-usable",
    ],
    ["the key alone, without one", () => ({ devices: ["PKCS12_MODERN"] }), "handover/not-offered"],
    ["a gateway that does not serve it", () => ({ gatewayId: fleet.branch.gateway.id }), "api/not-found"],
    ["a link for ever", () => ({ expiresInMinutes: 100_000 }), "api/bad-input"],
  ])("%s", async (_, change, code) => {
    const before = await rows("SELECT (SELECT count(*) FROM handovers) AS h, (SELECT count(*) FROM certificates) AS c");
    expect(await refusal(CREATE, { input: input(change()) })).toMatchObject({ code });
    expect(
      await rows("SELECT (SELECT count(*) FROM handovers) AS h, (SELECT count(*) FROM certificates) AS c"),
    ).toEqual(before);
  });

  test("whoever has no permission, and may read all the same", async () => {
    const { createApiToken } = await cp.get<{ createApiToken: { token: string } }>(
      "mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { token } }",
      { input: { name: "reader", permissions: ["fleet:read"] } },
    );
    expect(await refusal(CREATE, { input: input() }, createApiToken.token)).toMatchObject({ code: "api/forbidden" });
    const list = "{ handovers { edges { node { id } } } staleProfiles { edges { node { id } } } }";
    expect((await cp.send(list, {}, createApiToken.token)).errors).toBeUndefined();
  });
});

describe("stale profiles", () => {
  const stale = async () =>
    (
      await cp.get<{ staleProfiles: { edges: { node: object }[] } }>(
        "{ staleProfiles { edges { node { device changed roadWarrior { username } gateway { name } } } } }",
      )
    ).staleProfiles.edges.map((e) => e.node);
  const collect = async (...devices: string[]) => {
    const { link } = await made();
    for (const device of devices) await new Visitor(link).choose(device);
  };

  test("are those whose gateway, authorities or proposals have changed, until there are newer ones", async () => {
    await rows("DELETE FROM handover_profiles");
    await collect("android", "routeros");
    expect(await stale()).toEqual([]);
    const update = "mutation ($input: UpdateGatewayInput!) { updateGateway(input: $input) { id } }";
    await cp.get(update, { input: { id: fleet.hub.gateway.id, host: "198.51.100.9" } });
    const change = "mutation ($input: UpdateRemoteAccessInput!) { updateRemoteAccess(input: $input) { id } }";
    await cp.get(change, { input: { id: ids.service, espProposals: ["aes256-sha256-modp2048"] } });
    const whose = { roadWarrior: { username: "ann@example.org" }, gateway: { name: fleet.hub.gateway.name } };
    expect(await stale()).toEqual([
      { device: "ANDROID", changed: ["GATEWAY", "PROPOSALS"], ...whose },
      { device: "ROUTEROS", changed: ["GATEWAY", "PROPOSALS"], ...whose },
    ]);
    await collect("android");
    expect(await stale()).toEqual([{ device: "ROUTEROS", changed: ["GATEWAY", "PROPOSALS"], ...whose }]);
    await cp.get(change, { input: { id: ids.service, methods: ["CERTIFICATE"] } });
    expect(await stale()).toMatchObject([
      { device: "ROUTEROS", changed: ["AUTHENTICATION", "GATEWAY", "PROPOSALS"] },
      { device: "ANDROID", changed: ["AUTHENTICATION"] },
    ]);
    await cp.get(update, { input: { id: fleet.hub.gateway.id, nattPort: 14_500 } });
    expect(await refusal(CREATE, { input: input(certificate()) })).toMatchObject({
      ...{ code: "handover/other-ports", value: "500, 14500" },
    });
    expect(await stale()).toMatchObject([{ changed: ["SERVICE"] }, { changed: ["SERVICE"] }]);
    await cp.get(update, { input: { id: fleet.hub.gateway.id, nattPort: 4500 } });
  });
});

test("a certificate and a password together are for devices that can show one after the other", async () => {
  const update = "mutation ($input: UpdateRemoteAccessInput!) { updateRemoteAccess(input: $input) { methods } }";
  const methods = ["CERTIFICATE_AND_EAP_MSCHAPV2"];
  await cp.get(update, { input: { id: ids.service, methods } });
  const { handover, unavailable, link } = await made(certificate());
  expect(handover.devices).toEqual(["ANDROID", "SWANCTL", "PKCS12_MODERN", "PKCS12_LEGACY"]);
  expect(unavailable.map((u) => `${u.device} ${u.code}`)).toEqual(
    ["APPLE", "WINDOWS", "NETWORK_MANAGER", "ROUTEROS"].map((device) => `${device} handover/not-offered`),
  );
  expect((await new Visitor(link).choose("swanctl")).status).toBe(303);
  expect(await refusal(CREATE, { input: input() })).toMatchObject({ code: "handover/no-device" });
  await cp.get(update, { input: { id: ids.service, methods: ["CERTIFICATE", "EAP_TLS", "EAP_MSCHAPV2"] } });
});

test("guessing is refused, audited, and ended soon", async () => {
  const { handover, link } = await made(certificate());
  const wrong = `${link.slice(0, -3)}${link.endsWith("AAA") ? "BBB" : "AAA"}`;
  expect(await new Visitor(wrong).get()).toMatchObject({
    ...{ status: 404, text: expect.stringContaining("handover/unknown-link") },
  });
  expect(await new Visitor(wrong).choose("apple")).toMatchObject({ status: 404 });
  expect(await audited(handover.id)).toEqual(["createHandover", "handover/unknown-link", "handover/unknown-link"]);
  for (let i = 0; i < 8; i++) await new Visitor(`${cp.application.url}/h/nonsense`).get();
  const { status, headers } = await new Visitor(link).get();
  expect([status, headers.get("retry-after")]).toEqual([429, "60"]);
  // Guesses that are nobody's are in the log of the organization that the installation began with: the first, then the tenth.
  const [{ id } = { id: "" }] = await rows("SELECT id::text FROM organizations ORDER BY id LIMIT 1");
  const { auditEntries } = await cp.get<{ auditEntries: { edges: { node: object }[] } }>(
    "query ($id: ID) { auditEntries(first: 10, targetId: $id) { edges { node { action targetKind origin after } } } }",
    { id },
  );
  const refused = auditEntries.edges
    .map((e) => e.node)
    .filter((n) => "targetKind" in n && n.targetKind === "installation");
  expect(refused).toEqual([
    {
      ...{ action: "refuseHandover", targetKind: "installation", origin: "127.0.0.1" },
      after: { code: "handover/unknown-link", who: "127.0.0.1", times: 1, since: expect.any(String) },
    },
  ]);
});
