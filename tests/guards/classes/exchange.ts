import { CRYPTO, type HostileClass, PKI, SIM, V2, WIRE } from "../guard.ts";

const HOSTILE = `${SIM}/hostile.spec.ts`;
const BEHIND = `${SIM}/behind-encryption.spec.ts`;
const SERVER = `${SIM}/hostile-server.spec.ts`;
const REASSEMBLY = `${WIRE}/reassembly.spec.ts`;
const BAD_FRAGMENT =
  "refuses empty fragments, numbers past the total and too many octets (CVE-2013-6076, CVE-2016-1287)";

/** What is said when: fragments, selectors, order; and how much of it. */
export const EXCHANGE_CLASSES: readonly HostileClass[] = [
  {
    number: 7,
    about: "Fragments that are empty, overlap, are numbered past their total, or never become whole",
    cves: ["2013-6076", "2009-1574", "2016-1287", "2016-1344"],
    guards: [
      {
        against: "empty fragments",
        file: `${WIRE}/reassembly.ts`,
        text: 'if (plaintext.length === 0) throw bad("SKF.data", "no octets");',
        without: "",
        test: [REASSEMBLY, BAD_FRAGMENT],
      },
      {
        against: "numbers past the total",
        file: `${WIRE}/framer.ts`,
        text: "if (number === 0 || number > total) throw",
        without: "if (false) throw",
        test: [`${WIRE}/message.spec.ts`, "checks fragment numbers"],
      },
      {
        against: "a second fragment of one number",
        file: `${WIRE}/reassembly.ts`,
        text: " || (total === before.total && before.parts.has(number))",
        without: "",
        test: [REASSEMBLY, "keeps the first of two that differ"],
      },
      {
        against: "mixed totals",
        file: `${WIRE}/reassembly.ts`,
        text: "const kept = before?.total === total ? before : undefined;",
        without: "const kept = before;",
        test: [REASSEMBLY, "starts over for a larger cut and ignores a smaller one (RFC 7383 §2.6)"],
      },
      {
        against: "more octets than a message may have",
        file: `${WIRE}/reassembly.ts`,
        text: "if (bytes > LIMITS.reassembledBytes) throw",
        without: "if (false) throw",
        test: [REASSEMBLY, BAD_FRAGMENT],
      },
      {
        against: "buffers that are used again",
        file: `${WIRE}/reassembly.ts`,
        text: "new Map(kept?.parts).set(number, plaintext)",
        without: "((kept?.parts as Map<number, Uint8Array>) ?? new Map()).set(number, plaintext)",
        test: [REASSEMBLY, "leaves the earlier state as it was"],
      },
      {
        against: "partial messages of all IKE SAs together that fill the memory",
        file: `${V2}/fragments.ts`,
        text: "if (octets > config.limits.partialBytes) return false;",
        without: "",
        test: [`${SIM}/partials.spec.ts`, "of strangers displace none of a peer"],
      },
      {
        against: "old partial messages in the way of new ones",
        file: `${V2}/fragments.ts`,
        text: "other.partials = [];",
        without: "",
        test: [
          `${SIM}/partials.spec.ts`,
          "take a bounded number of octets of all strangers together, the oldest of them give way",
        ],
      },
      {
        against: "a number or total that was changed on the way",
        file: `${CRYPTO}/cipher.ts`,
        text: "setAAD(message.subarray(0, bodyOffset))",
        times: 2,
        without: "setAAD(message.subarray(0, 28))",
        test: [`${CRYPTO}/sk.spec.ts`, "are bound to their number and total"],
      },
      {
        against: "fragments of messages outside the window",
        file: `${V2}/receive.ts`,
        text: "if (mid >= sa.nextTheirs + sa.window.receive) {",
        without: "if (false) {",
        test: [HOSTILE, "a message far ahead of the window is dropped"],
      },
    ],
  },
  {
    number: 9,
    about: "Traffic selectors: reversed ranges, none at all, mixed families",
    cves: ["2023-23009"],
    guards: [
      {
        against: "no selectors",
        file: `${WIRE}/payloads/ts.ts`,
        text: "if (count === 0) throw",
        without: "if (false) throw",
        test: [`${WIRE}/payloads.spec.ts`, "refuses none, reversed ranges and wrong sizes"],
      },
      {
        against: "ranges of addresses that end before they begin",
        file: `${WIRE}/payloads/ts.ts`,
        text: "if (start.toBigInt() > end.toBigInt()) {",
        without: "if (false) {",
        test: [`${WIRE}/payloads.spec.ts`, "refuses none, reversed ranges and wrong sizes"],
      },
      {
        against: "ranges of ports that end before they begin",
        file: `${WIRE}/payloads/ts.ts`,
        text: "if (startPort > endPort && !opaque) {",
        without: "if (false) {",
        test: [`${WIRE}/payloads.spec.ts`, "refuses none, reversed ranges and wrong sizes"],
      },
      {
        against: "addresses that are not of the type's size",
        file: `${WIRE}/payloads/ts.ts`,
        text: "if (length !== 8 + 2 * addressBytes) throw",
        without: "if (false) throw",
        test: [`${WIRE}/payloads.spec.ts`, "refuses none, reversed ranges and wrong sizes"],
      },
      {
        against: "ranges that got past the decoder all the same",
        file: `${V2}/narrow.ts`,
        text: "if (compare(s.start, s.end) > 0 || s.startPort > s.endPort) continue;",
        without: "",
        test: [
          `${V2}/narrow.spec.ts`,
          "reversed ranges, foreign kinds and OPAQUE of a TS payload stand for nothing (hostile input 9)",
        ],
      },
      {
        against: "ranges of two families taken for one",
        file: `${V2}/narrow.ts`,
        text: "if (a.first.family !== b.first.family) return undefined;",
        without: "",
        test: [`${V2}/narrow.spec.ts`, "ranges of two families have nothing in common (hostile input 9)"],
      },
      {
        against: "an answer wider than the offer",
        file: `${V2}/child-offer.ts`,
        text: "if (!within(local, offer.local) || !within(remote, offer.remote)) {",
        without: "if (false) {",
        test: [SERVER, "selectors of its answer that say %s make no CHILD SA and no route"],
      },
      {
        against: "selectors so fine that they fill the data plane",
        file: `${V2}/selectors.ts`,
        text: "if (out.length + ports.length > MAX_SELECTORS) return undefined;",
        without: "",
        test: [`${V2}/selectors.spec.ts`, "what would be too many selectors is refused"],
      },
    ],
  },
  {
    number: 15,
    about: "Exchanges out of order, or before there is anybody to trust",
    cves: ["2019-12312", "2020-1763", "2022-23094", "2023-30570"],
    guards: [
      {
        against: "exchanges that the state has no place for",
        file: `${V2}/receive.ts`,
        text: '!row?.phases.includes(sa.phase) || (row.role === "responder" && sa.initiator)',
        without: "!row",
        test: [BEHIND, "%s is dropped and counted"],
      },
      {
        against: "anything but IKE_SA_INIT's response while that is awaited",
        file: `${V2}/receive.ts`,
        text: "if (!sa.initiator || !peek.response || peek.exchange !== EXCHANGE.IKE_SA_INIT || peek.messageId !== 0) {",
        without: "if (!sa.initiator) {",
        test: [
          `${SIM}/stray.spec.ts`,
          "a responder's other messages do not pass for its IKE_SA_INIT response (hostile input 15)",
        ],
      },
      {
        against: "a request that was answered already",
        file: `${V2}/receive.ts`,
        text: "if (mid < sa.nextTheirs) {",
        without: "if (false) {",
        test: [
          HOSTILE,
          "every datagram of the past, replayed: nothing changes, and only the last requests get their answers again",
        ],
      },
      {
        against: "a second IKE_AUTH",
        file: `${V2}/exchanges.ts`,
        text: '[EXCHANGE.IKE_AUTH]: { phases: ["auth"],',
        without: '[EXCHANGE.IKE_AUTH]: { phases: ["auth", "established"],',
        test: [BEHIND, "a second IKE_AUTH is dropped"],
      },
      {
        against: "a message in the clear to an IKE SA that has keys",
        file: `${V2}/receive.ts`,
        text: "if (!message.encrypted || !sa.protector) {\n    unprotected(turn, message);\n    return;\n  }",
        without: "if (!sa.protector) return;",
        test: [
          `${SIM}/stray.spec.ts`,
          "a message in the clear to an IKE SA with keys is counted and nothing else (hostile input 15)",
        ],
      },
      {
        against: "an IKE_SA_INIT with another message ID, or one that names a responder",
        file: `${V2}/serve-init.ts`,
        text: " || peek.messageId !== 0 || peek.responderSpi !== 0n || !peek.initiator",
        without: "",
        test: [`${SIM}/stray.spec.ts`, "an IKE_SA_INIT that is no first message makes nothing (hostile input 15)"],
      },
    ],
  },
  {
    number: 16,
    about: "CREATE_CHILD_SA or a rekey before authentication",
    cves: ["2014-2338"],
    guards: [
      {
        against: "CREATE_CHILD_SA of somebody who only has keys",
        file: `${V2}/exchanges.ts`,
        text: '[EXCHANGE.CREATE_CHILD_SA]: { phases: ["established",',
        without: '[EXCHANGE.CREATE_CHILD_SA]: { phases: ["auth", "established",',
        test: [BEHIND, "%s is dropped and counted"],
      },
    ],
  },
  {
    number: 17,
    about: "Deletes and probes out of the blue, unauthenticated INFORMATIONAL, REKEY_SA of protocol 0 or 1",
    cves: ["2023-38712", "2007-1841", "2009-0790", "2019-10155", "2023-38710"],
    guards: [
      {
        against: "a Delete of what is not there, or is gone",
        file: `${V2}/informational.ts`,
        text: '      if (!child) {\n        turn.count("delete-of-unknown-child");\n        noteDeleted(sa, spiNumber(spi));\n        continue;\n      }',
        without: "      if (!child) throw new TypeError();",
        test: [BEHIND, "a Delete twice, of what never was, of SPI 0: answered, nothing else"],
      },
      {
        against: "a Delete with the wrong size of SPIs, or of no protocol",
        file: `${WIRE}/payloads/delete.ts`,
        text: "if (spiSize !== wanted) throw",
        without: "if (false) throw",
        test: [`${WIRE}/payloads.spec.ts`, "refuse what contradicts itself"],
      },
      {
        against: "REKEY_SA of protocol 0 or 1",
        file: `${WIRE}/notify-data.ts`,
        text: "(n.protocol !== PROTOCOL.AH && n.protocol !== PROTOCOL.ESP) || ",
        without: "",
        test: [BEHIND, "REKEY_SA with protocol %i is INVALID_SYNTAX and no crash"],
      },
      {
        against: "hints that nobody has signed",
        file: `${V2}/stray.ts`,
        text: 'return sa.phase === "established" && turn.now - sa.remarkedAt >= REMARK_MS;',
        without: "return true;",
        test: [
          `${SIM}/errors.spec.ts`,
          "INVALID_SPI begins a liveness check, seldom, and only about an SA that is there",
        ],
      },
      {
        against: "reserved SPIs",
        file: `${V2}/child-answer.ts`,
        text: "if (!isUsableSpi(spiOut)) {",
        without: "if (false) {",
        test: [BEHIND, "the reserved SPI %i is refused"],
      },
      {
        against: "the SPI zero for a new IKE SA",
        file: `${V2}/rekey-ike.ts`,
        text: "if (spi === 0n) throw",
        without: "if (false) throw",
        test: [BEHIND, "an IKE rekey with the zero SPI, no KE or a degenerate one leaves no new IKE SA"],
      },
    ],
  },
  {
    number: 22,
    about: "Answers larger than the question, sent to whom somebody names as its sender",
    cves: ["2016-5361"],
    guards: [
      {
        against: "longer answers to strangers",
        file: `${V2}/serve-init.ts`,
        text: "if (datagram.length > from.datagram.length) {",
        without: "if (false) {",
        test: [`${SIM}/stray.spec.ts`, "a refusal is never longer than what it refuses (hostile input 22)"],
      },
      {
        against: "more answers to strangers than some a second",
        file: `${V2}/core.ts`,
        text: "return ++this.strangers.count <= STRANGERS_PER_SECOND;",
        without: "return true;",
        test: [HOSTILE, "random datagrams leave no trace"],
      },
      {
        against: "answers to fragments one by one",
        file: `${V2}/receive.ts`,
        text: "if (message.encrypted.fragment && message.encrypted.fragment.number !== 1) return;",
        without: "",
        test: [
          `${SIM}/fragments.spec.ts`,
          "a request in fragments that comes again is answered once, not for every fragment (hostile input 22)",
        ],
      },
      {
        against: "a nonce of any length, which the OCSP responder would repeat and sign",
        file: `${PKI}/ocsp-responder.ts`,
        text: " || nonce.length > MAX_NONCE",
        without: "",
        test: [`${PKI}/ocsp-responder.spec.ts`, "with a nonce of %i octets is malformed (RFC 9654 §2.1)"],
      },
    ],
  },
];
