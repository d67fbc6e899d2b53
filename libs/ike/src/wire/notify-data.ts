import { type Endpoint, IpAddress, Reader, Writer } from "@sallyport/base";
import { atMost, malformed } from "./codec.js";
import { decoding } from "./framer.js";
import { LIMITS } from "./limits.js";
import { NOTIFY, type NotifyName, PROTOCOL } from "./registry.js";
import type { NotifyPayload } from "./types.js";

const NO_OCTETS = new Uint8Array(0);

/** Structured data of one notify type: `read` faults with `ike/malformed-payload`, `build` makes the whole payload. */
export interface NotifyDataCodec<T> {
  read(n: NotifyPayload): T;
  build(value: T): NotifyPayload;
}

/** A notification without SPI. */
export function notification(type: NotifyName, data: Uint8Array = NO_OCTETS): NotifyPayload {
  return { kind: "N", type: NOTIFY[type], protocol: PROTOCOL.NONE, spi: NO_OCTETS, data };
}

function dataCodec<T>(type: NotifyName, read: (r: Reader) => T, write: (w: Writer, v: T) => void): NotifyDataCodec<T> {
  return {
    read: (n) =>
      decoding("ike/malformed-payload", () => {
        const r = new Reader(n.data);
        const value = read(r);
        r.end(`N(${type}).data`);
        return value;
      }),
    build(value) {
      const w = new Writer(32);
      write(w, value);
      return notification(type, w.done());
    },
  };
}

function number(type: NotifyName, octets: 1 | 2 | 4): NotifyDataCodec<number> {
  const field = `N(${type}).data`;
  const name = ({ 1: "u8", 2: "u16", 4: "u32" } as const)[octets];
  return dataCodec(
    type,
    (r) => r[name](field),
    (w, v) => w[name](v),
  );
}

function octets(type: NotifyName, min: number, max: number): NotifyDataCodec<Uint8Array> {
  return dataCodec(
    type,
    (r) => r.rest(`N(${type}).data`, { min, max }),
    (w, v) => w.bytes(v),
  );
}

function address(type: NotifyName, size: number): NotifyDataCodec<IpAddress> {
  return dataCodec(
    type,
    (r) => IpAddress.from(r.rest(`N(${type}).data`, { min: size, max: size })),
    (w, v) => w.bytes(v.bytes),
  );
}

/** Which CHILD SA a notification is about: the SPI that its sender expects to receive on. */
export interface ChildSpi {
  /** AH or ESP, as in PROTOCOL. */
  readonly protocol: number;
  readonly spi: number;
}

function childSpi(type: NotifyName): NotifyDataCodec<ChildSpi> {
  return {
    read(n) {
      if ((n.protocol !== PROTOCOL.AH && n.protocol !== PROTOCOL.ESP) || n.spi.length !== 4) {
        throw malformed(`N(${type}).protocol`, 0, n.protocol, "2 (AH) or 3 (ESP), with an SPI of 4 octets");
      }
      return { protocol: n.protocol, spi: new Reader(n.spi).u32(`N(${type}).spi`) };
    },
    build: ({ protocol, spi }) => ({ ...notification(type), protocol, spi: new Writer(4).u32(spi).done() }),
  };
}

/** RFC 8784 §5.1; `type` as in PPK_ID. */
export interface PpkId {
  readonly type: number;
  readonly id: Uint8Array;
}

