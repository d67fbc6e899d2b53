import { createHash } from "node:crypto";
import {
  answerEap,
  beginEapPeer,
  beginEapServer,
  closeEap,
  type EapContext,
  type EapPayload,
  type EapPeer,
  type EapPeerConfig,
  type EapServer,
  type EapServerConfig,
  type EapStep,
  type EapTlsCloseJob,
  type EapTlsJob,
  type EapTlsResult,
  type EapUsers,
  type Failure,
  type Identity,
  resumeEapPeer,
  resumeEapServer,
  serveEap,
} from "@sallyport/ike";

export const utf8 = (text: string) => new TextEncoder().encode(text);
export const EAP_IDI = { type: "email", name: "alice@example.org" } as const satisfies Identity;
export const EAP_USERS: ReadonlyMap<string, EapUsers> = new Map([
  ["staff", new Map([EAP_IDI.name, "bob", "CORP\\carol", "__proto__"].map((name) => [name, utf8(`pass of ${name}`)]))],
]);

/** Octets that differ at every call and are the same in every run. */
export function eapContext(seed: string, users = EAP_USERS): EapContext {
  let count = 0;
  const rng = {
    bytes(n: number) {
      const out = new Uint8Array(n);
      for (let at = 0; at < n; at += 32) {
        const block = createHash("sha256").update(`${seed}/${count++}`).digest();
        out.set(block.subarray(0, Math.min(32, n - at)), at);
      }
      return out;
    },
  };
  return { rng, users };
}

export const eapServerConfig = (config: Partial<EapServerConfig> = {}): EapServerConfig => ({
  methods: ["mschapv2", "md5", "gtc"],
  identity: "ask",
  users: "staff",
  ...config,
});

export const eapPeerConfig = (config: Partial<EapPeerConfig> = {}): EapPeerConfig => ({
  methods: ["mschapv2", "md5", "gtc"],
  identity: EAP_IDI.name,
  password: utf8(`pass of ${EAP_IDI.name}`),
  ...config,
});

export interface EapEnding {
  readonly server: EapStep<EapServer>;
  readonly peer: EapStep<EapPeer> | undefined;
  /** All that went over the line, requests and responses in turn. */
  readonly packets: readonly EapPayload[];
}

export interface EapWiring {
  readonly server?: EapServerConfig;
  readonly peer?: EapPeerConfig;
  readonly serverProven?: boolean;
  readonly users?: EapContext["users"];
  readonly tls?: (job: EapTlsJob) => Promise<EapTlsResult | Failure>;
  readonly close?: (job: EapTlsCloseJob) => void;
  readonly seed?: string;
  /** Sees every step of the server but its first. */
  readonly onServer?: (step: EapStep<EapServer>) => void;
  /** May change what arrives. */
  readonly meddle?: (packet: EapPayload, index: number) => EapPayload;
}

/** Lets both ends talk until neither has more to say; either may end before the other. */
export async function converseByEap(wiring: EapWiring = {}): Promise<EapEnding> {
  const { seed = "", tls, meddle = (p) => p } = wiring;
  const here = eapContext(`server${seed}`, wiring.users);
  const there = eapContext(`peer${seed}`);
  const packets: EapPayload[] = [];
  const carry = (packet: EapPayload) => {
    const arrived = meddle(packet, packets.length);
    packets.push(arrived);
    return arrived;
  };
  const run = async (job: EapTlsJob) => {
    if (!tls) throw new Error("no TLS in this test");
    return tls(job);
  };
  let server = beginEapServer(wiring.server ?? eapServerConfig(), EAP_IDI, here);
  let peer: EapStep<EapPeer> = {
    state: beginEapPeer(wiring.peer ?? eapPeerConfig(), { serverProven: wiring.serverProven ?? true }),
  };
  while (server.send) {
    peer = answerEap(peer.state, carry(server.send), there);
    while (peer.wait) peer = resumeEapPeer(peer.state, await run(peer.wait));
    if (!peer.send) break;
    server = serveEap(server.state, carry(peer.send), here);
    while (server.wait) server = resumeEapServer(server.state, await run(server.wait));
    wiring.onServer?.(server);
  }
  for (const { state } of [server, peer]) {
    const job = closeEap(state);
    if (job) wiring.close?.(job);
  }
  return { server, peer, packets };
}
