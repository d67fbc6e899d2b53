import { execFileSync } from "node:child_process";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import {
  type Authority,
  type Certificate,
  ChainVerifier,
  certificatesFromPem,
  checkRequest,
  createIssuing,
  createRequest,
  createRoot,
  gatewayIdOf,
  generateKeys,
  issueAgent,
  issueGateway,
  issueServer,
  type KeyKind,
  MemoryKeyStore,
  pinOf,
  readCertificate,
  spkiOf,
  TrustAnchors,
  toPem,
} from "./index.js";

const NOW = Date.now();
const KINDS: readonly KeyKind[] = ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa", "ed25519", "ed448"];
const names = (commonName: string) => ({ commonName, organization: 'Acme, "Ltd" + Söhne' });

async function hierarchy(kind: KeyKind = "ecdsa-p256") {
  const store = new MemoryKeyStore();
  const root = await createRoot(store, names("Acme Root"), NOW, kind);
  const issuing = await createIssuing(store, root, names("Acme Issuing"), NOW, kind);
  return { store, root, issuing };
}

async function gateway(
  store: MemoryKeyStore,
  by: Authority,
  fqdn = "gw-1.acme.sallyport",
  kind: KeyKind = "ecdsa-p256",
) {
  const keys = await generateKeys(kind);
  const { spki } = checkRequest(await createRequest(keys, "anything"));
  return issueGateway(store, by, { fqdn, organization: "Acme", spki, now: NOW });
}

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sallyport-pki-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

