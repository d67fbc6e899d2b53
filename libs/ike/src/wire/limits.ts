/** Most of each thing that one message may hold: far above what real peers send, small enough to bound work and memory. */
export const LIMITS = {
  /** Octets of a UDP datagram, of which IKE's length field must not claim more. */
  messageBytes: 65535,
  payloads: 64,
  proposals: 64,
  transforms: 128,
  attributes: 8,
  selectors: 128,
  deletedSpis: 256,
  configAttributes: 128,
  /** modp8192 takes 1024 octets, ML-KEM-1024 1568. */
  keyExchangeBytes: 4096,
  identityBytes: 2048,
  authorities: 256,
  hashAlgorithms: 64,
  fragments: 64,
  /** All fragments of one message together. */
  reassembledBytes: 65535,
} as const;