/** RFC 7296 §3.10.1 and the RFCs named. */
export const NOTIFY_DATA = {
  /** Type of the payload that was not understood, §2.5. */
  UNSUPPORTED_CRITICAL_PAYLOAD: number("UNSUPPORTED_CRITICAL_PAYLOAD", 1),
  /** §2.3. */
  INVALID_MESSAGE_ID: number("INVALID_MESSAGE_ID", 4),
  /** The group that the responder wants, §1.2. */
  INVALID_KE_PAYLOAD: number("INVALID_KE_PAYLOAD", 2),
  /** §2.3. */
  SET_WINDOW_SIZE: number("SET_WINDOW_SIZE", 4),
  /** Seconds, RFC 4478 §3. */
  AUTH_LIFETIME: number("AUTH_LIFETIME", 4),
  /** §2.6. */
  COOKIE: octets("COOKIE", 1, 64),
  /** RFC 4555 §4.2.5. */
  COOKIE2: octets("COOKIE2", 8, 64),
  /** SHA-1 of SPIs, address and port, §2.23. */
  NAT_DETECTION_SOURCE_IP: octets("NAT_DETECTION_SOURCE_IP", 20, 20),
  NAT_DETECTION_DESTINATION_IP: octets("NAT_DETECTION_DESTINATION_IP", 20, 20),
  /** RFC 4555 §4.2.2. */
  ADDITIONAL_IP4_ADDRESS: address("ADDITIONAL_IP4_ADDRESS", 4),
  ADDITIONAL_IP6_ADDRESS: address("ADDITIONAL_IP6_ADDRESS", 16),
  /** Where the message left and where to, RFC 4555 §4.2.6. */
  NO_NATS_ALLOWED: dataCodec<{ readonly source: Endpoint; readonly destination: Endpoint }>(
    "NO_NATS_ALLOWED",
    (r) => {
      const field = "N(NO_NATS_ALLOWED).data";
      const octets = r.remaining === 36 ? 16 : 4;
      const [source, destination] = [r.bytes(octets, field), r.bytes(octets, field)].map((b) => IpAddress.from(b));
      return {
        source: { address: source as IpAddress, port: r.u16(field) },
        destination: { address: destination as IpAddress, port: r.u16(field) },
      };
    },
    (w, { source, destination }) =>
      w.bytes(source.address.bytes).bytes(destination.address.bytes).u16(source.port).u16(destination.port),
  ),
  /** §1.3.3. */
  REKEY_SA: childSpi("REKEY_SA"),
  /** §2.25. */
  CHILD_SA_NOT_FOUND: childSpi("CHILD_SA_NOT_FOUND"),
  /** Numbers as in HASH, RFC 7427 §4. */
  SIGNATURE_HASH_ALGORITHMS: dataCodec<readonly number[]>(
    "SIGNATURE_HASH_ALGORITHMS",
    (r) => {
      atMost(r.remaining / 2, LIMITS.hashAlgorithms, "N(SIGNATURE_HASH_ALGORITHMS).data", 0);
      const hashes: number[] = [];
      while (r.remaining > 0) hashes.push(r.u16("N(SIGNATURE_HASH_ALGORITHMS).data"));
      return hashes;
    },
    (w, hashes) => {
      for (const hash of hashes) w.u16(hash);
    },
  ),
  /** A PPK_ID, or nothing at all in an answer that takes it (RFC 8784 §5.1). */
  PPK_IDENTITY: dataCodec<PpkId | undefined>(
    "PPK_IDENTITY",
    (r) => {
      if (r.remaining === 0) return undefined;
      const type = r.u8("N(PPK_IDENTITY).type");
      return { type, id: r.rest("N(PPK_IDENTITY).id", { min: 1, max: 64 }) };
    },
    (w, v) => {
      if (v) w.u8(v.type).bytes(v.id);
    },
  ),
  /** AUTH data of the same method as the AUTH payload's, by keys without the PPK (RFC 8784 §5). */
  NO_PPK_AUTH: octets("NO_PPK_AUTH", 1, LIMITS.messageBytes),
  /** CPI and transform of IPComp, §2.22. */
  IPCOMP_SUPPORTED: dataCodec<{ readonly cpi: number; readonly transform: number }>(
    "IPCOMP_SUPPORTED",
    (r) => ({ cpi: r.u16("N(IPCOMP_SUPPORTED).cpi"), transform: r.u8("N(IPCOMP_SUPPORTED).transform") }),
    (w, v) => w.u16(v.cpi).u8(v.transform),
  ),
} as const;
