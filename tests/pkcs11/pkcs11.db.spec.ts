import { createPublicKey, verify } from "node:crypto";
import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { Pkcs11KeyStore } from "@sallyport/pkcs11";
import { generateKeys, hashFor, type KeyHandle, type KeyType, kindOf, readPublicKey } from "@sallyport/pki";
import { HardwareKeys } from "../../apps/control-plane/src/features/certificates/hardware-keys.js";
import { readConfig } from "../../apps/control-plane/src/platform/config/config.js";
import { createLog } from "../../apps/control-plane/src/platform/log/log.js";
import { startControlPlane, type TestControlPlane } from "../../apps/control-plane/test/control-plane.js";
import { query } from "../../apps/control-plane/test/database.js";
import {
  type Authority,
  COMPLETE_AUTHORITY,
  CREATE_AUTHORITY,
  CREATE_PROFILE,
  createAuthority,
  IMPORT_AUTHORITY,
  issue,
  OpenSsl,
  REQUEST_AUTHORITY,
} from "../../apps/control-plane/test/pki.js";
import { MODULE, SoftTokens } from "./soft-token.js";

// RSA keys of 4,096 bits take a token seconds. All is in one file: a process has one configuration of SoftHSM.
const TYPES: readonly KeyType[] = ["rsa-2048", "rsa-4096", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519"];
const DATA = new TextEncoder().encode("what a certificate authority signs");

let tokens: SoftTokens;
let openssl: OpenSsl;
let cp: TestControlPlane;
let environment: Record<string, string>;
let store: Pkcs11KeyStore;
beforeAll(async () => {
  tokens = new SoftTokens();
  tokens.create("first", "1234");
  tokens.create("second", "4321");
  tokens.create("third", "1111");
  const { pinFile } = tokens.create("authorities", "1234");
  store = await Pkcs11KeyStore.open({ module: MODULE, token: "first", pin: "1234" });
  openssl = new OpenSsl();
  environment = {
    SALLYPORT_PKCS11_MODULE: MODULE,
    SALLYPORT_PKCS11_TOKEN: "authorities",
    SALLYPORT_PKCS11_PIN_FILE: pinFile,
  };
  cp = await startControlPlane({ SALLYPORT_PKI_URL: "http://pki.example.org", ...environment });
});
afterAll(async () => {
  await cp?.close();
  openssl?.remove();
  tokens?.remove();
});

/** Whether Node's OpenSSL takes the signature for that of the key that the handle shows. */
function verifies({ kind, spki }: KeyHandle, signature: Uint8Array): boolean {
  const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  return verify(hashFor(kind) ?? null, DATA, key, signature);
}

describe("a PKCS#11 token", () => {
  test.each(TYPES)("makes %s keys and signs with them", async (type) => {
    const key = await store.generate(type);
    expect(key.kind).toBe(kindOf(type));
    expect(readPublicKey(key.spki).kind).toBe(key.kind);
    expect(verifies(key, await store.sign(key, DATA))).toBe(true);
  });

  test.each(TYPES)("takes %s keys in", async (type) => {
    const { privateKey } = await generateKeys(type);
    const key = await store.import(privateKey.export({ format: "der", type: "pkcs8" }));
    expect(verifies(key, await store.sign(key, DATA))).toBe(true);
  });

  test("keeps its keys for whoever opens it later, and for nobody once they are destroyed", async () => {
    const key = await store.generate("ecdsa-p256");
    const later = await Pkcs11KeyStore.open({ module: MODULE, token: "first", pin: "1234" });
    expect(verifies(key, await later.sign(key, DATA))).toBe(true);
    await later.destroy(key.ref);
    await later.destroy(key.ref);
    await expect(store.sign(key, DATA)).rejects.toMatchObject({ code: "pkcs11/unknown-key", value: key.ref });
  });

  test("signs for many at a time, more than it has sessions", async () => {
    const key = await store.generate("ecdsa-p256");
    const signatures = await Promise.all(Array.from({ length: 40 }, () => store.sign(key, DATA)));
    expect(signatures.filter((signature) => verifies(key, signature))).toHaveLength(40);
  });

  test("makes no key of a type that it does not know", async () => {
    await expect(store.generate("ed448")).rejects.toMatchObject({ code: "pkcs11/unsupported", value: "ed448" });
  });

  test("has keys of its own: another token's reference is refused", async () => {
    const other = await Pkcs11KeyStore.open({ module: MODULE, token: "second", pin: "4321" });
    const key = await other.generate("ecdsa-p256");
    await expect(store.sign(key, DATA)).rejects.toMatchObject({ code: "pkcs11/unknown-key" });
    await expect(store.sign({ ...key, ref: "pkcs11:token=first" }, DATA)).rejects.toMatchObject({
      code: "pkcs11/unknown-key",
    });
  });
});

describe("refused, by name and without the PIN", () => {
  const open = (options: Partial<Parameters<typeof Pkcs11KeyStore.open>[0]>) =>
    Pkcs11KeyStore.open({ module: MODULE, token: "first", pin: "1234", ...options });

  test("a module that is none", async () => {
    await expect(open({ module: "/no/such.so" })).rejects.toMatchObject({ code: "pkcs11/bad-module" });
    await expect(open({ module: "libc.so.6" })).rejects.toMatchObject({ code: "pkcs11/bad-module" });
  });

  test("a label that no token has", async () => {
    await expect(open({ token: "fourth" })).rejects.toMatchObject({
      code: "pkcs11/no-token",
      value: "fourth",
      expected: expect.stringContaining("first"),
    });
  });

  test("a wrong PIN", async () => {
    const refused = await open({ token: "third", pin: "secret-pin" }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "pkcs11/wrong-pin", value: "***" });
    expect(JSON.stringify(refused) + String((refused as Error).stack)).not.toContain("secret-pin");
  });
});

