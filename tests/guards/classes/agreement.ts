import { AGENT, CRYPTO, type HostileClass, PKI, SIM, V2, WIRE } from "../guard.ts";

const SUITE = `${CRYPTO}/suite.spec.ts`;
const DH = `${CRYPTO}/dh.spec.ts`;
const VERIFY = `${PKI}/verify.spec.ts`;
const SERVER = `${SIM}/hostile-server.spec.ts`;
const BAD_SUITE = "is refused when a transform is missing, doubled, unknown or does not go with the others";

/** What is offered and agreed on: proposals, key exchanges, identities. */
export const AGREEMENT: readonly HostileClass[] = [
  {
    number: 5,
    about: "Proposals that are no proposals: AEAD with integrity, no PRF, private groups, contradicting lengths",
    cves: ["2024-3652", "2018-10811", "2014-9221", "2016-3071"],
    guards: [
      {
        against: "an AEAD with integrity beside it",
        file: `${CRYPTO}/suite.ts`,
        text: 'if (aead) throw unsuitable(p, "INTEG"',
        without: 'if (false) throw unsuitable(p, "INTEG"',
        test: [SUITE, BAD_SUITE],
      },
      {
        against: "a cipher without integrity",
        file: `${CRYPTO}/suite.ts`,
        text: "if (!aead) throw",
        without: "if (false) throw",
        test: [SUITE, "is refused when it would not protect"],
      },
      {
        against: "an IKE SA without encryption",
        file: `${CRYPTO}/suite.ts`,
        text: 'if (protectedBy.encryption === "null") throw unsuitable(p, "ENCR", "NULL", "a cipher");',
        without: "",
        test: [SUITE, BAD_SUITE],
      },
      {
        against: "no PRF, or an unknown one",
        file: `${CRYPTO}/suite.ts`,
        text: "if (!prf) throw",
        without: "if (false) throw",
        test: [SUITE, BAD_SUITE],
      },
      {
        against: "no group, or a private one",
        file: `${CRYPTO}/suite.ts`,
        text: "if (!group) throw",
        without: "if (false) throw",
        test: [SUITE, BAD_SUITE],
      },
      {
        against: "two transforms of one type in what was chosen",
        file: `${CRYPTO}/suite.ts`,
        text: "if (second) throw",
        without: "if (false) throw",
        test: [SUITE, BAD_SUITE],
      },
      {
        against: "transforms of types that do not belong there",
        file: `${CRYPTO}/suite.ts`,
        text: "if (other) throw",
        without: "if (false) throw",
        test: [SUITE, BAD_SUITE],
      },
      {
        against: "key lengths that the cipher has not",
        file: `${CRYPTO}/suite.ts`,
        text: "keyBits !== undefined && info.keyBits.includes(keyBits)",
        without: "keyBits !== undefined",
        test: [SUITE, "is refused for key lengths that the cipher has not"],
      },
      {
        against: "transforms with attributes that nobody knows",
        file: `${V2}/proposals.ts`,
        text: "o.unknownAttributes === undefined && sameTransform(t, o)",
        without: "t.type === type",
        test: [`${V2}/proposals.spec.ts`, "a transform with an attribute that nobody knows is not chosen"],
      },
      {
        against: "SPIs of the wrong size",
        file: `${WIRE}/payloads/sa.ts`,
        text: "if (sizes.length > 0 && !sizes.includes(spiSize)) {",
        without: "if (false) {",
        test: [`${WIRE}/payloads.spec.ts`, "refuses lengths, flags, counts and SPI sizes that contradict each other"],
      },
      {
        against: "a flag for more transforms that the count denies",
        file: `${WIRE}/payloads/sa.ts`,
        text: "if (more !== i + 1 < count)",
        without: "if (false)",
        test: [`${WIRE}/payloads.spec.ts`, "refuses lengths, flags, counts and SPI sizes that contradict each other"],
      },
      {
        against: "an answer with what was not offered",
        file: `${V2}/proposals.ts`,
        text: "if (t.unknownAttributes !== undefined || !offered.transforms.some((o) => sameTransform(o, t))) return false;",
        without: "",
        test: [`${V2}/proposals.spec.ts`, "an answer with anything that was not offered is none"],
      },
    ],
  },
  {
    number: 6,
    about: "Key exchange values that are no elements of the group, and groups that cost more than they should",
    cves: ["2015-3240", "2023-41913", "2002-20001", "2022-40735"],
    guards: [
      {
        against: "another size than the group's",
        file: `${CRYPTO}/dh.ts`,
        text: "if (value.length !== publicBytes) throw refused(",
        without: "if (false) throw refused(",
        test: [DH, "refuses values of another size"],
      },
      {
        against: "0, 1, p − 1 and above",
        file: `${CRYPTO}/dh.ts`,
        text: "if (prime) checkModp(group, prime, peerValue);",
        without: "",
        test: [DH, "refuses %s"],
      },
      {
        against: "points off the curve",
        file: `${CRYPTO}/dh.ts`,
        text: "throw noElement(group, cause);",
        without: "return new Uint8Array(info.secretBytes);",
        test: [DH, "refuses points off the curve, and zero"],
      },
      {
        against: "points of low order, whose secret is known to all",
        file: `${CRYPTO}/dh.ts`,
        text: "throw noElement(group, cause);",
        without: "return new Uint8Array(info.secretBytes);",
        test: [DH, "%s refuses %s"],
      },
      {
        against: "the same, in native code",
        file: `${CRYPTO}/dh.ts`,
        text: "if (!answer) throw noElement(group);",
        without: "if (!answer) return { publicValue: peerValue, shared: new Uint8Array(32) };",
        test: [`${CRYPTO}/native.spec.ts`, "refuses the same values for the same reason, and works on afterwards"],
      },
      {
        against: "key exchange data longer than any group's",
        file: `${WIRE}/payloads/ke.ts`,
        text: ", max: LIMITS.keyExchangeBytes",
        without: "",
        test: [`${WIRE}/payloads.spec.ts`, "refuse what is longer than anybody needs"],
      },
      {
        against: "a degenerate value in a rekey",
        file: `${V2}/rekey-ike.ts`,
        text: 'if (!outcome.ok) throw fault("ike/invalid-syntax", outcome.failure.message);',
        without:
          "if (!outcome.ok) outcome = { ok: true, crypto: { publicValue: new Uint8Array(32), shared: new Uint8Array(32) } };",
        test: [
          `${SIM}/behind-encryption.spec.ts`,
          "an IKE rekey with the zero SPI, no KE or a degenerate one leaves no new IKE SA",
        ],
      },
      {
        against: "heavy groups on the event loop",
        file: `${AGENT}/crypto-pool.ts`,
        text: "if (!isHeavy(job)) return this.#light(job);",
        without: "return this.#light(job);",
        test: [
          `${AGENT}/crypto-pool.spec.ts`,
          "keeps light work here, and what would hold the event loop away from it (hostile input 6, 29)",
        ],
      },
      {
        against: "more heavy work than can be done",
        file: `${AGENT}/crypto-pool.ts`,
        text: "if (this.#waiting.size >= MAX_WAITING) return overloaded;",
        without: "",
        test: [`${AGENT}/crypto-pool.spec.ts`, "refuses heavy work beyond what may wait (hostile input 6, 21)"],
      },
    ],
  },
  {
    number: 8,
    about: "Identities: crafted names, oversize, or another one in a later message",
    cves: ["2013-6075", "2013-5018", "2010-2628", "2023-38711"],
    guards: [
      {
        against: "oversize",
        file: `${WIRE}/payloads/id.ts`,
        text: ", max: LIMITS.identityBytes",
        without: "",
        test: [`${WIRE}/payloads.spec.ts`, "refuse what is longer than anybody needs"],
      },
      {
        against: "addresses of the wrong length",
        file: `${WIRE}/payloads/id.ts`,
        text: "if (data.length !== size)",
        without: "if (false)",
        test: [`${WIRE}/payloads.spec.ts`, "refuses %s"],
      },
      {
        against: "a DN that is no whole DER SEQUENCE",
        file: `${WIRE}/payloads/id.ts`,
        text: "if (!isOneSequence(data))",
        without: "if (false)",
        test: [`${WIRE}/payloads.spec.ts`, "refuses %s"],
      },
      {
        against: "names with control characters",
        file: `${V2}/identity.ts`,
        text: "if (b < 0x21 || b > 0x7e) return undefined;",
        without: "",
        test: [`${V2}/identity.spec.ts`, "texts are printable ASCII whatever the octets (hostile input 26)"],
      },
      {
        against: "lengths in a DN that reach past its end",
        file: `${V2}/dn.ts`,
        text: "if (der.length < at + length) return undefined;",
        without: "",
        test: [`${V2}/dn.spec.ts`, "a Name with lengths past its end, or with too many attributes, is none"],
      },
      {
        against: "a DN of thousands of attributes",
        file: `${V2}/dn.ts`,
        text: " || ++count > MAX_ATTRIBUTES",
        without: "",
        test: [`${V2}/dn.spec.ts`, "a Name with lengths past its end, or with too many attributes, is none"],
      },
      {
        against: "separators within a value, which make one name look like another",
        file: `${V2}/dn.ts`,
        text: '.replace(/[,+"\\\\<>;=]/g, "\\\\$&")',
        without: "",
        test: [
          `${V2}/dn.spec.ts`,
          "a text with separators and controls cannot be taken for another one (hostile input 26)",
        ],
      },
      {
        against: "an identity that the certificate does not prove",
        file: `${PKI}/verify.ts`,
        text: "if (request.identity !== undefined) requireIdentity(chain.leaf, request.identity);",
        without: "",
        test: [VERIFY, "does not outlive the certificate, its revocation, or another identity"],
      },
      {
        against: "another identity while EAP goes on",
        file: `${V2}/serve-auth.ts`,
        text: ' || find(payloads, "IDi") ||',
        without: " ||",
        test: [`${SIM}/eap-out-of-order.spec.ts`, "another identity in a later message of EAP (hostile input 8)"],
      },
      {
        against: "a responder that is not who was called",
        file: `${V2}/auth.ts`,
        text: "if (!identityAllowed(round.identity, round.method, peer.remote.endpoint, id)) {",
        without: "if (false) {",
        test: [
          SERVER,
          "a server that calls itself by another name is not believed, whatever it can prove (hostile input 8)",
        ],
      },
    ],
  },
];
