import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Prefix } from "@sallyport/base";
import fc from "fast-check";
import {
  credential,
  credentialOf,
  describedAs,
  PASSPHRASE,
  root,
  textOf,
  withPassword,
} from "../testing/description.js";
import type { Description } from "./description.js";
import { authenticationFor, caFile, DEVICES, type Device, fingerprintOf, makePkcs12, makeProfile } from "./index.js";

// openssl is run on machines that do other things too.
const made = async (device: Device, d: Description) => {
  const profile = await makeProfile(device, d);
  const file = (end: string) => profile.files.find((f) => f.name.endsWith(end))?.content;
  return { profile, file, text: (end: string) => textOf(file(end)), codes: profile.notes.map((n) => n.code) };
};
const refusal = (device: Device, d: Description) =>
  makeProfile(device, d).then(
    () => undefined,
    (error: unknown) => error,
  );
/** What a gateway can offer that all devices can do. */
const modest = { ike: ["aes256-aes128-sha256-modp2048"], esp: ["aes256-aes128-sha256-sha1-modp2048"] };

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sallyport-profile-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

function opened(p12: Uint8Array | undefined, passphrase: string | undefined, ...more: string[]): string {
  const at = path.join(dir, "x.p12");
  writeFileSync(at, p12 ?? new Uint8Array());
  const args = ["pkcs12", "-in", at, "-passin", `pass:${passphrase}`, "-nodes", ...more];
  return execFileSync("openssl", args, { encoding: "utf8" });
}

describe("Windows", () => {
  it("a person's certificate, split networks and the gateway's algorithms", async () => {
    const tls = describedAs({ proposals: modest, authentication: "eap-tls" });
    const { text, file, codes } = await made("windows", tls);
    const script = text(".ps1");
    expect(script).toContain("Add-VpnConnection -Name $name -ServerAddress 'vpn.example.org' -TunnelType Ikev2");
    expect(script).toContain("(New-EapConfiguration -Tls -UserCertificate).EapConfigXmlStream -SplitTunneling");
    expect(script).toContain("Import-PfxCertificate -FilePath $file -CertStoreLocation 'Cert:\\CurrentUser\\My'");
    expect(script).toContain(
      "-AuthenticationTransformConstants SHA256128 -CipherTransformConstants AES128 -EncryptionMethod AES256 -IntegrityCheckMethod SHA256 -PfsGroup PFS2048 -DHGroup Group14",
    );
    expect(script.match(/Add-VpnConnectionRoute .*/g)?.map((l) => l.trim())).toEqual([
      "Add-VpnConnectionRoute -ConnectionName $name -DestinationPrefix '10.1.0.0/16'",
      "Add-VpnConnectionRoute -ConnectionName $name -DestinationPrefix '10.2.0.0/16'",
    ]);
    expect(codes).toContain("handover/networks-by-route");
    expect(script).not.toContain(PASSPHRASE);
    expect(opened(file(".p12"), PASSPHRASE)).toContain("PRIVATE KEY");
  });

  it("everything through the tunnel wants a route for IPv6; EAP the configuration of its method", async () => {
    const { text } = await made("windows", withPassword({ proposals: modest, networks: [] }));
    expect(text(".ps1")).toContain("-DestinationPrefix '2000::/3'");
    expect(text(".ps1")).not.toContain("-SplitTunneling");
    expect(text(".ps1")).toContain("-EapConfigXmlStream (New-EapConfiguration).EapConfigXmlStream");
  });

  it("a certificate in IKE itself is the machine's (CLI-06)", async () => {
    const { text, file, codes } = await made("windows", describedAs({ proposals: modest }));
    const script = text(".ps1");
    expect(script).toContain("-TunnelType Ikev2 -EncryptionLevel Required -AuthenticationMethod MachineCertificate");
    expect(script).not.toContain("Eap");
    expect(script.match(/Import-PfxCertificate .*/g)).toEqual([
      "Import-PfxCertificate -FilePath $file -CertStoreLocation 'Cert:\\LocalMachine\\My' -Password $passphrase | Out-Null",
    ]);
    expect(script).toMatch(/Set-VpnConnectionIPsecConfiguration -ConnectionName \$name .* -DHGroup Group14 -Force/);
    expect(codes).toContain("handover/machine-certificate");
    expect(script).not.toContain(PASSPHRASE);
    expect(opened(file(".p12"), PASSPHRASE)).toContain("PRIVATE KEY");
  });

  it("a gateway whose certificate does not prove its address is refused", async () => {
    const gateway = { ...describedAs().gateway, provesAddress: false };
    expect(await refusal("windows", withPassword({ proposals: modest, gateway }))).toMatchObject({
      code: "handover/identity-not-checked",
      field: "gateway.identity",
    });
  });
});

