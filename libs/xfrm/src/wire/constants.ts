/** linux/xfrm.h, linux/udp.h */
export const XFRM_MSG = {
  newSa: 0x10,
  delSa: 0x11,
  getSa: 0x12,
  newPolicy: 0x13,
  delPolicy: 0x14,
  getPolicy: 0x15,
  allocSpi: 0x16,
  acquire: 0x17,
  expire: 0x18,
  updPolicy: 0x19,
  updSa: 0x1a,
  mapping: 0x26,
} as const;

export const XFRMA = {
  algAuth: 1,
  algCrypt: 2,
  encap: 4,
  tmpl: 5,
  srcAddr: 13,
  lastUsed: 15,
  algAead: 18,
  algAuthTrunc: 20,
  tfcPad: 22,
  replayEsnVal: 23,
} as const;

/** Multicast groups. */
export const XFRMNLGRP = { acquire: 1, expire: 2, mapping: 8 } as const;

export const XFRM_STATE = { noPmtuDisc: 4, afUnspec: 32, esn: 128 } as const;
export const XFRM_INF = 0xffffffffffffffffn;
export const XFRM_MODE = { transport: 0, tunnel: 1 } as const;
export const XFRM_DIR = { in: 0, out: 1, fwd: 2 } as const;
export const XFRM_ACTION = { allow: 0, block: 1 } as const;
export const XFRM_SHARE_UNIQUE = 3;
/** XFRMA_REPLAY_ESN_MAX */
export const MAX_REPLAY_WINDOW = 4096;

export const IPPROTO = { esp: 50, ah: 51 } as const;
export const UDP_ENCAP = 100;
export const UDP_ENCAP_ESPINUDP = 2;

/** Octets of the fixed part in front of the attributes, on every 64-bit machine. */
export const SIZE = {
  selector: 56,
  userSaInfo: 224,
  userSaId: 24,
  userSpiInfo: 232,
  userPolicyInfo: 168,
  userPolicyId: 64,
  userAcquire: 280,
  userTemplate: 64,
} as const;

/**
 * Marks entries as ours, in the `user` word of a selector: the kernel stores and returns it, matches no packet by it, and
 * tells policies apart by it, so that neither our policies nor another program's replace each other. The low octet says what
 * the entry is; for an SA it keeps the direction, which kernels before 6.10 do not know.
 */
export const OWNER = 0x53414c00;
export const OWNED = { policy: OWNER, in: OWNER + 1, out: OWNER + 2 } as const;

export function isOwned(user: number): boolean {
  return user >>> 8 === OWNER >>> 8;
}
