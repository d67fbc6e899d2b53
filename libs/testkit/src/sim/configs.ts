import { IpAddress, Prefix } from "@sallyport/base";
import {
  CHILD_DEFAULTS,
  type ChildConfig,
  DEFAULT_LIMITS,
  type EspProposal,
  type IkeConfig,
  type IkeProposal,
  PEER_DEFAULTS,
  type PeerConfig,
  type ShuntConfig,
  type TrafficRange,
} from "@sallyport/ike";

const utf8 = new TextEncoder();

export const IKE_PROPOSAL: IkeProposal = {
  encryption: [{ algorithm: "aes-gcm-16", keyBits: 256 }],
  integrity: [],
  prf: ["hmac-sha2-256"],
  dh: ["x25519"],
};

export const ESP_PROPOSAL: EspProposal = {
  encryption: [{ algorithm: "aes-gcm-16", keyBits: 256 }],
  integrity: [],
  pfs: [],
  esn: [false],
};

/** All traffic of a prefix, or of one protocol and port of it. */
export function range(prefix: string, protocol = 0, port?: number): TrafficRange {
  const p = Prefix.parse(prefix);
  return { first: p.first, last: p.last, protocol, firstPort: port ?? 0, lastPort: port ?? 65_535 };
}

/** Two ends of a tunnel between 10.1.0.0/16 at `a` and 10.2.0.0/16 at `b`; `mine` names this end. */
export function childOf(mine: "a" | "b", more: Partial<ChildConfig> = {}): ChildConfig {
  const [local, remote] = mine === "a" ? ["10.1.0.0/16", "10.2.0.0/16"] : ["10.2.0.0/16", "10.1.0.0/16"];
  return {
    ...CHILD_DEFAULTS,
    id: "net",
    name: "net",
    local: [range(local)],
    remote: [range(remote)],
    proposals: [ESP_PROPOSAL],
    startAction: mine === "a" ? "start" : "none",
    ...more,
  };
}

export const ADDRESSES = { a: "192.0.2.1", b: "198.51.100.1" } as const;

/** One end of a site-to-site peer with a PSK; `a` initiates. */
export function peerOf(mine: "a" | "b", more: Partial<PeerConfig> = {}): PeerConfig {
  const theirs = mine === "a" ? "b" : "a";
  const remote = IpAddress.parse(ADDRESSES[theirs]);
  const secret = utf8.encode("a secret of some length");
  return {
    ...PEER_DEFAULTS,
    id: theirs,
    name: theirs,
    local: { address: IpAddress.parse(ADDRESSES[mine]), port: 500 },
    remote: { endpoint: { address: remote, port: 500 }, accept: [Prefix.of(remote, 32)] },
    proposals: [IKE_PROPOSAL],
    localAuth: [{ method: "psk", identity: { type: "fqdn", name: `${mine}.example` }, secret }],
    remoteAuth: [
      {
        method: "psk",
        identity: { match: "is", identity: { type: "fqdn", name: `${theirs}.example` } },
        secrets: [secret],
      },
    ],
    children: [childOf(mine)],
    ...more,
  };
}

/** A shunt for the two networks of `childOf`. */
export function shuntOf(mine: "a" | "b", more: Partial<ShuntConfig> = {}): ShuntConfig {
  const { local, remote } = childOf(mine);
  return { id: "shunt", name: "shunt", action: "discard", local, remote, priority: 1_990, ...more };
}

export function configOf(...peers: PeerConfig[]): IkeConfig {
  return { limits: DEFAULT_LIMITS, natPort: 4500, peers };
}
