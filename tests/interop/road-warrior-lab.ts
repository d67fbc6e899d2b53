import { type ConnectionIntent, type GatewayIntent, Secret } from "@sallyport/intent";
import type { PeerConnection, Topology } from "@sallyport/testkit";
import { gatewayIntent } from "./lab.js";

/** A gateway with two callers that run strongSwan, and one that calls a gateway that does. */
export const NS = {
  gateway: "sp-rw-gateway",
  one: "sp-rw-one",
  two: "sp-rw-two",
  caller: "sp-rw-caller",
  office: "sp-rw-office",
};
export const PSK = "people on the road";
export const IKE = ["aes256-sha256-x25519"];
export const ESP = ["aes256gcm16"];
const HOUR = 3600;
const ANYWHERE = ["0.0.0.0/0", "::/0"];

/** What is behind the gateways, on their loopbacks. */
export const BEHIND = { four: "10.2.0.1", six: "2001:db8:2::1" };
export const BEHIND_OFFICE = { four: "10.3.0.1", six: "2001:db8:3::1" };

export const TOPOLOGY: Topology = {
  ipv6: true,
  namespaces: [
    { name: NS.gateway, loopback: [`${BEHIND.four}/32`, `${BEHIND.six}/128`] },
    { name: NS.one },
    { name: NS.two },
    { name: NS.caller, loopback: ["10.4.0.1/32"] },
    { name: NS.office, loopback: [`${BEHIND_OFFICE.four}/32`, `${BEHIND_OFFICE.six}/128`] },
  ],
  cables: [
    [
      { namespace: NS.gateway, device: "wan1", addresses: ["192.0.2.1/30"] },
      { namespace: NS.one, device: "wan", addresses: ["192.0.2.2/30"] },
    ],
    [
      { namespace: NS.gateway, device: "wan2", addresses: ["192.0.2.5/30"] },
      { namespace: NS.two, device: "wan", addresses: ["192.0.2.6/30"] },
    ],
    [
      { namespace: NS.office, device: "wan", addresses: ["192.0.2.9/30"] },
      { namespace: NS.caller, device: "wan", addresses: ["192.0.2.10/30"] },
    ],
  ],
};

const secret = { keyId: "road", secret: new Secret(PSK) };
const child = (
  id: string,
  change: Partial<ConnectionIntent["children"][number]>,
): ConnectionIntent["children"][number] => ({
  id,
  name: id,
  mode: "tunnel",
  localSubnets: [],
  remoteSubnets: [],
  espProposals: ESP,
  rekeySeconds: HOUR,
  startAction: "none",
  ...change,
});

export const intent = (name: string, connection: ConnectionIntent, pools?: GatewayIntent["pools"]): GatewayIntent => ({
  ...gatewayIntent(name, []),
  pools,
  connections: [connection],
});

export const PEOPLE: ConnectionIntent = {
  id: "people",
  name: "people",
  role: "responder",
  remote: { ports: { ike: 500, natt: 4500 } },
  ikeProposals: IKE,
  local: { method: "psk", identity: { type: "fqdn", value: "gateway.test" }, ...secret },
  peer: { method: "psk", identity: { type: "any" }, ...secret },
  ikeRekeySeconds: 4 * HOUR,
  dpd: { intervalSeconds: 0 },
  modeConfig: {
    poolIds: ["four", "six"],
    dns: ["10.2.0.53", "2001:db8:2::53"],
    splitInclude: ["10.2.0.0/16", "2001:db8:2::/48"],
    users: [{ identity: { type: "email", value: "two@example.org" }, addresses: ["10.9.0.77"] }],
  },
  children: [child("everywhere", { localSubnets: ANYWHERE })],
};

export const CALLER: ConnectionIntent = {
  id: "office",
  name: "office",
  role: "initiator",
  remote: { host: "192.0.2.9", ports: { ike: 500, natt: 4500 } },
  ikeProposals: IKE,
  local: { method: "psk", identity: { type: "email", value: "caller@example.org" }, ...secret },
  peer: { method: "psk", identity: { type: "fqdn", value: "office.test" }, ...secret },
  ikeRekeySeconds: 4 * HOUR,
  dpd: { intervalSeconds: 0 },
  addressRequest: { families: ["ipv4", "ipv6"], hides: ["10.4.0.0/16"] },
  children: [child("office-net", { remoteSubnets: ["10.3.0.0/16", "2001:db8:3::/48"] })],
};

/** A caller of ours on strongSwan, as a phone is set up. */
export const caller = (name: string, to: string, from: string): PeerConnection => ({
  name: "home",
  localAddress: from,
  remoteAddress: to,
  proposals: IKE,
  vips: ["0.0.0.0", "::"],
  local: { auth: "psk", id: `${name}@example.org` },
  remote: { auth: "psk", id: "gateway.test" },
  children: [{ name: "home-all", remoteTs: ["10.2.0.0/16", "2001:db8:2::/48"], proposals: ESP }],
});

export const gateway = (pool = "10.9.0.0/24") =>
  intent("gateway.test", PEOPLE, [
    { id: "four", name: "four", addresses: [pool] },
    { id: "six", name: "six", addresses: ["2001:db8:9::/64"] },
  ]);
