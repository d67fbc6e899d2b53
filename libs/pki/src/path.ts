import type { Fault } from "@sallyport/base";
import { type Certificate, KEY_USAGE } from "./certificate.js";
import { violates } from "./constraints.js";
import { EXTENDED_KEY_USAGE } from "./extensions.js";
import { fault } from "./faults.js";
import { sameName } from "./names.js";
import { verifySignature } from "./signature.js";

/** What a certificate is wanted for. */
export type Usage = "ike" | "tls-client" | "tls-server";

/** Certificates in a path, anchor included, and signatures that one search may check: what a hostile bundle can cost. */
const MAX_PATH = 8;
const MAX_SIGNATURES = 24;

const ANY_USAGE = "2.5.29.37.0";
const { serverAuth, clientAuth, ipsecIke, ikeIntermediate } = EXTENDED_KEY_USAGE;

const PURPOSES: Readonly<Record<Usage, readonly string[]>> = {
  ike: [ANY_USAGE, ipsecIke, ikeIntermediate, serverAuth, clientAuth],
  "tls-client": [ANY_USAGE, clientAuth],
  "tls-server": [ANY_USAGE, serverAuth],
};

function forbidden(field: string, why: string): Fault {
  return fault("pki/forbidden-use", `${field}: ${why}`, { field });
}

/** What is wrong with one certificate at `now`, wherever it stands. */
function faultOf(c: Certificate, field: string, usage: Usage, now: number): Fault | undefined {
  if (c.unhandledCritical.length > 0) {
    return forbidden(field, `a critical extension that is not understood: ${c.unhandledCritical.join(", ")}`);
  }
  if (now < c.notBefore) {
    const value = new Date(c.notBefore).toISOString();
    return fault("pki/not-yet-valid", `${field}: valid from ${value}`, { field, value });
  }
  if (now > c.notAfter) {
    const value = new Date(c.notAfter).toISOString();
    return fault("pki/expired", `${field}: expired at ${value}`, { field, value });
  }
  if (c.extendedKeyUsage && !c.extendedKeyUsage.some((p) => PURPOSES[usage].includes(p))) {
    return forbidden(field, `extended key usage allows ${c.extendedKeyUsage.join(", ")}, not ${usage}`);
  }
  return undefined;
}

function faultOfLeaf(c: Certificate, usage: Usage, now: number): Fault | undefined {
  const bits = c.keyUsage;
  if (bits && !bits.has(KEY_USAGE.digitalSignature) && !(usage === "ike" && bits.has(KEY_USAGE.nonRepudiation))) {
    return forbidden("leaf.keyUsage", "no digitalSignature");
  }
  return faultOf(c, "leaf", usage, now);
}

/** For a certificate that is known by itself. @throws pki/expired, not-yet-valid, forbidden-use */
export function requireUsable(certificate: Certificate, usage: Usage, now: number): void {
  const found = faultOfLeaf(certificate, usage, now);
  if (found) throw found;
}

/** What forbids `ca` to stand above `below` (leaf first). */
function faultOfIssuer(ca: Certificate, below: readonly Certificate[], usage: Usage, now: number): Fault | undefined {
  if (!ca.ca) return forbidden("issuer.basicConstraints", `${ca.subject.text} is not a CA`);
  if (ca.keyUsage && !ca.keyUsage.has(KEY_USAGE.keyCertSign)) {
    return forbidden("issuer.keyUsage", `${ca.subject.text} may not sign certificates`);
  }
  // Self-issued certificates do not count (RFC 5280 §4.2.1.9).
  const between = below.slice(1).filter((c) => !sameName(c.subject, c.issuer)).length;
  if (ca.pathLength !== undefined && between > ca.pathLength) {
    return forbidden(
      "issuer.basicConstraints",
      `${ca.subject.text} allows ${ca.pathLength} CAs below it, not ${between}`,
    );
  }
  for (const c of ca.nameConstraints ? below : []) {
    const why = ca.nameConstraints && violates(ca.nameConstraints, c.names, c.subject);
    if (why !== undefined) return forbidden("issuer.nameConstraints", `${ca.subject.text}: ${why}`);
  }
  return faultOf(ca, "issuer", usage, now);
}

const RANK = ["pki/forbidden-use", "pki/expired", "pki/not-yet-valid", "pki/bad-signature"];

/**
 * Finds a path from `leaf` to an anchor, depth first, and gives it leaf first, anchor last. An anchor's own signature is not
 * looked at; a leaf that is itself an anchor is trusted as it stands.
 * @throws pki/untrusted, or what forbade the one path that there was
 */
export function findPath(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  anchors: readonly Certificate[],
  usage: Usage,
  now: number,
): readonly Certificate[] {
  const failures: Fault[] = [];
  let signatures = 0;
  const isAnchor = (c: Certificate) => anchors.some((a) => a.fingerprint === c.fingerprint);

  function climb(path: readonly Certificate[]): readonly Certificate[] | undefined {
    const top = path.at(-1) as Certificate;
    if (isAnchor(top)) return path;
    if (path.length === MAX_PATH) {
      failures.push(forbidden("intermediates", `a path of more than ${MAX_PATH} certificates`));
      return undefined;
    }
    for (const issuer of [...anchors, ...intermediates]) {
      if (!mayHaveIssued(issuer, top) || path.some((c) => c.fingerprint === issuer.fingerprint)) continue;
      const wrong = faultOfIssuer(issuer, path, usage, now);
      if (wrong !== undefined) {
        failures.push(wrong);
        continue;
      }
      if (++signatures > MAX_SIGNATURES) return undefined;
      if (!verifySignature(top.scheme, top.tbs, issuer, top.signature)) {
        const text = `${top.subject.text} is not signed by ${issuer.subject.text}`;
        failures.push(fault("pki/bad-signature", text, { field: path.length === 1 ? "leaf" : "issuer" }));
        continue;
      }
      const found = climb([...path, issuer]);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  const wrong = faultOfLeaf(leaf, usage, now);
  if (wrong !== undefined) throw wrong;
  const found = climb([leaf]);
  if (found !== undefined) return found;
  const told = RANK.map((code) => failures.find((f) => f.code === code)).find((f) => f !== undefined);
  if (told !== undefined) throw told;
  throw fault("pki/untrusted", `no path from ${leaf.subject.text} to a trust anchor`, {
    field: "leaf",
    facts: {
      ours: anchors
        .map((a) => a.subject.text)
        .join("; ")
        .slice(0, 1024),
      theirs: [leaf, ...intermediates]
        .map((c) => c.issuer.text)
        .join("; ")
        .slice(0, 1024),
    },
  });
}

function mayHaveIssued(issuer: Certificate, c: Certificate): boolean {
  const ids = issuer.subjectKeyId !== undefined && c.authorityKeyId !== undefined;
  return sameName(issuer.subject, c.issuer) && (!ids || issuer.subjectKeyId === c.authorityKeyId);
}