describe("Android", () => {
  it("a profile of strongSwan's app", async () => {
    const { text } = await made("android", describedAs());
    const sswan = JSON.parse(text(".sswan"));
    expect(sswan).toEqual({
      uuid: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      name: "Acme VPN",
      type: "ikev2-cert",
      remote: {
        addr: "vpn.example.org",
        id: "fqdn:vpn.example.org",
        cert: Buffer.from(root.certificate.der).toString("base64"),
      },
      local: { id: "ann@example.org", p12: expect.any(String) },
      "ike-proposal": "aes256-aes128-sha256-prfsha256-ecp256-modp2048",
      "esp-proposal": "aes256-aes128-sha256-ecp256-modp2048",
      "split-tunneling": { subnets: ["10.1.0.0/16", "10.2.0.0/16"] },
      "dns-servers": ["10.1.0.53"],
    });
    const p12 = Buffer.from(sswan.local.p12, "base64");
    expect(opened(p12, PASSPHRASE, "-legacy")).toContain("PRIVATE KEY");
  });

  it("a certificate and a password", async () => {
    const { text, codes } = await made("android", describedAs({ authentication: "certificate-and-eap-mschapv2" }));
    expect(JSON.parse(text(".sswan"))).toMatchObject({ type: "ikev2-cert-eap", local: { eap_id: "ann@example.org" } });
    expect(codes).toContain("handover/password-asked");
  });
});

describe("NetworkManager", () => {
  /** Runs the script's lines that write files below `dir`. */
  function written(script: string): Map<string, string> {
    const files = [...script.matchAll(/^printf %s '([A-Za-z0-9+/=]*)' \| base64 -d > '([^']+)'$/gm)];
    return new Map(
      files.map(([, content, at]) => [
        path.basename(at as string),
        Buffer.from(content as string, "base64").toString(),
      ]),
    );
  }

  it("a connection and the files that it names, the key under the passphrase", async () => {
    const { text } = await made("network-manager", describedAs({ domains: ["corp.example"] }));
    const files = written(text(".sh"));
    const connection = [...files].find(([name]) => name.endsWith(".nmconnection"))?.[1] as string;
    expect(connection).toContain("id=Acme\\sVPN\n");
    expect(connection).toContain("method=cert\n");
    expect(connection).toContain("remote-ts=10.1.0.0/16;10.2.0.0/16\n");
    expect(connection).toContain("ike=aes256gcm16-prfsha384-x25519;aes256-aes128-sha256-prfsha256-ecp256-modp2048\n");
    expect(connection).toContain("never-default=true\ndns=10.1.0.53;\ndns-search=~corp.example;\n");
    const key = files.get("key.pem") as string;
    expect(key).toContain("BEGIN ENCRYPTED PRIVATE KEY");
    const args = ["pkey", "-passin", `pass:${PASSPHRASE}`, "-pubout"];
    expect(execFileSync("openssl", args, { input: key, encoding: "utf8" })).toContain("BEGIN PUBLIC KEY");
    execFileSync("sh", ["-n"], { input: text(".sh") });
  });
});

