import type { IpAddress } from "@sallyport/base";
import type { AddressingFacts, IkeConfig, ModeConfig, UserModeConfig } from "../config.js";
import type { VirtualAddresses } from "../status.js";
import {
  addressAttribute,
  type ConfigData,
  dnsAttribute,
  domainAttribute,
  netmaskAttribute,
  readConfig,
  subnetAttribute,
  supportedAttribute,
} from "../wire/config-data.js";
import { CFG, CFG_ATTRIBUTE } from "../wire/registry.js";
import type { ConfigAttribute, ConfigPayload, Payload } from "../wire/types.js";
import { sameValue } from "./equal.js";
import { errorOf } from "./failures.js";
import { fault } from "./faults.js";
import { whoIs } from "./identity.js";
import { find } from "./message.js";
import type { IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";
import { sasAllowed, userOf } from "./users.js";

const SUPPORTED = [
  CFG_ATTRIBUTE.INTERNAL_IP4_ADDRESS,
  CFG_ATTRIBUTE.INTERNAL_IP4_NETMASK,
  CFG_ATTRIBUTE.INTERNAL_IP4_DNS,
  CFG_ATTRIBUTE.INTERNAL_IP6_ADDRESS,
  CFG_ATTRIBUTE.INTERNAL_IP6_DNS,
  CFG_ATTRIBUTE.INTERNAL_IP4_SUBNET,
  CFG_ATTRIBUTE.SUPPORTED_ATTRIBUTES,
  CFG_ATTRIBUTE.INTERNAL_IP6_SUBNET,
  CFG_ATTRIBUTE.INTERNAL_DNS_DOMAIN,
];
const ASKS = { 4: CFG_ATTRIBUTE.INTERNAL_IP4_ADDRESS, 6: CFG_ATTRIBUTE.INTERNAL_IP6_ADDRESS } as const;
const FAMILIES = [4, 6] as const;

/** Addresses that are set aside for users. */
export function ownAddresses(config: IkeConfig): IpAddress[] {
  return config.peers.flatMap((p) => p.modeConfig?.users.flatMap((u) => u.addresses ?? []) ?? []);
}

export function sameAddressing(a: IkeConfig, b: IkeConfig): boolean {
  return sameValue(a.pools ?? [], b.pools ?? []) && sameValue(ownAddresses(a), ownAddresses(b));
}

function requestIn(payloads: readonly Payload[], cfgType: number): ConfigData | undefined {
  const cp = find(payloads, "CP");
  return cp?.cfgType === cfgType ? readConfig(cp.attributes) : undefined;
}

/**
 * Gives an authenticated initiator the addresses that it asks for, in IKE_AUTH or later, and the payloads that tell it (RFC 7296
 * §2.19). Faults: `ike/no-address` when none is left, `ike/address-required` when it must ask and does not; the IKE SA stays then
 * (§3.15.4).
 */
export function serveAddresses(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): Payload[] {
  const { peer } = sa;
  const config = peer?.modeConfig;
  const request = requestIn(payloads, CFG.REQUEST);
  if (!config) return [];
  const user = userOf(sa);
  const facts = { ...config, ...user };
  const asked = FAMILIES.filter((family) => request?.types.has(ASKS[family]));
  const has = sa.virtual?.remote ?? [];
  if (config.required && asked.length === 0 && has.length === 0) {
    throw fault("ike/address-required", "the peer asks for no address", {
      facts: { ours: poolsText(facts, user), theirs: "no request for an address" },
    });
  }
  if (!request) return [];
  const addresses = asked.flatMap(
    (family) => has.find((a) => a.family === family) ?? choose(turn, sa, family, request, facts, user) ?? [],
  );
  if (asked.length > 0 && addresses.length === 0) {
    throw fault("ike/no-address", "no address is left for the peer", {
      facts: { ours: poolsText(facts, user), theirs: asked.map((f) => `an IPv${f} address`).join(", ") },
    });
  }
  const more = addresses.filter((a) => !has.some((h) => h.equals(a)));
  if (more.length > 0) {
    const { dns, domains, subnets } = facts;
    sa.virtual = { local: [], remote: [...has, ...more], dns, domains, subnets };
  }
  return [reply(config, facts, request, addresses)];
}

function choose(
  turn: Turn,
  sa: IkeSa,
  family: 4 | 6,
  request: ConfigData,
  facts: AddressingFacts,
  user: UserModeConfig | undefined,
): IpAddress | undefined {
  const { leases } = turn.core;
  const own = user?.addresses?.find((a) => a.family === family);
  // Of several IKE SAs of one identity the first has the address.
  const isLent = own !== undefined && sa.peer && sasAllowed(sa, sa.peer) > 1 && leases.holderOf(own) !== undefined;
  const wanted = request.addresses.find((a) => a.family === family);
  const given = leases.choose({
    family,
    identity: sa.identity ?? "",
    pools: facts.pools,
    fixed: isLent ? undefined : own,
    wanted,
    // Where one identity may have several IKE SAs, each has an address of its own.
    again: sa.peer?.uniqueness !== "keep",
  });
  if (wanted && !given?.equals(wanted)) refuseAddress(turn, sa, wanted, poolsText(facts, user), facts.pools);
  return given;
}

/** It gets another one (RFC 7296 §3.15.1: what is asked for is a hint), and whoever looks after this end hears of it. */
function refuseAddress(turn: Turn, sa: IkeSa, wanted: IpAddress, ours: string, pools: readonly string[]): void {
  const facts = { ours, theirs: wanted.toString() };
  const cause = turn.core.leases.isIn(wanted, pools)
    ? fault("ike/address-taken", "the address that is asked for is somebody else's", { facts })
    : fault("ike/address-outside-pool", "the address that is asked for is in no pool of the connection", { facts });
  const error = errorOf(turn, "IKE_AUTH", cause);
  const about = { peer: sa.peer?.id, remote: sa.remote, refused: whoIs(sa), at: turn.now };
  turn.emit({ event: "address-refused", ...about, error });
}

function poolsText(facts: AddressingFacts, user: UserModeConfig | undefined): string {
  const own = user?.addresses?.map(String) ?? [];
  return [...own, ...facts.pools.map((id) => `pool ${id}`)].join(", ") || "no pool";
}

function reply(
  config: ModeConfig,
  { dns, domains, subnets }: AddressingFacts,
  request: ConfigData,
  addresses: readonly IpAddress[],
): ConfigPayload {
  const { prefixLength } = config;
  const has4 = addresses.some((a) => a.family === 4);
  const attributes: ConfigAttribute[] = [
    ...addresses.map(addressAttribute),
    ...(prefixLength !== undefined && has4 ? [netmaskAttribute(prefixLength)] : []),
    ...dns.map(dnsAttribute),
    // Only to those who ask, and never without a server to ask (RFC 8598 §3.2).
    ...(request.types.has(CFG_ATTRIBUTE.INTERNAL_DNS_DOMAIN) && dns.length > 0 ? domains.map(domainAttribute) : []),
    ...subnets.map(subnetAttribute),
    ...(request.types.has(CFG_ATTRIBUTE.SUPPORTED_ATTRIBUTES) ? [supportedAttribute(SUPPORTED)] : []),
  ];
  return { kind: "CP", cfgType: CFG.REPLY, attributes };
}

/** Answers a configuration payload in INFORMATIONAL: with what the peer has, and to CFG_SET that nothing of it was taken (§3.15). */
export function answerConfig(sa: IkeSa, payloads: readonly Payload[]): Payload[] {
  if (requestIn(payloads, CFG.SET)) return [{ kind: "CP", cfgType: CFG.ACK, attributes: [] }];
  const request = requestIn(payloads, CFG.REQUEST);
  const config = sa.peer?.modeConfig;
  if (!request || !config) return [];
  const given: VirtualAddresses["remote"] = sa.virtual?.remote ?? [];
  const addresses = given.filter((a) => request.types.has(ASKS[a.family]));
  return [reply(config, { ...config, ...userOf(sa) }, request, addresses)];
}
