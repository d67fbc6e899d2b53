import { AGENT, CRYPTO, type HostileClass, PKI, SIM, V2 } from "../guard.ts";

const SIGNATURE = `${CRYPTO}/signature.spec.ts`;
const VERIFY = `${PKI}/verify.spec.ts`;
const KEYS = `${PKI}/keys.spec.ts`;
const CONSTRAINTS = `${PKI}/constraints.spec.ts`;
const CERTIFICATE = `${PKI}/certificate.spec.ts`;
const REVOCATION = `${PKI}/revocation.spec.ts`;
const FETCH = `${AGENT}/web-fetch.spec.ts`;
const DEGENERATE = "refuses %s before it looks at the signature";

/** Keys, certificates, revocation, signatures. */
export const CERTIFICATES: readonly HostileClass[] = [
  {
    number: 10,
    about: "RSA keys and signatures that only look like some",
    cves: ["2017-9022", "2017-11185", "2018-17540"],
    guards: [
      {
        against: "exponents that are even, 1 or huge",
        file: `${CRYPTO}/signature.ts`,
        text: "if (exponent < 3n || !odd || exponent >> BigInt(MAX_RSA_EXPONENT_BITS) !== 0n) {",
        without: "if (false) {",
        test: [SIGNATURE, DEGENERATE],
      },
      {
        against: "moduli too small or too large",
        file: `${CRYPTO}/signature.ts`,
        text: "if (bits < min || bits > MAX_RSA_BITS) throw",
        without: "if (false) throw",
        test: [SIGNATURE, DEGENERATE],
      },
      {
        against: "even moduli",
        file: `${CRYPTO}/signature.ts`,
        text: 'if (((modulus.at(-1) ?? 0) & 1) === 0) throw unsuitable("RSA modulus", "even", "odd");',
        without: "",
        test: [SIGNATURE, DEGENERATE],
      },
      {
        against: "certificates with a modulus that has small factors, or another of these keys",
        file: `${PKI}/keys.ts`,
        text: "checkRsa(octets, field);",
        without: "",
        test: [KEYS, "%s, is refused"],
      },
      {
        against: "points of small order in Edwards keys",
        file: `${PKI}/keys.ts`,
        text: 'if (SMALL_ORDER_25519.has(text) || SMALL_ORDER_448.has(text)) throw weak(field, "a point of small order");',
        without: "",
        test: [KEYS, "%s, is refused"],
      },
    ],
  },
  {
    number: 11,
    about: "X.509 that two readers read in two ways; parameters of signatures",
    cves: ["2017-9023", "2018-6459", "2021-41990"],
    guards: [
      {
        against: "BER that is not DER",
        file: `${PKI}/der.ts`,
        text: "requireDer(decoded.result, field);",
        without: "",
        test: [CERTIFICATE, "in BER that is not DER is refused, which other readers may take for something else"],
      },
      {
        against: "octets after the end",
        file: `${PKI}/der.ts`,
        text: 'if (decoded.offset !== bytes.length) throw malformed(field, "octets after the end");',
        without: "",
        test: [`${PKI}/pki.spec.ts`, "refuse what is too large before looking at it, and trailing octets"],
      },
      {
        against: "certificates of any size",
        file: `${PKI}/certificate.ts`,
        text: "if (der.length > MAX_CERTIFICATE_BYTES) throw",
        without: "if (false) throw",
        test: [CERTIFICATE, "that is too large is not looked at"],
      },
      {
        against: "a signature algorithm outside that is not the one inside",
        file: `${PKI}/certificate.ts`,
        text: "if (inner === undefined || Buffer.compare(raw(inner), raw(outer)) !== 0) {",
        without: "if (inner === undefined) {",
        test: [CERTIFICATE, "that names another signature algorithm outside than inside is refused"],
      },
      {
        against: "odd parameters of RSASSA-PSS",
        file: `${PKI}/signature.ts`,
        text: "saltLength !== HASH_BYTES[hash] ||",
        without: "",
        test: [`${PKI}/signature.spec.ts`, "with %s are refused"],
      },
      {
        against: "curves given by their parameters",
        file: `${PKI}/keys.ts`,
        text: "const curve = parameters.idBlock.tagNumber === 6 ? CURVES[oid(parameters, field)] : undefined;",
        without: 'const curve = CURVES["1.2.840.10045.3.1.7"];',
        test: [KEYS, "and curves that are given by their parameters are refused"],
      },
      {
        against: "critical extensions that nobody understands",
        file: `${PKI}/path.ts`,
        text: "if (c.unhandledCritical.length > 0) {",
        without: "if (false) {",
        test: [CONSTRAINTS, "and other critical extensions that nothing here understands refuse the chain"],
      },
      {
        against: "an issuer that is no CA",
        file: `${PKI}/path.ts`,
        text: "if (!ca.ca) return forbidden(",
        without: "if (false) return forbidden(",
        test: [
          VERIFY,
          "through a certificate that is no CA, or may not sign, or has too many CAs below it, is refused",
        ],
      },
    ],
  },
  {
    number: 12,
    about: "Name constraints that are not looked at; caches that a peer fills or poisons",
    cves: ["2021-41991"],
    guards: [
      {
        against: "names outside the constraints of a CA",
        file: `${PKI}/path.ts`,
        text: "for (const c of ca.nameConstraints ? below : []) {",
        without: "for (const c of [] as Certificate[]) {",
        test: [CONSTRAINTS, "%s: %s"],
      },
      {
        against: "a form of name that a constraint names and nobody knows",
        file: `${PKI}/constraints.ts`,
        text: "if (unknown || ",
        without: "if (",
        test: [CONSTRAINTS, "refuses every certificate with such a name (%s)"],
      },
      {
        against: "a bundle of look-alikes that costs any number of signatures",
        file: `${PKI}/path.ts`,
        text: "if (++signatures > MAX_SIGNATURES) return undefined;",
        without: "",
        test: [VERIFY, "costs so also when the look-alikes have signed each other"],
      },
      {
        against: "a cache that grows",
        file: `${PKI}/verify.ts`,
        text: "if (cache.size > size) cache.delete(cache.keys().next().value as string);",
        without: "",
        test: [VERIFY, "keeps no more than its size, and nothing that was refused"],
      },
      {
        against: "a chain that is remembered for other anchors",
        file: `${PKI}/verify.ts`,
        text: "request.anchors.id}`",
        without: "0}`",
        test: [VERIFY, "answers without the intermediates, for the same anchors and use only"],
      },
      {
        against: "a remembered chain whose certificate was revoked meanwhile",
        file: `${PKI}/verify.ts`,
        text: "this.#refuseRevoked(chain);",
        without: "",
        test: [VERIFY, "does not outlive the certificate, its revocation, or another identity"],
      },
      {
        against: "an older revocation list in the place of a newer one",
        file: `${PKI}/revocation.ts`,
        text: " || isOlder(crl, kept)",
        without: "",
        test: [REVOCATION, "does not let an older list take a revocation back"],
      },
    ],
  },
  {
    number: 13,
    about: "Places to fetch from that an untrusted certificate names",
    cves: ["2022-40617"],
    guards: [
      {
        against: "hash and URL: certificates that would have to be fetched",
        file: `${V2}/serve-auth.ts`,
        text: "const byUrl = refusesUrls(payloads);",
        without: "const byUrl = undefined;",
        test: [
          `${SIM}/behind-encryption.spec.ts`,
          "a certificate to be fetched (encoding %i) is refused, and fetched from nowhere (hostile input 13)",
        ],
      },
      {
        against: "fetching before the chain is verified",
        file: `${AGENT}/credentials.ts`,
        text: 'this.#chain(certificates, trust, "ike", undefined).path',
        without: "certificates.map((der) => readCertificate(der))",
        test: [
          `${AGENT}/credentials.spec.ts`,
          "asks nobody about a chain that is not verified, whatever places it names (hostile input 13)",
        ],
      },
      {
        against: "addresses of this machine and its link, in a redirect as well",
        file: `${AGENT}/web-fetch.ts`,
        text: "if (!mayReach(address.address)) throw",
        without: "if (false) throw",
        test: [FETCH, "asks no place on this machine, nor one that a redirect leads to"],
      },
      {
        against: "addresses of this machine's interfaces",
        file: `${AGENT}/web-fetch.ts`,
        text: "!own.includes(text) && ",
        without: "",
        test: [FETCH, "asks no address of this machine, whichever it is, nor where clouds keep a machine's secrets"],
      },
      {
        against: "name servers that never answer",
        file: `${AGENT}/web-fetch.ts`,
        text: 'signal.addEventListener("abort", () => reject(signal.reason), { once: true });',
        without: "",
        test: [FETCH, "does not wait for a name server without end (hostile input 27)"],
      },
      {
        against: "other schemes than http",
        file: `${AGENT}/web-fetch.ts`,
        text: 'if (url.protocol !== "http:" || url.username !== "") throw',
        without: "if (false) throw",
        test: [FETCH, "of %s ends: %s"],
      },
      {
        against: "bodies without end",
        file: `${AGENT}/web-fetch.ts`,
        text: "if (size > limits.bytes) response.destroy(",
        without: "if (false) response.destroy(",
        test: [FETCH, "of %s ends: %s"],
      },
      {
        against: "redirects without end",
        file: `${AGENT}/web-fetch.ts`,
        text: "if (left === 0) throw",
        without: "if (false) throw",
        test: [FETCH, "of %s ends: %s"],
      },
      {
        against: "servers that never answer",
        file: `${AGENT}/web-fetch.ts`,
        text: "        signal,\n",
        without: "",
        test: [FETCH, "of %s ends: %s"],
      },
      {
        against: "asking a place again and again",
        file: `${AGENT}/revocation.ts`,
        text: "if (asked && asked.notBefore > this.options.clock.now()) return asked.known;",
        without: "",
        test: [
          `${AGENT}/revocation.spec.ts`,
          "is asked for a place at a time, and not again before a minute, or half of its life, is over",
        ],
      },
    ],
  },
  {
    number: 14,
    about: "Signatures that are checked leniently or not at all",
    cves: ["2018-16151", "2018-16152", "2013-2944", "2004-0607"],
    guards: [
      {
        against: "a signature that does not verify",
        file: `${CRYPTO}/signature.ts`,
        text: "if (!valid) throw",
        without: "if (false) throw",
        test: [SIGNATURE, "refuses %s"],
      },
      {
        against: "an algorithm that is not the key's",
        file: `${CRYPTO}/signature.ts`,
        text: "if (!fits(kind, scheme))\n    throw refused(",
        without: "if (false)\n    throw refused(",
        test: [SIGNATURE, "refuses the method of one curve by a key of another"],
      },
      {
        against: "SHA-1 where nobody asked for it",
        file: `${CRYPTO}/signature.ts`,
        text: 'if (scheme.hash === "sha1" && !(policy.allowSha1 ?? classic)) throw',
        without: "if (false) throw",
        test: [SIGNATURE, "takes SHA-1 in method 14 only when told to"],
      },
      {
        against: "signatures that the configuration does not take",
        file: `${CRYPTO}/signature.ts`,
        text: "if (accepted && !(name && accepted.includes(name)))",
        without: "if (false)",
        test: [
          `${SIM}/identities.spec.ts`,
          "a signature of ours that the peer does not take is refused by it, with both",
        ],
      },
      {
        against: "certificates whose signature is not the issuer's",
        file: `${PKI}/path.ts`,
        text: "if (!verifySignature(top.scheme, top.tbs, issuer, top.signature)) {",
        without: "if (false) {",
        test: [VERIFY, "of another CA with the same names is refused"],
      },
      {
        against: "a certificate's signature by an algorithm of another kind of key",
        file: `${PKI}/signature.ts`,
        text: "if (!FAMILY[signer.kind].includes(scheme.with)) return false;",
        without: "",
        test: [`${PKI}/signature.spec.ts`, "an algorithm of another kind of key proves nothing"],
      },
      {
        against: "revocation lists and responses of other signers",
        file: `${PKI}/crl.ts`,
        text: "if (!verifySignature(crl.scheme, crl.tbs, issuer, crl.signature)) {",
        without: "if (false) {",
        test: [REVOCATION, "is refused from another issuer and when an octet is changed"],
      },
      {
        against: "OCSP responses to another question",
        file: `${PKI}/ocsp.ts`,
        text: "if (nonce) requireNonce(",
        without: "if (false) requireNonce(",
        test: [
          REVOCATION,
          "refuses a response about another, to another question, of another time, signed by somebody else, or changed",
        ],
      },
    ],
  },
];
