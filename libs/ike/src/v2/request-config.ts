import { type IpAddress, Prefix } from "@sallyport/base";
import type { TrafficRange } from "../config.js";
import { addressAttribute, readConfig, wish } from "../wire/config-data.js";
import { CFG, CFG_ATTRIBUTE } from "../wire/registry.js";
import type { ConfigAttribute, Payload } from "../wire/types.js";
import type { ChildOffer } from "./child-sa.js";
import { fault } from "./faults.js";
import { find } from "./message.js";
import { type Ends, endsOf, hosts } from "./narrow.js";
import type { IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

const ADDRESS = { 4: CFG_ATTRIBUTE.INTERNAL_IP4_ADDRESS, 6: CFG_ATTRIBUTE.INTERNAL_IP6_ADDRESS } as const;
const DNS = { 4: CFG_ATTRIBUTE.INTERNAL_IP4_DNS, 6: CFG_ATTRIBUTE.INTERNAL_IP6_DNS } as const;

/** CFG_REQUEST of an initiator: the addresses that it had before, else any (RFC 7296 §2.19). */
export function requestAddresses(turn: Turn, sa: IkeSa): Payload[] {
  const request = sa.peer?.request;
  if (!request) return [];
  const had = turn.core.peers.get(sa.peer?.id ?? "")?.addresses ?? [];
  const attributes: ConfigAttribute[] = request.families.map((family) => {
    const before = had.find((a) => a.family === family);
    return before ? addressAttribute(before) : wish(ADDRESS[family]);
  });
  if (request.dns) {
    attributes.push(...request.families.map((f) => wish(DNS[f])), wish(CFG_ATTRIBUTE.INTERNAL_DNS_DOMAIN));
  }
  return [{ kind: "CP", cfgType: CFG.REQUEST, attributes }];
}

/** What stands for an empty list of selectors in an offer: anything, as long as the address is still to be given. */
export function offeredEnds(sa: IkeSa): Ends {
  const request = sa.peer?.request;
  const ends = endsOf(sa);
  if (!request || sa.virtual) return ends;
  return { ...ends, local: request.families.map(everything) };
}

function everything(family: 4 | 6): TrafficRange {
  const { first, last } = Prefix.any(family);
  return { first, last, protocol: 0, firstPort: 0, lastPort: 65_535 };
}

/**
 * Takes the addresses that the responder gave, and gives the offer as it is now: a CHILD SA without local selectors is for these
 * addresses alone. Fault `ike/no-address` when there are none.
 */
export function takeAddresses(turn: Turn, sa: IkeSa, offer: ChildOffer, payloads: readonly Payload[]): ChildOffer {
  const request = sa.peer?.request;
  if (!request) return offer;
  const cp = find(payloads, "CP");
  const told = readConfig(cp?.cfgType === CFG.REPLY ? cp.attributes : []);
  const local = request.families.flatMap(
    (family) => told.addresses.find((a) => a.family === family && isHost(a) && !isTaken(turn, sa, a)) ?? [],
  );
  if (local.length === 0) {
    throw fault("ike/no-address", "the peer gave no address", {
      facts: { ours: request.families.map((f) => `an IPv${f} address`).join(", "), theirs: "none" },
    });
  }
  const { dns, domains, subnets } = told;
  sa.virtual = { local, remote: [], dns, domains, subnets };
  const state = turn.core.peers.get(sa.peer?.id ?? "");
  if (state) {
    state.addresses = local;
    state.addressRefusals = 0;
  }
  turn.apply(local.map((address) => ({ op: "installAddress", args: [spec(address)] })));
  dropOrphanAddresses(turn, local);
  return offer.config.local.length > 0 ? offer : { ...offer, local: hosts(local) };
}

/** Addresses that a machine cannot have or that would take something else over. */
function isHost(address: IpAddress): boolean {
  return !NO_HOSTS.some((prefix) => prefix.contains(address));
}

/** This machine's own address, or the peer's: it would come and go with the tunnel, and the way to the peer with it (hostile input 28). */
function isTaken(turn: Turn, sa: IkeSa, address: IpAddress): boolean {
  const before = turn.core.peers.get(sa.peer?.id ?? "")?.addresses ?? [];
  if (before.some((a) => a.equals(address))) return false;
  return [sa.local.address, sa.remote.address, ...turn.core.addresses].some((a) => a.equals(address));
}

const NO_HOSTS = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8", "::ffff:0:0/96"].map(
  (text) => Prefix.parse(text),
);

function spec(address: IpAddress) {
  return { address, prefixLength: address.family === 4 ? 32 : 128 };
}

/** The addresses of an IKE SA that goes, unless another one – which has taken its place – has them too. */
export function releaseAddresses(turn: Turn, sa: IkeSa): void {
  const { virtual } = sa;
  sa.virtual = undefined;
  if (!virtual || virtual.local.length === 0) return;
  const others = turn.ofPeer(sa.peer?.id ?? "").filter((other) => other.serial !== sa.serial);
  const gone = virtual.local.filter((a) => !others.some((o) => o.virtual?.local.some((b) => a.equals(b))));
  turn.apply(gone.map((address) => ({ op: "removeAddress", args: [spec(address)] })));
}

/** Takes away what an earlier run was given, but for `kept`, which is in use again. */
export function dropOrphanAddresses(turn: Turn, kept: readonly IpAddress[] = []): void {
  const { core } = turn;
  const gone = core.orphanAddresses.filter((o) => !kept.some((a) => a.equals(o.address)));
  core.orphanAddresses = [];
  turn.apply(gone.map((address) => ({ op: "removeAddress", args: [address] })));
}
