import { createHash } from "node:crypto";
import { malformed } from "./der.js";

/** DER in a PEM block (RFC 7468). */
export function toPem(label: "CERTIFICATE" | "CERTIFICATE REQUEST" | "X509 CRL", der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

function blocks(label: string, text: string): Uint8Array[] {
  const found = text.matchAll(new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+?)-----END ${label}-----`, "g"));
  return [...found].map(([, body]) => Uint8Array.from(Buffer.from(body as string, "base64")));
}

/** Every certificate of a PEM text, in order. @throws pki/malformed when there is none */
export function certificatesFromPem(text: string, field = "pem"): Uint8Array[] {
  const found = blocks("CERTIFICATE", text);
  if (found.length === 0) throw malformed(field, "no PEM block of a certificate");
  return found;
}

/** The one certificate request of a PEM text, by either of its labels. @throws pki/malformed */
export function requestFromPem(text: string, field = "csr"): Uint8Array {
  const [request, ...more] = blocks("(?:NEW )?CERTIFICATE REQUEST", text);
  if (request === undefined || more.length > 0) throw malformed(field, "one PEM block of a certificate request wanted");
  return request;
}

/** What tokens pin: SHA-256 over the SubjectPublicKeyInfo, so that a CA may renew its certificate without breaking them. */
export function pinOf(spki: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash("sha256").update(spki).digest());
}
