import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import type { Topology } from "@sallyport/testkit";
import { DATA_PLANE } from "./lab.js";

export const NS = {
  ours: "sp-sqz-ours",
  near: "sp-sqz-near",
  far: "sp-sqz-far",
  theirs: "sp-sqz-theirs",
  twin: "sp-sqz-twin",
};
export const PUBLIC = { near: "192.0.2.1", far: "192.0.2.2" };

/** Each end behind a router of its own, and beside the peer another one like it. */
export const TOPOLOGY: Topology = {
  namespaces: [
    { name: NS.ours, gateway: "192.168.5.1", loopback: ["10.1.1.1/32"] },
    { name: NS.near, forwards: true, routes: [{ to: "192.168.6.0/23", via: PUBLIC.far }] },
    { name: NS.far, forwards: true, routes: [{ to: "192.168.5.0/24", via: PUBLIC.near }] },
    { name: NS.theirs, gateway: "192.168.6.1", loopback: ["10.2.1.1/32"] },
    { name: NS.twin, gateway: "192.168.7.1", loopback: ["10.3.1.1/32"] },
  ],
  cables: [
    [
      { namespace: NS.ours, device: "eth0", addresses: ["192.168.5.2/24"] },
      { namespace: NS.near, device: "lan", addresses: ["192.168.5.1/24"] },
    ],
    [
      { namespace: NS.near, device: "wan", addresses: [`${PUBLIC.near}/24`] },
      { namespace: NS.far, device: "wan", addresses: [`${PUBLIC.far}/24`] },
    ],
    [
      { namespace: NS.theirs, device: "eth0", addresses: ["192.168.6.2/24"] },
      { namespace: NS.far, device: "lan", addresses: ["192.168.6.1/24"] },
    ],
    [
      { namespace: NS.twin, device: "eth0", addresses: ["192.168.7.2/24"] },
      { namespace: NS.far, device: "lan2", addresses: ["192.168.7.1/24"] },
    ],
  ],
};
export const OURS = { name: "ours.test", address: "192.168.5.2", subnet: "10.1.1.0/24", host: "10.1.1.1" };
export const THEIRS = { name: "theirs.test", address: "192.168.6.2", subnet: "10.2.1.0/24", host: "10.2.1.1" };
export const TWIN = { name: "twin.test", address: "192.168.7.2", subnet: "10.3.1.0/24", host: "10.3.1.1" };
export const COMMON = {
  auth: "psk",
  psk: "through the needle's eye",
  ike: ["aes256gcm16-prfsha256-x25519"],
  esp: ["aes256gcm16-x25519"],
  ours: OURS,
  theirs: THEIRS,
} as const;
export const SECRETS = [{ owners: [OURS.name, THEIRS.name, TWIN.name], secret: COMMON.psk }];

export async function run(namespace: string, command: string, ...args: string[]): Promise<string> {
  const child = spawn("ip", ["netns", "exec", namespace, command, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const [out, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} failed in ${namespace}`);
  return out;
}
/** User Mode Linux has the older tables only. */
const IPTABLES = DATA_PLANE === "kernel" ? "iptables-legacy" : "iptables";
/** Waits where another file changes rules, too: the lock that some have is for all namespaces. */
export const iptables = (namespace: string, ...args: string[]) => run(namespace, IPTABLES, "-w", ...args);

/** Hides what is behind a router, and leads IKE that calls the router to one machine behind it. */
export async function translate(router: "near" | "far", inside: string): Promise<void> {
  const nat = ["-t", "nat", "-A"];
  await iptables(NS[router], ...nat, "POSTROUTING", "-o", "wan", "-j", "MASQUERADE");
  const ports = ["-p", "udp", "-m", "multiport", "--dports", "500,4500"];
  await iptables(NS[router], ...nat, "PREROUTING", "-i", "wan", ...ports, "-j", "DNAT", "--to-destination", inside);
}

/** Gives a router another address outside: its NAT forgets every mapping. Its routes went with the old one. */
export async function readdress(router: "near" | "far", address: string): Promise<void> {
  await run(NS[router], "ip", "addr", "flush", "dev", "wan");
  await run(NS[router], "ip", "addr", "add", `${address}/24`, "dev", "wan");
  const [to, via] = router === "near" ? ["192.168.6.0/23", PUBLIC.far] : ["192.168.5.0/24", PUBLIC.near];
  await run(NS[router], "ip", "route", "replace", to, "via", via);
}
