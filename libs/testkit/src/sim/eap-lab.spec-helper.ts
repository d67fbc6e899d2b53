import { createHash } from "node:crypto";
import { Fault } from "@sallyport/base";
import {
  type CryptoKeys,
  type EapMethod,
  type EapPeerConfig,
  type EapServerConfig,
  type EapTlsJob,
  type EapTlsResult,
  type IkeConfig,
  type PeerConfig,
  type RemoteAuth,
} from "@sallyport/ike";
import { configOf, peerOf } from "./configs.js";
import { SimKeys, trusting } from "./sim-keys.js";
import { pair } from "./simulation.js";

export const utf8 = new TextEncoder();
export const CA = "root";
export const ID_B = { type: "fqdn", name: "b.example" } as const;
export const ID_A = { type: "fqdn", name: "a.example" } as const;
export const USERS = new Map([
  [
    "people",
    new Map([
      ["alice", utf8.encode("wonderland")],
      ["bob", utf8.encode("builder")],
    ]),
  ],
]);
export const TLS = {
  key: "k",
  chain: [],
  trust: [{ ref: CA, keyHash: new Uint8Array(20) }],
  versions: { min: "1.2", max: "1.3" },
} as const;

/** Three flights that end with the same key at both ends: what a runner's TLS is to the engine. */
export class Keys extends SimKeys implements CryptoKeys {
  readonly open = new Map<string, "server" | "peer">();
  refuses = false;

  eapTls({ session, open, input }: EapTlsJob): EapTlsResult {
    if (open) this.open.set(session, open.role);
    const role = this.open.get(session);
    const text = new TextDecoder().decode(input);
    const certificate = { subject: "tls", fingerprint: "00".repeat(32) };
    const finished = { msk: createHash("sha512").update("msk").digest(), version: "1.3", certificate } as const;
    if (this.refuses && text === "server hello") {
      this.open.delete(session);
      throw new Fault("sim/untrusted", "not this server", { retry: false, expose: true });
    }
    if (role === "peer" && text === "") return { output: utf8.encode("client hello") };
    if (role === "server" && text === "client hello") return { output: utf8.encode("server hello") };
    this.open.delete(session);
    if (role === "peer" && text === "server hello") return { output: utf8.encode("client finished"), finished };
    if (role === "server" && text === "client finished") return { output: new Uint8Array(0), finished };
    throw new Fault("sim/tls", `no TLS: ${text}`, { retry: false, expose: true });
  }

  closeEapTls({ session }: { readonly session: string }): void {
    this.open.delete(session);
  }
}

interface Case {
  readonly method?: EapMethod;
  readonly client?: Partial<EapPeerConfig>;
  readonly server?: Partial<EapServerConfig>;
  readonly a?: Partial<PeerConfig>;
  readonly b?: Partial<PeerConfig>;
  /** RFC 5998. */
  readonly alone?: boolean;
  readonly identity?: RemoteAuth["identity"];
}

/** A client `a` with EAP and a gateway `b` with a certificate. */
export function lab({ method = "mschapv2", client, server, a, b, alone, identity = { match: "any" } }: Case = {}) {
  const keys = new Keys();
  const eap: EapPeerConfig = {
    methods: [method],
    identity: "alice",
    password: utf8.encode("wonderland"),
    tls: TLS,
    ...client,
  };
  const serving: EapServerConfig = { methods: [method], identity: "ask", users: "people", tls: TLS, ...server };
  const own = { method: "eap", identity: ID_B } as const;
  const ofA = peerOf("a", {
    localAuth: [{ method: "eap", identity: ID_A, eap }],
    remoteAuth: [alone ? { method: "eap", identity: { match: "is", identity: ID_B } } : trusting(ID_B, CA)],
    ...a,
  });
  const ofB = peerOf("b", {
    localAuth: [alone ? own : keys.issue(CA, ID_B)],
    remoteAuth: [{ method: "eap", identity, eap: serving }],
    ...b,
  });
  const served = (...peers: PeerConfig[]): IkeConfig => ({ ...configOf(...peers), eapUsers: USERS });
  return { keys, ofA, ofB, served, ...pair({ keys, a: configOf(ofA), b: served(ofB) }) };
}
