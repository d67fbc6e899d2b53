import { createHash } from "node:crypto";
import type { EapPeerConfig, EapServerConfig, EapUsers, Identity } from "../config.js";
import type { EapPayload } from "../wire/types.js";
import {
  answerEap,
  beginEapPeer,
  beginEapServer,
  type EapContext,
  type EapPeer,
  type EapServer,
  type EapStep,
  type EapTlsJob,
  type EapTlsResult,
  resumeEapPeer,
  resumeEapServer,
  serveEap,
} from "./index.js";

export const utf8 = (text: string) => new TextEncoder().encode(text);
export const IDI = { type: "email", name: "alice@example.org" } as const satisfies Identity;
export const USERS: ReadonlyMap<string, EapUsers> = new Map([
  ["staff", new Map([IDI.name, "bob", "CORP\\carol", "__proto__"].map((name) => [name, utf8(`pass of ${name}`)]))],
]);

/** Octets that differ at every call and are the same in every run. */
export function context(seed: string, users = USERS): EapContext {
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

export const serverConfig = (config: Partial<EapServerConfig> = {}): EapServerConfig => ({
  methods: ["mschapv2", "md5", "gtc"],
  identity: "ask",
  users: "staff",
  ...config,
});

export const peerConfig = (config: Partial<EapPeerConfig> = {}): EapPeerConfig => ({
  methods: ["mschapv2", "md5", "gtc"],
  identity: IDI.name,
  password: utf8(`pass of ${IDI.name}`),
  ...config,
});

export interface Ending {
  readonly server: EapStep<EapServer>;
  readonly peer: EapStep<EapPeer> | undefined;
  /** All that went over the line, requests and responses in turn. */
  readonly packets: readonly EapPayload[];
}

export interface Wiring {
  readonly server?: EapServerConfig;
  readonly peer?: EapPeerConfig;
  readonly serverProven?: boolean;
  readonly users?: EapContext["users"];
  readonly tls?: (job: EapTlsJob) => Promise<EapTlsResult>;
  readonly seed?: string;
  /** May change what arrives. */
  readonly meddle?: (packet: EapPayload, index: number) => EapPayload;
}

/** Lets both ends talk until neither has more to say; either may end before the other. */
export async function converse(wiring: Wiring = {}): Promise<Ending> {
  const { seed = "", tls, meddle = (p) => p } = wiring;
  const here = context(`server${seed}`, wiring.users);
  const there = context(`peer${seed}`);
  const packets: EapPayload[] = [];
  const carry = (packet: EapPayload) => {
    const arrived = meddle(packet, packets.length);
    packets.push(arrived);
    return arrived;
  };
  const run = async (job: EapTlsJob) => {
    if (!tls) throw new Error("no TLS in this test");
    return tls(job).catch((error: Error & { code?: string }) => ({ code: error.code ?? "?", message: error.message }));
  };
  let server = beginEapServer(wiring.server ?? serverConfig(), IDI, here);
  let peer: EapStep<EapPeer> = {
    state: beginEapPeer(wiring.peer ?? peerConfig(), { serverProven: wiring.serverProven ?? true }),
  };
  while (server.send) {
    peer = answerEap(peer.state, carry(server.send), there);
    while (peer.wait) peer = resumeEapPeer(peer.state, await run(peer.wait));
    if (!peer.send) break;
    server = serveEap(server.state, carry(peer.send), here);
    while (server.wait) server = resumeEapServer(server.state, await run(server.wait));
  }
  return { server, peer, packets };
}
