/** linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/fib_rules.h */
export const RTM = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  newAddr: 20,
  delAddr: 21,
  getAddr: 22,
  newRoute: 24,
  delRoute: 25,
  getRoute: 26,
  newRule: 32,
  delRule: 33,
  getRule: 34,
} as const;

/** Multicast groups, by number. */
export const RTNLGRP = { link: 1, ipv4Address: 5, ipv4Route: 7, ipv6Address: 9, ipv6Route: 11 } as const;

/** The answer names the table that the route was found in, not main. */
export const RTM_F_LOOKUP_TABLE = 0x1000;

export const IFLA = { ifname: 3, mtu: 4 } as const;
export const IFF_UP = 1;
export const IFA = { address: 1, local: 2, flags: 8, proto: 11 } as const;
/** No duplicate address detection: the address is used at once. */
export const IFA_F_NODAD = 2;
export const RTA = {
  dst: 1,
  src: 2,
  oif: 4,
  gateway: 5,
  priority: 6,
  prefsrc: 7,
  metrics: 8,
  table: 15,
  via: 18,
} as const;
export const RTAX_MTU = 2;
export const RTN = { unicast: 1, throw: 9 } as const;
export const RT_SCOPE = { universe: 0, link: 253 } as const;
export const FRA = {
  destination: 1,
  source: 2,
  incoming: 3,
  goTo: 4,
  priority: 6,
  mark: 10,
  table: 15,
  protocol: 21,
} as const;
export const FR_ACT = { toTable: 1, goTo: 2, nop: 3 } as const;
