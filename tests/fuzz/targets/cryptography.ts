import { ENCRYPTION } from "@sallyport/base";
import { DH, type DhGroup, type PrfAlgorithm, prf, prfPlus, respond, usePrimitives } from "@sallyport/ike";
import { IkePrimitives } from "@sallyport/linux-io";
import { bodyCipher } from "../../../libs/ike/src/crypto/cipher.ts";
import { FuzzInput, holds, total } from "./input.ts";

const native = new IkePrimitives();
const curves = (Object.keys(DH) as DhGroup[]).filter((group) => DH[group].kind !== "modp");
const prfs: readonly PrfAlgorithm[] = ["hmac-md5", "hmac-sha1", "hmac-sha2-256", "hmac-sha2-384", "hmac-sha2-512"];
const aeads = [
  ["aes-gcm-8", 128],
  ["aes-gcm-12", 192],
  ["aes-gcm-16", 256],
  ["chacha20-poly1305", 256],
] as const;

/** What native code makes of it has to be what node:crypto makes of it. */
function alike<T>(compute: () => T, same: (ours: T, reference: T) => boolean): T {
  usePrimitives(undefined);
  const reference = compute();
  usePrimitives(native);
  const ours = compute();
  holds(same(ours, reference), () => `native code gives ${ours}, node:crypto ${reference}`);
  return ours;
}

const equal = (a: Uint8Array | undefined, b: Uint8Array | undefined) =>
  a === b || (a !== undefined && b !== undefined && Buffer.compare(a, b) === 0);

function exchange(input: FuzzInput): void {
  const group = input.pick(curves);
  const size = DH[group].publicBytes;
  const given = input.rest();
  // Every other input has the right size.
  const value = given.length % 2 === 0 ? given : Uint8Array.from({ length: size }, (_, i) => given[i] ?? 0);
  alike(
    () => total(() => respond(group, value)),
    (ours, reference) => (ours === undefined) === (reference === undefined),
  );
}

function hash(input: FuzzInput): void {
  const algorithm = input.pick(prfs);
  const [size, key] = [input.u16() % 2000, input.take(input.u8())];
  const parts = [input.take(input.u8()), input.rest()];
  alike(() => prf(algorithm, key, ...parts), equal);
  alike(() => prfPlus(algorithm, key, parts[1] ?? key, size), equal);
}

function message(input: FuzzInput): void {
  const [name, keyBits] = input.pick(aeads);
  const cipher = bodyCipher(name, keyBits, undefined);
  const encryption = new Uint8Array(keyBits / 8 + ENCRYPTION[name].saltBytes);
  encryption.set(input.take(encryption.length));
  const keys = { encryption, integrity: new Uint8Array(0) };
  const offset = input.u8();
  const given = input.rest();
  const octets = new Uint8Array(Math.max(given.length, offset + cipher.ivBytes + cipher.icvBytes));
  octets.set(given);
  holds(alike(() => cipher.open(keys, octets, offset), equal) === undefined, () => "opened what nobody sealed");
  const text = octets.slice(offset + cipher.ivBytes, octets.length - cipher.icvBytes);
  alike(() => {
    const sealed = Uint8Array.from(octets);
    cipher.seal(keys, sealed, offset);
    holds(equal(cipher.open(keys, sealed, offset), text), () => "does not open what it sealed");
    return sealed;
  }, equal);
}

/** A public value, a key, a message under a key, as native code is given them. */
export function fuzz(data: Uint8Array): void {
  const input = new FuzzInput(data);
  input.pick([exchange, hash, message])(input);
}
