import { type Certificate, KEY_USAGE } from "./certificate.js";
import { violates } from "./constraints.js";
import { fault } from "./faults.js";
import { sameName } from "./names.js";
import { verifySignature } from "./signature.js";

/** Certificates of a CA and those above it that are looked at. */
const MAX_CHAIN = 8;

const refuse = (code: "pki/forbidden-use" | "pki/untrusted" | "pki/expired", i: number, why: string) =>
  fault(code, `certificates[${i}]: ${why}`, { field: `certificates[${i}]` });

/**
 * Judges a CA that was issued elsewhere: its own certificate first, each next one the issuer of the one before, a self-signed root last.
 * @throws pki/untrusted, pki/expired, pki/forbidden-use, pki/bad-signature
 */
export function requireAuthorityChain(chain: readonly Certificate[], now: number): void {
  if (chain.length === 0 || chain.length > MAX_CHAIN) throw refuse("pki/untrusted", 0, `1 to ${MAX_CHAIN} wanted`);
  chain.forEach((certificate, i) => {
    requireAuthority(certificate, i, now);
    const issuer = chain[i + 1] ?? certificate;
    if (!sameName(certificate.issuer, issuer.subject)) {
      const last = i === chain.length - 1;
      throw refuse(
        "pki/untrusted",
        i,
        last ? `${certificate.issuer.text} is missing` : "the next one did not issue it",
      );
    }
    if (issuer.pathLength !== undefined && issuer !== certificate && i > issuer.pathLength) {
      throw refuse("pki/forbidden-use", i, `${issuer.subject.text} allows ${issuer.pathLength} CAs below it`);
    }
    for (const above of chain.slice(i + 1)) {
      const why = above.nameConstraints && violates(above.nameConstraints, certificate.names, certificate.subject);
      if (why !== undefined) throw refuse("pki/forbidden-use", i, `${above.subject.text}: ${why}`);
    }
    if (!verifySignature(certificate.scheme, certificate.tbs, issuer, certificate.signature)) {
      const text = `certificates[${i}] is not signed by ${issuer.subject.text}`;
      throw fault("pki/bad-signature", text, { field: `certificates[${i}]` });
    }
  });
}

function requireAuthority(certificate: Certificate, i: number, now: number): void {
  const { ca, keyUsage, unhandledCritical, notAfter, notBefore } = certificate;
  if (!ca) throw refuse("pki/forbidden-use", i, "not a CA");
  if (keyUsage && !(keyUsage.has(KEY_USAGE.keyCertSign) && keyUsage.has(KEY_USAGE.crlSign))) {
    throw refuse("pki/forbidden-use", i, "may not sign certificates and lists");
  }
  if (unhandledCritical.length > 0) throw refuse("pki/forbidden-use", i, `critical: ${unhandledCritical.join(", ")}`);
  if (now < notBefore || now > notAfter) throw refuse("pki/expired", i, "not valid now");
}
