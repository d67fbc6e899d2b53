// The tunnels that are compared: each carries 10.77.1.1 ↔ 10.77.2.1 with AES-GCM-256 over UDP 4500, MTU 1400 inside.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { type End, eventually, type Pair, says } from "./namespaces.ts";

export interface Tunnel {
  readonly name: string;
  /** The device that inner packets go through. */
  readonly device: string;
  up(pair: Pair, directory: string): Promise<void>;
}

const gateway = path.join(import.meta.dirname, "gateway.ts");

/** Ours, with static keys: no IKE is needed to carry packets. */
export function sallyport(portable: boolean): Tunnel {
  return {
    name: portable ? "sallyport userspace, JavaScript only" : "sallyport userspace",
    device: "sally0",
    async up(pair) {
      const end = ({ outer, inner }: End, spi: number) => ({ outer, inner: `${inner}/32`, spi });
      const left = end(pair.left, 0x1001);
      const right = end(pair.right, 0x1002);
      const start = (at: End, ours: typeof left, theirs: typeof left) =>
        pair.spawn(at, process.execPath, [gateway, JSON.stringify({ ours, theirs, tunName: this.device, portable })]);
      const gateways = [start(pair.left, left, right), start(pair.right, right, left)];
      await Promise.all(gateways.map((child) => says(child, "ready")));
    },
  };
}

const CHARON = "/usr/sbin/charon-systemd";

/** Debian's strongSwan with kernel-libipsec: the plugins of its own default list that this tunnel needs, OpenSSL for AES-GCM. */
export const charon: Tunnel = {
  name: "strongSwan charon, kernel-libipsec",
  device: "ipsec0",
  async up(pair, directory) {
    const peers = [
      { here: pair.left, there: pair.right, id: "left", far: "right" },
      { here: pair.right, there: pair.left, id: "right", far: "left" },
    ];
    const sockets = await Promise.all(
      peers.map(async ({ here, there, id, far }) => {
        const own = path.join(directory, id);
        const vici = path.join(own, "vici");
        await mkdir(path.join(own, "swanctl"), { recursive: true });
        await writeFile(path.join(own, "strongswan.conf"), daemonSettings(vici));
        await writeFile(path.join(own, "swanctl", "swanctl.conf"), connection(id, far, here, there));
        pair.spawn(here, CHARON, [], { STRONGSWAN_CONF: path.join(own, "strongswan.conf") });
        const uri = `unix://${vici}`;
        const swanctl = (...args: string[]) =>
          pair.run(here, "env", `SWANCTL_DIR=${path.join(own, "swanctl")}`, "swanctl", ...args, "--uri", uri);
        await eventually(10_000, () => swanctl("--load-all"));
        return swanctl;
      }),
    );
    await eventually(10_000, async () => sockets[0]?.("--initiate", "--child", "net"));
  },
};

function daemonSettings(vici: string): string {
  return `charon-systemd {
  load_modular = no
  load = random nonce kdf openssl kernel-libipsec kernel-netlink socket-default vici
  journal { default = -1 }
  plugins {
    kernel-libipsec { allow_peer_ts = yes }
    vici { socket = unix://${vici} }
  }
}
`;
}

function connection(id: string, far: string, here: End, there: End): string {
  return `connections { pair {
  version = 2
  local_addrs = ${here.outer}
  remote_addrs = ${there.outer}
  proposals = aes256gcm16-prfsha256-x25519
  local { auth = psk
    id = ${id} }
  remote { auth = psk
    id = ${far} }
  children { net {
    local_ts = ${here.inner}/32
    remote_ts = ${there.inner}/32
    esp_proposals = aes256gcm16
  } }
} }
secrets { ike-pair {
  id-1 = left
  id-2 = right
  secret = "a key for measuring with"
} }
`;
}
