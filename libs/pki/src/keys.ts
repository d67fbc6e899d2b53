import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { bitString, decode, integer, isNull, malformed, oid, sequence } from "./der.js";
import { fault } from "./faults.js";

/** Kinds of keys that certificates may hold. RSA keys are taken from 2048 to 8192 bits. */
export type KeyKind = "rsa" | "ecdsa-p256" | "ecdsa-p384" | "ecdsa-p521" | "ed25519" | "ed448";

/** Kinds of keys to make, with the size where the kind leaves it open; `rsa` alone has 3072 bits. */
export type KeyType = KeyKind | "rsa-2048" | "rsa-3072" | "rsa-4096";

const generate = promisify(generateKeyPair);

export const kindOf = (type: KeyType): KeyKind => (type.startsWith("rsa") ? "rsa" : (type as KeyKind));

/** Makes a key pair for certificates. */
export async function generateKeys(
  type: KeyType = "ecdsa-p256",
): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  switch (type) {
    case "rsa":
    case "rsa-2048":
    case "rsa-3072":
    case "rsa-4096":
      return generate("rsa", { modulusLength: Number(type.slice(4) || 3072), publicExponent: 65537 });
    case "ed25519":
      return generate("ed25519");
    case "ed448":
      return generate("ed448");
    default:
      return generate("ec", { namedCurve: `P-${type.slice(-3)}`, paramEncoding: "named" });
  }
}

const CURVES: Readonly<Record<string, KeyKind>> = {
  "1.2.840.10045.3.1.7": "ecdsa-p256",
  "1.3.132.0.34": "ecdsa-p384",
  "1.3.132.0.35": "ecdsa-p521",
};
const EDWARDS: Readonly<Record<string, KeyKind>> = { "1.3.101.112": "ed25519", "1.3.101.113": "ed448" };
const RSA = "1.2.840.113549.1.1.1";
const EC = "1.2.840.10045.2.1";

const RSA_BITS = { min: 2048, max: 8192 };
const SMALL_PRIMES = [
  3n,
  5n,
  7n,
  11n,
  13n,
  17n,
  19n,
  23n,
  29n,
  31n,
  37n,
  41n,
  43n,
  47n,
  53n,
  59n,
  61n,
  67n,
  71n,
  73n,
  79n,
  83n,
  89n,
  97n,
];

/** y coordinates of the points of small order on Curve25519's Edwards form, RFC 8032 §5.1 encoding with the sign bit cleared. */
const SMALL_ORDER_25519 = new Set([
  `${"00".repeat(32)}`,
  `01${"00".repeat(31)}`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
]);
/** The same on edwards448 (RFC 8032 §5.2): orders 1, 2 and 4. */
const SMALL_ORDER_448 = new Set(["00".repeat(56), `01${"00".repeat(55)}`, `fe${"ff".repeat(27)}fe${"ff".repeat(27)}`]);

/**
 * Takes a SubjectPublicKeyInfo (DER) apart, refuses what is weak or degenerate, and gives the key.
 * @throws pki/malformed, pki/weak-key, pki/bad-algorithm
 */
