import { timingSafeEqual } from "node:crypto";
import { type Certificate, readCertificate } from "./certificate.js";
import { fault } from "./faults.js";
import { requireIdentity } from "./identity.js";
import { pinOf } from "./pem.js";
import { ChainVerifier, TrustAnchors } from "./verify.js";

/** Certificates of a handshake that are looked at. */
const MAX_CHAIN = 8;

/**
 * Finds the root that `pin` names in the chain that a server sent (DER, leaf first), and checks that it vouches for the server's
 * certificate and that this is `name`'s. Gives the root, which is what to trust from then on.
 * @throws pki/pin-mismatch, and what `ChainVerifier.verify` throws
 */
export function verifyPinned(chain: readonly Uint8Array[], pin: Uint8Array, name: string, now: number): Certificate {
  const [leaf, ...above] = chain.slice(0, MAX_CHAIN);
  const root = above.map((der, i) => readCertificate(der, `chain[${i + 1}]`)).find((c) => isPinned(c, pin));
  if (leaf === undefined || root === undefined) {
    throw fault("pki/pin-mismatch", "the server's certificates lead to another CA than the one that is pinned", {
      field: "caPin",
      expected: Buffer.from(pin).toString("hex"),
      facts: { theirs: above.map((der) => Buffer.from(pinOf(readCertificate(der).spki)).toString("hex")).join(", ") },
    });
  }
  const anchors = TrustAnchors.of([root.der]);
  const verified = new ChainVerifier({ cacheSize: 0 }).verify({
    leaf,
    intermediates: above,
    anchors,
    now,
    usage: "tls-server",
  });
  requireIdentity(verified.leaf, { type: "fqdn", name });
  return root;
}

function isPinned(certificate: Certificate, pin: Uint8Array): boolean {
  const own = pinOf(certificate.spki);
  return own.length === pin.length && timingSafeEqual(own, pin);
}
