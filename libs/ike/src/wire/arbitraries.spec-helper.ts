import { IpAddress } from "@sallyport/base";
import fc from "fast-check";
import type {
  ConfigAttribute,
  Header,
  Payload,
  PayloadKind,
  PayloadOf,
  Proposal,
  TrafficSelector,
  Transform,
} from "./index.js";
import { CFG_ATTRIBUTE, ID, PROTOCOL, TRANSFORM } from "./registry.js";

/** Generators of valid IKEv2 messages and payloads, for property tests and fuzzers. */

const u8 = fc.nat(0xff);
const u16 = fc.nat(0xffff);
const octets = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });
const exactly = (size: number) => octets(size, size);
const spi = fc.bigInt(1n, 2n ** 64n - 1n);

export const header: fc.Arbitrary<Header> = fc.record({
  initiatorSpi: spi,
  responderSpi: fc.oneof(fc.constant(0n), spi),
  exchange: fc.oneof(fc.constantFrom(34, 35, 36, 37), u8),
  initiator: fc.boolean(),
  response: fc.boolean(),
  messageId: fc.nat(0xffffffff),
});

const attribute = fc.record({ type: fc.nat(0x7fff), value: octets(0, 8) });

export const transform: fc.Arbitrary<Transform> = fc.record(
  {
    type: fc.oneof(fc.constantFrom(...Object.values(TRANSFORM)), u8),
    id: fc.oneof(fc.nat(40), u16),
    keyBits: fc.oneof(fc.constantFrom(128, 192, 256), u16),
    unknownAttributes: fc.array(attribute, { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: ["type", "id"] },
);

const proposalBody = fc
  .oneof(
    fc.record({ protocol: fc.constant(PROTOCOL.IKE), spi: fc.oneof(exactly(0), exactly(8)) }),
    fc.record({ protocol: fc.constantFrom(PROTOCOL.AH, PROTOCOL.ESP), spi: exactly(4) }),
    fc.record({ protocol: fc.integer({ min: 4, max: 255 }), spi: octets(0, 16) }),
  )
  .chain((base) =>
    fc.array(transform, { maxLength: 8 }).map((transforms): Omit<Proposal, "number"> => ({ ...base, transforms })),
  );

const proposals = fc
  .tuple(fc.integer({ min: 1, max: 200 }), fc.array(proposalBody, { minLength: 1, maxLength: 5 }))
  .map(([first, bodies]): Proposal[] => bodies.map((body, i) => ({ number: first + i, ...body })));

const name = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 60 }).map((s) => new TextEncoder().encode(s));
const dn = octets(0, 300).map((body) => {
  const n = body.length;
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : [0x82, n >> 8, n & 0xff];
  return Uint8Array.of(0x30, ...length, ...body);
});

const identification = fc.oneof(
  fc.record({ idType: fc.constant(ID.IPV4_ADDR), data: exactly(4) }),
  fc.record({ idType: fc.constant(ID.IPV6_ADDR), data: exactly(16) }),
  fc.record({ idType: fc.constantFrom(ID.FQDN, ID.RFC822_ADDR), data: name }),
  fc.record({ idType: fc.constant(ID.DER_ASN1_DN), data: dn }),
  fc.record({ idType: fc.constantFrom(ID.DER_ASN1_GN, ID.KEY_ID, 200), data: octets(1, 64) }),
);

function rangeOf(size: 4 | 16): fc.Arbitrary<{ start: IpAddress; end: IpAddress }> {
  return fc.tuple(exactly(size), exactly(size)).map(([a, b]) => {
    const [low, high] = Buffer.compare(a, b) <= 0 ? [a, b] : [b, a];
    return { start: IpAddress.from(low), end: IpAddress.from(high) };
  });
}
const ports = fc.oneof(
  fc.tuple(u16, u16).map(([a, b]) => ({ startPort: Math.min(a, b), endPort: Math.max(a, b) })),
  fc.constant({ startPort: 65535, endPort: 0 }),
);

export const selector: fc.Arbitrary<TrafficSelector> = fc.oneof(
  fc
    .tuple(u8, ports, fc.oneof(rangeOf(4), rangeOf(16)))
    .map(([protocol, p, range]) => ({ kind: "range" as const, protocol, ...p, ...range })),
  fc.record({
    kind: fc.constant("raw" as const),
    type: fc.integer({ min: 9, max: 255 }),
    protocol: u8,
    data: octets(0, 40),
  }),
);
const selectors = fc.array(selector, { minLength: 1, maxLength: 6 });

const configAttribute: fc.Arbitrary<ConfigAttribute> = fc.oneof(
  fc.record({ type: fc.constant(CFG_ATTRIBUTE.INTERNAL_IP4_ADDRESS), value: fc.oneof(exactly(0), exactly(4)) }),
  fc.record({ type: fc.constant(CFG_ATTRIBUTE.INTERNAL_IP6_ADDRESS), value: fc.oneof(exactly(0), exactly(17)) }),
  fc.record({ type: fc.constant(CFG_ATTRIBUTE.INTERNAL_IP4_SUBNET), value: fc.oneof(exactly(0), exactly(8)) }),
  fc.record({ type: fc.integer({ min: 16, max: 0x7fff }), value: octets(0, 64) }),
);

