import { fault } from "./faults.js";

const NOTHING = new Uint8Array(0);

/** Big-endian reading cursor over bytes that it never copies or reads past. Every refusal names the field and the offset. */
export class Reader {
  readonly #data: Uint8Array;
  readonly #view: DataView;
  #at: number;
  readonly #end: number;

  /** Reads `data` from `at` up to `end`. Nested cursors share its view, which costs more to make than they do. */
  constructor(
    data: Uint8Array,
    view = new DataView(data.buffer, data.byteOffset, data.byteLength),
    at = 0,
    end = data.length,
  ) {
    this.#data = data;
    this.#view = view;
    this.#at = at;
    this.#end = end;
  }

  /** Where it stands in the whole input, nested or not. */
  get offset(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  #take(n: number, field: string): number {
    if (n < 0 || n > this.remaining) {
      throw fault("base/truncated", `${field}: ${n} octets wanted, ${this.remaining} left`, {
        field,
        offset: this.offset,
        value: String(this.remaining),
        expected: `at least ${n} octets`,
      });
    }
    const at = this.#at;
    this.#at += n;
    return at;
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#take(1, field));
  }

  u16(field: string): number {
    return this.#view.getUint16(this.#take(2, field));
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field));
  }

  u64(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field));
  }

  /** A view of the next `n` octets (no copy). */
  bytes(n: number, field: string): Uint8Array {
    const at = this.#take(n, field);
    return n === 0 ? NOTHING : this.#data.subarray(at, at + n);
  }

  /** A view of all that is left, refused when its size is outside `min`…`max`. */
  rest(field: string, limits: { min?: number; max?: number } = {}): Uint8Array {
    const n = this.remaining;
    if (n < (limits.min ?? 0) || n > (limits.max ?? Number.POSITIVE_INFINITY)) {
      throw fault("base/bad-length", `${field}: ${n} octets`, {
        field,
        offset: this.offset,
        value: String(n),
        expected: `${limits.min ?? 0} to ${limits.max ?? "any number of"} octets`,
      });
    }
    return this.bytes(n, field);
  }

  skip(n: number, field = "reserved"): void {
    this.#take(n, field);
  }

  /** A cursor over the next `n` octets, which are consumed here. */
  sub(n: number, field: string): Reader {
    const at = this.#take(n, field);
    return new Reader(this.#data, this.#view, at, at + n);
  }

  /** Refuses octets that nobody read. */
  end(field: string): void {
    if (this.remaining > 0) {
      throw fault("base/trailing", `${field}: ${this.remaining} octets too many`, {
        field,
        offset: this.offset,
        value: String(this.remaining),
        expected: "no further octets",
      });
    }
  }
}

/** Big-endian writing cursor over a buffer that grows; unset octets are always zero. */
export class Writer {
  #buffer: Uint8Array;
  #view: DataView;
  #at = 0;

  constructor(capacity = 256) {
    this.#buffer = new Uint8Array(capacity);
    this.#view = new DataView(this.#buffer.buffer);
  }

  get length(): number {
    return this.#at;
  }

  #room(n: number): number {
    const at = this.#at;
    const need = at + n;
    if (need > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(need, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, at));
      this.#buffer = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#at = need;
    return at;
  }

  u8(v: number): this {
    const at = this.#room(1);
    this.#view.setUint8(at, v);
    return this;
  }

  u16(v: number): this {
    const at = this.#room(2);
    this.#view.setUint16(at, v);
    return this;
  }

  u32(v: number): this {
    const at = this.#room(4);
    this.#view.setUint32(at, v);
    return this;
  }

  u64(v: bigint): this {
    const at = this.#room(8);
    this.#view.setBigUint64(at, v);
    return this;
  }

  bytes(v: Uint8Array): this {
    const at = this.#room(v.length);
    this.#buffer.set(v, at);
    return this;
  }

  zero(n: number): this {
    this.#room(n);
    return this;
  }

  /** Writes over a 16-bit field at `at`, e.g. a length known only afterwards. */
  patchU16(at: number, v: number): this {
    this.#view.setUint16(at, v);
    return this;
  }

  patchU32(at: number, v: number): this {
    this.#view.setUint32(at, v);
    return this;
  }

  /** The octets written so far (a view; copy it before writing on). */
  done(): Uint8Array {
    return this.#buffer.subarray(0, this.#at);
  }
}
