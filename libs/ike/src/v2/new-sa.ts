import type { Endpoint } from "@sallyport/base";
import type { PeerConfig } from "../config.js";
import type { IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

const NOTHING = new Uint8Array(0);
const NO_CERTIFICATES: readonly string[] = [];
const ONE_EACH = { send: 1, receive: 1 };

/** A fresh IKE SA at its first exchange. */
export function newSa(
  turn: Turn,
  about: {
    readonly initiator: boolean;
    readonly peer: PeerConfig | undefined;
    readonly spiI: bigint;
    readonly spiR: bigint;
    readonly local: Endpoint;
    readonly remote: Endpoint;
    readonly forced: boolean;
  },
): IkeSa {
  return {
    serial: turn.core.newSerial(),
    initiator: about.initiator,
    createdAt: turn.now,
    source: about.remote.address.toString(),
    peer: about.peer,
    phase: "init",
    spiI: about.spiI,
    spiR: about.spiR,
    local: about.local,
    remote: about.remote,
    suite: undefined,
    keys: undefined,
    protector: undefined,
    handshake: undefined,
    nat: { local: false, remote: false, forced: about.forced },
    mobike: undefined,
    localId: undefined,
    remoteId: undefined,
    subject: undefined,
    certificates: NO_CERTIFICATES,
    user: undefined,
    ppk: undefined,
    evidence: [],
    identity: undefined,
    virtual: undefined,
    packetBytes: Number.POSITIVE_INFINITY,
    fragments: false,
    nextOurs: 0,
    nextTheirs: 0,
    asking: [],
    serving: undefined,
    early: [],
    window: ONE_EACH,
    queue: [],
    waits: [],
    responses: [],
    partials: [],
    children: [],
    fading: [],
    lowestNonce: NOTHING,
    establishedAt: undefined,
    lastSeenAt: turn.now,
    lastSentAt: turn.now,
    rekeyAt: undefined,
    expireAt: undefined,
    authentication: undefined,
    replaces: undefined,
    dropAt: undefined,
    lost: false,
    pauseUntil: 0,
    rivalSerial: undefined,
    remarkedAt: Number.NEGATIVE_INFINITY,
    armedAt: Number.POSITIVE_INFINITY,
  };
}

/** The smaller of two nonces as octet strings (RFC 7296 §2.8.1). */
export function lower(a: Uint8Array, b: Uint8Array): Uint8Array {
  return isLower(a, b) ? a : b;
}

export function isLower(a: Uint8Array, b: Uint8Array): boolean {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const d = (a[i] as number) - (b[i] as number);
    if (d !== 0) return d < 0;
  }
  return a.length < b.length;
}
