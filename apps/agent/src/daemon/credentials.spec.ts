import type { GatewayIntent } from "@sallyport/intent";
import { createAuthority } from "@sallyport/testkit";
import { Credentials } from "./credentials.js";

const intent = (certificate?: GatewayIntent["certificate"]) =>
  ({ certificate, trustAnchors: [] }) as unknown as GatewayIntent;

it("shows the certificate that the intent names, with its intermediates, else the newest with those of its file", async () => {
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
    credentials.credentialFor(intent(certificate))?.chain.map((der) => Buffer.from(der).toString("base64"));
  const base64 = (...ders: Buffer[]) => ders.map((der) => der.toString("base64"));
  expect(chainOf()).toEqual(base64(newest.der, upper.der));
  expect(chainOf({ fingerprint: older.fingerprint, intermediates: [] })).toEqual(base64(older.der, upper.der));
  expect(chainOf({ fingerprint: older.fingerprint, intermediates: base64(other.der) })).toEqual(
    base64(older.der, other.der),
  );
  expect(chainOf({ fingerprint: "00", intermediates: base64(other.der) })).toEqual(base64(newest.der, upper.der));
});
