import { IpAddress } from "@sallyport/base";
import fc from "fast-check";
import {
  decodeInner,
  encodeInner,
  NOTIFY,
  NOTIFY_DATA,
  type NotifyDataCodec,
  type NotifyPayload,
  notification,
} from "./index.js";

const octets = (minLength: number, maxLength = minLength) => fc.uint8Array({ minLength, maxLength });
const child = fc.record({ protocol: fc.constantFrom(2, 3), spi: fc.nat(0xffffffff) });

const VALUES: { readonly [K in keyof typeof NOTIFY_DATA]: fc.Arbitrary<unknown> } = {
  UNSUPPORTED_CRITICAL_PAYLOAD: fc.nat(0xff),
  INVALID_MESSAGE_ID: fc.nat(0xffffffff),
  INVALID_KE_PAYLOAD: fc.nat(0xffff),
  SET_WINDOW_SIZE: fc.nat(0xffffffff),
  AUTH_LIFETIME: fc.nat(0xffffffff),
  COOKIE: octets(1, 64),
  COOKIE2: octets(8, 64),
  NAT_DETECTION_SOURCE_IP: octets(20),
  NAT_DETECTION_DESTINATION_IP: octets(20),
  ADDITIONAL_IP4_ADDRESS: octets(4).map((a) => IpAddress.from(a)),
  ADDITIONAL_IP6_ADDRESS: octets(16).map((a) => IpAddress.from(a)),
  NO_NATS_ALLOWED: fc.constantFrom(4, 16).chain((length) => {
    const end = fc.record({ address: octets(length).map((a) => IpAddress.from(a)), port: fc.nat(0xffff) });
    return fc.record({ source: end, destination: end });
  }),
  REKEY_SA: child,
  CHILD_SA_NOT_FOUND: child,
  SIGNATURE_HASH_ALGORITHMS: fc.array(fc.nat(0xffff), { maxLength: 64 }),
  PPK_IDENTITY: fc.option(fc.record({ type: fc.nat(0xff), id: octets(1, 64) }), { nil: undefined }),
  NO_PPK_AUTH: octets(1, 512),
  IPCOMP_SUPPORTED: fc.record({ cpi: fc.nat(0xffff), transform: fc.nat(0xff) }),
};
type Name = keyof typeof NOTIFY_DATA;
const names = Object.keys(NOTIFY_DATA) as Name[];

describe.each(names)("%s", (name) => {
  const codec = NOTIFY_DATA[name] as NotifyDataCodec<unknown>;

  it("comes back through a message", () => {
    fc.assert(
      fc.property(VALUES[name], (value) => {
        const { firstPayload, plaintext } = encodeInner([codec.build(value)]);
        const [n] = decodeInner(firstPayload, plaintext) as [NotifyPayload];
        expect(n.type).toBe(NOTIFY[name]);
        expect(codec.read(n)).toEqual(value);
      }),
    );
  });

  it("gives a value or a fault for any data", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(255), octets(0, 8), (data, protocol, spi) => {
        try {
          codec.read({ kind: "N", type: NOTIFY[name], protocol, spi, data });
        } catch (error) {
          expect(error).toMatchObject({ name: "Fault", field: expect.stringContaining(`N(${name})`) });
        }
      }),
    );
  });
});

it("refuses to rekey an SA of no protocol or of IKE itself (CVE-2023-38710, CVE-2019-10155)", () => {
  for (const protocol of [0, 1]) {
    const n: NotifyPayload = {
      kind: "N",
      type: NOTIFY.REKEY_SA,
      protocol,
      spi: new Uint8Array(0),
      data: new Uint8Array(0),
    };
    expect(() => NOTIFY_DATA.REKEY_SA.read(n)).toThrow(
      expect.objectContaining({ code: "ike/malformed-payload", field: "N(REKEY_SA).protocol" }),
    );
  }
});

it("takes no more hash algorithms than there could be", () => {
  const n = (count: number) => notification("SIGNATURE_HASH_ALGORITHMS", new Uint8Array(2 * count));
  expect(NOTIFY_DATA.SIGNATURE_HASH_ALGORITHMS.read(n(64))).toHaveLength(64);
  expect(() => NOTIFY_DATA.SIGNATURE_HASH_ALGORITHMS.read(n(65))).toThrow(
    expect.objectContaining({ code: "ike/too-many" }),
  );
});
