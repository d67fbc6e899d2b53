import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  getDiffieHellman,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import type { Rng } from "@sallyport/base";
import { DH, type DhInfo } from "./algorithms.js";
import { concat } from "./bytes.js";
import { bitString, integer, octetString, oid, sequence } from "./der.js";
import { fault } from "./faults.js";
import { exchangePrimitive } from "./primitives.js";
import type { DhGroup, DhKeyPair } from "./types.js";

const VERSION_0 = integer(Uint8Array.of(0));
const OIDS: Readonly<Record<string, string>> = {
  prime256v1: "1.2.840.10045.3.1.7",
  secp384r1: "1.3.132.0.34",
  secp521r1: "1.3.132.0.35",
  x25519: "1.3.101.110",
  x448: "1.3.101.111",
};
/** First octet of an uncompressed point, SEC 1 §2.3.3. */
const UNCOMPRESSED = 4;

/** What a group needs to wrap raw values for node:crypto. */
interface Wrapping {
  readonly info: DhInfo;
  /** AlgorithmIdentifier of its keys. */
  readonly algorithm: Uint8Array;
  /** Of curves: SubjectPublicKeyInfo up to the public value. */
  readonly spkiPrefix: Uint8Array | undefined;
  readonly prime: Uint8Array | undefined;
}

const wrappings = new Map<DhGroup, Wrapping>();

/** Keeps the imported private key, so that a pair used in the thread that made it is not imported again; a clone has lost it. */
class KeyPair implements DhKeyPair {
  readonly #key: KeyObject;

  constructor(
    readonly group: DhGroup,
    readonly publicValue: Uint8Array,
    readonly privateKey: Uint8Array,
    key: KeyObject,
  ) {
    this.#key = key;
  }

  static keyOf(pair: DhKeyPair): KeyObject {
    return pair instanceof KeyPair ? pair.#key : importPrivate(pair.group, pair.privateKey);
  }
}

function wrappingOf(group: DhGroup): Wrapping {
  const known = wrappings.get(group);
  if (known) return known;
  const info = DH[group];
  const prime = info.kind === "modp" ? Uint8Array.from(getDiffieHellman(info.native).getPrime()) : undefined;
  const name = oid(OIDS[info.native] ?? "");
  const algorithm = prime
    ? sequence(oid("1.2.840.113549.1.3.1"), sequence(integer(prime), integer(Uint8Array.of(2))))
    : info.kind === "ecp"
      ? sequence(oid("1.2.840.10045.2.1"), name)
      : sequence(name);
  const spkiPrefix = prime ? undefined : curvePrefix(algorithm, info);
  const made = { info, algorithm, spkiPrefix, prime };
  wrappings.set(group, made);
  return made;
}

function curvePrefix(algorithm: Uint8Array, { kind, publicBytes }: DhInfo): Uint8Array {
  const point = new Uint8Array(publicBytes + (kind === "ecp" ? 1 : 0)).fill(UNCOMPRESSED, 0, 1);
  const spki = sequence(algorithm, bitString(point));
  return spki.subarray(0, spki.length - publicBytes);
}

/**
 * A fresh key pair. With `rng` the private key comes from there (for tests and the simulator), else from OpenSSL.
 * Synchronous; on one core about 0.06 ms for x25519 and ecp256, 0.3 ms for modp2048, 1.5 ms for modp4096, 6 ms for modp8192.
 */
export function generate(group: DhGroup, rng?: Rng): DhKeyPair {
  const { kind, native } = DH[group];
  const drawn = rng || kind === "modp" ? draw(group, rng ?? { bytes: randomBytes }) : undefined;
  const key = drawn?.key ?? generateNative(native).privateKey;
  return exportPair(group, key, drawn?.bytes);
}

/**
 * A fresh key pair's public value and g^ir with the peer's, for an exchange that is over with it: the private key never leaves
 * OpenSSL. Time of `generate` and `shared` together, faults as of `shared`.
 */
export function respond(
  group: DhGroup,
  peerValue: Uint8Array,
  rng?: Rng,
): { readonly publicValue: Uint8Array; readonly shared: Uint8Array } {
  const { kind, native } = DH[group];
  if (rng || kind === "modp") {
    const pair = generate(group, rng);
    return { publicValue: pair.publicValue, shared: shared(pair, peerValue) };
  }
  const primitive = exchangePrimitive(DH[group]);
  if (primitive) {
    checkSize(group, peerValue);
    const answer = primitive.respond(peerValue);
    if (!answer) throw noElement(group);
    return answer;
  }
  const { privateKey, publicKey } = generateNative(native);
  return { publicValue: pointOf(publicKey.export({ format: "jwk" })), shared: agree(group, privateKey, peerValue) };
}

function generateNative(name: string): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  if (name === "x25519") return generateKeyPairSync(name);
  if (name === "x448") return generateKeyPairSync(name);
  return generateKeyPairSync("ec", { namedCurve: name });
}

/** Draws private keys until one is in range: for ecp521, 521 of 528 bits are drawn; the others fit at the first try. */
function draw(group: DhGroup, rng: Rng): { bytes: Uint8Array; key: KeyObject } {
  for (let tries = 0; tries < 100; tries++) {
    const bytes = Uint8Array.from(rng.bytes(DH[group].privateBytes));
    if (group === "ecp521") bytes[0] = (bytes[0] ?? 0) & 1;
    const key = tryImport(group, bytes);
    if (key) return { bytes, key };
  }
  throw new RangeError("the rng gives no usable private key");
}

function tryImport(group: DhGroup, bytes: Uint8Array): KeyObject | undefined {
  if (bytes.every((octet) => octet === 0)) return undefined;
  try {
    return importPrivate(group, bytes);
  } catch {
    return undefined;
  }
}

