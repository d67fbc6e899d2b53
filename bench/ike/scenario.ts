import { Buffer } from "node:buffer";
import { createHash, X509Certificate } from "node:crypto";
import { IpAddress, Prefix } from "@sallyport/base";
import {
  CHILD_DEFAULTS,
  DEFAULT_LIMITS,
  type IdentityMatch,
  type IkeConfig,
  type LocalAuth,
  PEER_DEFAULTS,
  type PeerConfig,
  type RemoteAuth,
  type TrafficRange,
} from "@sallyport/ike";

export type Group = "x25519" | "ecp256" | "modp2048";
export type AuthKind = "psk" | "rsa" | "ecdsa";

/** What both ends and both responders are told; made anew by each run. */
export interface Scenario {
  readonly group: Group;
  readonly auth: AuthKind;
  /** `many`: every handshake is that of another road warrior, with an identity and an inner address of its own (PSK only). */
  readonly clients: "one" | "many";
  /** `books`: what the kernel's adapter keeps of each SA, without a kernel. */
  readonly dataPlane: "userspace" | "books";
  readonly limits: "none" | "default";
  readonly secret: string;
  /** PEM. */
  readonly authority: string;
  readonly server: { readonly certificate: string; readonly privateKey: string };
  readonly client: { readonly certificate: string; readonly privateKey: string };
}

export const SERVER = { address: "10.77.0.1", id: "server.bench", subnet: "10.77.1.0/24", inner: "10.77.1.1" };
export const CLIENT = { address: "10.77.0.2", id: "client.bench", subnet: "10.77.2.0/24" };
/** Inner addresses of many clients: a /32 each from here on. */
const CLIENTS = { first: 0x0a80_0000, subnet: "10.128.0.0/9" };
export const ikeProposal = (group: Group) => `aes256gcm16-prfsha256-${group}`;
export const ESP_PROPOSAL = "aes256gcm16";
export const PORTS = { ike: 500, natt: 4500 };
export const ANCHOR = "authority";
/** Handshakes under way at any time. */
export const CONCURRENCY = 32;

const der = (pem: string) => Uint8Array.from(new X509Certificate(pem).raw);

/** The inner side and the identity of client `n`. */
function clientOf(scenario: Scenario, n: number): { readonly id: string; readonly subnet: string } {
  if (scenario.clients === "one") return CLIENT;
  const address = IpAddress.fromBigInt(4, BigInt(CLIENTS.first + n));
  return { id: `c${n}.${CLIENT.id}`, subnet: `${address}/32` };
}

/**
 * One end's engine configuration. The responder takes any number of IKE SAs of the same client, which never says INITIAL_CONTACT.
 * `n` tells many clients apart.
 */
export function configOf(scenario: Scenario, end: "server" | "client", n = 0): IkeConfig {
  const client = { ...CLIENT, ...clientOf(scenario, n) };
  const everyClient = scenario.clients === "one" ? CLIENT : { ...CLIENT, subnet: CLIENTS.subnet };
  const [own, other] = end === "server" ? [SERVER, everyClient] : [client, SERVER];
  const cipher = { algorithm: "aes-gcm-16", keyBits: 256 } as const;
  const peer: PeerConfig = {
    ...PEER_DEFAULTS,
    id: "bench",
    name: "bench",
    local: { address: IpAddress.parse(own.address), port: PORTS.ike },
    remote: {
      endpoint: end === "client" ? { address: IpAddress.parse(other.address), port: PORTS.ike } : undefined,
      accept: [Prefix.any(4)],
    },
    passive: end === "server",
    proposals: [{ encryption: [cipher], integrity: [], prf: ["hmac-sha2-256"], dh: [scenario.group] }],
    localAuth: [localAuth(scenario, end, own.id)],
    remoteAuth: [remoteAuth(scenario, end === "server" && scenario.clients === "many" ? undefined : other.id)],
    dpdInterval: 0,
    natKeepalive: 0,
    initialContact: false,
    uniqueness: "keep",
    sasPerIdentity: 65_535,
    // charon's kernel-libipsec does the same.
    forceEncapsulation: end === "server",
    children: [
      {
        ...CHILD_DEFAULTS,
        id: "net",
        name: "net",
        local: [rangeOf(own.subnet)],
        remote: [rangeOf(other.subnet)],
        proposals: [{ encryption: [cipher], integrity: [], pfs: [], esn: [false] }],
        startAction: end === "client" ? "start" : "none",
        dpdAction: "clear",
      },
    ],
  };
  const many = 1_000_000;
  const none = { cookieThreshold: many, halfOpen: many, halfOpenPerSource: many };
  return {
    limits: { ...DEFAULT_LIMITS, ...(scenario.limits === "none" ? none : {}) },
    natPort: PORTS.natt,
    peers: [peer],
  };
}

function localAuth(scenario: Scenario, end: "server" | "client", name: string): LocalAuth {
  const identity = { type: "fqdn", name } as const;
  if (scenario.auth === "psk") return { method: "psk", identity, secret: Buffer.from(scenario.secret) };
  return {
    method: "certificate",
    identity,
    credentials: [
      {
        // As the agent names its keys.
        key: createHash("sha256").update(der(scenario[end].certificate)).digest("hex"),
        keyKind: scenario.auth === "rsa" ? { type: "rsa", bits: 2048 } : { type: "ec", curve: "P-256" },
        chain: [der(scenario[end].certificate)],
      },
    ],
  };
}

function remoteAuth(scenario: Scenario, name: string | undefined): RemoteAuth {
  const identity: IdentityMatch =
    name === undefined ? { match: "any" } : { match: "is", identity: { type: "fqdn", name } };
  if (scenario.auth === "psk") return { method: "psk", identity, secrets: [Buffer.from(scenario.secret)] };
  const spki = new X509Certificate(scenario.authority).publicKey.export({ type: "spki", format: "der" });
  return {
    method: "certificate",
    identity,
    trust: [{ ref: ANCHOR, keyHash: createHash("sha1").update(spki).digest() }],
  };
}

function rangeOf(text: string): TrafficRange {
  const prefix = Prefix.parse(text);
  return { first: prefix.first, last: prefix.last, protocol: 0, firstPort: 0, lastPort: 65_535 };
}
