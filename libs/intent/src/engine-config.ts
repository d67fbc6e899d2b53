import { Buffer } from "node:buffer";
import { createHash, X509Certificate } from "node:crypto";
import { type Fault, IpAddress, Prefix } from "@sallyport/base";
import {
  CHILD_DEFAULTS,
  type ChildConfig,
  DEFAULT_LIMITS,
  type EspProposal,
  type IkeConfig,
  type IkeProposal,
  PEER_DEFAULTS,
  type PeerConfig,
  type RetransmissionPolicy,
  type ShuntConfig,
  type TrafficRange,
  type TrustAnchor,
} from "@sallyport/ike";
import { conflictOf, modeConfigOf, poolsOf, requestOf } from "./engine-addressing.js";
import { authenticationOf, eapUsersOf, type Own } from "./engine-auth.js";
import { fault } from "./faults.js";
import type { LocalFacts } from "./local-facts.js";
import type { ChildIntent, ConnectionIntent, GatewayIntent, PolicyIntent } from "./model.js";
import { parseProposals } from "./proposals.js";
import { parseSelector } from "./selectors.js";

export interface EngineConfig {
  readonly config: IkeConfig;
  /** `intent/missing-fact` of the connections that could not be set up, or only to answer; try again when facts change. */
  readonly missing: ReadonlyMap<string, Fault>;
}

/** Hard limits lie a tenth after the soft ones, whose jitter is a tenth. */
const hard = (soft: number) => soft + Math.ceil(soft / 10);
/** Wide enough that what came up together – everybody, after a restart – does not rekey together. */
const jitter = (soft: number) => Math.floor(soft / 10);
/** Without ESN an SA ends before its sequence number would cycle (RFC 4303 §3.3.3). */
const SOFT_PACKETS = 3_000_000_000n;
const HARD_PACKETS = 4_294_967_295n;

const AFTER_DEATH = { start: "restart", trap: "trap", none: "clear" } as const;

/** The IKE engine's configuration of an intent on this machine. */
export function toIkeConfig(intent: GatewayIntent, facts: LocalFacts): EngineConfig {
  const missing = new Map<string, Fault>();
  const undecided: Prefix[] = [];
  const own: Own = {
    usual: facts.credential(intent.certificate) ?? facts.credential(undefined),
    named: facts.credential,
  };
  const order = orderOf(intent);
  const anchors = new Map(intent.trustAnchors.map((t, i) => [t.id, anchorOf(t.id, t.der, `trustAnchors[${i}].der`)]));
  const peers = intent.connections.flatMap((connection, i): PeerConfig[] => {
    const path = `connections[${i}]`;
    const lack = (field: string, message: string, expected: string) => {
      missing.set(
        connection.id,
        fault("intent/missing-fact", `${connection.name}: ${message}`, { field: `${path}.${field}`, expected }),
      );
    };
    const { host, ports } = connection.remote;
    const address = host === undefined ? undefined : addressOf(host, facts.resolved);
    const bound = connection.localAddress === undefined ? undefined : IpAddress.parse(connection.localAddress);
    const mine = bound === undefined || facts.ownAddresses.some((a) => a.equals(bound));
    const local = bound ? (mine ? bound : undefined) : address && facts.localAddress(address);
    if (!mine) lack("localAddress", `${bound} is no address of this gateway`, "an address of this gateway");
    else if (host !== undefined && !address) lack("remote.host", `${host} is not resolved`, "an address of the peer");
    else if (address && bound && bound.family !== address.family) {
      lack("localAddress", `${bound} cannot reach ${address}`, "an address of the peer's family");
    } else if (address && !local) lack("remote.host", `there is no route to ${address}`, "a route to the peer");
    const authentication = authenticationOf(connection, own, anchors);
    if (!authentication) lack("local", "this gateway has no such certificate yet", "a certificate and its key");
    const conflict = conflictOf(intent, connection, facts.ownNetworks);
    if (conflict) lack("modeConfig.poolIds", conflict, "pools apart from the networks of this gateway");
    const calls = connection.role !== "responder" && address?.family === local?.family && address !== undefined;
    if (!authentication || !mine || (connection.role === "initiator" && !calls)) {
      undecided.push(...acceptFrom(connection, address));
      return [];
    }
    return [
      {
        ...PEER_DEFAULTS,
        id: connection.id,
        name: connection.name,
        local: { address: local, port: intent.ports.ike },
        remote: {
          endpoint: address && { address, port: ports.ike },
          accept: acceptFrom(connection, address),
        },
        passive: !calls,
        proposals: ikeProposals(connection, `${path}.ikeProposals`),
        ...authentication,
        lifetime: {
          soft: connection.ikeRekeySeconds,
          jitter: jitter(connection.ikeRekeySeconds),
          hard: hard(connection.ikeRekeySeconds),
        },
        dpdInterval: connection.dpd.intervalSeconds,
        retransmission: retransmissionOf(connection),
        keyingTries: connection.keyingTries ?? 0,
        window: connection.window ?? PEER_DEFAULTS.window,
        reauthentication: reauthenticationOf(connection),
        authLifetime: connection.authLifetimeSeconds ?? PEER_DEFAULTS.authLifetime,
        initialContact: connection.initialContact ?? PEER_DEFAULTS.initialContact,
        uniqueness: connection.uniqueness ?? PEER_DEFAULTS.uniqueness,
        sasPerIdentity: connection.sasPerIdentity ?? PEER_DEFAULTS.sasPerIdentity,
        ...crossingOf(connection, facts),
        ...modeConfigOf(connection),
        ...requestOf(connection),
        children: connection.children.map((c, j) =>
          childConfig(c, calls, order(c.id), facts, `${path}.children[${j}]`),
        ),
      },
    ];
  });
  const [pools, shunts] = [poolsOf(intent, facts.ownAddresses), shuntsOf(intent)];
  return {
    config: {
      ...{ limits: DEFAULT_LIMITS, natPort: intent.ports.natt },
      ...{ pools, peers, undecided, shunts, eapUsers: eapUsersOf(intent) },
    },
    missing,
  };
}

