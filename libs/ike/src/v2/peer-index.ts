import type { Endpoint } from "@sallyport/base";
import type { PeerConfig } from "../config.js";

interface Range {
  readonly peer: PeerConfig;
  readonly length: number;
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
      if (
        (prefix.length === 0 ? prefix.family === remote.address.family : prefix.contains(remote.address)) &&
        !out.includes(peer)
      ) {
        out.push(peer);
      }
    }
    return out.filter((p) => p.local.address === undefined || p.local.address.equals(local.address));
  }
}
