import koffi from "koffi";

/** Octets of a CK_ULONG. */
const WORD = koffi.sizeof("ulong");
const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Memory of C: where it is, and its octets. */
export interface Block {
  readonly address: bigint;
  readonly octets: Uint8Array;
}

export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

function write(view: DataView, at: number, value: number | bigint): void {
  if (WORD === 8) view.setBigUint64(at, BigInt(value), LITTLE);
  else view.setUint32(at, Number(value), LITTLE);
}

function read(view: DataView, at: number): number | bigint {
  if (WORD !== 8) return view.getUint32(at, LITTLE);
  const value = view.getBigUint64(at, LITTLE);
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

const viewOf = (octets: Uint8Array) => new DataView(octets.buffer, octets.byteOffset, octets.byteLength);

/** The `index`th CK_ULONG, or pointer, of some octets. */
export const wordIn = (octets: Uint8Array, index: number) => read(viewOf(octets), index * WORD);

/** A CK_ULONG as the value of an attribute. */
export function word(value: number | bigint): Uint8Array {
  const octets = new Uint8Array(WORD);
  write(viewOf(octets), 0, value);
  return octets;
}

/** The functions of a CK_FUNCTION_LIST: a version, then pointers. */
export const functionAt = (list: bigint, index: number): bigint =>
  BigInt(wordIn(new Uint8Array(koffi.view(list, WORD * (index + 2))), index + 1));

/** What one operation needs of C's memory; overwritten and given back with it, since PINs and keys are among it. */
export class Arena {
  readonly #blocks: Block[] = [];

  alloc(size: number): Block {
    const length = Math.max(size, 1);
    const address: bigint = koffi.alloc("uint8", length);
    const block = { address, octets: new Uint8Array(koffi.view(address, length)).fill(0) };
    this.#blocks.push(block);
    return block;
  }

  put(octets: Uint8Array): Block {
    const block = this.alloc(octets.length);
    block.octets.set(octets);
    return block;
  }

  words(...values: readonly (number | bigint)[]): Block {
    const block = this.alloc(values.length * WORD);
    values.forEach((value, i) => {
      write(viewOf(block.octets), i * WORD, value);
    });
    return block;
  }

  /** An array of CK_ATTRIBUTE: type, pointer and length each. */
  template(attributes: readonly Attribute[]): Block {
    return this.words(...attributes.flatMap(({ type, value }) => [type, this.put(value).address, value.length]));
  }

  free(): void {
    for (const { address, octets } of this.#blocks.splice(0)) {
      octets.fill(0);
      koffi.free(address);
    }
  }
}
