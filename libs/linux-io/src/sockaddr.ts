import { endianness } from "node:os";
import { type Endpoint, IpAddress } from "@sallyport/base";
import { AF } from "./constants.js";
import { META } from "./types.js";

const little = endianness() === "LE";

/** An option value of one C int. */
export function intOption(value: number): Uint8Array {
  return new Uint8Array(new Int32Array([value]).buffer);
}

/** struct sockaddr_in or sockaddr_in6. */
export function sockaddrOf(endpoint: Endpoint): Uint8Array {
  const v4 = endpoint.address.family === 4;
  const bytes = new Uint8Array(v4 ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, v4 ? AF.inet : AF.inet6, little);
  view.setUint16(2, endpoint.port);
  bytes.set(endpoint.address.bytes, v4 ? 4 : 8);
  return bytes;
}

export function endpointOf(sockaddr: Uint8Array): Endpoint {
  const view = new DataView(sockaddr.buffer, sockaddr.byteOffset, sockaddr.byteLength);
  const v4 = view.getUint16(0, little) === AF.inet;
  return {
    address: IpAddress.from(v4 ? sockaddr.subarray(4, 8) : sockaddr.subarray(8, 24)),
    port: view.getUint16(2),
  };
}

/** The address in four record words from `at`. */
export function addressOfWords(meta: Uint32Array, at: number, family: number): IpAddress {
  if (family === 4) return IpAddress.fromBigInt(4, BigInt(meta[at] ?? 0));
  let value = 0n;
  for (let word = 0; word < 4; word++) value = (value << 32n) | BigInt(meta[at + word] ?? 0);
  return IpAddress.fromBigInt(6, value);
}

function wordsOfAddress(meta: Uint32Array, at: number, address: IpAddress): void {
  if (address.family === 4) {
    meta[at] = Number(address.toBigInt());
    meta.fill(0, at + 1, at + 4);
    return;
  }
  for (let word = 0; word < 4; word++)
    meta[at + word] = Number(BigInt.asUintN(32, address.toBigInt() >> BigInt(96 - 32 * word)));
}

/** Writes family, port and address of the far end into the record that starts at `record`. */
export function setFarEnd(meta: Uint32Array, record: number, to: Endpoint): void {
  meta[record + META.family] = to.address.family;
  meta[record + META.port] = to.port;
  wordsOfAddress(meta, record + META.address, to.address);
}

/** Writes our own address; absent leaves the choice to the kernel. */
export function setLocal(meta: Uint32Array, record: number, from: IpAddress | undefined): void {
  if (from) wordsOfAddress(meta, record + META.local, from);
  else meta.fill(0, record + META.local, record + META.local + 4);
}