/** Objects in the token: SoftHSM keeps each in a file. */
const objects = () =>
  readdirSync(tokens.folder, { recursive: true }).filter((name) => /(?<!token)\.object$/.test(String(name))).length;
const refusal = async (source: string, input: object) => (await cp.send(source, { input })).errors?.[0]?.extensions;
const PKCS11 = { keyStore: "PKCS11" };

describe("an authority whose key is in a PKCS#11 token", () => {
  test.each(["RSA_2048", "ECDSA_P256", "ECDSA_P384", "ED25519"])(
    "%s: issues, lists and answers as another does",
    async (keyType) => {
      const root = await createAuthority(cp, { name: `Root ${keyType}`, keyType, ...PKCS11 });
      const issuing = await createAuthority(cp, { name: `Issuing ${keyType}`, keyType, parentId: root.id, ...PKCS11 });
      const profile = await cp.get<{ createCertificateProfile: { id: string } }>(CREATE_PROFILE, {
        input: { name: keyType, kind: "ROAD_WARRIOR", authorityId: issuing.id, emailHosts: ["example.org"] },
      });
      const { certificate, chain } = await issue(cp, profile.createCertificateProfile.id, "alice@example.org");
      for (const [name, pem] of Object.entries({ root: root.pem, chain, leaf: certificate.pem }))
        openssl.file(`${name}.pem`, pem);
      const below = ["-x509_strict", "-CAfile", "root.pem", "-untrusted", "chain.pem"];
      expect(openssl.run("verify", ...below, "leaf.pem")).toContain("leaf.pem: OK");

      const { url } = cp.application;
      const list = await fetch(`${url}/pki/crl/${issuing.id}`);
      openssl.file("list.crl", new Uint8Array(await list.arrayBuffer()));
      openssl.file("issuing.pem", issuing.pem);
      expect(openssl.run("crl", "-inform", "DER", "-in", "list.crl", "-CAfile", "issuing.pem", "-noout")).toContain(
        "verify OK",
      );
      const ask = ["-issuer", "issuing.pem", "-cert", "leaf.pem", "-no_nonce"];
      openssl.run("ocsp", ...ask, "-reqout", "req.der");
      const answer = await fetch(`${url}/pki/ocsp/${issuing.id}`, {
        method: "POST",
        headers: { "content-type": "application/ocsp-request" },
        body: openssl.bytes("req.der"),
      });
      openssl.file("resp.der", new Uint8Array(await answer.arrayBuffer()));
      const said = openssl.run(
        "ocsp",
        ...ask,
        "-respin",
        "resp.der",
        "-CAfile",
        "root.pem",
        "-verify_other",
        "chain.pem",
      );
      expect(said).toMatch(/leaf\.pem: good[\s\S]*Response verify OK/);
    },
  );

  test("is shown as such, and its key is nowhere in the database", async () => {
    const { id } = await createAuthority(cp, { name: "Shown", ...PKCS11 });
    const { certificateAuthorities } = await cp.get<{
      certificateAuthorities: { edges: { node: { id: string; keyStore: string; canSign: boolean } }[] };
    }>("{ certificateAuthorities(first: 100) { edges { node { id keyStore canSign } } } }");
    const stores = new Map(certificateAuthorities.edges.map(({ node }) => [node.id, node.keyStore]));
    expect(stores.get(id)).toBe("PKCS11");
    expect([...stores.values()]).toContain("DATABASE");
    const [row] = await query(cp.connection, "SELECT key_ref FROM certificate_authorities WHERE id = $1", [id]);
    expect(row?.key_ref).toMatch(/^pkcs11:token=authorities;id=(%[0-9a-f]{2}){16}$/);
  });

  test("may be certified elsewhere, or come with its key", async () => {
    openssl.run(
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "off.key", "-out", "off.pem", "-days", "1000"],
      ...["-subj", "/CN=Offline", "-addext", "keyUsage=critical,keyCertSign,cRLSign"],
    );
    const { requestCertificateAuthority: request } = await cp.get<{
      requestCertificateAuthority: { id: string; csr: string };
    }>(REQUEST_AUTHORITY, { input: { name: "Online", ...PKCS11 } });
    openssl.file("on.csr", request.csr);
    openssl.file("on.ext", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n");
    const sign = ["-CA", "off.pem", "-CAkey", "off.key", "-CAcreateserial", "-days", "900", "-extfile", "on.ext"];
    openssl.run("x509", "-req", "-in", "on.csr", ...sign, "-out", "on.pem");
    const [online, offline] = ["on.pem", "off.pem"].map((name) => openssl.run("x509", "-in", name));
    const certificates = `${online}${offline}`;
    const completed = await cp.get<{ completeCertificateAuthority: Authority }>(COMPLETE_AUTHORITY, {
      input: { requestId: request.id, certificates },
    });
    expect(completed.completeCertificateAuthority.canSign).toBe(true);

    openssl.run(
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout", "in.key"],
      ...[
        "-out",
        "in.pem",
        "-days",
        "1000",
        "-subj",
        "/CN=Imported",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
      ],
    );
    const input = {
      certificates: openssl.run("x509", "-in", "in.pem"),
      privateKey: openssl.bytes("in.key").toString(),
    };
    const imported = await cp.get<{ importCertificateAuthority: Authority }>(IMPORT_AUTHORITY, {
      input: { ...input, ...PKCS11 },
    });
    const parentId = imported.importCertificateAuthority.id;
    expect((await createAuthority(cp, { name: "Below", parentId, validDays: 30, ...PKCS11 })).parentId).toBe(parentId);
  });

  test("that is refused leaves no key in the token", async () => {
    const before = objects();
    expect(before).toBeGreaterThan(0);
    const parentId = "00000000-0000-7000-8000-000000000000";
    expect(await refusal(CREATE_AUTHORITY, { name: "x", parentId, ...PKCS11 })).toMatchObject({
      code: "api/not-found",
    });
    expect(objects()).toBe(before);
  });
});

