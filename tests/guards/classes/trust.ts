import { AGENT, CRYPTO, EAP, type HostileClass, SIM, V2 } from "../guard.ts";

const HOSTILE = `${SIM}/hostile.spec.ts`;
const EAP_HOSTILE = `${SIM}/eap-hostile.spec.ts`;
const SERVER = `${SIM}/hostile-server.spec.ts`;

/** Authentication by EAP, credentials, load, and what a proven peer may have. */
export const TRUST: readonly HostileClass[] = [
  {
    number: 18,
    about: "EAP out of order, of the wrong method, oversize, or successful without a key",
    cves: ["2021-45079", "2015-8023", "2023-26463"],
    guards: [
      {
        against: "EAP-Success before the method is over",
        file: `${EAP}/peer.ts`,
        text: "if (!state.proven) {",
        without: "if (false) {",
        test: [EAP_HOSTILE, "%s"],
      },
      {
        against: "a packet that is no response",
        file: `${EAP}/server.ts`,
        text: "if (packet.code !== EAP_CODE.RESPONSE) throw",
        without: "if (false) throw",
        test: [EAP_HOSTILE, "%s"],
      },
      {
        against: "an answer to another request",
        file: `${EAP}/server.ts`,
        text: "if (packet.identifier !== state.identifier) {",
        without: "if (false) {",
        test: [EAP_HOSTILE, "%s"],
      },
      {
        against: "an answer by another method",
        file: `${EAP}/server.ts`,
        text: "if (!method || type !== typeOf(method.method)) {",
        without: "if (!method) {",
        test: [EAP_HOSTILE, "%s"],
      },
      {
        against: "a Nak once the method is under way",
        file: `${EAP}/server.ts`,
        text: "type === EAP_TYPE.NAK && state.negotiable",
        without: "type === EAP_TYPE.NAK",
        test: [EAP_HOSTILE, "a Nak once the method is under way"],
      },
      {
        against: "oversize packets",
        file: `${EAP}/packet.ts`,
        text: "if (data.length > MAX_DATA_BYTES) throw",
        without: "if (false) throw",
        test: [EAP_HOSTILE, "%s"],
      },
      {
        against: "a flight of TLS that grows for ever",
        file: `${EAP}/tls-fragments.ts`,
        text: "if (most > MAX_MESSAGE_BYTES || got > most) {",
        without: "if (false) {",
        test: [EAP_HOSTILE, "%s"],
      },
      {
        against: "a conversation without end",
        file: `${EAP}/peer.ts`,
        text: "if (before.rounds >= MAX_ROUNDS) throw",
        without: "if (false) throw",
        test: [EAP_HOSTILE, "a server without end"],
      },
      {
        against: "AUTH that the key of EAP did not make",
        file: `${V2}/serve-auth.ts`,
        text: '"refusal" in judged || !provesEap(sa, done, remoteId, judged)',
        without: '"refusal" in judged',
        test: [`${SIM}/eap-out-of-order.spec.ts`, "AUTH by another key than that of EAP (hostile input 18)"],
      },
      {
        against: "AUTH or CHILD SAs before EAP is over",
        file: `${V2}/serve-auth.ts`,
        text: "(done ? packet || !auth : auth || !packet)",
        without: "false",
        test: [`${SIM}/eap-out-of-order.spec.ts`, "%s while EAP goes on"],
      },
      {
        against: "a wrong password",
        file: `${EAP}/mschapv2.ts`,
        text: "if (!right || !known || !same) {",
        without: "if (!known || !same) {",
        test: [`${SIM}/eap-methods.spec.ts`, "%s refuses a wrong password and a stranger alike"],
      },
      {
        against: "TLS sessions without number",
        file: `${AGENT}/eap-tls.ts`,
        text: "if (this.#sessions.size >= this.limits.sessions) {",
        without: "if (false) {",
        test: [
          `${AGENT}/eap-tls.spec.ts`,
          "keeps no more sessions than it may, and forgets those that are dropped or old",
        ],
      },
    ],
  },
  {
    number: 19,
    about: "Credentials that go to a server before it is proven",
    cves: ["2015-4171"],
    guards: [
      {
        against: "EAP of a responder that has not proved itself",
        file: `${V2}/auth.ts`,
        text: 'if (round.method === "eap" && proving.eap) goOn(turn, sa, asking, payloads);',
        without: "if (proving.eap) goOn(turn, sa, asking, payloads);",
        test: [SERVER, "that %s hears no name and no password"],
      },
      {
        against: "passwords to a server that proves itself by EAP alone, with a method that proves nothing",
        file: `${EAP}/peer.ts`,
        text: "(serverProven || EAP_METHODS[m].safeAlone) && ",
        without: "",
        test: [SERVER, "that proves itself by EAP alone, with a method that proves nothing, is not believed"],
      },
      {
        against: "a TLS client's certificate to a server that is not proven",
        file: `${AGENT}/tls-session.ts`,
        text: "    this.#verify();\n",
        without: "",
        test: [`${AGENT}/eap-tls.spec.ts`, "shows nothing of itself to a server that is not proven"],
      },
    ],
  },
  {
    number: 21,
    about: "Exhaustion: floods of half-open IKE SAs, SPIs and addresses, storms of retransmissions, slow groups",
    cves: ["2020-3230", "2018-0158", "2021-1620", "2016-6466", "2017-3865"],
    guards: [
      {
        against: "half-open IKE SAs of all",
        file: `${V2}/serve-init.ts`,
        text: "if (core.table.halfOpen >= limits.halfOpen) {",
        without: "if (false) {",
        test: [HOSTILE, "half-open IKE SAs of one source and of all are bounded, and go after their time"],
      },
      {
        against: "half-open IKE SAs of one source",
        file: `${V2}/serve-init.ts`,
        text: "if (core.table.halfOpenOf(from.remote.address.toString()) >= limits.halfOpenPerSource) {",
        without: "if (false) {",
        test: [HOSTILE, "half-open IKE SAs of one source and of all are bounded, and go after their time"],
      },
      {
        against: "half-open IKE SAs that stay",
        file: `${V2}/serve-init.ts`,
        text: "sa.dropAt = turn.now + turn.core.config.limits.halfOpenSeconds * 1000;",
        without: "",
        test: [HOSTILE, "half-open IKE SAs of one source and of all are bounded, and go after their time"],
      },
      {
        against: "state for who does not receive at his address",
        file: `${V2}/serve-init.ts`,
        text: "if (!passesCookie(turn, from, peek)) return;",
        without: "",
        test: [HOSTILE, "above the threshold no state is kept for who does not show a cookie"],
      },
      {
        against: "stolen cookies",
        file: `${V2}/cookie.ts`,
        text: "for (let i = 0; i < MAC_BYTES; i++) if (cookie[i + 1] !== mac.charCodeAt(i)) return false;",
        without: "",
        test: [`${V2}/cookie.spec.ts`, "a cookie is good for its nonce, address and SPI alone"],
      },
      {
        against: "a flood that delays IKE SAs",
        file: `${AGENT}/input-queue.ts`,
        text: "if (this.#strangers.length >= QUEUE_LIMITS.ofStrangers) return false;",
        without: "",
        test: [
          `${AGENT}/input-queue.spec.ts`,
          "bounds datagrams of all IKE SAs and of strangers apart, and no other input",
        ],
      },
      {
        against: "one IKE SA that takes the queue of all",
        file: `${AGENT}/input-queue.ts`,
        text: " || waiting >= QUEUE_LIMITS.ofOneSa",
        without: "",
        test: [`${AGENT}/input-queue.spec.ts`, "bounds what one IKE SA may have waiting, and gives the room back"],
      },
      {
        against: "anybody who takes more than his share of the time",
        file: `${AGENT}/work-budget.ts`,
        text: "return this.#strangers < SHARE_MS.strangers;",
        without: "return true;",
        test: [
          `${AGENT}/engine-host.spec.ts`,
          "does not hear strangers any more once they have had their share of the time",
        ],
      },
      {
        against: "lines that fill the log",
        file: `${AGENT}/log-budget.ts`,
        text: "if (!bucket.has(now) || !this.#all.has(now)) {",
        without: "if (false) {",
        test: [`${AGENT}/log-budget.spec.ts`, "bounds all together"],
      },
      {
        against: "pools of addresses emptied by one identity",
        file: `${V2}/serve-config.ts`,
        text: 'again: sa.peer?.uniqueness !== "keep",',
        without: "again: false,",
        test: [
          `${SIM}/road-warrior.spec.ts`,
          "take their own lease over when they come back before the gateway noticed that they went",
        ],
      },
      {
        against: "refusals that are remembered without end",
        file: `${V2}/failures.ts`,
        text: "core.refusals.slice(1 - MAX_REFUSALS)",
        without: "core.refusals",
        test: [`${SIM}/refusals.spec.ts`, "only the last refusals are kept"],
      },
      {
        against: "cookies and groups asked for in circles",
        file: `${V2}/init.ts`,
        text: "if (h.refusals >= MAX_REFUSALS) {",
        without: "if (false) {",
        test: [
          `${SIM}/stray.spec.ts`,
          "a responder that asks for one cookie after the other is not followed for ever (hostile input 21)",
        ],
      },
    ],
    note: "20,000 spoofed IKE_SA_INITs a second against a whole agent are `tests/chaos/flood.chaos.ts`.",
  },
  {
    number: 28,
    about:
      "An empty secret that matches a missing one, failing open after a restart, routes that a hostile server pushes",
    cves: ["2024-2357", "2017-6297", "2024-3661"],
    guards: [
      {
        against: "an empty pre-shared key",
        file: `${CRYPTO}/psk.ts`,
        text: "return secret.length > 0 && ",
        without: "return ",
        test: [`${CRYPTO}/psk.spec.ts`, "that is empty proves nothing (CVE-2024-2357)"],
      },
      {
        against: "an empty password",
        file: `${EAP}/user.ts`,
        text: "if (stored && stored.length > 0)",
        without: "if (stored)",
        test: [
          `${SIM}/eap-out-of-order.spec.ts`,
          "an empty password is nobody's, not even where one is stored (hostile input 28)",
        ],
      },
      {
        against: "packets in the clear while there is no SA",
        file: `${V2}/traps.ts`,
        text: "turn.apply(hold(turn.core.holdings, child.trap));",
        without: "",
        test: [`${SIM}/traps.spec.ts`, "a child to be started keeps its policies while it is down: nothing leaks"],
      },
      {
        against: "routes to what the operator has not named",
        file: `${V2}/child-offer.ts`,
        text: "offer.local) || !within(remote, offer.remote)) {",
        without: "offer.local)) {",
        test: [SERVER, "selectors of its answer that say %s make no CHILD SA and no route"],
      },
      {
        against: "addresses that no machine can have",
        file: `${V2}/request-config.ts`,
        text: "a.family === family && isHost(a)",
        without: "a.family === family",
        test: [SERVER, "the address %s is not taken"],
      },
    ],
  },
];
