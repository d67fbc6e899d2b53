import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Topology } from "@sallyport/testkit";
import type { Ends } from "./daemons.js";
import type { TunnelCase } from "./lab.js";

export const OURS = { name: "ours.test", address: "192.0.2.2", subnet: "10.1.1.0/24", host: "10.1.1.1" };
export const THEIRS = { name: "theirs.test", address: "198.51.100.2", subnet: "10.2.1.0/24", host: "10.2.1.1" };
/** Of each end's second link. */
export const SECOND = { ours: "192.0.2.130", theirs: "198.51.100.130" };
const ROUTER = { ours: ["192.0.2.1", "192.0.2.129"], theirs: ["198.51.100.1", "198.51.100.129"] } as const;

export const TUNNEL: TunnelCase = {
  id: "roaming",
  auth: "psk",
  psk: "on the road again",
  ike: ["aes256gcm16-prfsha256-x25519"],
  esp: ["aes256gcm16-x25519"],
  ours: OURS,
  theirs: THEIRS,
};

/** Two ends on one router, each with two links to it; `names` are those of the namespaces. */
export class Roaming {
  readonly ends: Ends;
  readonly router: string;
  readonly topology: Topology;

  constructor(names: string) {
    const [ours, net, theirs] = [`${names}-ours`, `${names}-net`, `${names}-theirs`];
    this.ends = { ours, theirs };
    this.router = net;
    this.topology = {
      namespaces: [
        { name: ours, loopback: [`${OURS.host}/32`] },
        { name: net, forwards: true },
        { name: theirs, loopback: [`${THEIRS.host}/32`] },
      ],
      cables: [
        [
          { namespace: ours, device: "first", addresses: [`${OURS.address}/25`] },
          { namespace: net, device: "ours1", addresses: ["192.0.2.1/25"] },
        ],
        [
          { namespace: ours, device: "second", addresses: [`${SECOND.ours}/25`] },
          { namespace: net, device: "ours2", addresses: ["192.0.2.129/25"] },
        ],
        [
          { namespace: theirs, device: "first", addresses: [`${THEIRS.address}/25`] },
          { namespace: net, device: "theirs1", addresses: ["198.51.100.1/25"] },
        ],
        [
          { namespace: theirs, device: "second", addresses: [`${SECOND.theirs}/25`] },
          { namespace: net, device: "theirs2", addresses: ["198.51.100.129/25"] },
        ],
      ],
    };
  }

  async run(namespace: string, command: string, ...args: string[]): Promise<void> {
    const child = spawn("ip", ["netns", "exec", namespace, command, ...args], { stdio: "ignore" });
    const [code] = await once(child, "exit");
    if (code !== 0) throw new Error(`${command} ${args.join(" ")} failed in ${namespace}`);
  }

  /** From now on everything of an end leaves by link number `link`, from that link's address. */
  async routeBy(end: keyof Ends, link: 0 | 1): Promise<void> {
    await this.run(this.ends[end], "ip", "route", "replace", "default", "via", ROUTER[end][link]);
  }

  async address(end: keyof Ends, what: "add" | "del", link: 0 | 1): Promise<void> {
    const address = [{ ours: OURS.address, theirs: THEIRS.address }, SECOND][link]?.[end];
    await this.run(this.ends[end], "ip", "addr", what, `${address}/25`, "dev", link === 0 ? "first" : "second");
  }

  /** Both ends by their first links. */
  async settle(): Promise<void> {
    await Promise.all([this.routeBy("ours", 0), this.routeBy("theirs", 0)]);
  }
}
