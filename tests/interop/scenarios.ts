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
  {
    scenario: 21,
    peer: "libreswan",
    why: "an end of it moves or follows only with a virtual address between them (`mobike` in its ipsec.conf(5))",
  },
  {
    scenario: 22,
    peer: "libreswan",
    why: "it neither sends nor heeds AUTH_LIFETIME, and its `reauth` ends the old SA before the new one stands",
  },
  {
    scenario: 23,
    peer: "libreswan",
    why: "it keeps the CHILD SA of its own rekey that lost (RFC 7296 §2.8.1), which this end deletes a minute later",
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
