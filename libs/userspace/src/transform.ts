import {
  createEsp,
  ESP_HEADER_BYTES,
  type Esp,
  type EspFraming,
  type EspParameters,
  OpenRefusal,
} from "@sallyport/esp";
import { ESP_REFUSED, EspBatch, META, META_WORDS } from "@sallyport/linux-io";
import { fault } from "./faults.js";

/**
 * ESP on batches, in place. Records keep their offset and length up to date; nothing is copied.
 * A packet needs `headroom` octets free before it and `tailroom` after it.
 */
export interface PacketTransform extends EspFraming {
  /**
   * Seals `count` packets from record `first` on under consecutive sequence numbers that begin with (`high`, `low`). Takes
   * the next header from the record's family.
   */
  seal(slab: Buffer, meta: Uint32Array, first: number, count: number, high: number, low: number): void;
  /**
   * Opens `count` ESP packets from record `first` on. The record's `user` word holds the upper half of the sequence number
   * before, and the next header or one of `ESP_REFUSED` after.
   */
  open(slab: Buffer, meta: Uint32Array, first: number, count: number): void;
  /** Nothing is sealed or opened any more: keys that are kept here are overwritten. */
  wipe(): void;
}

const NEXT_HEADER = { 4: 4, 6: 41 } as const;
const REFUSAL_OF: Record<number, number> = {
  [OpenRefusal.malformed]: ESP_REFUSED.malformed,
  [OpenRefusal.integrity]: ESP_REFUSED.integrity,
  [OpenRefusal.padding]: ESP_REFUSED.padding,
};

/** The portable implementation, over the transforms of `@sallyport/esp`. */
export function portableTransform(esp: Esp): PacketTransform {
  const front = ESP_HEADER_BYTES + esp.ivBytes;
  return {
    ivBytes: esp.ivBytes,
    icvBytes: esp.icvBytes,
    alignment: esp.alignment,
    seal(slab, meta, first, count, high, low) {
      let upper = high;
      let lower = low;
      for (let i = first; i < first + count; i++) {
        const record = i * META_WORDS;
        const at = meta[record + META.offset] as number;
        const payload = slab.subarray(at, at + (meta[record + META.length] as number));
        const nextHeader = NEXT_HEADER[meta[record + META.family] as 4 | 6];
        meta[record + META.offset] = at - front;
        meta[record + META.length] = esp.seal(slab, at - front, payload, nextHeader, upper, lower);
        if (++lower > 0xffff_ffff) {
          lower = 0;
          upper++;
        }
      }
    },
    open(slab, meta, first, count) {
      for (let i = first; i < first + count; i++) {
        const record = i * META_WORDS;
        const at = meta[record + META.offset] as number;
        const packet = slab.subarray(at, at + (meta[record + META.length] as number));
        const length = esp.open(packet, meta[record + META.user] as number);
        if (length < 0) {
          meta[record + META.user] = REFUSAL_OF[length] as number;
        } else {
          meta[record + META.offset] = at + front;
          meta[record + META.length] = length;
          meta[record + META.user] = esp.nextHeader;
        }
      }
    },
    wipe() {},
  };
}

type Batches = Pick<PacketTransform, "seal" | "open">;
type Key = NonNullable<EspParameters["integrity"]> | EspParameters["encryption"];

const copied = <K extends Key>({ algorithm, key }: K) =>
  ({ algorithm, key: Uint8Array.prototype.slice.call(key) }) as K;

/**
 * Native code where the process' OpenSSL has the algorithms; else the portable one. It is made for the first packet: many SAs are
 * there for long before any, and OpenSSL's contexts take more time and memory than all else of an SA. Until then a copy of the keys
 * is kept.
 */
export function fastestTransform(
  { spi, encryption, integrity, esn }: EspParameters,
  direction: "in" | "out",
  { ivBytes, icvBytes, alignment }: EspFraming,
): PacketTransform {
  let kept: EspParameters | undefined = {
    spi,
    encryption: copied(encryption),
    integrity: integrity && copied(integrity),
    esn,
  };
  let made: Batches | undefined;
  const wipe = () => {
    kept?.encryption.key.fill(0);
    kept?.integrity?.key.fill(0);
    kept = undefined;
  };
  const ready = () => {
    if (made) return made;
    // Never with keys of zeros.
    if (!kept) throw fault("dataplane/closed", "the SA is gone");
    made = EspBatch.create({ ...kept, direction }) ?? portableTransform(createEsp(kept));
    wipe();
    return made;
  };
  return {
    ivBytes,
    icvBytes,
    alignment,
    seal: (slab, meta, first, count, high, low) => ready().seal(slab, meta, first, count, high, low),
    open: (slab, meta, first, count) => ready().open(slab, meta, first, count),
    wipe,
  };
}
