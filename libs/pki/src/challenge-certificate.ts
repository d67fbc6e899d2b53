import { createHash } from "node:crypto";
import { buildCertificate } from "./builder.js";
import { generateKeys } from "./keys.js";
import { MemoryKeyStore } from "./keystore.js";
import { toPem } from "./pem.js";

const BEFORE_MS = 3_600_000;
const LIFE_MS = 86_400_000;

/** What a TLS server shows to answer a tls-alpn-01 challenge for a name (RFC 8737 §3): signed by its own key, PEM. Good for nothing else. */
export async function challengeCertificate(
  name: string,
  keyAuthorization: string,
  now: number,
): Promise<{ readonly key: string; readonly certificate: string }> {
  const { privateKey } = await generateKeys("ecdsa-p256");
  const store = new MemoryKeyStore();
  const handle = await store.import(privateKey.export({ format: "der", type: "pkcs8" }));
  const { der } = await buildCertificate(store, handle, {
    subject: [["CN", "challenge"]],
    spki: handle.spki,
    notBefore: now - BEFORE_MS,
    notAfter: now + LIFE_MS,
    names: [{ type: "dns", value: name }],
    acmeIdentifier: createHash("sha256").update(keyAuthorization).digest(),
  });
  return { key: privateKey.export({ format: "pem", type: "pkcs8" }) as string, certificate: toPem("CERTIFICATE", der) };
}
