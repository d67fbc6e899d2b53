import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { text } from "node:stream/consumers";

/** One end of a cable. Without a namespace it hangs in the one that this program runs in. */
export interface Port {
  readonly namespace: string | undefined;
  readonly device: string;
  /** With prefix length, the first one being primary. */
  readonly addresses: readonly string[];
}

export interface NamespaceSpec {
  readonly name: string;
  /** Address of the default router. */
  readonly gateway?: string;
  /** Whether packets pass through (a router). */
  readonly forwards?: boolean;
  /** Device behind which inner addresses are hidden (source NAT). */
  readonly hidesBehind?: string;
  /** Further addresses of this machine itself, on its loopback. */
  readonly loopback?: readonly string[];
  readonly routes?: readonly { readonly to: string; readonly via: string }[];
}

/** Machines and the cables between them. Names of devices have at most 15 octets. */
export interface Topology {
  /** Without it, IPv6 is off in all namespaces. */
  readonly ipv6?: boolean;
  readonly namespaces: readonly NamespaceSpec[];
  readonly cables: readonly (readonly [Port, Port])[];
}

async function run(command: string, args: readonly string[], input = ""): Promise<string> {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
  // A command that reads nothing may be gone before its input is closed; its exit status says what matters.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [out, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${errors.trim() || `exit ${code}`}`);
  return out;
}

const inside = (namespace: string | undefined) => (namespace === undefined ? [] : ["-n", namespace]);
/** Runs several `ip` commands in one process; without a namespace in this program's own. */
const ip = (namespace: string | undefined, commands: readonly string[]) =>
  run("ip", [...inside(namespace), "-batch", "-"], `${commands.join("\n")}\n`);

async function settings(namespace: string, forwards: boolean, ipv6: boolean): Promise<void> {
  const script = [
    ...["all", "default"].map((d) => `echo 0 >/proc/sys/net/ipv4/conf/${d}/rp_filter`),
    ...["all", "default"].flatMap((d) => [
      `echo ${ipv6 ? 0 : 1} >/proc/sys/net/ipv6/conf/${d}/disable_ipv6`,
      // Addresses are used at once.
      `echo 0 >/proc/sys/net/ipv6/conf/${d}/accept_dad`,
      `echo ${forwards ? 1 : 0} >/proc/sys/net/ipv6/conf/${d}/forwarding`,
    ]),
    `echo ${forwards ? 1 : 0} >/proc/sys/net/ipv4/ip_forward`,
  ].join("; ");
  await run("ip", ["netns", "exec", namespace, "sh", "-c", script]);
}

/** Kernels have nftables or the older tables or both; User Mode Linux has the older ones only. */
async function hide(namespace: string, device: string): Promise<void> {
  const rule = ["-w", "-t", "nat", "-A", "POSTROUTING", "-o", device, "-j", "MASQUERADE"];
  const using = (tool: string) => run("ip", ["netns", "exec", namespace, tool, ...rule]);
  await using("iptables").catch(() => using("iptables-legacy"));
}

function configuration(topology: Topology, spec: NamespaceSpec): string[] {
  const ports = topology.cables.flat().filter((port) => port.namespace === spec.name);
  return [
    "link set lo up",
    ...(spec.loopback ?? []).map((address) => `addr add ${address} dev lo`),
    ...ports.flatMap((port) => [
      ...port.addresses.map((address) => `addr add ${address} dev ${port.device}`),
      `link set ${port.device} up`,
    ]),
    ...(spec.gateway ? [`route add default via ${spec.gateway}`] : []),
    ...(spec.routes ?? []).map((route) => `route add ${route.to} via ${route.via}`),
  ];
}

/** Builds it all; on failure nothing remains. */
export async function layOut(topology: Topology): Promise<void> {
  try {
    await ip(
      undefined,
      topology.namespaces.map((spec) => `netns add ${spec.name}`),
    );
    await Promise.all(
      topology.namespaces.map((spec) => settings(spec.name, spec.forwards ?? false, topology.ipv6 ?? false)),
    );
    const cable = ([a, b]: readonly [Port, Port]) => {
      const place = (port: Port) => (port.namespace === undefined ? "" : ` netns ${port.namespace}`);
      return `link add name ${a.device}${place(a)} type veth peer name ${b.device}${place(b)}`;
    };
    await ip(undefined, topology.cables.map(cable));
    const local = topology.cables.flat().filter((port) => port.namespace === undefined);
    for (const port of local) {
      await ip(undefined, [
        ...port.addresses.map((address) => `addr add ${address} dev ${port.device}`),
        `link set ${port.device} up`,
      ]);
    }
    await Promise.all(topology.namespaces.map((spec) => ip(spec.name, configuration(topology, spec))));
    for (const { name, hidesBehind } of topology.namespaces) {
      if (hidesBehind === undefined) continue;
      await hide(name, hidesBehind);
    }
  } catch (error) {
    await remove(topology);
    throw error;
  }
}

/** Takes down what exists of it: namespaces with all that is in them, and devices in this program's own. */
export async function remove(topology: Topology): Promise<void> {
  const names = new Set(await readdir("/run/netns").catch(() => []));
  const devices = new Set(await readdir("/sys/class/net"));
  for (const port of topology.cables.flat()) {
    if (port.namespace === undefined && devices.has(port.device)) await ip(undefined, [`link del ${port.device}`]);
  }
  const present = topology.namespaces.filter((spec) => names.has(spec.name));
  if (present.length > 0)
    await ip(
      undefined,
      present.map((spec) => `netns del ${spec.name}`),
    );
}
