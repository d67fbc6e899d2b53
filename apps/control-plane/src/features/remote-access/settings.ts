import { IpAddress, Prefix } from "@sallyport/base";
import { isHostName } from "@sallyport/intent";
import { apiFault } from "../../platform/faults.js";
import { checkUuid } from "../../platform/input.js";

const MAX_NETWORKS = 64;
const MAX_POOLS = 16;
const MAX_SERVERS = 8;
const MAX_DOMAINS = 32;

/** What a service, a group or a person is told, as callers write it. */
export interface Told {
  readonly networks?: readonly string[] | null | undefined;
  readonly dns?: readonly string[] | null | undefined;
  readonly splitDns?: readonly string[] | null | undefined;
  readonly poolIds?: readonly string[] | null | undefined;
}

/** Columns of a rule: what is not its own is the service's. */
export interface RuleColumns {
  readonly ownNetworks: boolean;
  readonly networks: string[];
  readonly ownDns: boolean;
  readonly dns: string[];
  readonly ownSplitDns: boolean;
  readonly splitDns: string[];
  readonly ownPools: boolean;
  readonly poolIds: string[];
}

const bad = (field: string, value: string, expected: string) =>
  apiFault("api/bad-input", `${field}: expected ${expected}`, { field, value: value.slice(0, 100), expected });

function atMost(list: readonly string[], max: number, field: string, what: string): void {
  if (list.length > max) throw bad(field, `${list.length} entries`, `at most ${max} ${what}`);
}

/** Canonical prefixes; `0.0.0.0/0` and `::/0` stand for everything. */
export function checkNetworks(list: readonly string[], field: string): string[] {
  atMost(list, MAX_NETWORKS, field, "prefixes");
  return list.map((text, i) => Prefix.parse(text, `${field}[${i}]`).toString());
}

export function checkServers(list: readonly string[], field: string): string[] {
  atMost(list, MAX_SERVERS, field, "addresses");
  return list.map((text, i) => IpAddress.parse(text, `${field}[${i}]`).toString());
}

export function checkDomains(list: readonly string[], field: string): string[] {
  atMost(list, MAX_DOMAINS, field, "domains");
  return list.map((text, i) => {
    const domain = text.toLowerCase().replace(/\.$/, "");
    if (!isHostName(domain)) throw bad(`${field}[${i}]`, text, "a DNS domain such as corp.example");
    return domain;
  });
}

/** Whether they are the service's own is seen when its gateways' intents are compiled. */
function checkPools(list: readonly string[] | null | undefined, field: string): string[] {
  if (list?.length === 0) throw bad(field, "none", "at least one of the service's pools, or nothing");
  atMost(list ?? [], MAX_POOLS, field, "pools");
  return (list ?? []).map((id, i) => checkUuid(id, `${field}[${i}]`));
}

export function checkRule({ networks, dns, splitDns, poolIds }: Told, field: string): RuleColumns {
  return {
    ownNetworks: networks !== undefined && networks !== null,
    networks: checkNetworks(networks ?? [], `${field}.networks`),
    ownDns: dns !== undefined && dns !== null,
    dns: checkServers(dns ?? [], `${field}.dns`),
    ownSplitDns: splitDns !== undefined && splitDns !== null,
    splitDns: checkDomains(splitDns ?? [], `${field}.splitDns`),
    ownPools: poolIds !== undefined && poolIds !== null,
    poolIds: checkPools(poolIds, `${field}.poolIds`),
  };
}
