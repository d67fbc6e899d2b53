import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { readCrl } from "@sallyport/pki";
import { Stopwatch } from "@sallyport/testkit";
import { Publisher } from "../src/features/certificates/publisher.js";
import { eventually, startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { type Authority, createPeople, HOLD, type Issued, issue, OpenSsl, RELEASE, REVOKE } from "./pki.js";

// Keys of every size and many runs of openssl, on machines that do other things too.
let cp: TestControlPlane;
let openssl: OpenSsl;
let root: Authority;
let issuing: Authority;
let profileId: string;

beforeAll(async () => {
  cp = await startControlPlane({ SALLYPORT_PKI_URL: "http://pki.example.org" });
  openssl = new OpenSsl();
  ({ root, issuing, profileId } = await createPeople(cp));
  openssl.file("root.pem", root.pem);
  openssl.file("issuing.pem", issuing.pem);
  openssl.file("both.pem", root.pem + issuing.pem);
});
afterAll(async () => {
  openssl?.remove();
  await cp?.close();
});

const get = async (path: string) => {
  const response = await fetch(`${cp.application.url}/pki/${path}`);
  return { status: response.status, headers: response.headers, der: new Uint8Array(await response.arrayBuffer()) };
};
const listed = async (kind: "crl" | "delta", serial: string, id = issuing.id) => {
  const { status, der } = await get(`${kind}/${id}`);
  return status === 200 ? readCrl(der).lookUp(serial)?.reason : status;
};
/** Every revocation so far has made its lists. */
const settled = () =>
  eventually(
    () => query(cp.connection, "SELECT 1 FROM outbox WHERE job = 'publish-revocation-lists'"),
    (rows) => rows.length === 0,
    30_000,
  );
const revoke = (issued: Issued, reason = "KEY_COMPROMISE") =>
  cp.get(REVOKE, { input: { id: issued.certificate.id, reason } });

/** What OpenSSL makes of the responder's answer, asked as it asks. */
async function ocsp(issued: Issued, ...options: string[]): Promise<string> {
  openssl.file("leaf.pem", issued.certificate.pem);
  const ask = ["-issuer", "issuing.pem", ...options, "-cert", "leaf.pem"];
  openssl.run("ocsp", ...ask, "-reqout", "req.der");
  const response = await fetch(`${cp.application.url}/pki/ocsp/${issuing.id}`, {
    method: "POST",
    headers: { "content-type": "application/ocsp-request" },
    body: openssl.bytes("req.der"),
  });
  expect(response.headers.get("content-type")).toBe("application/ocsp-response");
  openssl.file("resp.der", new Uint8Array(await response.arrayBuffer()));
  const files = ["-no_nonce", "-reqin", "req.der", "-respin", "resp.der", "-CAfile", "both.pem"];
  return openssl.run("ocsp", ...ask.filter((o) => !o.includes("nonce")), ...files);
}

describe("lists", () => {
  test("hold what is revoked, and OpenSSL goes by them", async () => {
    const [good, bad, held] = [
      await issue(cp, profileId, "good@example.org"),
      await issue(cp, profileId, "bad@example.org"),
      await issue(cp, profileId, "held@example.org"),
    ];
    expect(await listed("crl", bad.certificate.serial)).toBeUndefined();
    const before = readCrl((await get(`crl/${issuing.id}`)).der);
    expect(await listed("delta", bad.certificate.serial)).toBe(404);
    await revoke(bad);
    await cp.get(HOLD, { id: held.certificate.id });
    await settled();
    expect(await listed("crl", held.certificate.serial)).toBe("certificateHold");
    expect(await listed("crl", bad.certificate.serial)).toBe("keyCompromise");
    expect(await listed("delta", bad.certificate.serial)).toBe("keyCompromise");
    const [complete, delta] = [await get(`crl/${issuing.id}`), await get(`delta/${issuing.id}`)];
    expect(complete.headers.get("content-type")).toBe("application/pkix-crl");
    const [list, change] = [readCrl(complete.der), readCrl(delta.der)];
    expect(list.number).toBeGreaterThan(before.number);
    expect(change).toMatchObject({ number: list.number, base: before.number });

    await cp.get(RELEASE, { id: held.certificate.id });
    await settled();
    expect(await listed("delta", held.certificate.serial)).toBe("removeFromCRL");
    expect(await listed("crl", held.certificate.serial)).toBeUndefined();

    const pem = (der: Uint8Array, name: string) => openssl.run("crl", "-inform", "DER", "-in", openssl.file(name, der));
    const crls = pem((await get(`crl/${issuing.id}`)).der, "c.der") + pem((await get(`crl/${root.id}`)).der, "r.der");
    openssl.file("crls.pem", crls);
    const verify = ({ certificate }: Issued) =>
      openssl.run(
        ...["verify", "-crl_check_all", "-CRLfile", "crls.pem", "-CAfile", "root.pem", "-untrusted", "issuing.pem"],
        openssl.file("leaf.pem", certificate.pem),
      );
    expect(verify(good)).toContain("leaf.pem: OK");
    expect(verify(held)).toContain("leaf.pem: OK");
    expect(verify(bad)).toContain("certificate revoked");
  });

  test("and OCSP answers tell a revocation within a second, over HTTP, whatever was fetched before", async () => {
    const issued = await issue(cp, profileId, "prompt@example.org");
    const { serial } = issued.certificate;
    await settled();
    const number = async () => readCrl((await get(`crl/${issuing.id}`)).der).number;
    const before = await number();
    expect(await listed("crl", serial)).toBeUndefined();
    expect(await ocsp(issued, "-no_nonce")).toMatch(/leaf\.pem: good/);
    await revoke(issued, "KEY_COMPROMISE");
    const watch = new Stopwatch();
    await eventually(
      () => listed("crl", serial),
      (reason) => reason !== undefined,
    );
    const late = watch.stop();
    expect(await listed("crl", serial)).toBe("keyCompromise");
    expect(await listed("delta", serial)).toBe("keyCompromise");
    expect(await number()).toBeGreaterThan(before);
    expect(await ocsp(issued, "-no_nonce")).toMatch(/leaf\.pem: revoked[\s\S]*Reason: keyCompromise/);
    expect(late).toBeLessThan(1_000);
  });

  test("of a CA that is not here, or of none, there are none", async () => {
    expect((await get("crl/01900000-0000-7000-8000-000000000000")).status).toBe(404);
    expect((await get("crl/x'--")).status).toBe(404);
    expect((await get(`ca/${"9".repeat(3000)}`)).status).toBeGreaterThanOrEqual(400);
    const ca = await get(`ca/${issuing.id}`);
    const text = openssl.run("x509", "-inform", "DER", "-in", openssl.file("ca.der", ca.der));
    expect(text.trim()).toBe(issuing.pem.trim());
  });

  test("are made anew when they are due, by whichever replica is first, once", async () => {
    const number = async () => readCrl((await get(`crl/${issuing.id}`)).der).number;
    const publisher = cp.application.nest.get(Publisher);
    await settled();
    await publisher.run();
    const before = await number();
    await publisher.run();
    expect(await number()).toBe(before);
    await query(cp.connection, "UPDATE certificate_authorities SET lists_due_at = now() - interval '1 minute'");
    await Promise.all([publisher.run(), publisher.run()]);
    expect(await number()).toBe(before + 1n);
    await query(cp.connection, "UPDATE revocation_lists SET next_update = now() - interval '1 minute'");
    await query(cp.connection, "UPDATE certificate_authorities SET lists_due_at = now() - interval '1 minute'");
    expect(await number()).toBe(before + 2n);
  });
});

describe("the OCSP responder", () => {
  test.each([[["-no_nonce"]], [["-nonce"]], [["-no_nonce", "-sha256"]], [["-nonce", "-sha256"]]])(
    "answers with %s what OpenSSL believes, before and after a revocation",
    async (options) => {
      const issued = await issue(cp, profileId, "ocsp@example.org");
      for (let i = 0; i < 2; i++) {
        const said = await ocsp(issued, ...options);
        expect(said).toContain("Response verify OK");
        expect(said).toContain("leaf.pem: good");
        expect(said).not.toMatch(/WARNING/);
      }
      await revoke(issued, "AFFILIATION_CHANGED");
      expect(await ocsp(issued, ...options)).toMatch(/leaf\.pem: revoked[\s\S]*Reason: affiliationChanged/);
    },
  );

  test("answers a GET, and lets caches keep it for a minute", async () => {
    const issued = await issue(cp, profileId, "get@example.org");
    openssl.file("leaf.pem", issued.certificate.pem);
    openssl.run("ocsp", "-issuer", "issuing.pem", "-cert", "leaf.pem", "-no_nonce", "-reqout", "req.der");
    const text = encodeURIComponent(openssl.bytes("req.der").toString("base64"));
    const { headers, der } = await get(`ocsp/${issuing.id}/${text}`);
    expect(headers.get("cache-control")).toMatch(/^public, max-age=\d+/);
    openssl.file("resp.der", der);
    const files = ["-respin", "resp.der", "-CAfile", "both.pem", "-no_nonce"];
    expect(openssl.run("ocsp", "-issuer", "issuing.pem", "-cert", "leaf.pem", ...files)).toMatch(/leaf\.pem: good/);
  });

  test("signs ahead, and answers from what was signed", async () => {
    const issued = await issue(cp, profileId, "ahead@example.org");
    const { serial } = issued.certificate;
    const row = () => query(cp.connection, "SELECT answer FROM ocsp_answers WHERE serial = $1", [serial]);
    expect(await row()).toEqual([]);
    expect(await cp.application.nest.get(Publisher).run()).toBeGreaterThan(0);
    const [ahead] = await row();
    expect(await ocsp(issued, "-no_nonce")).toMatch(/leaf\.pem: good/);
    expect(Buffer.compare(openssl.bytes("resp.der"), ahead?.answer as Buffer)).toBe(0);
    expect(await cp.application.nest.get(Publisher).run()).toBe(0);
  });

  test("knows nothing of others' certificates, and says so", async () => {
    openssl.run(
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "o.key", "-subj", "/CN=o", "-out", "o.pem"],
    );
    openssl.run("ocsp", "-issuer", "o.pem", "-cert", "o.pem", "-reqout", "req.der");
    const post = (body: Uint8Array, id = issuing.id) =>
      fetch(`${cp.application.url}/pki/ocsp/${id}`, {
        method: "POST",
        headers: { "content-type": "application/ocsp-request" },
        body: Uint8Array.from(body),
      });
    const status = async (response: Response) => {
      openssl.file("resp.der", new Uint8Array(await response.arrayBuffer()));
      return /\((\d)\)/.exec(openssl.run("ocsp", "-respin", "resp.der", "-resp_text", "-noverify"))?.[1];
    };
    expect(await status(await post(openssl.bytes("req.der")))).toBe("6");
    expect(await status(await post(openssl.bytes("req.der"), "01900000-0000-7000-8000-000000000000"))).toBe("6");
    expect(await status(await post(Buffer.from("junk")))).toBe("1");
    expect((await post(Buffer.alloc(10_000))).status).toBe(413);
    const unknown = await issue(cp, profileId, "unknown@example.org");
    await query(cp.connection, "DELETE FROM certificates WHERE serial = $1", [unknown.certificate.serial]);
    expect(await ocsp(unknown, "-no_nonce")).toMatch(/leaf\.pem: unknown/);
    expect(
      await query(cp.connection, "SELECT 1 FROM ocsp_answers WHERE serial = $1", [unknown.certificate.serial]),
    ).toEqual([]);
    // A CA below, known to the CA above it.
    openssl.run("ocsp", "-issuer", "root.pem", "-cert", "issuing.pem", "-no_nonce", "-reqout", "req.der");
    openssl.file("resp.der", new Uint8Array(await (await post(openssl.bytes("req.der"), root.id)).arrayBuffer()));
    const files = ["-respin", "resp.der", "-CAfile", "root.pem", "-no_nonce"];
    expect(openssl.run("ocsp", "-issuer", "root.pem", "-cert", "issuing.pem", ...files)).toMatch(/issuing\.pem: good/);
  });

  test("signs with one responder's certificate at a time, however many ask at once", async () => {
    const fresh = await createPeople(cp, { name: "Crowd" });
    openssl.file("fresh.pem", fresh.issuing.pem);
    const issued = await issue(cp, fresh.profileId, "crowd@example.org");
    openssl.file("leaf.pem", issued.certificate.pem);
    openssl.run("ocsp", "-issuer", "fresh.pem", "-cert", "leaf.pem", "-nonce", "-reqout", "req.der");
    const answers = await Promise.all(
      Array.from({ length: 12 }, () =>
        fetch(`${cp.application.url}/pki/ocsp/${fresh.issuing.id}`, {
          method: "POST",
          headers: { "content-type": "application/ocsp-request" },
          body: openssl.bytes("req.der"),
        }),
      ),
    );
    expect(answers.map((a) => a.status)).toEqual(Array.from({ length: 12 }, () => 200));
    const rows = await query(cp.connection, "SELECT 1 FROM ocsp_responders WHERE authority_id = $1", [
      fresh.issuing.id,
    ]);
    expect(rows).toHaveLength(1);
  });
});
