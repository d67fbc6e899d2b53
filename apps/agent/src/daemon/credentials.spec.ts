import { createHash, X509Certificate } from "node:crypto";
import type { GatewayIntent } from "@sallyport/intent";
import { createAuthority } from "@sallyport/testkit";
import { Credentials } from "./credentials.js";

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
