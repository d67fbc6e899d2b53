import type { Endpoint, IpAddress, Prefix } from "@sallyport/base";
import type { PeerConfig } from "../config.js";

interface Range {
  readonly peer: PeerConfig;
  readonly length: number;
}

const holds = (prefix: Prefix, address: IpAddress) =>
  prefix.length === 0 ? prefix.family === address.family : prefix.contains(address);

/** Bits of the longest prefix by which a stranger at `address` may be the peer; -1: by none. */
export function closeness({ remote }: PeerConfig, address: IpAddress): number {
  if (remote.endpoint?.address.equals(address)) return address.bytes.length * 8;
  return remote.accept.reduce((longest, p) => Math.max(longest, holds(p, address) ? p.length : -1), -1);
}

/** Which peers a stranger at an address may be: host entries by hash, wider ones by length of prefix (PEER-01). */
export class PeerIndex {
  readonly #hosts = new Map<string, PeerConfig[]>();
  readonly #wider: (Range & { readonly prefix: PeerConfig["remote"]["accept"][number] })[] = [];

  constructor(peers: readonly PeerConfig[]) {
    for (const peer of peers) {
      for (const prefix of peer.remote.accept) {
        if (prefix.length === prefix.address.bytes.length * 8) this.#addHost(prefix.address.toString(), peer);
        else this.#wider.push({ peer, prefix, length: prefix.length });
      }
      if (peer.remote.endpoint) this.#addHost(peer.remote.endpoint.address.toString(), peer);
    }
    this.#wider.sort((a, b) => b.length - a.length);
  }

  #addHost(address: string, peer: PeerConfig): void {
    const list = this.#hosts.get(address);
    if (!list) this.#hosts.set(address, [peer]);
    else if (!list.includes(peer)) list.push(peer);
  }

  /** Best first; only peers whose own address is `local` or left open. */
  candidates(local: Endpoint, remote: Endpoint): PeerConfig[] {
    const out = [...(this.#hosts.get(remote.address.toString()) ?? [])];
    for (const { peer, prefix } of this.#wider) {
      if (!out.includes(peer) && holds(prefix, remote.address)) out.push(peer);
    }
    return out.filter((p) => p.local.address === undefined || p.local.address.equals(local.address));
  }
}
