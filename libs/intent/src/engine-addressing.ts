import { IpAddress, Prefix } from "@sallyport/base";
import type { AddressPool, ModeConfig, PeerConfig } from "@sallyport/ike";
import { parseRange, type Range } from "./addressing.js";
import { ikeIdentity } from "./identity.js";
import type { ConnectionIntent, GatewayIntent, PoolIntent, UserIntent } from "./model.js";

const addressesOf = (texts: readonly string[] = []) => texts.map((t) => IpAddress.parse(t));
const prefixesOf = (texts: readonly string[] = []) => texts.map((t) => Prefix.parse(t));

/** The pools without what is excepted from them and without the gateway's own addresses. */
export function poolsOf({ pools = [] }: GatewayIntent, own: readonly IpAddress[]): AddressPool[] {
  return pools.map((pool) => ({ id: pool.id, ranges: rangesOf(pool, own) }));
}

function rangesOf({ addresses, except = [] }: PoolIntent, own: readonly IpAddress[]): Range[] {
  const holes = [...except.map(parseRange), ...own.map((a) => ({ first: a, last: a }))];
  return holes.reduce<Range[]>(
    (ranges, hole) => ranges.flatMap((range) => without(range, hole)),
    addresses.map(usable),
  );
}

/** A network's own address and its broadcast address are nobody's. */
function usable(text: string): Range {
  const { first, last } = parseRange(text);
  const hosts = last.toBigInt() - first.toBigInt();
  if (text.includes("-") || hosts < 3n) return { first, last };
  const end = first.family === 4 ? last.toBigInt() - 1n : last.toBigInt();
  return {
    first: IpAddress.fromBigInt(first.family, first.toBigInt() + 1n),
    last: IpAddress.fromBigInt(first.family, end),
  };
}

function without(range: Range, hole: Range): Range[] {
  const { family } = range.first;
  const [low, high] = [range.first.toBigInt(), range.last.toBigInt()];
  const [from, to] = [hole.first.toBigInt(), hole.last.toBigInt()];
  if (family !== hole.first.family || to < low || from > high) return [range];
  const piece = (a: bigint, b: bigint) =>
    a > b ? [] : [{ first: IpAddress.fromBigInt(family, a), last: IpAddress.fromBigInt(family, b) }];
  return [...piece(low, from - 1n), ...piece(to + 1n, high)];
}

/** A pool of this connection that lies within a network of the gateway (MC-10), in words. */
export function conflictOf(
  { pools = [] }: GatewayIntent,
  { modeConfig }: ConnectionIntent,
  networks: readonly Prefix[],
): string | undefined {
  for (const pool of pools) {
    if (!modeConfig?.poolIds.includes(pool.id)) continue;
    for (const { first, last } of pool.addresses.map(parseRange)) {
      const network = networks.find(
        (n) =>
          n.family === first.family && n.first.toBigInt() <= last.toBigInt() && first.toBigInt() <= n.last.toBigInt(),
      );
      if (network) return `addresses of pool ${pool.name} lie in ${network}, a network of this gateway`;
    }
  }
  return undefined;
}

export function modeConfigOf({ modeConfig }: ConnectionIntent): Pick<PeerConfig, "modeConfig"> {
  if (!modeConfig) return {};
  const { addressPrefixLength, required = true, users = [] } = modeConfig;
  const config: ModeConfig = {
    pools: modeConfig.poolIds,
    required,
    ...(addressPrefixLength === undefined ? {} : { prefixLength: addressPrefixLength }),
    dns: addressesOf(modeConfig.dns),
    domains: modeConfig.splitDns ?? [],
    subnets: prefixesOf(modeConfig.splitInclude),
    users: users.map(userOf),
  };
  return { modeConfig: config };
}

function userOf(user: UserIntent): ModeConfig["users"][number] {
  const { addresses, poolIds, dns, splitDns, splitInclude } = user;
  return {
    identity: ikeIdentity(user.identity),
    ...(addresses && { addresses: addressesOf(addresses) }),
    ...(poolIds && { pools: poolIds }),
    ...(dns && { dns: addressesOf(dns) }),
    ...(splitDns && { domains: splitDns }),
    ...(splitInclude && { subnets: prefixesOf(splitInclude) }),
  };
}

export function requestOf({ addressRequest }: ConnectionIntent): Pick<PeerConfig, "request"> {
  if (!addressRequest) return {};
  const { families, dns = true, hides } = addressRequest;
  return { request: { families: families.map((f) => (f === "ipv4" ? 4 : 6)), dns, hides: prefixesOf(hides) } };
}
