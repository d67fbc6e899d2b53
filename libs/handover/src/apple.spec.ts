import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { IpAddress } from "@sallyport/base";
import { createRoot, issueLeaf, toPem } from "@sallyport/pki";
import fc from "fast-check";
import { parse } from "plist";
import {
  credentialOf,
  describedAs,
  issuing,
  NOW,
  PASSPHRASE,
  root,
  store,
  textOf,
  withPassword,
} from "../testing/description.js";
import type { Description } from "./description.js";
import { makeProfile, signProfile } from "./index.js";

// openssl is run on machines that do other things too.
interface Payload {
  readonly PayloadType: string;
  readonly PayloadUUID: string;
  readonly PayloadContent: Uint8Array;
  readonly UserDefinedName: string;
  readonly IKEv2: Readonly<Record<string, unknown>>;
  readonly DNS?: unknown;
}

async function payloads(d: Description) {
  const profile = await makeProfile("apple", d);
  const plist = parse(textOf(profile.files[0]?.content)) as unknown as {
    readonly PayloadDisplayName: string;
    readonly PayloadContent: readonly Payload[];
  };
  const of = (type: string) => plist.PayloadContent.filter((p) => p.PayloadType === type);
  return { profile, plist, of, vpn: of("com.apple.vpn.managed")[0] as Payload };
}

it("holds the CAs, the key and one connection that uses it", async () => {
  const { profile, of, vpn } = await payloads(describedAs());
  expect(of("com.apple.security.root").map((p) => Buffer.from(p.PayloadContent))).toEqual([
    Buffer.from(root.certificate.der),
  ]);
  expect(of("com.apple.security.pkcs1")).toHaveLength(1);
  const [key] = of("com.apple.security.pkcs12");
  expect(vpn.IKEv2).toEqual({
    RemoteAddress: "vpn.example.org",
    RemoteIdentifier: "vpn.example.org",
    AuthenticationMethod: "Certificate",
    ExtendedAuthEnabled: 0,
    LocalIdentifier: "ann@example.org",
    PayloadCertificateUUID: key?.PayloadUUID,
    CertificateType: "ECDSA256",
    ServerCertificateIssuerCommonName: "Acme issuing",
    IKESecurityAssociationParameters: {
      EncryptionAlgorithm: "AES-256",
      IntegrityAlgorithm: "SHA2-256",
      DiffieHellmanGroup: 19,
    },
    ChildSecurityAssociationParameters: {
      EncryptionAlgorithm: "AES-256",
      IntegrityAlgorithm: "SHA2-256",
      DiffieHellmanGroup: 19,
    },
    EnablePFS: 1,
    DeadPeerDetectionRate: "Medium",
  });
  expect(textOf(profile.files[0]?.content)).not.toContain(PASSPHRASE);
  expect(profile.notes.map((n) => [n.code, n.value])).toEqual([
    ["handover/proposals-left-out", expect.any(String)],
    ["handover/first-network-only", "10.2.0.0/16"],
    ["handover/dns-left-out", "10.1.0.53"],
    ["handover/legacy-encryption", undefined],
  ]);
});

it("knows the issuer by its name as it is, whatever is in it", async () => {
  const odd = await createRoot(store, { commonName: 'Acme, \u00a0face "root"', organization: "Acme" }, NOW);
  const { vpn } = await payloads(
    describedAs({ gateway: { ...describedAs().gateway, authorities: [odd.certificate] } }),
  );
  expect(vpn.IKEv2.ServerCertificateIssuerCommonName).toBe('Acme, \u00a0face "root"');
});

it("uses the name servers when everything goes through the tunnel", async () => {
  const { vpn, profile } = await payloads(describedAs({ networks: [], dns: [IpAddress.parse("10.1.0.53")] }));
  expect(vpn.DNS).toEqual({ ServerAddresses: ["10.1.0.53"] });
  expect(profile.notes.map((n) => n.code)).not.toContain("handover/dns-left-out");
});

it("EAP-MSCHAPv2 names the person and holds no password; EAP-TLS points to the key", async () => {
  const password = await payloads(withPassword());
  expect(password.vpn.IKEv2).toMatchObject({
    AuthenticationMethod: "None",
    ExtendedAuthEnabled: 1,
    AuthName: "ann@example.org",
  });
  expect(password.vpn.IKEv2).not.toHaveProperty("AuthPassword");
  const tls = await payloads(describedAs({ authentication: "eap-tls" }));
  expect(tls.vpn.IKEv2).toMatchObject({ AuthenticationMethod: "None", ExtendedAuthEnabled: 1 });
  expect(tls.vpn.IKEv2.PayloadCertificateUUID).toBe(tls.of("com.apple.security.pkcs12")[0]?.PayloadUUID);
});

it("no name of a person, a connection or an organization changes anything else", async () => {
  const plain = (await payloads(withPassword())).plist;
  const text = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 60 })
    .filter((t) => t.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}\uFFFE\uFFFF]/u.test(t));
  await fc.assert(
    fc.asyncProperty(text, async (name) => {
      const { plist, vpn } = await payloads(
        withPassword({ name, organization: name, person: { name, username: "ann@example.org" } }),
      );
      expect(plist.PayloadDisplayName).toBe(name);
      expect(vpn.UserDefinedName).toBe(name);
      const same = JSON.stringify(plist, (key, value) =>
        /DisplayName|Organization|UserDefinedName/.test(key) ? "" : value,
      );
      expect(same).toBe(
        JSON.stringify(plain, (key, value) => (/DisplayName|Organization|UserDefinedName/.test(key) ? "" : value)),
      );
    }),
    { numRuns: 50 },
  );
});

it("is signed so that openssl verifies it, by a key that stays in the store", async () => {
  const key = await store.generate("rsa-2048");
  const { certificate } = await issueLeaf(store, issuing, {
    subject: [["CN", "Acme profiles"]],
    spki: key.spki,
    names: [],
    extendedKeyUsage: ["1.3.6.1.5.5.7.3.4"],
    now: NOW,
    notAfter: NOW + 86_400_000,
  });
  const profile = await makeProfile("apple", describedAs({ credential: await credentialOf("rsa-2048") }));
  const signed = await signProfile(profile, store, { key, certificate, above: [issuing.certificate] }, NOW);
  const dir = mkdtempSync(path.join(tmpdir(), "sallyport-handover-"));
  try {
    const at = (name: string) => path.join(dir, name);
    writeFileSync(at("signed"), signed.files[0]?.content as Uint8Array);
    writeFileSync(at("root.pem"), toPem("CERTIFICATE", root.certificate.der));
    const args = ["cms", "-verify", "-binary", "-inform", "DER", "-in", at("signed"), "-CAfile", at("root.pem")];
    const when = ["-attime", String(NOW / 1000), "-out", at("out")];
    const { stderr } = spawnSync("openssl", [...args, ...when], { encoding: "utf8" });
    expect(stderr).toMatch(/successful/);
    expect(Buffer.compare(readFileSync(at("out")), profile.files[0]?.content as Uint8Array)).toBe(0);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