/** PKCS#8 (RFC 5958) around a raw private key. */
function importPrivate(group: DhGroup, bytes: Uint8Array): KeyObject {
  const { info, algorithm } = wrappingOf(group);
  const inner =
    info.kind === "modp"
      ? integer(bytes)
      : info.kind === "ecp"
        ? sequence(integer(Uint8Array.of(1)), octetString(bytes))
        : octetString(bytes);
  const der = sequence(VERSION_0, algorithm, octetString(inner));
  return createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" });
}

function exportPair(group: DhGroup, key: KeyObject, drawn: Uint8Array | undefined): KeyPair {
  const { kind, publicBytes, privateBytes } = DH[group];
  if (kind === "modp" && drawn) {
    const der = createPublicKey(key).export({ format: "der", type: "spki" });
    return new KeyPair(group, lastInteger(der, publicBytes), drawn, key);
  }
  const jwk = key.export({ format: "jwk" });
  return new KeyPair(group, pointOf(jwk), leftPad(Buffer.from(jwk.d ?? "", "base64url"), privateBytes), key);
}

/** RFC 8031 §2: the u coordinate. RFC 5903 §7: both coordinates. */
function pointOf({ x = "", y = "" }: JsonWebKey): Uint8Array {
  return concat(Buffer.from(x, "base64url"), Buffer.from(y, "base64url"));
}

function leftPad(value: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  out.set(value, size - value.length);
  return out;
}

/** The INTEGER that ends `der`, left-padded to `size`: its header names how many octets it takes. */
function lastInteger(der: Uint8Array, size: number): Uint8Array {
  const spki = new DataView(der.buffer, der.byteOffset, der.byteLength);
  // SEQUENCE { AlgorithmIdentifier, BIT STRING { INTEGER } }: step over the outer header and the identifier.
  const [, body] = header(spki, 0);
  const [algorithmSize, algorithm] = header(spki, body);
  const [, bits] = header(spki, algorithm + algorithmSize);
  const [valueSize, value] = header(spki, bits + 1);
  const digits = der.subarray(value, value + valueSize);
  return leftPad(digits[0] === 0 ? digits.subarray(1) : digits, size);
}

/** Size of the content of the TLV at `at`, and where it starts. */
function header(view: DataView, at: number): [size: number, start: number] {
  const first = view.getUint8(at + 1);
  if (first < 0x80) return [first, at + 2];
  return first === 0x81 ? [view.getUint8(at + 2), at + 3] : [view.getUint16(at + 2), at + 4];
}

/**
 * g^ir: for modp padded to the modulus' size (RFC 7296 §2.14), for ECP the x coordinate (RFC 5903 §7).
 * Fault `ike/bad-key-exchange` for a value of the wrong size, 0, 1, p−1 or above (RFC 6989 §2.1), off the curve (§2.3), and
 * for a zero result (RFC 8031 §3.2).
 */
export function shared(pair: DhKeyPair, peerValue: Uint8Array): Uint8Array {
  return agree(pair.group, KeyPair.keyOf(pair), peerValue);
}

function agree(group: DhGroup, privateKey: KeyObject, peerValue: Uint8Array): Uint8Array {
  const { info, prime } = wrappingOf(group);
  checkSize(group, peerValue);
  if (prime) checkModp(group, prime, peerValue);
  let secret: Uint8Array;
  try {
    secret = diffieHellman({ privateKey, publicKey: importPublic(group, peerValue) });
  } catch (cause) {
    throw noElement(group, cause);
  }
  if (secret.every((octet) => octet === 0)) throw refused(group, "a low-order value", "a value of high order");
  return leftPad(secret, info.secretBytes);
}

/**
 * PEM for curves: Node asks of every key that is an object whether it is a KeyObject, by an exception, which takes longer than to
 * read the key; a string it does not ask. OpenSSL reads PEM lines of up to 254 characters, so modp comes as DER.
 */
function importPublic(group: DhGroup, value: Uint8Array): KeyObject {
  const { algorithm, spkiPrefix } = wrappingOf(group);
  if (spkiPrefix) {
    const base64 = Buffer.concat([spkiPrefix, value]).toString("base64");
    return createPublicKey(`-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`);
  }
  const der = sequence(algorithm, bitString(integer(value)));
  return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
}

function checkSize(group: DhGroup, value: Uint8Array): void {
  const { publicBytes } = DH[group];
  if (value.length !== publicBytes) throw refused(group, `${value.length} octets`, `${publicBytes} octets`);
}

/** 1 < value < p − 1. */
function checkModp(group: DhGroup, prime: Uint8Array, value: Uint8Array): void {
  const small = value.subarray(0, -1).every((octet) => octet === 0) && (value.at(-1) ?? 0) <= 1;
  // p is odd, so p − 1 differs from it in the last octet only.
  const at = value.findIndex((octet, i) => octet !== prime[i]);
  const last = prime.length - 1;
  const large = at < 0 || (value[at] ?? 0) > (prime[at] ?? 0) || (at === last && value[at] === (prime[at] ?? 0) - 1);
  if (small || large) throw refused(group, small ? "0 or 1" : "p − 1 or above", "between 2 and p − 2");
}

function noElement(group: DhGroup, cause?: unknown) {
  return refused(group, "a value that is no element of the group", "an element of the group", cause);
}

function refused(group: DhGroup, value: string, expected: string, cause?: unknown) {
  return fault("ike/bad-key-exchange", `KE.data for ${group}: ${value}, expected ${expected}`, {
    field: "KE.data",
    value,
    expected,
    facts: { group },
    ...(cause !== undefined && { cause }),
  });
}
