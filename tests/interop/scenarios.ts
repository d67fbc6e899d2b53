/** The scenarios that `docs/interop.md` lists. Numbers are stable: tests name scenarios by them. */
export const SCENARIOS = {
  1: "PSK, net to net, AES-GCM",
  2: "Certificates: identities by SAN and DN, certificate requests, intermediates",
  3: "CHILD SA rekeyed with and without PFS, no packet lost",
  4: "IKE SA rekeyed",
  5: "NAT before either end or both, changing mappings, keepalives",
  6: "Dead peer detection: clear, restart, hold",
  7: "Configuration payload: pools, DNS, split networks",
  8: "EAP-MSCHAPv2",
  9: "Traps: the first packet starts the negotiation; narrowing",
  10: "IKE fragmentation, CBC and AEAD, with loss and duplicates",
  13: "INVALID_KE_PAYLOAD, COOKIE, both in one exchange",
  14: "Refusals: both sides' values in the log",
  15: "Algorithms and groups",
  17: "Transport mode, GRE over it",
  20: "EAP-TLS",
  21: "MOBIKE: changed path, changed mapping, virtual address kept",
  22: "Reauthentication, AUTH_LIFETIME",
  23: "Collisions of rekeys, deletes and creations",
  24: "Several CHILD SAs and selectors, IPv4 and IPv6 in one",
  27: "IPv6: 6in6, 4in6, 6in4, transport mode",
  28: "Revocation by CRL and OCSP, path length",
  29: "RFC 7427 signatures: PSS, ECDSA, Ed25519; fallback",
  30: "INITIAL_CONTACT, uniqueness, a peer that crashed",
  31: "Port and protocol selectors; pass and drop shunts",
  32: "A different method each way, two rounds, EAP only",
  34: "ESN, replay windows, byte and packet lifetimes",
  37: "PPK: mandatory, optional, mismatch",
} as const;

export type ScenarioNumber = keyof typeof SCENARIOS;
export type PeerName = "strongSwan" | "libreswan";
export type Role = "initiator" | "responder";
export type DataPlane = "userspace" | "kernel";

/** What a run leaves behind of one test. */
export interface RecordedTest {
  readonly title: string;
  readonly scenarios: readonly ScenarioNumber[];
  readonly peer: PeerName;
  /** What we were in it. */
  readonly roles: readonly Role[];
  readonly result: "passed" | "failed" | "not run";
}

/** One test file on one data plane. */
export interface RecordedFile {
  /** Path in the repository. */
  readonly file: string;
  readonly dataPlane: DataPlane;
  readonly tests: readonly RecordedTest[];
}

/** Where runs leave their records, below the repository's root. */
export const RECORDS = ".sallyport/interop";

interface Limit {
  readonly scenario: ScenarioNumber;
  readonly peer: PeerName;
  readonly role?: Role;
  readonly why: string;
}

/** What a peer's version in Debian cannot do, so that nobody can test it. */
export const LIMITS: readonly Limit[] = [
  {
    scenario: 3,
    peer: "libreswan",
    role: "initiator",
    why: "it sends on a new CHILD SA before the answer that makes it can have been read: those packets are lost (RFC 7296 §2.8)",
  },
  {
    scenario: 3,
    peer: "libreswan",
    role: "responder",
    why: "where its replaced inbound SA reaches a soft limit, it takes it away before our answer to its DELETE: packets under way are lost",
  },
  {
    scenario: 8,
    peer: "libreswan",
    why: "of EAP it has TLS only (`leftautheap` of its ipsec.conf(5) takes `none` and `tls`)",
  },
  {
    scenario: 13,
    peer: "libreswan",
    why: "in the rekey of a CHILD SA it offers and takes the group of the IKE SA only, so that INVALID_KE_PAYLOAD cannot happen there",
  },
  {
    scenario: 14,
    peer: "libreswan",
    role: "responder",
    why: "it drops a NO_PROPOSAL_CHOSEN to its IKE_SA_INIT and goes on trying",
  },
  {
    scenario: 17,
    peer: "libreswan",
    why: "no transport mode through a NAT: it takes the addresses in selectors as they are (RFC 7296 §2.23.1), as initiator and as responder",
  },
  { scenario: 20, peer: "libreswan", role: "responder", why: "it is no client of EAP" },
  {
    scenario: 20,
    peer: "libreswan",
    role: "initiator",
    why: "TLS 1.2 only: of 1.3 it has neither the keys nor the last word (RFC 9190 §2.3, §2.5)",
  },
  {
    scenario: 21,
    peer: "libreswan",
    why: "an end of it moves or follows only with a virtual address between them (`mobike` in its ipsec.conf(5))",
  },
  {
    scenario: 21,
    peer: "libreswan",
    role: "initiator",
    why: "where the mapping of a NAT before us changes, it answers to the new one and keeps its SAs at the old one",
  },
  {
    scenario: 22,
    peer: "libreswan",
    why: "it neither sends nor heeds AUTH_LIFETIME, and its `reauth` ends the old SA before the new one stands",
  },
  {
    scenario: 23,
    peer: "libreswan",
    why: "it keeps the SAs of its own rekeys that lost (RFC 7296 §2.8.1, §2.8.2), which this end deletes in the end",
  },
  {
    scenario: 23,
    peer: "libreswan",
    why: "of an IKE SA that both ends rekey at once it may keep several, and the CHILD SA with one that goes: it can be made anew",
  },
  {
    scenario: 23,
    peer: "libreswan",
    role: "initiator",
    why: "a CREATE_CHILD_SA that is answered by TEMPORARY_FAILURE it does not repeat (RFC 7296 §2.25)",
  },
  {
    scenario: 23,
    peer: "libreswan",
    role: "responder",
    why: "a request that comes again after one of its own it serves a second time",
  },
  { scenario: 24, peer: "libreswan", why: "one selector of one family in each CHILD SA" },
  {
    scenario: 32,
    peer: "libreswan",
    why: "one round (its ipsec.conf(5) has one `leftauth`)",
  },
  {
    scenario: 37,
    peer: "libreswan",
    why: "static keys only (`PPKS` in its ipsec.secrets(5)); one that it insists on and does not get makes it drop our answer in silence",
  },
  {
    scenario: 34,
    peer: "strongSwan",
    why: "its ESP in user space (libipsec) has no ESN and one window of 128 packets",
  },
];