describe("RouterOS", () => {
  it("a script and the files that it imports", async () => {
    const { text, file } = await made("routeros", describedAs({ name: 'a "$[/user print]" b' }));
    const script = text(".rsc");
    expect(script).toContain("enc-algorithm=aes-256 hash-algorithm=sha256 dh-group=ecp256");
    expect(script).toContain("enc-algorithms=aes-256-cbc auth-algorithms=sha256 pfs-group=ecp256");
    expect(script).toContain('my-id="user-fqdn:ann@example.org" remote-id="fqdn:vpn.example.org"');
    expect(script).toContain(`[find fingerprint="${credential.certificate.fingerprint}"]`);
    expect(script).toContain('comment="a \\22\\24\\5B/user print\\5D\\22 b"');
    expect(script).not.toContain(PASSPHRASE);
    expect(opened(file(".p12"), PASSPHRASE, "-legacy")).toContain("PRIVATE KEY");
    expect(text("-ca.pem")).toContain("BEGIN CERTIFICATE");
  });
});

describe("what is refused", () => {
  it.each(["apple", "windows", "network-manager", "routeros"] as const)(
    "%s: a certificate and a password",
    async (device) => {
      const d = describedAs({ proposals: modest, authentication: "certificate-and-eap-mschapv2" });
      expect(await refusal(device, d)).toMatchObject({ code: "handover/no-such-authentication" });
    },
  );

  it.each(["apple", "windows", "android", "routeros"] as const)("%s: a key of Ed25519", async (device) => {
    const d = describedAs({
      ...{ proposals: modest, authentication: "eap-tls" },
      credential: await credentialOf("ed25519"),
    });
    expect(await refusal(device, d)).toMatchObject({ code: "handover/key-not-usable", value: "ed25519" });
  });

  it.each(["apple", "windows", "android", "routeros"] as const)("%s: proposals that it cannot do", async (device) => {
    const proposals = { ike: ["chacha20poly1305-prfsha256-x448"], esp: modest.esp };
    expect(await refusal(device, describedAs({ proposals, authentication: "eap-tls" }))).toMatchObject({
      code: "handover/no-common-proposal",
      field: "proposals.ike",
      facts: { ours: "chacha20poly1305-prfsha256-x448" },
    });
  });

  const bad: [string, Partial<Description>][] = [
    ["a name with a line break", { name: "a\nb" }],
    ["a name with a half surrogate", { organization: "\ud800" }],
    ["no name", { name: "" }],
    ["a user name with blanks", { person: { name: "Ann", username: "a b@example.org" } }],
    ["an address that is none", { gateway: { ...describedAs().gateway, address: "a b" } }],
    ["a chain without a root", { gateway: { ...describedAs().gateway, authorities: [] } }],
    ["a domain with a quotation mark", { domains: ["corp'example"] }],
    [
      "an identity that is no name",
      { gateway: { ...describedAs().gateway, identity: { type: "fqdn", value: "a b" } } },
    ],
    [
      "an identity that is no address",
      { gateway: { ...describedAs().gateway, identity: { type: "address", value: "x" } } },
    ],
    ["a key identity", { gateway: { ...describedAs().gateway, identity: { type: "key-id", value: "x" } } }],
  ];
  it.each(bad)("%s", async (_, changes) => {
    for (const device of DEVICES) {
      expect(await refusal(device, describedAs(changes))).toMatchObject({ code: "handover/bad-description" });
    }
  });

  it("a certificate where none is wanted, and none where one is", async () => {
    const code = "handover/credential-mismatch";
    expect(await refusal("apple", describedAs({ credential: undefined }))).toMatchObject({ code });
    expect(await refusal("apple", withPassword({ credential }))).toMatchObject({ code });
  });
});

