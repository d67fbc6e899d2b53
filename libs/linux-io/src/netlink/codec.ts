import { endianness } from "node:os";
import { fault } from "../faults.js";

/** Netlink speaks the machine's own byte order, except in fields that are named big-endian (ports, SPIs, addresses). */
const little = endianness() === "LE";

export const align4 = (length: number): number => (length + 3) & ~3;

/** Writes structures and attributes (TLVs padded to 4 octets, their length without padding). */
export class NetlinkWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #at = 0;

  constructor(capacity = 512) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#at;
  }

  #room(octets: number): number {
    const at = this.#at;
    if (at + octets > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(at + octets, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#at = at + octets;
    return at;
  }

  u8(value: number): this {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#room(2);
    this.#view.setUint16(at, value, little);
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    this.#view.setUint32(at, value, little);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#room(8);
    this.#view.setBigUint64(at, value, little);
    return this;
  }

  be16(value: number): this {
    const at = this.#room(2);
    this.#view.setUint16(at, value);
    return this;
  }

  be32(value: number): this {
    const at = this.#room(4);
    this.#view.setUint32(at, value);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#room(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  zero(octets: number): this {
    this.#room(octets);
    return this;
  }

  /** Pads with zeros so that what follows starts at a multiple of `octets`. */
  align(octets: number): this {
    return this.zero((octets - (this.#at % octets)) % octets);
  }

  /** A zero-terminated string in a field of fixed size. */
  text(value: string, octets: number): this {
    const encoded = Buffer.from(value);
    if (encoded.length >= octets) {
      throw fault("linux-io/bad-argument", `"${value}" does not fit into ${octets - 1} octets`, { value });
    }
    return this.bytes(encoded).zero(octets - encoded.length);
  }

  /** One attribute whose payload `fill` writes. */
  attribute(type: number, fill: (writer: this) => void): this {
    this.align(4);
    const at = this.#room(4);
    fill(this);
    this.#view.setUint16(at, this.#at - at, little);
    this.#view.setUint16(at + 2, type, little);
    return this.align(4);
  }

  done(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }
}

/** Reads what NetlinkWriter writes; every refusal is `linux-io/netlink-malformed` with the field. */
export class NetlinkReader {
  #at = 0;
  readonly #view: DataView;

  constructor(readonly data: Uint8Array) {
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  get remaining(): number {
    return this.data.length - this.#at;
  }

  #take(octets: number, field: string): number {
    if (octets < 0 || octets > this.remaining) {
      throw fault("linux-io/netlink-malformed", `${field}: ${octets} octets wanted, ${this.remaining} left`, {
        field,
        offset: this.#at,
      });
    }
    const at = this.#at;
    this.#at += octets;
    return at;
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#take(1, field));
  }

  u16(field: string): number {
    return this.#view.getUint16(this.#take(2, field), little);
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field), little);
  }

  i32(field: string): number {
    return this.#view.getInt32(this.#take(4, field), little);
  }

  u64(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field), little);
  }

  be16(field: string): number {
    return this.#view.getUint16(this.#take(2, field));
  }

  be32(field: string): number {
    return this.#view.getUint32(this.#take(4, field));
  }

  bytes(octets: number, field: string): Uint8Array {
    const at = this.#take(octets, field);
    return this.data.subarray(at, at + octets);
  }

  skip(octets: number, field = "padding"): this {
    this.#take(octets, field);
    return this;
  }

  /** Passes over padding up to the next multiple of `octets`; the last structure may lack it. */
  align(octets: number): this {
    this.#at = Math.min(this.data.length, Math.ceil(this.#at / octets) * octets);
    return this;
  }

  sub(octets: number, field: string): NetlinkReader {
    return new NetlinkReader(this.bytes(octets, field));
  }

  /** All attributes that are left, by type; of a repeated one the last. Flag bits of the type are cut off. */
  attributes(): Map<number, NetlinkReader> {
    const found = new Map<number, NetlinkReader>();
    while (this.remaining >= 4) {
      const length = this.u16("attribute length");
      const type = this.u16("attribute type") & 0x3fff;
      found.set(type, this.sub(length - 4, `attribute ${type}`));
      this.align(4);
    }
    return found;
  }

  /** The rest as text up to a terminating zero. */
  text(): string {
    const rest = this.bytes(this.remaining, "text");
    const end = rest.indexOf(0);
    return Buffer.from(end < 0 ? rest : rest.subarray(0, end)).toString();
  }
}
