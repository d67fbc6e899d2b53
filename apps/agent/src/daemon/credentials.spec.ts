import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { GatewayIntent } from "@sallyport/intent";
import { readCertificate } from "@sallyport/pki";
import { createAuthority } from "@sallyport/testkit";
import pino from "pino";
import { Credentials } from "./credentials.js";
import { Revocation } from "./revocation.js";

it("has the certificate that is named, with the intermediates beside it or those of its file; without a name the newest", async () => {
  const root = await createAuthority("root", "ecdsa");
  const upper = await root.subordinate("upper", "ecdsa");
  const other = await root.subordinate("other", "ecdsa");
  const [newest, older] = [await upper.issue("new.example", "ecdsa"), await upper.issue("old.example", "ecdsa")];
  const credentials = new Credentials();
  credentials.load(
    [newest, older].map(({ certificate, privateKey }) => ({
      privateKey,
      certificates: `${certificate}\n${upper.certificate}`,
    })),
  );
  const chainOf = (certificate?: GatewayIntent["certificate"]) =>
    credentials.credential(certificate)?.chain.map((der) => Buffer.from(der).toString("base64"));
  const base64 = (...ders: Buffer[]) => ders.map((der) => der.toString("base64"));
  expect(chainOf()).toEqual(base64(newest.der, upper.der));
  expect(chainOf({ fingerprint: older.fingerprint, intermediates: [] })).toEqual(base64(older.der, upper.der));
  expect(chainOf({ fingerprint: older.fingerprint, intermediates: base64(other.der) })).toEqual(
    base64(older.der, other.der),
  );
  expect(chainOf({ fingerprint: "00", intermediates: base64(other.der) })).toBeUndefined();
});

it("takes a certificate that comes with the intent when the key was made here, and keeps the one before for who needs it still", async () => {
  const root = await createAuthority("root", "ecdsa");
  const upper = await root.subordinate("upper", "ecdsa");
  const [own, brought, next, strange] = await Promise.all(
    ["own", "vpn", "vpn", "strange"].map((name) => upper.issue(`${name}.example`, "ecdsa")),
  );
  const made = [brought, next].map((c) => ({
    key: createPrivateKey(c?.privateKey ?? ""),
    spki: readCertificate(c?.der ?? Buffer.alloc(0)).spki,
  }));
  const find = (spki: Uint8Array) => made.find((m) => Buffer.compare(m.spki, spki) === 0)?.key;
  const credentials = new Credentials(undefined, { find });
  credentials.load([{ privateKey: own?.privateKey ?? "", certificates: own?.certificate ?? "" }]);
  const named = (c = brought) => ({
    fingerprint: c?.fingerprint ?? "",
    intermediates: [upper.der.toString("base64")],
    leaf: c?.der.toString("base64") ?? "",
  });
  const first = credentials.credential(named());
  expect(first?.chain.map((der) => Buffer.from(der))).toEqual([brought?.der, upper.der]);
  expect(first?.subject).toEqual({ type: "fqdn", name: "vpn.example" });
  expect(credentials.privateKey(first?.key ?? "")).toBe(made[0]?.key);
  expect(credentials.credential(named(next))?.key).toBe(next?.fingerprint);
  expect(credentials.privateKey(first?.key ?? "")).toBe(made[0]?.key);
  expect(credentials.credential(named(strange))).toBeUndefined();
  expect(credentials.credential({ ...named(), fingerprint: own?.fingerprint ?? "", leaf: undefined })?.key).toBe(
    own?.fingerprint,
  );
  expect(credentials.credential({ ...named(), fingerprint: "00".repeat(32) })).toBeUndefined();
  expect(credentials.certificates().map((c) => c.fingerprint)).toEqual([own, brought, next].map((c) => c?.fingerprint));
});

it("knows which authorities are above a certificate, and what that says by itself", async () => {
  const root = await createAuthority("root", "ecdsa");
  const upper = await root.subordinate("upper", "ecdsa");
  const own = await upper.issue("own.example", "ecdsa");
  const credentials = new Credentials();
  credentials.load([{ privateKey: own.privateKey, certificates: `${own.certificate}\n${upper.certificate}` }]);
  const hashes = () => credentials.credential(undefined)?.authorities.map((h) => Buffer.from(h).toString("hex"));
  const hashOf = (pem: string) =>
    createHash("sha1")
      .update(new X509Certificate(pem).publicKey.export({ type: "spki", format: "der" }))
      .digest("hex");
  expect(hashes()).toEqual([hashOf(upper.certificate)]);
  const trustAnchors = [{ id: "root", der: root.der.toString("base64") }];
  credentials.useAnchors({ trustAnchors } as unknown as GatewayIntent);
  expect(hashes()).toEqual([upper, root].map((a) => hashOf(a.certificate)));
  expect(credentials.credential(undefined)?.subject).toEqual({ type: "fqdn", name: "own.example" });
});

it("asks nobody about a chain that is not verified, whatever places it names (hostile input 13)", async () => {
  const url = new URL("../../../../libs/pki/src/vectors/openssl-revocation.json", import.meta.url);
  const vectors: Record<string, string> = JSON.parse(readFileSync(url, "utf8"));
  const der = (name: string) => Buffer.from(vectors[name] ?? "", "base64");
  const asked: string[] = [];
  const fetch = async ({ uri }: { uri: string }) => {
    asked.push(uri);
    return new Uint8Array(0);
  };
  const clock = { now: () => 0, wall: () => Date.parse("2026-11-25T00:00:00Z") };
  const log = pino({ level: "silent" });
  const credentials = new Credentials(new Revocation({ fetch, clock, log, onNews: () => undefined }));
  const job = {
    kind: "verify",
    auth: { method: 14, data: new Uint8Array(1) },
    octets: new Uint8Array(1),
    certificates: [der("good"), der("ca")],
    pinned: undefined,
    signatures: undefined,
    peer: { type: "fqdn", name: "good.example" },
    identity: { match: "any" },
  } as const;
  const trusting = async (id: string, anchor: Buffer) => {
    const anchors = [{ id, der: anchor.toString("base64"), revocation: "relaxed" }];
    credentials.useAnchors({ trustAnchors: anchors } as unknown as GatewayIntent);
    await credentials.learn({ ...job, trust: [{ ref: id, keyHash: new Uint8Array(20) }] }).catch(() => undefined);
  };
  const stranger = await createAuthority("stranger", "ecdsa");
  await trusting("stranger", stranger.der);
  expect(asked).toEqual([]);
  await trusting("ca", der("ca"));
  expect(asked).toEqual(["http://ocsp.example/", "http://crl.example/ca.crl"]);
});
