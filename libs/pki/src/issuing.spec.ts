import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  type Authority,
  authoritySubject,
  buildCrl,
  buildOcspResponse,
  certIdDer,
  certifyAuthority,
  checkRequest,
  createAuthorityRequest,
  createIssuing,
  createRequest,
  createRoot,
  EXTENDED_KEY_USAGE,
  generateKeys,
  type Issued,
  issueLeaf,
  issueResponder,
  issuerHash,
  type KeyType,
  MemoryKeyStore,
  type NameRules,
  namesAsked,
  ocspError,
  ocspSigner,
  type ProfileRules,
  readCrl,
  readOcspRequest,
  readOcspResponse,
  readPrivateKeyPem,
  requestFromPem,
  requireWithinProfile,
  type SubjectName,
  spkiOf,
  toPem,
} from "./index.js";

// RSA keys are made, and openssl is run, on machines that do other things too.
const NOW = Date.now();
const DAY = 86_400_000;
const store = new MemoryKeyStore();
const coded = (code: string, more: object = {}) => expect.objectContaining({ code, ...more });
const name = (commonName: string) => ({ commonName, organization: "Acme" });

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sallyport-issuing-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

const file = (label: string, content: string | Uint8Array) => {
  writeFileSync(path.join(dir, label), content);
  return label;
};
/** Standard output and error, whatever the exit code. */
function openssl(...args: string[]): string {
  const { stdout, stderr } = spawnSync("openssl", args, { cwd: dir, encoding: "utf8" });
  return stdout + stderr;
}
const pem = (...ders: Uint8Array[]) => ders.map((der) => toPem("CERTIFICATE", der)).join("");

async function leaf(by: Authority, over: { names?: SubjectName[]; notAfter?: number } = {}): Promise<Issued> {
  const spki = spkiOf((await generateKeys()).publicKey);
  return issueLeaf(store, by, {
    subject: [["CN", "alice"]],
    spki,
    now: NOW,
    notAfter: NOW + DAY,
    extendedKeyUsage: [EXTENDED_KEY_USAGE.clientAuth],
    names: [{ type: "email", value: "alice@example.org" }],
    ...over,
  });
}

async function hierarchy(type: KeyType = "ecdsa-p256") {
  const root = await createRoot(store, name("Root"), NOW, type);
  return { root, issuing: await createIssuing(store, root, name("Issuing"), NOW, type) };
}

