import type { LastError } from "@sallyport/ike";
import { type ConnectionIntent, type GatewayIntent, Secret } from "@sallyport/intent";
import {
  type Agent,
  type Authority,
  type Credential,
  createAuthority,
  eventually,
  layOut,
  type PeerAuthentication,
  type PeerConnection,
  remove,
  type Strongswan,
  startAgent,
  startStrongswan,
  type Topology,
} from "@sallyport/testkit";
import { connectionIntent, DATA_PLANE, Pair, PEER_DATA_PLANE, peerConnection, type TunnelCase } from "./lab.js";
import { scenario } from "./scenario.js";
import type { ScenarioNumber } from "./scenarios.js";

const NS = { ours: "sp-eap-ours", theirs: "sp-eap-theirs" };
const GATEWAY = "gateway.test";
const USER = "alice@example.org";
const PASSWORD = "correct horse battery staple";

type Way = "mschapv2" | "md5" | "gtc" | "tls-1.2" | "tls-1.3";
type Method = "mschapv2" | "md5" | "gtc" | "tls";
const WAYS: readonly { readonly way: Way; readonly method: Method; readonly proves: ScenarioNumber }[] = [
  { way: "mschapv2", method: "mschapv2", proves: 8 },
  { way: "md5", method: "md5", proves: 8 },
  { way: "gtc", method: "gtc", proves: 8 },
  { way: "tls-1.2", method: "tls", proves: 20 },
];

/** Every connection has an address of the far end and networks of its own. */
const tunnel = (n: number, id: string): TunnelCase => ({
  id,
  auth: "certificate",
  ours: { name: GATEWAY, address: "192.0.2.1", subnet: `10.1.${n}.0/24`, host: `10.1.${n}.1` },
  theirs: { name: USER, address: `192.0.2.${10 + n}`, subnet: `10.2.${n}.0/24`, host: `10.2.${n}.1` },
  ike: ["aes256-sha256-x25519"],
  esp: ["aes256gcm16"],
});

const versions = (way: Way) =>
  way === "tls-1.2" || way === "tls-1.3"
    ? ({ tlsVersions: { min: way === "tls-1.2" ? "1.2" : "1.3", max: way === "tls-1.2" ? "1.2" : "1.3" } } as const)
    : {};

/** We serve EAP; strongSwan calls. */
function serving({ way, method }: (typeof WAYS)[number], n: number) {
  const it = tunnel(n, `serve-${way}`);
  const intent: ConnectionIntent = {
    ...connectionIntent(it),
    role: "responder",
    remote: { from: [`${it.theirs.address}/32`], ports: { ike: 500, natt: 4500 } },
    local: { method: "certificate", identity: { type: "fqdn", value: GATEWAY } },
    peer: {
      method: "eap",
      identity: { type: "any" },
      methods: [method],
      userSetId: "staff",
      ...(method === "tls" && { trustAnchorIds: ["authority"] }),
      ...versions(way),
    },
  };
  return { way, it, intent };
}