/** How IKE and ESP cross the network between the ends. */
function crossingOf(
  { mobike = {}, natKeepaliveSeconds, forceEncapsulation = false, fragmentBytes }: ConnectionIntent,
  facts: LocalFacts,
) {
  const { addresses, acceptFrom = [] } = mobike;
  return {
    mobike: {
      enabled: mobike.enabled ?? PEER_DEFAULTS.mobike.enabled,
      checkRoutability: mobike.checkRoutability ?? PEER_DEFAULTS.mobike.checkRoutability,
      forbidNat: mobike.forbidNat ?? PEER_DEFAULTS.mobike.forbidNat,
      acceptFrom: acceptFrom.map((t) => Prefix.parse(t)),
      ...(addresses ? { addresses: addresses.map((t) => IpAddress.parse(t)) } : {}),
    },
    natKeepalive: natKeepaliveSeconds ?? PEER_DEFAULTS.natKeepalive,
    forceEncapsulation: facts.forcesEncapsulation || forceEncapsulation,
    fragmentation: fragmentBytes !== 0,
    fragmentSize: fragmentBytes || PEER_DEFAULTS.fragmentSize,
  };
}

/** Between two places: room for what peers narrow, which stands right before its template. */
const STEP = 10;

/** Priorities of the places in the list of policies: tunnels without a place of their own keep theirs whatever stands around them. */
function prioritiesOf(policies: readonly PolicyIntent[]): number[] {
  const rest = policies.findIndex((p) => p.action === "encrypt" && p.child === undefined);
  return policies.map((_, i) => CHILD_DEFAULTS.priority + (i - Math.max(rest, 0)) * STEP);
}

/** The priority of a child's policies. */
function orderOf({ policies = [] }: GatewayIntent): (child: string) => number {
  const priorities = prioritiesOf(policies);
  const places = new Map(policies.map((p, i) => [p.action === "encrypt" ? (p.child ?? "") : undefined, priorities[i]]));
  return (child) => places.get(child) ?? CHILD_DEFAULTS.priority;
}

function shuntsOf({ policies = [] }: GatewayIntent): ShuntConfig[] {
  const priorities = prioritiesOf(policies);
  return policies.flatMap((p, i) => {
    if (p.action === "encrypt") return [];
    const { id, name, action } = p;
    const ranges = (texts: readonly string[], side: string) =>
      texts.map((text, j) => parseSelector(text, `policies[${i}].${side}[${j}]`));
    const [local, remote] = [ranges(p.local, "local"), ranges(p.remote, "remote")];
    return [{ id, name, action, local, remote, priority: priorities[i] ?? CHILD_DEFAULTS.priority }];
  });
}

function addressOf(host: string, resolved: ReadonlyMap<string, IpAddress>): IpAddress | undefined {
  try {
    return IpAddress.parse(host);
  } catch {
    return resolved.get(host);
  }
}

function retransmissionOf({ retransmission: r }: ConnectionIntent): RetransmissionPolicy {
  if (!r) return PEER_DEFAULTS.retransmission;
  return { initial: r.initialMilliseconds, backoff: r.backoff, max: r.longestMilliseconds, tries: r.tries };
}

/** With certificates a peer may call from wherever it is; a pre-shared key is tried only from where its owner is known to be. */
function acceptFrom({ role, peer, remote }: ConnectionIntent, address: IpAddress | undefined): Prefix[] {
  if (role === "initiator") return [];
  if (remote.from) return remote.from.map((text) => Prefix.parse(text));
  if (peer.method === "psk" && address) return [Prefix.of(address, address.family === 4 ? 32 : 128)];
  return [Prefix.any(4), Prefix.any(6)];
}