const TYPES: readonly KeyType[] = ["rsa-2048", "rsa-4096", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519"];

describe("an authority", () => {
  it.each(TYPES)("with an %s key issues what OpenSSL verifies", async (type) => {
    const { root, issuing } = await hierarchy(type);
    const { der } = await leaf(issuing);
    const trust = ["-CAfile", file("root.pem", pem(root.certificate.der))];
    const between = ["-untrusted", file("issuing.pem", pem(issuing.certificate.der))];
    expect(openssl("verify", "-x509_strict", ...trust, ...between, file("leaf.pem", pem(der)))).toContain(
      "leaf.pem: OK",
    );
  });

  it("below a root that stays elsewhere: the request goes out, the certificate comes in", async () => {
    const elsewhere = new MemoryKeyStore();
    const offline = await createRoot(elsewhere, name("Offline"), NOW);
    const key = await store.generate("ecdsa-p384");
    const request = await createAuthorityRequest(store, key, authoritySubject(name("Online")));
    expect(openssl("req", "-noout", "-verify", "-in", file("ca.csr", toPem("CERTIFICATE REQUEST", request)))).toMatch(
      /verify OK/i,
    );
    const asked = checkRequest(requestFromPem(readFileSync(path.join(dir, "ca.csr"), "utf8")));
    expect(asked).toMatchObject({ kind: "ecdsa-p384", subject: { text: "CN=Online,O=Acme" } });
    const template = { subject: authoritySubject(name("Online")), now: NOW, notAfter: NOW + DAY, pathLength: 0 };
    const below = await certifyAuthority(elsewhere, { ...key, spki: asked.spki }, offline, template);
    const { der } = await leaf({ ...below, key }, { notAfter: NOW + DAY / 2 });
    const trust = ["-CAfile", file("off.pem", pem(offline.certificate.der))];
    const between = ["-untrusted", file("on.pem", pem(below.certificate.der))];
    expect(openssl("verify", ...trust, ...between, file("leaf.pem", pem(der)))).toContain("leaf.pem: OK");
  });

  it("may have no CA below it than its own and higher path lengths allow", async () => {
    const { root, issuing } = await hierarchy();
    const key = await store.generate("ed25519");
    const template = { subject: authoritySubject(name("Third")), now: NOW, notAfter: NOW + DAY };
    const below = (parent: Authority, pathLength: number | undefined) =>
      certifyAuthority(store, key, parent, { ...template, pathLength });
    await expect(below(issuing, 0)).rejects.toEqual(coded("pki/forbidden-use", { field: "pathLength" }));
    await expect(below(root, 1)).rejects.toEqual(coded("pki/forbidden-use", { expected: "at most 0" }));
    await expect(below(root, undefined)).rejects.toEqual(coded("pki/forbidden-use"));
    expect((await below(root, 0)).certificate.pathLength).toBe(0);
  });

  it("issues nothing beyond its own end", async () => {
    const { issuing } = await hierarchy();
    await expect(leaf(issuing, { notAfter: issuing.certificate.notAfter + 1000 })).rejects.toEqual(
      coded("pki/validity-exceeded", { field: "notAfter" }),
    );
  });

  it("keeps the name constraints of every CA above it, and OpenSSL agrees on each", async () => {
    const root = await createRoot(store, name("Root"), NOW);
    const names: NameRules = {
      permitted: [
        { type: "dns", value: "vpn.example.org" },
        { type: "email", value: "example.org" },
        { type: "ip", value: "10.20.0.0/14" },
        { type: "ip", value: "2001:db8::/37" },
      ],
      excluded: [{ type: "dns", value: "secret.vpn.example.org" }],
    };
    const issuing = await certifyAuthority(store, await store.generate("ecdsa-p256"), root, {
      subject: authoritySubject(name("Constrained")),
      now: NOW,
      notAfter: NOW + 10 * DAY,
      pathLength: 0,
      names,
    });
    const free = { ...issuing, certificate: { ...issuing.certificate, nameConstraints: undefined } };
    const cases: readonly (readonly [SubjectName, boolean])[] = [
      [{ type: "dns", value: "gw.vpn.example.org" }, true],
      [{ type: "dns", value: "gw.example.org" }, false],
      [{ type: "dns", value: "a.secret.vpn.example.org" }, false],
      [{ type: "email", value: "a@example.org" }, true],
      [{ type: "email", value: "a@example.com" }, false],
      [{ type: "ip", value: "10.23.255.1" }, true],
      [{ type: "ip", value: "10.24.0.1" }, false],
      [{ type: "ip", value: "2001:db8:7ff::1" }, true],
      [{ type: "ip", value: "2001:db8:800::1" }, false],
    ];
    file("root.pem", pem(root.certificate.der));
    file("issuing.pem", pem(issuing.certificate.der));
    for (const [asked, allowed] of cases) {
      const wanted = leaf(issuing, { names: [asked] });
      if (allowed) await wanted;
      else await expect(wanted).rejects.toEqual(coded("pki/name-constrained", { field: "names" }));
      file("leaf.pem", pem((await leaf(free, { names: [asked] })).der));
      const said = openssl("verify", "-CAfile", "root.pem", "-untrusted", "issuing.pem", "leaf.pem");
      expect([asked.value, /: OK/.test(said)]).toEqual([asked.value, allowed]);
    }
  });

  it("never gives a serial number twice, over many", async () => {
    const { issuing } = await hierarchy("ed25519");
    const serials = await Promise.all(Array.from({ length: 600 }, async () => (await leaf(issuing)).serial));
    expect(new Set(serials).size).toBe(600);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9a-f]{31}$/);
  });
});