describe("a token that cannot be used", () => {
  test("is refused by name where there is none", async () => {
    const plain = await startControlPlane();
    try {
      const { errors } = await plain.send(CREATE_AUTHORITY, { input: { name: "x", ...PKCS11 } });
      expect(errors?.[0]?.extensions).toMatchObject({
        code: "certificates/no-token",
        field: "input.keyStore",
        value: "PKCS11",
        expected: expect.stringContaining("SALLYPORT_PKCS11_MODULE"),
      });
    } finally {
      await plain.close();
    }
  });

  const keys = (more: Record<string, string>) =>
    new HardwareKeys(readConfig({ ...environment, ...more }), createLog("silent"));

  test("for a wrong PIN is not asked again: it would lock itself", async () => {
    const file = path.join(tokens.folder, "wrong.pin");
    writeFileSync(file, "9999\n");
    const hardware = keys({ SALLYPORT_PKCS11_TOKEN: "third", SALLYPORT_PKCS11_PIN_FILE: file });
    await hardware.onModuleInit();
    const [first, second] = [await hardware.store().catch((e) => e), await hardware.store().catch((e) => e)];
    expect(first).toMatchObject({ code: "pkcs11/wrong-pin" });
    expect(second).toBe(first);
  });

  test("for want of its PIN's file is asked again", async () => {
    const file = path.join(tokens.folder, "late.pin");
    const hardware = keys({ SALLYPORT_PKCS11_PIN_FILE: file });
    await expect(hardware.store()).rejects.toMatchObject({ code: "certificates/no-token", value: file });
    writeFileSync(file, "1234");
    await expect(hardware.store()).resolves.toBeDefined();
  });
});
