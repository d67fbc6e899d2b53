import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import {
  buildPkcs12,
  type Certificate,
  createIssuing,
  createRoot,
  generateKeys,
  issueLeaf,
  type KeyType,
  kindOf,
  MemoryKeyStore,
  readCertificate,
  signCms,
  spkiOf,
  toPem,
} from "./index.js";

// openssl judges what is written; it is run on machines that do other things too.
const NOW = Date.now();
const store = new MemoryKeyStore();
let dir: string;
beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sallyport-containers-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

const file = (label: string, content: string | Uint8Array) => {
  const at = path.join(dir, label);
  writeFileSync(at, content);
  return at;
};

async function holder(type: KeyType) {
  const root = await createRoot(store, { commonName: "Root", organization: "Acme" }, NOW);
  const issuing = await createIssuing(store, root, { commonName: "Issuing", organization: "Acme" }, NOW);
  const { publicKey, privateKey } = await generateKeys(type);
  const privateDer = Uint8Array.from(privateKey.export({ format: "der", type: "pkcs8" }));
  const { der } = await issueLeaf(store, issuing, {
    subject: [["CN", "Ann"]],
    spki: Uint8Array.from(spkiOf(publicKey)),
    names: [{ type: "email", value: "ann@example.org" }],
    extendedKeyUsage: [],
    now: NOW,
    notAfter: NOW + 86_400_000,
  });
  const certificate = readCertificate(der);
  return { certificate, privateDer, above: [issuing.certificate, root.certificate], root: root.certificate };
}

const certificatesIn = (pem: string) => pem.match(/-----BEGIN CERTIFICATE-----/g)?.length ?? 0;

describe("PKCS#12", () => {
  const kinds: KeyType[] = ["rsa-2048", "ecdsa-p256", "ecdsa-p521", "ed25519"];
  it.each(kinds.flatMap((k) => (["modern", "legacy"] as const).map((e) => [k, e] as const)))(
    "%s, %s: openssl opens it and finds key and chain",
    async (type, encryption) => {
      const { certificate, privateDer, above } = await holder(type);
      const content = { friendlyName: "Ann’s laptop", privateKey: privateDer, certificate, above };
      const p12 = file(`${type}-${encryption}.p12`, await buildPkcs12(content, "fünf-p4ss wörd$", encryption));
      const legacy = encryption === "legacy" ? ["-legacy"] : [];
      const read = ["pkcs12", "-in", p12, "-passin", "pass:fünf-p4ss wörd$", ...legacy];
      const pem = execFileSync("openssl", [...read, "-nodes"], { encoding: "utf8" });
      expect(certificatesIn(pem)).toBe(3);
      const key = execFileSync("openssl", ["pkey", "-pubout"], { input: pem, encoding: "utf8" });
      const spki = Buffer.from(key.replace(/-----[^-]+-----|\s/g, ""), "base64");
      expect(Buffer.compare(spki, certificate.spki)).toBe(0);
      const { stderr } = spawnSync("openssl", [...read, "-info", "-noout"], { encoding: "utf8" });
      expect(stderr).toMatch(encryption === "modern" ? /MAC: sha256/ : /MAC: sha1/);
      expect(stderr).toMatch(
        encryption === "modern" ? /AES-256-CBC.*hmacWithSHA256/ : /pbeWithSHA1And3-KeyTripleDES-CBC/,
      );
    },
  );

  it("does not open with another passphrase", async () => {
    const { certificate, privateDer, above } = await holder("ecdsa-p256");
    const content = { friendlyName: "x", privateKey: privateDer, certificate, above };
    const p12 = file("other.p12", await buildPkcs12(content, "right", "modern"));
    const { status, stderr } = spawnSync("openssl", ["pkcs12", "-in", p12, "-passin", "pass:wrong", "-nodes"]);
    expect(status).not.toBe(0);
    expect(String(stderr)).toContain("invalid password");
  });

  it("refuses a key that is not the certificate's, and does not quote it", async () => {
    const [ann, ben] = [await holder("ecdsa-p256"), await holder("ecdsa-p256")];
    const content = { friendlyName: "x", privateKey: ben.privateDer, certificate: ann.certificate, above: [] };
    await expect(buildPkcs12(content, "p", "modern")).rejects.toMatchObject({
      code: "pki/malformed",
      value: undefined,
    });
  });
});

describe("CMS", () => {
  const signer = async (type: KeyType) => {
    const { certificate, privateDer, above, root } = await holder(type);
    const key = await store.import(privateDer);
    return { signer: { key, certificate, above: above.slice(0, 1) }, root };
  };
  const verify = (cms: Uint8Array, root: Certificate) => {
    const out = path.join(dir, "content");
    const inputs = ["-in", file("cms", cms), "-CAfile", file("root.pem", toPem("CERTIFICATE", root.der))];
    const args = ["cms", "-verify", "-binary", "-inform", "DER", ...inputs, "-purpose", "any", "-out", out];
    const { status, stderr } = spawnSync("openssl", args, { encoding: "utf8" });
    return { status, stderr, content: status === 0 ? readFileSync(out) : undefined };
  };

  it.each(["rsa-2048", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521"] as const)(
    "%s: openssl verifies signature and chain",
    async (type) => {
      const { signer: by, root } = await signer(type);
      expect(by.key.kind).toBe(kindOf(type));
      const content = Buffer.from("<plist>…</plist>\n");
      const seen = verify(await signCms(store, by, content, NOW), root);
      expect(seen.stderr).toMatch(/successful/);
      expect(seen.content).toEqual(content);
    },
  );

  it("does not verify with any octet of the content changed", async () => {
    const { signer: by, root } = await signer("ecdsa-p256");
    const content = Buffer.from("what is signed");
    const cms = await signCms(store, by, content, NOW);
    const at = Buffer.from(cms).indexOf(content);
    fc.assert(
      fc.property(fc.nat(content.length - 1), fc.integer({ min: 1, max: 255 }), (i, flip) => {
        const changed = Uint8Array.from(cms);
        changed[at + i] = (changed[at + i] as number) ^ flip;
        expect(verify(changed, root).status).not.toBe(0);
      }),
      { numRuns: 8 },
    );
  });

  it("refuses a signer with a key of EdDSA", async () => {
    const { signer: by } = await signer("ed25519");
    const refused = signCms(store, by, Buffer.from("x"), NOW);
    await expect(refused).rejects.toMatchObject({ code: "pki/bad-algorithm", field: "signer.key" });
  });
});