export function readPublicKey(spki: Uint8Array, field = "publicKey"): { kind: KeyKind; key: KeyObject } {
  const [algorithm, value, ...more] = sequence(decode(spki, field), field);
  if (more.length > 0) throw malformed(field, "SubjectPublicKeyInfo has two parts");
  const [type, parameters] = sequence(algorithm, field);
  const typeOid = oid(type, field);
  const { octets, unused } = bitString(value, field);
  if (unused !== 0) throw malformed(field, "unused bits in a key");
  const kind = kindOfKey();

  function kindOfKey(): KeyKind {
    const edwards = EDWARDS[typeOid];
    if (edwards !== undefined && parameters === undefined) {
      const y = Uint8Array.from(octets);
      if (edwards === "ed25519" && y.length === 32) y[31] = (y[31] as number) & 0x7f;
      const text = Buffer.from(edwards === "ed448" ? y.subarray(0, 56) : y).toString("hex");
      if (SMALL_ORDER_25519.has(text) || SMALL_ORDER_448.has(text)) throw weak(field, "a point of small order");
      return edwards;
    }
    if (typeOid === RSA && parameters !== undefined && isNull(parameters)) {
      checkRsa(octets, field);
      return "rsa";
    }
    if (typeOid === EC && parameters !== undefined) {
      // Explicit curve parameters are refused: they are how CVE-2020-0601 made a key fit any certificate.
      const curve = parameters.idBlock.tagNumber === 6 ? CURVES[oid(parameters, field)] : undefined;
      if (curve !== undefined) {
        // Uncompressed only (RFC 5480 §2.2 demands no more): OpenSSL would take the single octet of the point at infinity.
        if (octets[0] !== 4) throw weak(field, "not an uncompressed point");
        return curve;
      }
    }
    throw fault("pki/bad-algorithm", `${field}: a kind of key that is not taken`, {
      field,
      value: typeOid,
      expected: "RSA, ECDSA on P-256, P-384 or P-521 (named), Ed25519, Ed448",
    });
  }

  try {
    return { kind, key: createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" }) };
  } catch (cause) {
    // OpenSSL checks that a point lies on its curve.
    throw weak(field, "not a point of its curve", cause);
  }
}

function weak(field: string, why: string, cause?: unknown) {
  return fault("pki/weak-key", `${field}: ${why}`, { field, ...(cause === undefined ? {} : { cause }) });
}

function checkRsa(octets: Uint8Array, field: string): void {
  const [modulusNode, exponentNode] = sequence(decode(octets, field), field);
  const modulusOctets = integer(modulusNode, field);
  if (modulusOctets.length > RSA_BITS.max / 8 + 1) throw weak(field, `an RSA modulus over ${RSA_BITS.max} bits`);
  const exponentOctets = integer(exponentNode, field);
  if (exponentOctets.length > 8) throw weak(field, "an RSA exponent over 64 bits");
  if (((modulusOctets[0] as number) | (exponentOctets[0] as number)) > 127) throw weak(field, "a negative RSA number");
  const modulus = BigInt(`0x${Buffer.from(modulusOctets).toString("hex")}`);
  const exponent = BigInt(`0x${Buffer.from(exponentOctets).toString("hex")}`);
  const bits = modulus.toString(2).length;
  if (bits < RSA_BITS.min || bits > RSA_BITS.max) {
    throw fault("pki/weak-key", `${field}: an RSA key of ${bits} bits`, {
      field,
      value: `${bits} bits`,
      expected: `${RSA_BITS.min} to ${RSA_BITS.max} bits`,
    });
  }
  if ((exponent & 1n) === 0n || exponent < 3n) throw weak(field, `an RSA exponent of ${exponent}`);
  if ((modulus & 1n) === 0n || SMALL_PRIMES.some((p) => modulus % p === 0n)) {
    throw weak(field, "an RSA modulus with a small factor");
  }
}

/** SubjectPublicKeyInfo of a key, DER. */
export function spkiOf(key: KeyObject): Uint8Array {
  return key.export({ format: "der", type: "spki" });
}

export interface PrivateKey {
  readonly privateKey: KeyObject;
  readonly kind: KeyKind;
  readonly spki: Uint8Array;
}

const MAX_PRIVATE_KEY_BYTES = 16 * 1024;

/**
 * Reads a private key, PKCS#8 DER, and judges its public half.
 * @throws pki/malformed, pki/weak-key, pki/bad-algorithm
 */
export function readPrivateKey(pkcs8: Uint8Array, field = "privateKey"): PrivateKey {
  if (pkcs8.length > MAX_PRIVATE_KEY_BYTES) throw malformed(field, `more than ${MAX_PRIVATE_KEY_BYTES} octets`);
  return judged({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" }, field);
}

/** The same from PEM: PKCS#8 plain or encrypted, PKCS#1, SEC 1. The cause of a refusal is left out: it may quote the key. */
export function readPrivateKeyPem(pem: string, passphrase?: string, field = "privateKey"): PrivateKey {
  if (pem.length > 2 * MAX_PRIVATE_KEY_BYTES) throw malformed(field, `more than ${2 * MAX_PRIVATE_KEY_BYTES} octets`);
  return judged({ key: pem, format: "pem", ...(passphrase === undefined ? {} : { passphrase }) }, field);
}

function judged(input: Parameters<typeof createPrivateKey>[0], field: string): PrivateKey {
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(input);
  } catch {
    throw malformed(field, "not a private key, or not under this passphrase");
  }
  const spki = Uint8Array.from(spkiOf(createPublicKey(privateKey)));
  return { privateKey, kind: readPublicKey(spki, field).kind, spki };
}
