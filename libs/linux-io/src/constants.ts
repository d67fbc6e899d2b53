/** Numbers of the Linux user-space ABI, equal on all architectures that Node runs on, from the headers named. */

/** bits/socket.h */
export const AF = { unspec: 0, inet: 2, inet6: 10, netlink: 16, packet: 17 } as const;
export const SOCK = { dgram: 2, raw: 3 } as const;

/** asm-generic/socket.h, linux/in.h, linux/in6.h, linux/udp.h, linux/netlink.h */
export const SOL = { socket: 1, ip: 0, ipv6: 41, udp: 17, netlink: 270 } as const;
export const SO = {
  reuseAddress: 2,
  sendBuffer: 7,
  receiveBuffer: 8,
  reusePort: 15,
  bindToDevice: 25,
  sendBufferForce: 32,
  receiveBufferForce: 33,
  mark: 36,
  memoryInfo: 55,
} as const;
export const IP = { pktinfo: 8, mtuDiscover: 10, recvErr: 11, recvTos: 13, xfrmPolicy: 17 } as const;
export const IPV6 = {
  mtuDiscover: 23,
  recvErr: 25,
  v6Only: 26,
  xfrmPolicy: 35,
  recvPktinfo: 49,
  recvTclass: 66,
} as const;
/** linux/in.h: whole packets, header included, are given to be sent. */
export const IPPROTO_RAW = 255;
export const PMTUDISC = { dont: 0, want: 1, do: 2, probe: 3 } as const;

/** linux/if_tun.h */
export const IFF_TUN = 0x0001;
export const IFF_MULTI_QUEUE = 0x0100;
export const IFF_NO_PI = 0x1000;
