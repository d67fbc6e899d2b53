import { createPrivateKey } from "node:crypto";
import { readCertificate, toPem } from "@sallyport/pki";
import { createAuthority } from "@sallyport/testkit";
import type { Enrolment } from "../store/index.js";
import { withControl } from "./renew.js";

it("takes a control channel's certificate whose key was made here, once, and no other", async () => {
  const root = await createAuthority("root", "ecdsa");
  const [old, made, strange] = await Promise.all(["old", "made", "strange"].map((n) => root.issue(n, "ecdsa")));
  if (!old || !made || !strange) throw new Error("three certificates");
  const pair = ({ privateKey, certificate }: typeof old) => ({ privateKey, certificates: certificate });
  const enrolment: Enrolment = {
    ...{ format: 1, gatewayId: "g", gatewayName: "G", identity: "g.example", urls: ["https://cp.example"] },
    ...{ controlCa: root.certificate, control: pair(old), identities: [pair(old)] },
  };
  const privateKey = createPrivateKey(made.privateKey);
  const wanted = readCertificate(made.der).spki;
  const keys = { find: (spki: Uint8Array) => (Buffer.compare(spki, wanted) === 0 ? privateKey : undefined) };
  const changed = withControl(enrolment, [made.der, root.der], keys);
  expect(changed).toEqual({
    ...enrolment,
    control: {
      privateKey: privateKey.export({ format: "pem", type: "pkcs8" }),
      certificates: [made.der, root.der].map((der) => toPem("CERTIFICATE", der)).join(""),
    },
  });
  expect(withControl(changed ?? enrolment, [made.der, root.der], keys)).toBeUndefined();
  expect(() => withControl(enrolment, [strange.der], keys)).toThrow("was not made here");
  expect(() => withControl(enrolment, [], keys)).toThrow();
});
