import { IpAddress, Prefix } from "@sallyport/base";
import type { AddressPool, ModeConfig, PeerConfig } from "@sallyport/ike";
import { ikeIdentity } from "./identity.js";
import type { ConnectionIntent, GatewayIntent, UserIntent } from "./model.js";
import { givenRanges, parseRange } from "./ranges.js";
import { parseSelector } from "./selectors.js";

const addressesOf = (texts: readonly string[] = []) => texts.map((t) => IpAddress.parse(t));
const prefixesOf = (texts: readonly string[] = []) => texts.map((t) => Prefix.parse(t));

/** The pools without what is excepted from them and without the gateway's own addresses. */
export function poolsOf({ pools = [] }: GatewayIntent, own: readonly IpAddress[]): AddressPool[] {
  return pools.map((pool) => ({ id: pool.id, ranges: givenRanges(pool, own) }));
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
  const { addressPrefixLength, required = true, users = [], onlyUsers, peopleId } = modeConfig;
  const config: ModeConfig = {
    pools: modeConfig.poolIds,
    required,
    ...(addressPrefixLength === undefined ? {} : { prefixLength: addressPrefixLength }),
    dns: addressesOf(modeConfig.dns),
    domains: modeConfig.splitDns ?? [],
    subnets: prefixesOf(modeConfig.splitInclude),
    users: users.map(userOf),
    ...(onlyUsers !== undefined && { onlyUsers }),
    ...(peopleId !== undefined && { people: peopleId }),
  };
  return { modeConfig: config };
}

function userOf(user: UserIntent): ModeConfig["users"][number] {
  const { addresses, poolIds, dns, splitDns, splitInclude, reach, sessions } = user;
  return {
    identity: ikeIdentity(user.identity),
    ...(addresses && { addresses: addressesOf(addresses) }),
    ...(poolIds && { pools: poolIds }),
    ...(dns && { dns: addressesOf(dns) }),
    ...(splitDns && { domains: splitDns }),
    ...(splitInclude && { subnets: prefixesOf(splitInclude) }),
    ...(reach && { reach: reach.map((text) => parseSelector(text)) }),
    ...(sessions !== undefined && { sas: sessions }),
  };
}

export function requestOf({ addressRequest }: ConnectionIntent): Pick<PeerConfig, "request"> {
  if (!addressRequest) return {};
  const { families, dns = true, hides } = addressRequest;
  return { request: { families: families.map((f) => (f === "ipv4" ? 4 : 6)), dns, hides: prefixesOf(hides) } };
}
