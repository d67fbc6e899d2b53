import { type ConnectionIntent, type GatewayIntent, type PeerEap, Secret } from "@sallyport/intent";
import type { Authority, Credential, PeerAuthentication, PeerConnection } from "@sallyport/testkit";
import { connectionIntent, peerConnection, type TunnelCase } from "./lab.js";
import type { ScenarioNumber } from "./scenarios.js";

/** The servers' names; the user of either end's client. */
export const OURS = "gateway.test";
export const THEIRS = "theirs.test";
export const USER = "alice@example.org";
/** What a client calls itself in IDi: who it is, EAP says. */
export const DEVICE = "laptop.test";
/** Somebody whose certificate is of an authority that we do not trust. */
export const MALLORY = "mallory@example.org";
export const PASSWORD = "correct horse battery staple €";

export interface Way {
  readonly name: string;
  readonly method: "mschapv2" | "md5" | "gtc" | "tls";
  readonly proves: ScenarioNumber;
  readonly tls?: Pick<PeerEap, "tlsVersions"> | undefined;
}
export const TLS_12 = { tlsVersions: { min: "1.2", max: "1.2" } } as const;
export const TLS_13 = { tlsVersions: { min: "1.3", max: "1.3" } } as const;
export const WAYS: readonly Way[] = [
  { name: "mschapv2", method: "mschapv2", proves: 8 },
  { name: "md5", method: "md5", proves: 8 },
  { name: "gtc", method: "gtc", proves: 8 },
  { name: "tls", method: "tls", proves: 20, tls: TLS_12 },
];

/** Every connection has an address of the far end and networks of its own. */
const tunnel = (n: number, id: string): TunnelCase => ({
  id,
  auth: "certificate",
  ours: { name: OURS, address: "192.0.2.1", subnet: `10.1.${n}.0/24`, host: `10.1.${n}.1` },
  theirs: { name: THEIRS, address: `192.0.2.${10 + n}`, subnet: `10.2.${n}.0/24`, host: `10.2.${n}.1` },
  ike: ["aes256-sha256-x25519"],
  esp: ["aes256gcm16"],
});

export interface Case {
  readonly it: TunnelCase;
  readonly intent: ConnectionIntent;
  readonly peer: PeerConnection;
}

const fqdn = (value: string) => ({ type: "fqdn", value }) as const;
const TRUST = { trustAnchorIds: ["authority"] };

/** We serve EAP and prove ourselves by a certificate; strongSwan calls. */
export function serving(
  user: Credential,
  n: number,
  id: string,
  { method, tls }: Pick<Way, "method" | "tls">,
  theirs: Partial<PeerAuthentication> = {},
): Case {
  const it = tunnel(n, id);
  const connection = peerConnection(it);
  return {
    it,
    intent: {
      ...connectionIntent(it),
      role: "responder",
      remote: { from: [`${it.theirs.address}/32`], ports: { ike: 500, natt: 4500 } },
      local: { method: "certificate", identity: fqdn(OURS) },
      peer: {
        method: "eap",
        identity: { type: "any" },
        methods: [method],
        ...(method === "tls" ? { ...TRUST, ...tls } : { userSetId: "staff" }),
      },
    },
    peer: {
      ...connection,
      local: {
        auth: `eap-${method}`,
        id: DEVICE,
        eapId: USER,
        ...(method === "tls" && { certificate: user.certificate }),
        ...theirs,
      },
      remote: { auth: "pubkey", id: OURS },
    },
  };
}

