import type { DhGroup } from "../crypto/types.js";
import type { PeerState } from "./core.js";
import { NONCE_BYTES, UNPROVEN } from "./handshake.js";
import { newSa } from "./new-sa.js";
import { begin } from "./queue.js";
import type { IkeSa } from "./sa.js";
import type { Task } from "./task.js";
import type { Turn } from "./turn.js";

const NOTHING = new Uint8Array(0);

/**
 * Begins IKE_SA_INIT with a peer; `wanted` are the CHILD SAs to make, the first of them in IKE_AUTH. Undefined when the
 * configuration does not say where to.
 */
export function connect(turn: Turn, state: PeerState, wanted: readonly Task[]): IkeSa | undefined {
  const peer = state.config;
  const [endpoint, address] = [peer.remote.endpoint, peer.local.address];
  const { natPort } = turn.core.config;
  const group = peer.proposals[0]?.dh[0];
  if (!endpoint || !address || !group) return undefined;
  const sa = newSa(turn, {
    initiator: true,
    peer,
    spiI: turn.core.newSpi(),
    spiR: 0n,
    // Whoever listens on the port of NAT traversal expects the non-ESP marker, which goes with that port of ours (RFC 3948 §2.2).
    local: { address, port: endpoint.port === natPort ? natPort : peer.local.port },
    remote: endpoint,
    forced: peer.forceEncapsulation,
  });
  sa.handshake = {
    candidates: [peer],
    ni: turn.core.rng.bytes(NONCE_BYTES),
    nr: NOTHING,
    sent: NOTHING,
    received: NOTHING,
    pair: undefined,
    refusals: 0,
    cookie: undefined,
    peerHashes: undefined,
    proving: UNPROVEN,
    wanted,
    halfOpenKey: undefined,
  };
  turn.add(sa);
  beginInit(turn, sa, group);
  return sa;
}

export function beginInit(turn: Turn, sa: IkeSa, group: DhGroup): void {
  sa.asking = [];
  turn.crypto(sa, begin(turn, sa, { kind: "init" }), { kind: "dh-generate", group }, { go: "init-offer", group });
}
