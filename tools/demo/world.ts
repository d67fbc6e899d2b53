import type { NamespaceSpec, Port, Topology } from "@sallyport/testkit";

/** Names of the demo's network namespaces. */
export const NS = {
  internet: "sallyport-internet",
  headquarters: "sallyport-hq",
  headquartersHost: "sallyport-hq-host",
  branchRouter: "sallyport-branch-nat",
  branch: "sallyport-branch",
  branchHost: "sallyport-branch-host",
  partner: "sallyport-partner",
  partnerHost: "sallyport-partner-host",
  laptop: "sallyport-laptop",
} as const;

/** Where the control plane is reached from the demo's internet; the network is the one set apart for tests, RFC 2544. */
export const CONTROL_PLANE_ADDRESS = "198.18.0.1";
export const CONTROL_PLANE_DEVICE = "sallyport0";

export const HEADQUARTERS = { address: "203.0.113.2", subnet: "10.10.0.0/24", router: "10.10.0.1", host: "10.10.0.10" };
export const BRANCH = { address: "192.168.77.2", subnet: "10.20.0.0/24", router: "10.20.0.1", host: "10.20.0.10" };
export const PARTNER = { address: "192.0.2.2", subnet: "10.99.0.0/24", router: "10.99.0.1", host: "10.99.0.10" };
export const LAPTOP = { address: "198.51.101.2", router: "198.51.101.1" };

const port = (namespace: string | undefined, device: string, ...addresses: string[]): Port => ({
  namespace,
  device,
  addresses,
});

/** A machine behind a gateway. */
const host = (name: string, gateway: string): NamespaceSpec => ({ name, gateway });

export const WORLD: Topology = {
  namespaces: [
    // The router hides the internet from the machine's own namespace, so that this one needs no route into the demo.
    { name: NS.internet, forwards: true, hidesBehind: "cloud" },
    { name: NS.headquarters, forwards: true, gateway: "203.0.113.1" },
    host(NS.headquartersHost, HEADQUARTERS.router),
    { name: NS.branchRouter, forwards: true, gateway: "198.51.100.1", hidesBehind: "wan" },
    { name: NS.branch, forwards: true, gateway: "192.168.77.1" },
    host(NS.branchHost, BRANCH.router),
    { name: NS.partner, forwards: true, gateway: "192.0.2.1" },
    host(NS.partnerHost, PARTNER.router),
    host(NS.laptop, LAPTOP.router),
  ],
  cables: [
    [port(undefined, CONTROL_PLANE_DEVICE, `${CONTROL_PLANE_ADDRESS}/30`), port(NS.internet, "cloud", "198.18.0.2/30")],
    [port(NS.internet, "hq", "203.0.113.1/24"), port(NS.headquarters, "wan", `${HEADQUARTERS.address}/24`)],
    [port(NS.internet, "branch", "198.51.100.1/24"), port(NS.branchRouter, "wan", "198.51.100.2/24")],
    [port(NS.internet, "partner", "192.0.2.1/24"), port(NS.partner, "wan", `${PARTNER.address}/24`)],
    [port(NS.internet, "laptop", `${LAPTOP.router}/24`), port(NS.laptop, "wlan0", `${LAPTOP.address}/24`)],
    [port(NS.branchRouter, "lan", "192.168.77.1/24"), port(NS.branch, "wan", `${BRANCH.address}/24`)],
    [
      port(NS.headquarters, "lan", `${HEADQUARTERS.router}/24`),
      port(NS.headquartersHost, "eth0", `${HEADQUARTERS.host}/24`),
    ],
    [port(NS.branch, "lan", `${BRANCH.router}/24`), port(NS.branchHost, "eth0", `${BRANCH.host}/24`)],
    [port(NS.partner, "lan", `${PARTNER.router}/24`), port(NS.partnerHost, "eth0", `${PARTNER.host}/24`)],
  ],
};