describe("a profile", () => {
  const rules: ProfileRules = {
    dnsNames: ["vpn.example.org"],
    emailHosts: ["example.org"],
    addresses: ["10.0.0.0/8"],
    keyKinds: ["ecdsa-p256"],
    longest: 90 * DAY,
  };
  const judge = (over: Partial<Parameters<typeof requireWithinProfile>[1]>) =>
    requireWithinProfile(rules, {
      names: [{ type: "dns", value: "gw.vpn.example.org" }],
      kind: "ecdsa-p256",
      lifetime: DAY,
      ...over,
    });

  it.each([
    ["a name elsewhere", { names: [{ type: "dns", value: "gw.example.org" }] }, "names[0]"],
    ["a name that only ends alike", { names: [{ type: "dns", value: "evilvpn.example.org" }] }, "names[0]"],
    ["a wildcard", { names: [{ type: "dns", value: "*.vpn.example.org" }] }, "names[0]"],
    ["another's mailbox", { names: [{ type: "email", value: "a@example.org.evil.com" }] }, "names[0]"],
    ["two mailboxes in one", { names: [{ type: "email", value: "a@evil.com@example.org" }] }, "names[0]"],
    ["an address elsewhere", { names: [{ type: "ip", value: "11.0.0.1" }] }, "names[0]"],
    ["a URI", { names: [{ type: "uri", value: "urn:sallyport:gateway:x" }] }, "names[0]"],
    ["no name", { names: [] }, "names"],
    ["another key", { kind: "rsa" }, "keyType"],
    ["a longer life", { lifetime: 91 * DAY }, "validDays"],
  ] as const)("refuses %s", (_, over, field) => {
    expect(() => judge(over)).toThrow(coded("pki/outside-profile", { field }));
  });

  it("takes what is within it, also as a request asks for it", async () => {
    judge({ names: [{ type: "dns", value: "vpn.example.org" }] });
    const wishes: SubjectName[] = [
      { type: "dns", value: "gw.vpn.example.org" },
      { type: "email", value: "Alice@Example.org" },
      { type: "ip", value: "10.1.2.3" },
    ];
    const request = checkRequest(await createRequest(await generateKeys(), "x", wishes));
    expect(namesAsked(request.names)).toEqual(wishes);
    judge({ names: wishes });
  });
});

describe("lists of revoked certificates", () => {
  it("complete and delta, are what OpenSSL goes by", async () => {
    const { root, issuing } = await hierarchy();
    const [good, bad, late] = await Promise.all([leaf(issuing), leaf(issuing), leaf(issuing)]);
    const times = { thisUpdate: NOW - 1000, nextUpdate: NOW + DAY };
    const entry = { serial: bad.serial, at: NOW - 2000, reason: "keyCompromise" } as const;
    const held = { serial: late.serial, at: NOW - 1500, reason: "certificateHold" } as const;
    const complete = await buildCrl(store, issuing, {
      number: 4n,
      ...times,
      deltaUri: "http://pki.example.org/delta",
      entries: [entry],
    });
    const delta = await buildCrl(store, issuing, { number: 5n, base: 4n, ...times, entries: [held] });
    const ofRoot = await buildCrl(store, root, { number: 1n, ...times, entries: [] });
    expect(readCrl(complete).lookUp(bad.serial)).toEqual({
      at: Math.floor((NOW - 2000) / 1000) * 1000,
      reason: "keyCompromise",
    });
    expect(readCrl(delta)).toMatchObject({ number: 5n, base: 4n, entries: 1 });
    const text = openssl("crl", "-text", "-noout", "-inform", "DER", "-in", file("c.der", complete));
    expect(text).toMatch(/X509v3 CRL Number:\s+4\b[\s\S]*Freshest CRL[\s\S]*Key Compromise/i);
    expect(openssl("crl", "-text", "-noout", "-inform", "DER", "-in", file("d.der", delta))).toMatch(
      /Delta CRL Indicator: critical\s+4\b/,
    );
    const pemOf = (der: Uint8Array) => toPem("X509 CRL", der);
    file("crls.pem", pemOf(complete) + pemOf(ofRoot));
    file("all.pem", pemOf(complete) + pemOf(ofRoot) + pemOf(delta));
    file("root.pem", pem(root.certificate.der));
    file("issuing.pem", pem(issuing.certificate.der));
    const check = (which: Issued, crls: string, ...more: string[]) =>
      openssl(
        "verify",
        ...["-crl_check_all", "-CAfile", "root.pem", "-untrusted", "issuing.pem", "-CRLfile", crls, ...more],
        file("leaf.pem", pem(which.der)),
      );
    expect(check(good, "crls.pem")).toContain("leaf.pem: OK");
    expect(check(bad, "crls.pem")).toContain("certificate revoked");
    expect(check(late, "crls.pem")).toContain("leaf.pem: OK");
    expect(check(good, "all.pem", "-extended_crl", "-use_deltas")).toContain("leaf.pem: OK");
    expect(check(late, "all.pem", "-extended_crl", "-use_deltas")).toContain("certificate revoked");
  });
});