/** Hashes by DER: a fleet has few anchors, and each proof asks for them. */
const keyHashes = new Map<string, Uint8Array>();
const MAX_KEY_HASHES = 256;

function anchorOf(ref: string, der: string, field: string): TrustAnchor {
  const known = keyHashes.get(der);
  if (known) return { ref, keyHash: known };
  try {
    const spki = new X509Certificate(Buffer.from(der, "base64")).publicKey.export({ type: "spki", format: "der" });
    const keyHash = Uint8Array.from(createHash("sha1").update(spki).digest());
    if (keyHashes.size >= MAX_KEY_HASHES) keyHashes.clear();
    keyHashes.set(der, keyHash);
    return { ref, keyHash };
  } catch (cause) {
    throw fault("intent/invalid-field", `${field}: not a certificate`, {
      field,
      expected: "a certificate's DER in base64",
      cause,
    });
  }
}

function ikeProposals({ ikeProposals: texts }: ConnectionIntent, field: string): IkeProposal[] {
  return parseProposals(texts, "ike", field).map(({ encryption, integrity, prf, groups }) => ({
    encryption,
    integrity,
    prf,
    dh: groups,
  }));
}

function childConfig(
  child: ChildIntent,
  calls: boolean,
  priority: number,
  facts: LocalFacts,
  field: string,
): ChildConfig {
  const proposals = parseProposals(child.espProposals, "esp", `${field}.espProposals`);
  const numbersLast = proposals.every((p) => !p.esn.includes(false));
  const local = child.localSubnets.map((text, i) => parseSelector(text, `${field}.localSubnets[${i}]`));
  const inside = facts.ownAddresses.filter((a) => local.some((range) => holds(range, a)));
  const routeSources = ([4, 6] as const).flatMap((family) => inside.find((a) => a.family === family) ?? []);
  return {
    ...CHILD_DEFAULTS,
    id: child.id,
    name: child.name,
    mode: child.mode,
    local,
    remote: child.remoteSubnets.map((text, i) => parseSelector(text, `${field}.remoteSubnets[${i}]`)),
    proposals: proposals.map(
      ({ encryption, integrity, groups, esn }): EspProposal => ({ encryption, integrity, pfs: groups, esn }),
    ),
    ...(child.dontFragment ? { dontFragment: child.dontFragment } : {}),
    ...(child.pathMtu === undefined ? {} : { pathMtu: child.pathMtu }),
    ...(child.clampMss === undefined ? {} : { clampMss: child.clampMss }),
    lifetime: {
      soft: child.rekeySeconds,
      jitter: jitter(child.rekeySeconds),
      hard: hard(child.rekeySeconds),
      ...volumeOf(child, numbersLast),
    },
    replayWindow: child.replayWindow ?? CHILD_DEFAULTS.replayWindow,
    tfc: child.tfcBytes ?? CHILD_DEFAULTS.tfc,
    // An end that cannot call can only wait for the other.
    startAction: calls ? child.startAction : "none",
    dpdAction: calls ? (child.dpdAction ?? AFTER_DEATH[child.startAction]) : "clear",
    level: child.level ?? CHILD_DEFAULTS.level,
    ...(child.template && { template: child.template }),
    priority,
    routeSources,
  };
}

function reauthenticationOf({ reauthentication }: ConnectionIntent): PeerConfig["reauthentication"] {
  if (!reauthentication) return PEER_DEFAULTS.reauthentication;
  const { seconds, mode = "make-before-break" } = reauthentication;
  return { after: seconds, jitter: jitter(seconds), mode };
}

/** Limits by volume. Where an SA may be without ESN its sequence numbers end first. */
function volumeOf({ rekeyBytes, rekeyPackets }: ChildIntent, numbersLast: boolean): Partial<ChildConfig["lifetime"]> {
  return {
    ...(rekeyBytes === undefined ? {} : { softBytes: BigInt(rekeyBytes), hardBytes: BigInt(hard(rekeyBytes)) }),
    ...(numbersLast ? {} : { softPackets: SOFT_PACKETS, hardPackets: HARD_PACKETS }),
    ...(rekeyPackets === undefined
      ? {}
      : { softPackets: BigInt(rekeyPackets), hardPackets: BigInt(hard(rekeyPackets)) }),
  };
}

function holds({ first, last }: TrafficRange, address: IpAddress): boolean {
  const [low, value, high] = [first, address, last].map((a) => a.toBigInt()) as [bigint, bigint, bigint];
  return first.family === address.family && low <= value && value <= high;
}
