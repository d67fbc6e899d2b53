import { createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { type KeyKind, type KeyType, spkiOf } from "@sallyport/pki";
import { CKA, CKK, CKM } from "./constants.js";
import { fault } from "./faults.js";
import { type Attribute, word } from "./memory.js";

/** How keys of our types are made, told and taken in. */

interface Curve {
  readonly name: string;
  /** Octets of a coordinate; of an Edwards curve, of the whole point. */
  readonly size: number;
  /** CKA_EC_PARAMS: the curve's OBJECT IDENTIFIER, or for Edwards curves a PrintableString (Current Mechanisms v3.0 §2.3.5). */
  readonly params: Uint8Array;
}

const hex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));

const CURVES: Readonly<Partial<Record<KeyKind, Curve>>> = {
  "ecdsa-p256": { name: "P-256", size: 32, params: hex("06082a8648ce3d030107") },
  "ecdsa-p384": { name: "P-384", size: 48, params: hex("06052b81040022") },
  "ecdsa-p521": { name: "P-521", size: 66, params: hex("06052b81040023") },
  ed25519: { name: "Ed25519", size: 32, params: Uint8Array.of(0x13, 12, ...Buffer.from("edwards25519")) },
};
const PUBLIC_EXPONENT = Uint8Array.of(1, 0, 1);

export const YES = Uint8Array.of(1);
export const NO = Uint8Array.of(0);

export const attribute = (type: number, value: Uint8Array | number): Attribute => ({
  type,
  value: typeof value === "number" ? word(value) : value,
});

function curveOf(kind: KeyKind): Curve {
  const curve = CURVES[kind];
  if (curve !== undefined) return curve;
  throw fault("pkcs11/unsupported", `no keys of type ${kind} in a PKCS#11 token`, {
    field: "keyType",
    value: kind,
    expected: "RSA of 2048 to 4096 bits, ECDSA P-256, P-384 or P-521, Ed25519",
  });
}

export const isRsa = (type: KeyType) => type.startsWith("rsa");

/** CKM to make a pair with, and what its public half's template has beside the common attributes. */
export function generation(type: KeyType): { readonly mechanism: number; readonly attributes: readonly Attribute[] } {
  if (isRsa(type)) {
    return {
      mechanism: CKM.RSA_PKCS_KEY_PAIR_GEN,
      attributes: [
        attribute(CKA.MODULUS_BITS, Number(type.slice(4) || 3072)),
        attribute(CKA.PUBLIC_EXPONENT, PUBLIC_EXPONENT),
      ],
    };
  }
  const { params } = curveOf(type as KeyKind);
  const mechanism = type === "ed25519" ? CKM.EC_EDWARDS_KEY_PAIR_GEN : CKM.EC_KEY_PAIR_GEN;
  return { mechanism, attributes: [attribute(CKA.EC_PARAMS, params)] };
}

/** Attributes that the public half is read from, in this order. */
export const publicAttributes = (kind: KeyKind): readonly number[] =>
  kind === "rsa" ? [CKA.MODULUS, CKA.PUBLIC_EXPONENT] : [CKA.EC_POINT];

/** SubjectPublicKeyInfo (DER) of what `publicAttributes` gave. */
export function spkiFrom(kind: KeyKind, values: readonly Uint8Array[]): Uint8Array {
  return spkiOf(createPublicKey({ key: publicJwk(kind, values), format: "jwk" }));
}

function publicJwk(kind: KeyKind, values: readonly Uint8Array[]): JsonWebKey {
  const text = (octets: Uint8Array) => Buffer.from(octets).toString("base64url");
  const [first, second] = values as [Uint8Array, Uint8Array];
  if (kind === "rsa") return { kty: "RSA", n: text(first), e: text(second) };
  const { name, size } = curveOf(kind);
  const length = kind === "ed25519" ? size : 2 * size + 1;
  // The point is in an OCTET STRING; some tokens leave that away.
  const point = first.subarray(first.length - length);
  if (kind === "ed25519") return { kty: "OKP", crv: name, x: text(point) };
  return { kty: "EC", crv: name, x: text(point.subarray(1, 1 + size)), y: text(point.subarray(1 + size)) };
}

/** What the template of a private key from elsewhere has beside the common attributes. */
export function privateAttributes(kind: KeyKind, key: KeyObject): readonly Attribute[] {
  const jwk = key.export({ format: "jwk" });
  const part = (name: keyof JsonWebKey) => Uint8Array.from(Buffer.from(String(jwk[name]), "base64url"));
  if (kind === "rsa") {
    return [
      attribute(CKA.KEY_TYPE, CKK.RSA),
      attribute(CKA.MODULUS, part("n")),
      attribute(CKA.PUBLIC_EXPONENT, part("e")),
      attribute(CKA.PRIVATE_EXPONENT, part("d")),
      attribute(CKA.PRIME_1, part("p")),
      attribute(CKA.PRIME_2, part("q")),
      attribute(CKA.EXPONENT_1, part("dp")),
      attribute(CKA.EXPONENT_2, part("dq")),
      attribute(CKA.COEFFICIENT, part("qi")),
    ];
  }
  const { params } = curveOf(kind);
  return [
    attribute(CKA.KEY_TYPE, kind === "ed25519" ? CKK.EC_EDWARDS : CKK.EC),
    attribute(CKA.EC_PARAMS, params),
    attribute(CKA.VALUE, part("d")),
  ];
}