describe("all devices", () => {
  it("no file holds the key or its passphrase in clear", async () => {
    const key = Buffer.from(credential.privateKey);
    for (const device of DEVICES) {
      const authentication =
        authenticationFor(device, ["certificate", "eap-tls"], { certificate: true, password: false }) ?? "certificate";
      const { profile } = await made(device, describedAs({ proposals: modest, authentication }));
      for (const { content } of profile.files) {
        expect(Buffer.from(content).includes(key.subarray(-40))).toBe(false);
        expect(textOf(content)).not.toContain(PASSPHRASE);
        expect(textOf(content)).not.toContain(key.subarray(36, 66).toString("base64"));
      }
    }
  });

  it("whatever people and connections are called, scripts keep their lines", async () => {
    const text = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 40 })
      .filter((t) => t.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}\uFFFE\uFFFF]/u.test(t));
    const scripts = [
      ["windows", ".ps1"],
      ["routeros", ".rsc"],
      ["swanctl", ".conf"],
      ["network-manager", ".sh"],
    ] as const;
    for (const [device, end] of scripts) {
      const plain = (await made(device, withPassword({ proposals: modest }))).text(end).split("\n").length;
      await fc.assert(
        fc.asyncProperty(text, async (name) => {
          const d = withPassword({
            proposals: modest,
            name,
            organization: name,
            person: { name, username: "ann@example.org" },
          });
          expect((await made(device, d)).text(end).split("\n")).toHaveLength(plain);
        }),
        { numRuns: 30 },
      );
    }
  });
});

describe("the key and the CA alone", () => {
  it.each(["modern", "legacy"] as const)("%s", async (encryption) => {
    const { content } = await makePkcs12(describedAs(), encryption);
    const pem = opened(content, PASSPHRASE, ...(encryption === "legacy" ? ["-legacy"] : []));
    expect(pem.match(/BEGIN CERTIFICATE/g)).toHaveLength(3);
    await expect(makePkcs12(withPassword(), encryption)).rejects.toMatchObject({
      code: "handover/credential-mismatch",
    });
  });

  it("openssl reads the root", () => {
    const at = path.join(dir, "ca.pem");
    writeFileSync(at, caFile(describedAs()).content);
    const fingerprint = execFileSync("openssl", ["x509", "-in", at, "-noout", "-fingerprint", "-sha256"], {
      encoding: "utf8",
    });
    expect(fingerprint.replaceAll(":", "").toLowerCase()).toContain(root.certificate.fingerprint);
    expect(readFileSync(at, "utf8").match(/BEGIN/g)).toHaveLength(1);
  });
});

describe("the fingerprint", () => {
  const of = (changes: Partial<Description>) => fingerprintOf(describedAs(changes));
  const now = fingerprintOf(describedAs());
  const { gateway, proposals } = describedAs();

  it("changes with the gateway's name, its CAs and its proposals", () => {
    const changed = (changes: Partial<Description>) => {
      const then = of(changes);
      return (["gateway", "authorities", "proposals"] as const).filter((part) => then[part] !== now[part]);
    };
    expect(changed({ gateway: { ...gateway, address: "vpn2.example.org" } })).toEqual(["gateway"]);
    expect(changed({ gateway: { ...gateway, identity: { type: "fqdn", value: "x.example.org" } } })).toEqual([
      "gateway",
    ]);
    expect(changed({ gateway: { ...gateway, authorities: [root.certificate] } })).toEqual(["authorities"]);
    expect(changed({ proposals: { ...proposals, esp: ["aes128gcm16"] } })).toEqual(["proposals"]);
  });

  it("does not change with what the gateway tells by itself, or with how a proposal is written", () => {
    expect(of({ networks: [Prefix.parse("10.3.0.0/16")], name: "other" })).toEqual(now);
    const ike = ["AES256GCM128-prfsha384-curve25519", "aes256-aes128-sha256-ecp256-modp2048!"];
    expect(of({ proposals: { ...proposals, ike } })).toEqual(now);
  });
});
