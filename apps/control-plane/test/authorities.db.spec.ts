import { spawnSync } from "node:child_process";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type LogEntry, LogVerifier } from "@sallyport/pki";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import {
  type Authority,
  COMPLETE_AUTHORITY,
  CREATE_AUTHORITY,
  createAuthority,
  createPeople,
  HOLD,
  IMPORT_AUTHORITY,
  ISSUE,
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

// Keys of every size and many runs of openssl, on machines that do other things too.
let cp: TestControlPlane;
let openssl: OpenSsl;

beforeAll(async () => {
  cp = await startControlPlane({ SALLYPORT_PKI_URL: "http://pki.example.org/" });
  openssl = new OpenSsl();
});
afterAll(async () => {
  openssl?.remove();
  await cp?.close();
});

const refusal = async (source: string, variables: object) =>
  (await cp.send(source, variables)).errors?.[0]?.extensions as Record<string, unknown>;

/** What `openssl verify` says of a certificate below a root. */
function verify(root: string, { certificate, chain }: Issued): string {
  openssl.file("root.pem", root);
  openssl.file("chain.pem", chain);
  openssl.file("leaf.pem", certificate.pem);
  return openssl.run("verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "chain.pem", "leaf.pem");
}

describe("authorities", () => {
  test.each(["RSA_2048", "RSA_4096", "ECDSA_P256", "ECDSA_P384", "ECDSA_P521", "ED25519"])(
    "with %s keys issue what OpenSSL verifies",
    async (keyType) => {
      const root = await createAuthority(cp, { name: `Root ${keyType}`, keyType });
      const issuing = await createAuthority(cp, { name: `Issuing ${keyType}`, keyType, parentId: root.id });
      expect([root.level, issuing.level, issuing.parentId]).toEqual(["ROOT", "ISSUING", root.id]);
      const { createCertificateProfile: profile } = await cp.get<{ createCertificateProfile: { id: string } }>(
        "mutation ($input: CreateCertificateProfileInput!) { createCertificateProfile(input: $input) { id } }",
        { input: { name: keyType, kind: "GATEWAY", authorityId: issuing.id, dnsNames: ["example.org"] } },
      );
      const input = { profileId: profile.id, holder: "gw", names: [{ type: "DNS", value: "gw.example.org" }], keyType };
      const { issueCertificate } = await cp.get<{ issueCertificate: Issued }>(ISSUE, { input });
      expect(verify(root.pem, issueCertificate)).toContain("leaf.pem: OK");
      const text = openssl.run("x509", "-in", "leaf.pem", "-noout", "-text");
      expect(text).toContain("TLS Web Server Authentication, TLS Web Client Authentication, 1.3.6.1.5.5.8.2.2");
      expect(text).toContain(`URI:http://pki.example.org/pki/crl/${issuing.id}`);
      expect(text).toContain(`OCSP - URI:http://pki.example.org/pki/ocsp/${issuing.id}`);
      expect(text).toContain(`CA Issuers - URI:http://pki.example.org/pki/ca/${issuing.id}`);
    },
    30_000,
  );

  test("below a root that stays offline: the request goes out, the certificate comes in", async () => {
    openssl.run(
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "off.key", "-out", "off.pem", "-days", "3650"],
      ...["-subj", "/O=Acme/CN=Offline Root", "-addext", "keyUsage=critical,keyCertSign,cRLSign"],
    );
    const offline = openssl.run("x509", "-in", "off.pem");
    const { requestCertificateAuthority: request } = await cp.get<{
      requestCertificateAuthority: { id: string; csr: string };
    }>(REQUEST_AUTHORITY, { input: { name: "Online", keyType: "ECDSA_P384" } });
    openssl.file("on.csr", request.csr);
    openssl.file("on.ext", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n");
    const sign = ["-CA", "off.pem", "-CAkey", "off.key", "-CAcreateserial", "-days", "1000"];
    openssl.run("x509", "-req", "-in", "on.csr", ...sign, "-extfile", "on.ext", "-out", "on.pem");
    const online = openssl.run("x509", "-in", "on.pem");

    const requestId = request.id;
    const complete = (certificates: string) => ({ input: { requestId, certificates } });
    expect(await refusal(COMPLETE_AUTHORITY, complete(online))).toMatchObject({ code: "pki/untrusted" });
    expect(await refusal(COMPLETE_AUTHORITY, complete(offline))).toMatchObject({ code: "certificates/other-key" });
    const done = await cp.get<{ completeCertificateAuthority: Authority }>(
      COMPLETE_AUTHORITY,
      complete(online + offline),
    );
    const { id, canSign, parentId } = done.completeCertificateAuthority;
    expect(canSign).toBe(true);
    const { certificateAuthorities } = await cp.get<{ certificateAuthorities: { edges: { node: Authority }[] } }>(
      "{ certificateAuthorities(first: 100) { edges { node { id name canSign level } } } }",
    );
    expect(certificateAuthorities.edges.find(({ node }) => node.id === parentId)?.node).toMatchObject({
      name: "CN=Offline Root,O=Acme",
      canSign: false,
      level: "ROOT",
    });
    expect(await refusal(CREATE_AUTHORITY, { input: { name: "x", parentId } })).toMatchObject({
      code: "certificates/cannot-sign",
      field: "input.parentId",
    });
    const { profileId } = await profileOf(id, { name: "Online", emailHosts: ["*"] });
    expect(verify(offline, await issue(cp, profileId, "alice@example.com"))).toContain("leaf.pem: OK");
    expect((await refusal(COMPLETE_AUTHORITY, complete(online + offline))).code).toBe("api/not-found");
  });

  test("are imported with their key, and not with another's", async () => {
    const subject = ["-subj", "/CN=Imported", "-days", "1000"];
    const extensions = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
    for (const name of ["imp", "other"]) {
      openssl.run(
        ...["req", "-x509", "-newkey", "rsa:3072", "-passout", "pass:hunter2", "-keyout", `${name}.key`],
        ...["-out", `${name}.pem`, ...subject, ...extensions],
      );
    }
    const certificates = openssl.run("x509", "-in", "imp.pem");
    const key = (name: string) => openssl.run("pkey", "-in", `${name}.key`, "-passin", "pass:hunter2");
    const give = (privateKey: string, passphrase?: string) => ({ input: { certificates, privateKey, passphrase } });
    expect(await refusal(IMPORT_AUTHORITY, give(key("other")))).toMatchObject({ code: "certificates/other-key" });
    expect(await refusal(IMPORT_AUTHORITY, give("junk"))).toMatchObject({ code: "pki/malformed" });
    const sealed = openssl.run("pkey", "-in", "imp.key", "-passin", "pass:hunter2", "-aes256", "-passout", "pass:x");
    const { importCertificateAuthority: imported } = await cp.get<{ importCertificateAuthority: Authority }>(
      IMPORT_AUTHORITY,
      give(sealed, "x"),
    );
    expect(imported).toMatchObject({ name: "CN=Imported", canSign: true, level: "ROOT" });
    const { profileId } = await profileOf(imported.id, { name: "Imported", emailHosts: ["*"] });
    expect(verify(certificates, await issue(cp, profileId, "a@b.example"))).toContain("leaf.pem: OK");
    expect((await refusal(IMPORT_AUTHORITY, give(key("imp")))).code).toBe("certificates/known");
    const stored = JSON.stringify(await query(cp.connection, "SELECT row_to_json(k)::text FROM authority_keys k"));
    const pkcs8 = Buffer.from(key("imp").replace(/-----[^-]+-----|\s/g, ""), "base64");
    // The two primes and what follows are at the end.
    expect(stored.includes(pkcs8.subarray(-300).toString("hex"))).toBe(false);
  });

  test("below others keep path lengths, name constraints and their parents' end", async () => {
    const root = await createAuthority(cp, { name: "Narrow Root", validDays: 30, pathLength: 1 });
    const refused = (input: object) => refusal(CREATE_AUTHORITY, { input: { name: "x", parentId: root.id, ...input } });
    expect(await refused({ validDays: 31 })).toMatchObject({ code: "pki/validity-exceeded" });
    expect(await refused({ validDays: 10, pathLength: 1 })).toMatchObject({ code: "pki/forbidden-use" });
    const nameConstraints = { permitted: [{ type: "DNS", value: "vpn.example.org" }] };
    const narrow = await createAuthority(cp, { name: "Narrow", parentId: root.id, validDays: 20, nameConstraints });
    const { profileId } = await profileOf(narrow.id, { name: "Narrow", dnsNames: ["*"], validDays: 15 });
    const ask = (value: string, more: object = {}) => ({
      input: { profileId, holder: "x", names: [{ type: "DNS", value }], ...more },
    });
    expect(await refusal(ISSUE, ask("gw.example.org"))).toMatchObject({ code: "pki/name-constrained" });
    expect(await refusal(ISSUE, ask("a.vpn.example.org", { validDays: 16 }))).toMatchObject({
      code: "pki/outside-profile",
      field: "validDays",
    });
    const { issueCertificate } = await cp.get<{ issueCertificate: Issued }>(ISSUE, ask("gw.vpn.example.org"));
    expect(verify(root.pem, issueCertificate)).toContain("leaf.pem: OK");
    const long = await profileOf(narrow.id, { name: "Long", dnsNames: ["*"], validDays: 25 });
    const beyond = { profileId: long.profileId, holder: "x", names: [{ type: "DNS", value: "a.vpn.example.org" }] };
    expect(await refusal(ISSUE, { input: beyond })).toMatchObject({ code: "pki/validity-exceeded" });
  });

  test("are one organization's, and made by those who may", async () => {
    const { createApiToken } = await cp.get<{ createApiToken: { token: string } }>(
      "mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { token } }",
      { input: { name: "issuer", permissions: ["fleet:read", "certificate:write"] } },
    );
    const { errors } = await cp.send(CREATE_AUTHORITY, { input: { name: "x" } }, createApiToken.token);
    expect(errors?.[0]?.extensions.code).toBe("api/forbidden");
    const unknown = { name: "x", parentId: "01900000-0000-7000-8000-000000000000" };
    expect((await refusal(CREATE_AUTHORITY, { input: unknown })).code).toBe("api/not-found");
  });
});

async function profileOf(authorityId: string, more: object): Promise<{ profileId: string }> {
  const { createCertificateProfile } = await cp.get<{ createCertificateProfile: { id: string } }>(
    "mutation ($input: CreateCertificateProfileInput!) { createCertificateProfile(input: $input) { id } }",
    { input: { kind: "ROAD_WARRIOR", authorityId, ...more } },
  );
  return { profileId: createCertificateProfile.id };
}

describe("certificates by profile", () => {
  let profileId: string;
  let root: Authority;

  beforeAll(async () => {
    ({ profileId, root } = await createPeople(cp));
  });

  const sign = (csr: string, more: object = {}) => ({ input: { profileId, holder: "alice", csr, ...more } });

  test("for a request: its key and its names, if the profile permits them", async () => {
    const good = openssl.request("good", "/CN=whatever", "-addext", "subjectAltName=email:alice@example.org");
    const { signCsr } = await cp.get<{ signCsr: Issued }>(SIGN_CSR, sign(good));
    expect(verify(root.pem, signCsr)).toContain("leaf.pem: OK");
    expect(signCsr.privateKey).toBeNull();
    expect(signCsr.certificate.names).toEqual(["email:alice@example.org"]);
    expect(openssl.run("x509", "-in", "leaf.pem", "-noout", "-subject")).toMatch(/CN ?= ?alice/);
    const key = openssl.run("pkey", "-in", "good.key", "-pubout");
    expect(openssl.run("x509", "-in", "leaf.pem", "-noout", "-pubkey")).toBe(key);
  });

  test.each([
    ["another's name", ["-addext", "subjectAltName=email:boss@example.com"], "pki/outside-profile", "names[0]"],
    ["a gateway's name", ["-addext", "subjectAltName=DNS:hq.default.sallyport"], "pki/outside-profile", "names[0]"],
    ["no name", [], "pki/outside-profile", "names"],
  ])("not for a request for %s", async (_, more, code, field) => {
    expect(await refusal(SIGN_CSR, sign(openssl.request("bad", "/CN=x", ...more)))).toMatchObject({ code, field });
  });

  test("not for weak keys or requests that another key signed", async () => {
    openssl.run("req", "-new", "-newkey", "rsa:1024", "-nodes", "-keyout", "w.key", "-subj", "/CN=x", "-out", "w.csr");
    const weak = openssl.run("req", "-in", "w.csr");
    expect(await refusal(SIGN_CSR, sign(weak))).toMatchObject({ code: "pki/weak-key", field: "input.csr.publicKey" });
    const good = openssl.request("tampered", "/CN=x", "-addext", "subjectAltName=email:a@example.org");
    const der = Buffer.from(good.replace(/-----[^-]+-----|\s/g, ""), "base64");
    der[der.indexOf("a@example.org")] = 0x62;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----`;
    expect(await refusal(SIGN_CSR, sign(forged))).toMatchObject({ code: "pki/bad-signature" });
  });

  test("with a key that is made here, encrypted when asked, and kept nowhere", async () => {
    const names = [{ type: "EMAIL", value: "bob@example.org" }];
    const input = { profileId, holder: "bob", names, keyType: "RSA_2048", passphrase: "correct horse" };
    const { issueCertificate } = await cp.get<{ issueCertificate: Issued }>(ISSUE, { input });
    expect(verify(root.pem, issueCertificate)).toContain("leaf.pem: OK");
    openssl.file("bob.key", issueCertificate.privateKey as string);
    expect(openssl.run("pkey", "-in", "bob.key", "-passin", "pass:wrong")).toMatch(/error|Could not/i);
    const own = openssl.run("pkey", "-in", "bob.key", "-passin", "pass:correct horse", "-pubout");
    expect(openssl.run("x509", "-in", "leaf.pem", "-noout", "-pubkey")).toBe(own);
    const keys = await query(cp.connection, "SELECT count(*)::int AS n FROM authority_keys WHERE kind = 'rsa'");
    const before = keys[0]?.n;
    await cp.get(ISSUE, { input });
    expect((await query(cp.connection, "SELECT count(*)::int AS n FROM authority_keys WHERE kind = 'rsa'"))[0]?.n).toBe(
      before,
    );
  });

  test("are renewed with their key and re-keyed with another", async () => {
    const first = await issue(cp, profileId, "carol@example.org");
    const pub = ({ certificate }: Issued) => {
      openssl.file("c.pem", certificate.pem);
      return openssl.run("x509", "-in", "c.pem", "-noout", "-pubkey");
    };
    const { renewCertificate: renewed } = await cp.get<{ renewCertificate: Issued }>(RENEW, {
      id: first.certificate.id,
    });
    expect(pub(renewed)).toBe(pub(first));
    expect(renewed.certificate.serial).not.toBe(first.certificate.serial);
    expect(renewed.certificate.names).toEqual(first.certificate.names);
    const { rekeyCertificate: rekeyed } = await cp.get<{ rekeyCertificate: Issued }>(REKEY, {
      input: { id: renewed.certificate.id },
    });
    expect(pub(rekeyed)).not.toBe(pub(first));
    expect(rekeyed.privateKey).toContain("PRIVATE KEY");
    expect(verify(root.pem, rekeyed)).toContain("leaf.pem: OK");
    const csr = openssl.request("rekey", "/CN=x");
    const own = await cp.get<{ rekeyCertificate: Issued }>(REKEY, { input: { id: rekeyed.certificate.id, csr } });
    expect(pub(own.rekeyCertificate)).toBe(openssl.run("pkey", "-in", "rekey.key", "-pubout"));
    expect(own.rekeyCertificate.privateKey).toBeNull();
  });

  test("are held, released and revoked for good, in this order only", async () => {
    const { certificate } = await issue(cp, profileId, "dave@example.org");
    const { id } = certificate;
    expect((await refusal(RELEASE, { id })).code).toBe("certificates/wrong-state");
    expect(await cp.get(HOLD, { id })).toMatchObject({ holdCertificate: { revocationReason: "CERTIFICATE_HOLD" } });
    expect((await refusal(HOLD, { id })).code).toBe("certificates/wrong-state");
    expect((await refusal(RENEW, { id })).code).toBe("certificates/wrong-state");
    expect(await cp.get(RELEASE, { id })).toMatchObject({ releaseCertificate: { revokedAt: null } });
    await cp.get(HOLD, { id });
    const input = { id, reason: "KEY_COMPROMISE" };
    expect(await cp.get(REVOKE, { input })).toMatchObject({
      revokeCertificate: { revocationReason: "KEY_COMPROMISE", revokedAt: expect.any(String) },
    });
    expect((await refusal(REVOKE, { input })).code).toBe("certificates/wrong-state");
    expect((await refusal(RELEASE, { id })).code).toBe("certificates/wrong-state");
    expect((await refusal(RENEW, { id })).code).toBe("certificates/wrong-state");
  });
});

describe("the issuance log", () => {
  const exported = async (token = cp.first.apiToken) => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${cp.application.url}/issuance-log`, { headers });
    return { status: response.status, text: await response.text() };
  };
  const verifyLog = (text: string, ...heads: string[]) => {
    const command = path.resolve("apps/control-plane/dist/verify-log.js");
    const { stdout, status } = spawnSync(process.execPath, [command, ...heads], { input: text, encoding: "utf8" });
    return {
      status,
      said: JSON.parse(stdout) as { ok: boolean; field?: string; head: { sequence: string; hash: string } },
    };
  };

  test("holds every certificate that was issued and revoked, and verifies offline", async () => {
    const { status, text } = await exported();
    expect(status).toBe(200);
    const entries = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as LogEntry);
    const events = entries.map((e) => JSON.parse(e.body) as { event: string; fingerprint: string; by?: string });
    const rows = await query(cp.connection, "SELECT fingerprint FROM certificates");
    expect(
      events
        .filter((e) => e.event === "issued")
        .map((e) => e.fingerprint)
        .toSorted(),
    ).toEqual(rows.map((r) => r.fingerprint as string).toSorted());
    expect(new Set(events.map((e) => e.event))).toEqual(
      new Set([
        "issued",
        "held",
        "released",
        "revoked",
        "authority-created",
        "authority-completed",
        "authority-imported",
      ]),
    );
    const { status: code, said } = verifyLog(text);
    expect([code, said.ok, said.head.sequence]).toEqual([0, true, String(entries.length)]);
  });

  test("tells when an entry was changed, taken out, or the end cut off", async () => {
    const { text } = await exported();
    const lines = text.trimEnd().split("\n");
    const middle = Math.floor(lines.length / 2);
    const kept = verifyLog(text).said.head;
    const changed = lines.with(middle, (lines[middle] as string).replace(/example\.org|default/, "evil"));
    changed[middle] = JSON.stringify({
      ...(JSON.parse(lines[middle] as string) as LogEntry),
      at: new Date(0).toISOString(),
    });
    expect(verifyLog(changed.join("\n"))).toMatchObject({ status: 1, said: { field: `entry ${middle + 1}` } });
    expect(verifyLog(lines.toSpliced(middle, 1).join("\n"))).toMatchObject({ status: 1 });
    expect(verifyLog(lines.slice(0, -1).join("\n"))).toMatchObject({ status: 0 });
    const head = `${kept.sequence}:${kept.hash}`;
    expect(verifyLog(lines.slice(0, -1).join("\n"), head)).toMatchObject({ status: 1 });
    expect(verifyLog(text, head)).toMatchObject({ status: 0 });
    // Somebody who wrote the whole log anew has to have another head.
    const verifier = new LogVerifier([{ sequence: "1", hash: "0".repeat(64) }]);
    expect(() => verifier.add(JSON.parse(lines[0] as string) as LogEntry)).toThrow(/not the one that was known/);
  });

  test("takes no change, not even in the database", async () => {
    for (const statement of [
      "UPDATE issuance_log SET body = '{}'",
      "DELETE FROM issuance_log",
      "TRUNCATE issuance_log",
    ]) {
      await expect(query(cp.connection, statement)).rejects.toThrow(/append-only/);
    }
  });

  test("is for those who may read the audit trail", async () => {
    const { createApiToken } = await cp.get<{ createApiToken: { token: string } }>(
      "mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { token } }",
      { input: { name: "reader", permissions: ["fleet:read"] } },
    );
    expect((await exported(createApiToken.token)).status).toBe(403);
    expect((await exported("sp_nobody")).status).toBe(401);
    expect((await fetch(`${cp.application.url}/issuance-log`)).status).toBe(401);
  });
});
