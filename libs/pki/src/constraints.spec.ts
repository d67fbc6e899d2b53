import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { violates } from "./constraints.js";
import { ChainVerifier, certificatesFromPem, TrustAnchors } from "./index.js";

const coded = (code: string, more: object = {}) => expect.objectContaining({ code, ...more });

describe("name constraints, made by OpenSSL", () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(path.join(tmpdir(), "sallyport-nc-"));
  });
  afterAll(() => rmSync(dir, { recursive: true }));
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: dir, stdio: "pipe" });

  function pair(
    constraints: string,
    san: string,
    subject = "/CN=leaf",
  ): { anchor: Uint8Array; leaf: Uint8Array; openssl: boolean } {
    const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
    const ca = ["-addext", `nameConstraints=critical,${constraints}`, "-subj", "/CN=ca"];
    openssl("req", "-x509", ...ec, "-keyout", "ca.key", "-out", "ca.pem", ...ca);
    const leaf = [
      "-addext",
      `subjectAltName=${san}`,
      "-addext",
      "basicConstraints=critical,CA:FALSE",
      "-subj",
      subject,
    ];
    openssl(
      "req",
      "-x509",
      ...ec,
      "-keyout",
      "leaf.key",
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca.key",
      "-out",
      "leaf.pem",
      ...leaf,
    );
    let verified = true;
    try {
      openssl("verify", "-CAfile", "ca.pem", "leaf.pem");
    } catch {
      verified = false;
    }
    const der = (f: string) => certificatesFromPem(readFileSync(path.join(dir, f), "utf8"))[0] as Uint8Array;
    return { anchor: der("ca.pem"), leaf: der("leaf.pem"), openssl: verified };
  }

  it.each([
    ["permitted;DNS:acme.example", "DNS:gw.acme.example", true],
    ["permitted;DNS:acme.example", "DNS:acme.example.evil.test", false],
    ["permitted;DNS:acme.example", "DNS:xacme.example", false],
    ["excluded;DNS:evil.test", "DNS:gw.acme.example", true],
    ["excluded;DNS:evil.test", "DNS:gw.evil.test", false],
    ["permitted;IP:192.0.2.0/255.255.255.0", "IP:192.0.2.9", true],
    ["permitted;IP:192.0.2.0/255.255.255.0", "IP:192.0.3.9", false],
    ["permitted;IP:192.0.2.0/255.255.255.0", "DNS:gw.acme.example", true],
    ["permitted;email:acme.example", "email:bob@acme.example", true],
    ["permitted;email:acme.example", "email:bob@evil.test", false],
    ["excluded;URI:.evil.test", "URI:https://x.evil.test/", false],
  ])("%s: %s", (constraints, san, allowed) => {
    const made = pair(constraints, san);
    expect(made.openssl).toBe(allowed);
    const run = () =>
      new ChainVerifier().verify({
        leaf: made.leaf,
        intermediates: [],
        anchors: TrustAnchors.of([made.anchor]),
        now: Date.now(),
        usage: "ike",
      });
    if (allowed) expect(run().path).toHaveLength(2);
    else expect(run).toThrow(coded("pki/forbidden-use", { field: "issuer.nameConstraints" }));
  });

  it("and other critical extensions that nothing here understands refuse the chain", () => {
    writeFileSync(path.join(dir, "x"), "");
    const args = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "k", "-subj", "/CN=x"];
    openssl("req", "-x509", ...args, "-out", "odd.pem", "-addext", "1.2.3.4=critical,ASN1:UTF8:odd");
    const leaf = certificatesFromPem(readFileSync(path.join(dir, "odd.pem"), "utf8"))[0] as Uint8Array;
    const request = {
      leaf,
      intermediates: [],
      anchors: TrustAnchors.of([leaf]),
      now: Date.now(),
      usage: "ike" as const,
    };
    expect(() => new ChainVerifier().verify(request)).toThrow(coded("pki/forbidden-use"));
  });
});

describe("a name constraint on a form of name that nobody here knows", () => {
  const none = { dns: [], email: [], uri: [], ip: [], directory: [], other: [] };
  const subject = { der: new Uint8Array(0), text: "", rdns: [] };

  it.each(["permitted", "excluded"] as const)("refuses every certificate with such a name (%s)", (kind) => {
    const constraints = { permitted: undefined, excluded: undefined, [kind]: { ...none, other: [160] } };
    expect(violates(constraints, { ...none, other: [161] }, subject)).toMatch(/unknown form 161/);
    expect(violates(constraints, none, subject)).toBeUndefined();
  });
});
