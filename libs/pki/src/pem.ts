import { createHash } from "node:crypto";
import { malformed } from "./der.js";

/** DER in a PEM block (RFC 7468). */
export function toPem(label: "CERTIFICATE" | "CERTIFICATE REQUEST", der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** Every certificate of a PEM text, in order. @throws pki/malformed when there is none */
export function certificatesFromPem(text: string, field = "pem"): Uint8Array[] {
  const blocks = [...text.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----/g)];
  if (blocks.length === 0) throw malformed(field, "no PEM block of a certificate");
  return blocks.map(([, body]) => Uint8Array.from(Buffer.from(body as string, "base64")));
}

/** What tokens pin: SHA-256 over the SubjectPublicKeyInfo, so that a CA may renew its certificate without breaking them. */
export function pinOf(spki: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash("sha256").update(spki).digest());
}