describe("OCSP answers", () => {
  const times = { thisUpdate: NOW - 1000, nextUpdate: NOW + DAY };

  it.each(["ecdsa-p256", "rsa-2048", "ed25519"] as const)("signed with %s are what OpenSSL believes", async (type) => {
    const { root, issuing } = await hierarchy();
    const key = await store.generate(type);
    const { certificate } = await issueResponder(store, issuing, { spki: key.spki, now: NOW });
    const signer = ocspSigner(key, certificate);
    file("root.pem", pem(root.certificate.der, issuing.certificate.der));
    file("issuing.pem", pem(issuing.certificate.der));
    const holder = await leaf(issuing);
    file("leaf.pem", pem(holder.der));
    const revoked = { at: NOW - 5000, reason: "superseded" } as const;
    for (const hash of ["sha1", "sha256"] as const) {
      const ask = ["-issuer", "issuing.pem", `-${hash}`, "-cert", "leaf.pem"];
      openssl("ocsp", ...ask, "-reqout", "req.der", "-nonce");
      const { asked, nonce } = readOcspRequest(readFileSync(path.join(dir, "req.der")));
      expect(asked).toMatchObject([{ hash, issuer: issuerHash(issuing.certificate, hash), serial: holder.serial }]);
      const id = certIdDer(issuing.certificate, hash, holder.serial);
      expect(Buffer.from(id)).toEqual(Buffer.from((asked[0] as { id: Uint8Array }).id));
      for (const [status, said] of [
        ["good", /leaf\.pem: good/],
        [revoked, /leaf\.pem: revoked[\s\S]*Reason: superseded/],
        ["unknown", /leaf\.pem: unknown/],
      ] as const) {
        const answer = await buildOcspResponse(store, signer, [{ id, status }], times, nonce);
        file("resp.der", answer);
        // It would put a nonce of its own into the request that it reads.
        const files = ["-no_nonce", "-reqin", "req.der", "-respin", "resp.der", "-CAfile", "root.pem"];
        const verdict = openssl("ocsp", ...ask, ...files);
        expect(verdict).toMatch(/Response verify OK/);
        expect(verdict).toMatch(said);
        expect(verdict).not.toMatch(/WARNING|no nonce/i);
        const read = readOcspResponse(answer, holder.certificate, issuing.certificate, NOW, nonce);
        expect(read.status).toBe(typeof status === "string" ? status : "revoked");
      }
    }
  });

  it("that say nothing are signed by nobody", () => {
    file("resp.der", ocspError("tryLater"));
    expect(openssl("ocsp", "-respin", "resp.der", "-resp_text", "-noverify")).toMatch(/trylater \(3\)/i);
  });
});

describe("private keys from elsewhere", () => {
  it.each([
    ["PKCS#8", ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], undefined],
    ["encrypted PKCS#8", ["genpkey", "-algorithm", "ED25519", "-aes256", "-pass", "pass:hunter2"], "hunter2"],
    ["PKCS#1", ["genrsa", "-traditional", "2048"], undefined],
  ])("are read from %s", (_, command, passphrase) => {
    const text = execFileSync("openssl", command, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    expect(readPrivateKeyPem(text, passphrase).spki.length).toBeGreaterThan(40);
    const wrong = passphrase === undefined ? text.replace(/\n[A-Za-z0-9+/]{8}/, "\n!!!!!!!!") : text;
    try {
      readPrivateKeyPem(wrong, "wrong");
      throw new Error("it was taken");
    } catch (error) {
      expect(error).toMatchObject({ code: "pki/malformed" });
      expect((error as Error).cause).toBeUndefined();
    }
  });

  it("that are weak are refused", () => {
    const text = execFileSync("openssl", ["genrsa", "1024"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    expect(() => readPrivateKeyPem(text)).toThrow(coded("pki/weak-key"));
  });
});