/** One generator for each kind of payload. */
export const payloads: { readonly [K in PayloadKind]: fc.Arbitrary<PayloadOf<K>> } = {
  SA: fc.record({ kind: fc.constant("SA"), proposals }),
  KE: fc.record({ kind: fc.constant("KE"), group: u16, data: octets(1, 256) }),
  IDi: identification.map((id) => ({ kind: "IDi", ...id })),
  IDr: identification.map((id) => ({ kind: "IDr", ...id })),
  CERT: fc.record({ kind: fc.constant("CERT"), encoding: u8, data: octets(1, 400) }),
  CERTREQ: fc.record({ kind: fc.constant("CERTREQ"), encoding: u8, data: octets(0, 100) }),
  AUTH: fc.record({ kind: fc.constant("AUTH"), method: u8, data: octets(1, 300) }),
  Nonce: fc.record({ kind: fc.constant("Nonce"), data: octets(16, 256) }),
  N: fc
    .oneof(
      fc.record({ protocol: fc.constant(PROTOCOL.NONE), spi: exactly(0) }),
      fc.record({ protocol: fc.constant(PROTOCOL.IKE), spi: fc.oneof(exactly(0), exactly(8)) }),
      fc.record({ protocol: fc.constantFrom(PROTOCOL.AH, PROTOCOL.ESP), spi: fc.oneof(exactly(0), exactly(4)) }),
    )
    .chain((about) =>
      fc.record({ kind: fc.constant("N"), type: u16, data: octets(0, 64) }).map((n) => ({ ...n, ...about })),
    ),
  D: fc.oneof(
    fc.constant({ kind: "D" as const, protocol: PROTOCOL.IKE, spis: [] }),
    fc.record({
      kind: fc.constant("D"),
      protocol: fc.constantFrom(PROTOCOL.AH, PROTOCOL.ESP),
      spis: fc.array(exactly(4), { maxLength: 8 }),
    }),
  ),
  V: fc.record({ kind: fc.constant("V"), data: octets(0, 40) }),
  TSi: selectors.map((s) => ({ kind: "TSi", selectors: s })),
  TSr: selectors.map((s) => ({ kind: "TSr", selectors: s })),
  CP: fc.record({
    kind: fc.constant("CP"),
    cfgType: u8,
    attributes: fc.array(configAttribute, { maxLength: 6 }),
  }),
  EAP: fc.oneof(
    fc.record({
      kind: fc.constant("EAP"),
      code: fc.constantFrom(1, 2),
      identifier: u8,
      data: octets(1, 100),
    }),
    fc.record({ kind: fc.constant("EAP"), code: fc.constantFrom(3, 4), identifier: u8, data: exactly(0) }),
  ),
  unknown: fc.record({
    kind: fc.constant("unknown"),
    type: fc.oneof(fc.integer({ min: 1, max: 32 }), fc.integer({ min: 64, max: 255 })),
    data: octets(0, 64),
  }),
};

const CLEAR_KINDS = ["SA", "KE", "Nonce", "N", "V", "CERTREQ", "unknown"] as const;
const KINDS = Object.keys(payloads) as PayloadKind[];

function listOf(kinds: readonly PayloadKind[]): fc.Arbitrary<Payload[]> {
  return fc.array(fc.oneof(...kinds.map((kind) => payloads[kind] as fc.Arbitrary<Payload>)), { maxLength: 8 });
}

/** Payloads that have a parser in the clear. */
export const clearPayloads = listOf(CLEAR_KINDS);
/** Payloads as they stand inside SK. */
export const innerPayloads = listOf(KINDS);

/** How a hostile hand changes octets: flips, sets, cuts, inserts, repeats. */
export type Mutation =
  | { readonly do: "set"; readonly at: number; readonly value: number }
  | { readonly do: "cut"; readonly at: number; readonly count: number }
  | { readonly do: "insert"; readonly at: number; readonly octets: Uint8Array };

export const mutations: fc.Arbitrary<Mutation[]> = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant("set" as const),
      at: u16,
      value: fc.oneof(u8, fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 33, 46, 53)),
    }),
    fc.record({ do: fc.constant("cut" as const), at: u16, count: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ do: fc.constant("insert" as const), at: u16, octets: octets(1, 20) }),
  ),
  { minLength: 1, maxLength: 6 },
);

/** Applies mutations; positions wrap round, so that each hits something. */
export function mutate(bytes: Uint8Array, steps: readonly Mutation[]): Uint8Array {
  let out = Uint8Array.from(bytes);
  for (const step of steps) {
    const at = out.length === 0 ? 0 : step.at % out.length;
    if (step.do === "set") out.fill(step.value, at, at + 1);
    else {
      const insert = step.do === "insert" ? step.octets : new Uint8Array(0);
      const after = out.subarray(step.do === "cut" ? at + step.count : at);
      out = Uint8Array.of(...out.subarray(0, at), ...insert, ...after);
    }
  }
  return out;
}
