/** Issuing a certificate against the bare signature with the issuer's key: `node bench/issuing/main.ts`. */
import {
  authoritySubject,
  certifyAuthority,
  EXTENDED_KEY_USAGE,
  generateKeys,
  issueLeaf,
  spkiOf,
} from "@sallyport/pki";
import { type Case, KINDS, report, signer } from "../pki/paired.ts";

const now = Date.now();
const YEAR = 365 * 86_400_000;
/** Octets of what is signed in such a certificate. */
const SIGNED = 700;
const places = {
  crl: "http://pki.example.org/pki/crl/0190a1b2-0000-7000-8000-000000000000",
  ocsp: "http://pki.example.org/pki/ocsp/0190a1b2-0000-7000-8000-000000000000",
  issuer: "http://pki.example.org/pki/ca/0190a1b2-0000-7000-8000-000000000000",
};
const spki = spkiOf((await generateKeys()).publicKey);
const subject = authoritySubject({ commonName: "Issuing CA", organization: "Acme" });
const { clientAuth, ikeIntermediate } = EXTENDED_KEY_USAGE;

const cases: Case[] = [];
for (const kind of KINDS) {
  const { store, key, bare } = await signer(kind, SIGNED);
  const authority = await certifyAuthority(store, key, undefined, {
    subject,
    now,
    notAfter: now + YEAR,
    pathLength: 0,
  });
  const whole = () =>
    issueLeaf(store, authority, {
      subject: [
        ["O", "Acme"],
        ["CN", "alice@example.org"],
      ],
      spki,
      now,
      notAfter: now + YEAR / 4,
      extendedKeyUsage: [clientAuth, ikeIntermediate],
      names: [{ type: "email", value: "alice@example.org" }],
      places,
    });
  cases.push({ label: `issue, CA with ${kind}`, kind, bare, whole });
}
await report("issuing", cases, [
  "A certificate for a given P-256 key with subjectAltName, extended key usage, CRL distribution point and authority information access: serial number, encoding, signature. Neither the check of a request nor the database is in it.",
]);