const openssl = (...args: string[]) =>
  execFileSync("openssl", args, { cwd: dir, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
const write = (name: string, ...certificates: Certificate[]) =>
  writeFileSync(path.join(dir, name), certificates.map((c) => toPem("CERTIFICATE", c.der)).join(""));

describe("a chain made here, looked at by OpenSSL", () => {
  it.each(KINDS)("verifies with %s keys, as server and as client", async (kind) => {
    const { store, root, issuing } = await hierarchy(kind);
    const { certificate } = await gateway(store, issuing, "gw-1.acme.sallyport", kind);
    write("root.pem", root.certificate);
    write("issuing.pem", issuing.certificate);
    write("leaf.pem", certificate);
    for (const purpose of ["sslserver", "sslclient"]) {
      const strict = ["-x509_strict", "-check_ss_sig", "-purpose", purpose];
      const chain = ["-CAfile", "root.pem", "-untrusted", "issuing.pem", "leaf.pem"];
      expect(openssl("verify", ...strict, "-verify_hostname", "gw-1.acme.sallyport", ...chain)).toContain(
        "leaf.pem: OK",
      );
    }
  });

  it("says what a gateway's certificate must say", async () => {
    const { store, issuing } = await hierarchy();
    const { certificate } = await gateway(store, issuing);
    write("leaf.pem", certificate);
    const text = openssl("x509", "-in", "leaf.pem", "-noout", "-text", "-nameopt", "RFC2253,-esc_msb,utf8");
    expect(text).toContain("DNS:gw-1.acme.sallyport");
    expect(text).toContain("TLS Web Server Authentication, TLS Web Client Authentication, 1.3.6.1.5.5.8.2.2");
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature\n/);
    expect(text).toMatch(/X509v3 Basic Constraints: critical\s+CA:FALSE/);
    const serial = openssl("x509", "-in", "leaf.pem", "-noout", "-serial").trim().split("=")[1];
    expect(serial?.toLowerCase()).toBe(certificate.serial);
    expect(certificate.serial).toMatch(/^[4-7][0-9a-f]{31}$/);
    const publicKey = openssl("x509", "-in", "leaf.pem", "-noout", "-pubkey");
    writeFileSync(path.join(dir, "pub.pem"), publicKey);
    execFileSync("openssl", ["pkey", "-pubin", "-in", "pub.pem", "-outform", "DER", "-out", "pub.der"], { cwd: dir });
    const digest = openssl("dgst", "-sha256", "pub.der").trim().split("= ")[1];
    expect(Buffer.from(pinOf(certificate.spki)).toString("hex")).toBe(digest);
  });

  it("has requests that OpenSSL verifies, and takes OpenSSL's", async () => {
    for (const kind of KINDS) {
      writeFileSync(
        path.join(dir, "csr.pem"),
        toPem("CERTIFICATE REQUEST", await createRequest(await generateKeys(kind), "gw")),
      );
      const said = execFileSync("sh", ["-c", "openssl req -in csr.pem -noout -verify 2>&1"], {
        cwd: dir,
        encoding: "utf8",
      });
      expect(said).toMatch(/verify OK/i);
    }
    openssl(
      "req",
      "-new",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      "k.pem",
      "-subj",
      "/CN=x",
      "-outform",
      "DER",
      "-out",
      "r.der",
    );
    expect(checkRequest(readFileSync(path.join(dir, "r.der"))).kind).toBe("rsa");
  });

  it("is taken from OpenSSL, with RSASSA-PSS too, and SHA-1 is not", () => {
    const make = (out: string, ...args: string[]) =>
      openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "k.pem",
        "-subj",
        "/CN=x",
        "-out",
        out,
        ...args,
      );
    make("pss.pem", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32");
    make("salt.pem", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:11");
    make("sha1.pem", "-sha1");
    const [pss, salt, sha1] = ["pss.pem", "salt.pem", "sha1.pem"].map(
      (f) => certificatesFromPem(readFileSync(path.join(dir, f), "utf8"))[0] as Uint8Array,
    ) as [Uint8Array, Uint8Array, Uint8Array];
    expect(readCertificate(pss).scheme).toEqual({ with: "rsa-pss", hash: "sha256", saltLength: 32 });
    for (const der of [salt, sha1]) {
      expect(() => readCertificate(der)).toThrow(expect.objectContaining({ code: "pki/bad-algorithm" }));
    }
  });
});

describe("certificates of the control channel", () => {
  it("name the gateway to the control plane, and are worth nothing as the other kind", async () => {
    const { store, root, issuing } = await hierarchy();
    const { spki } = checkRequest(await createRequest(await generateKeys(), ""));
    const agent = await issueAgent(store, issuing, { gatewayId: "0190-a", spki, now: NOW });
    const server = await issueServer(store, issuing, { name: "control-plane.sallyport.internal", spki, now: NOW });
    const ike = await issueGateway(store, issuing, { fqdn: "gw.acme", organization: "Acme", spki, now: NOW });
    expect([agent, server, ike].map((i) => gatewayIdOf(i.certificate))).toEqual(["0190-a", undefined, undefined]);
    const verifier = new ChainVerifier();
    const anchors = TrustAnchors.of([root.certificate.der]);
    const check = (usage: "tls-client" | "tls-server", [leaf, ...intermediates]: readonly Uint8Array[]) =>
      verifier.verify({ leaf: leaf as Uint8Array, intermediates, anchors, now: NOW, usage }).path.length;
    expect(check("tls-client", agent.chain)).toBe(3);
    expect(check("tls-server", server.chain)).toBe(3);
    expect(() => check("tls-server", agent.chain)).toThrow(expect.objectContaining({ code: "pki/forbidden-use" }));
    expect(() => check("tls-client", server.chain)).toThrow(expect.objectContaining({ code: "pki/forbidden-use" }));
  });
});

describe("certificate requests", () => {
  it.each([
    ["an RSA key of 1024 bits", generateKeyPairSync("rsa", { modulusLength: 1024 }), "pki/weak-key"],
    ["an RSA key of 2048 bits", generateKeyPairSync("rsa", { modulusLength: 2048, publicExponent: 65537 }), undefined],
    ["a curve that is not taken", generateKeyPairSync("ec", { namedCurve: "secp224r1" }), "pki/bad-algorithm"],
    [
      "explicit curve parameters",
      generateKeyPairSync("ec", { namedCurve: "P-256", paramEncoding: "explicit" }),
      "pki/bad-algorithm",
    ],
  ])("of %s", (_, keys, code) => {
    const key = path.join(dir, "key.pem");
    writeFileSync(key, keys.privateKey.export({ format: "pem", type: "pkcs8" }));
    openssl("req", "-new", "-key", key, "-subj", "/CN=x", "-outform", "DER", "-out", "csr.der");
    const der = readFileSync(path.join(dir, "csr.der"));
    if (code === undefined) expect(checkRequest(der).kind).toBe("rsa");
    else expect(() => checkRequest(der)).toThrow(expect.objectContaining({ code, field: "csr.publicKey" }));
  });

  it("signed by another key, or changed anywhere, are refused with a coded fault", async () => {
    const der = await createRequest(await generateKeys(), "gw");
    const swapped = Buffer.from(der);
    const other = Buffer.from(spkiOf((await generateKeys()).publicKey));
    swapped.set(other, swapped.indexOf(other.subarray(0, 26)));
    expect(() => checkRequest(swapped)).toThrow(expect.objectContaining({ code: "pki/bad-signature" }));
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const bad = Uint8Array.from(der);
        bad[at] = (bad[at] as number) ^ flip;
        expect(() => checkRequest(bad)).toThrow(expect.objectContaining({ code: expect.stringMatching(/^pki\//) }));
      }),
      // The outermost tag, which no signature covers, as a primitive SEQUENCE.
      { examples: [[0, 0x20]] },
    );
  });
});

describe("decoders", () => {
  it("give a certificate or a coded fault for any octets", async () => {
    const { root } = await hierarchy();
    const { der } = root.certificate;
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(fc.nat(der.length - 1), fc.nat(255)).map(([at, to]) => {
        const bad = Uint8Array.from(der);
        bad[at] = to;
        return bad;
      }),
      fc.nat(der.length).map((n) => der.slice(0, n)),
    );
    fc.assert(
      fc.property(octets, (bytes) => {
        try {
          expect(readCertificate(bytes).fingerprint).toMatch(/^[0-9a-f]{64}$/);
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^pki\//) });
        }
      }),
      { numRuns: 500 },
    );
  });

  it("refuse what is too large before looking at it, and trailing octets", async () => {
    const { root } = await hierarchy();
    for (const bad of [new Uint8Array(40_000), Buffer.concat([root.certificate.der, Buffer.from([0])])]) {
      expect(() => readCertificate(bad)).toThrow(expect.objectContaining({ code: "pki/malformed" }));
    }
  });

  it("round-trip PEM", async () => {
    const { root, issuing } = await hierarchy();
    const text = `junk\n${toPem("CERTIFICATE", root.certificate.der)}# note\n${toPem("CERTIFICATE", issuing.certificate.der)}`;
    expect(certificatesFromPem(text)).toEqual([root.certificate.der, issuing.certificate.der]);
    expect(() => certificatesFromPem("")).toThrow(expect.objectContaining({ code: "pki/malformed" }));
  });

  it("keep private keys in PKCS#8 that OpenSSL reads", async () => {
    const { privateKey } = await generateKeys();
    const pem = privateKey.export({ format: "pem", type: "pkcs8" }) as string;
    expect(createPrivateKey(pem).asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
  });
});