/** strongSwan serves EAP; we call, and say who we are only once it has proven itself. */
export function calling(
  server: Credential,
  n: number,
  id: string,
  { method, tls }: Pick<Way, "method" | "tls">,
  password = PASSWORD,
  name = USER,
): Case {
  const it = tunnel(n, id);
  const connection = peerConnection(it);
  return {
    it,
    intent: {
      ...connectionIntent(it),
      role: "initiator",
      local: {
        method: "eap",
        identity: fqdn(DEVICE),
        user: name,
        methods: [method],
        ...(method === "tls" ? { ...TRUST, ...tls } : { secret: new Secret(password) }),
      },
      peer: { method: "certificate", identity: fqdn(THEIRS), ...TRUST },
    },
    peer: {
      ...connection,
      local: { auth: "pubkey", id: THEIRS, certificate: server.certificate },
      remote: { auth: `eap-${method}`, id: "%any", eapId: "%any" },
    },
  };
}

/** No end shows a certificate of IKE: EAP proves both (RFC 5998). `end`: of our intent, the server. */
export function inNamesOnly({ it, intent, peer: theirs }: Case, end: "local" | "peer"): Case {
  const identity = fqdn(end === "local" ? OURS : THEIRS);
  const bare =
    end === "local"
      ? ({ local: { method: "eap", identity } } as const)
      : ({ peer: { method: "eap", identity } } as const);
  const [local, remote] = [theirs.local, theirs.remote] as [PeerAuthentication, PeerAuthentication];
  const peers = end === "local" ? { remote: { ...remote, auth: "eap-tls" } } : { local: { ...local, auth: "eap-tls" } };
  return { it, intent: { ...intent, ...bare }, peer: { ...theirs, ...peers } };
}

/** We want the server's certificate in EAP-TLS to prove another name. */
export function expecting({ it, intent, peer: theirs }: Case, name: string): Case {
  const local = { ...intent.local, serverIdentity: fqdn(name) } as ConnectionIntent["local"];
  return { it, intent: { ...intent, local }, peer: theirs };
}

/** strongSwan insists on an authority that has not issued our certificate. */
export function untrusting({ it, intent, peer: theirs }: Case, stranger: Authority): Case {
  return { it, intent, peer: { ...theirs, remote: { auth: "pubkey", id: OURS, authorities: [stranger.certificate] } } };
}

export function intentOf(
  authority: Authority,
  own: Credential,
  connections: readonly ConnectionIntent[],
): GatewayIntent {
  return {
    schema: 1,
    revision: 1,
    gateway: { id: "ours", name: "ours" },
    identity: fqdn(OURS),
    ports: { ike: 500, natt: 4500 },
    certificate: { fingerprint: own.fingerprint, intermediates: [] },
    trustAnchors: [{ id: "authority", der: authority.der.toString("base64") }],
    eapUsers: [
      {
        id: "staff",
        users: [
          { name: USER, secret: new Secret(PASSWORD) },
          { name: "bob", secret: new Secret("another") },
        ],
      },
    ],
    connections,
    options: { commitConfirmSeconds: 60, reportSeconds: 5 },
  };
}

export const GATEWAY_AT_BRANCH = "198.51.100.1";
/** Between two of our own: TLS 1.3 and nothing else proves either end. */
export const BRANCH: TunnelCase = {
  ...tunnel(17, "branch"),
  theirs: { name: DEVICE, address: "198.51.100.2", subnet: "10.2.17.0/24", host: "10.2.17.1" },
};
export const atBranch = (user: Credential): ConnectionIntent => ({
  ...calling(user, 17, "branch", { method: "tls", tls: TLS_13 }).intent,
  remote: { host: GATEWAY_AT_BRANCH, ports: { ike: 500, natt: 4500 } },
  peer: { method: "eap", identity: fqdn(OURS) },
  children: connectionIntent(BRANCH).children.map((c) => ({
    ...c,
    localSubnets: c.remoteSubnets,
    remoteSubnets: c.localSubnets,
  })),
});
export const atGateway: ConnectionIntent = {
  ...connectionIntent(BRANCH),
  role: "responder",
  remote: { from: [`${BRANCH.theirs.address}/32`], ports: { ike: 500, natt: 4500 } },
  local: { method: "eap", identity: fqdn(OURS) },
  peer: { method: "eap", identity: { type: "any" }, methods: ["tls"], ...TRUST, ...TLS_13 },
};
