import type { GatewayIntent } from "@sallyport/intent";
import { readCertificate } from "@sallyport/pki";
import { createAuthority } from "@sallyport/testkit";
import { keyName } from "../certify/index.js";
import { namedKeys } from "./remote-commands.js";

it("knows the keys of all certificates that an intent brings: the gateway's, and those of its connections", async () => {
  const root = await createAuthority("root", "ecdsa");
  const [own, vpn, kept] = await Promise.all(["own", "vpn", "kept"].map((name) => root.issue(name, "ecdsa")));
  if (!own || !vpn || !kept) throw new Error("three certificates");
  const brought = ({ der, fingerprint }: typeof own) => ({
    ...{ fingerprint, intermediates: [] },
    leaf: der.toString("base64"),
  });
  const local = { method: "certificate", certificates: [brought(vpn), { ...brought(kept), leaf: undefined }] };
  const intent = {
    certificate: brought(own),
    connections: [{ local: { method: "psk" }, localRounds: [local] }],
  } as unknown as GatewayIntent;
  const names = [own, vpn].map(({ der }) => keyName(readCertificate(der).spki));
  expect([...namedKeys(intent)].toSorted()).toEqual(names.toSorted());
  expect(namedKeys(undefined).size).toBe(0);
});
