import { registerEnumType } from "@nestjs/graphql";
import type { KeyKind, KeyType } from "@sallyport/pki";

/** Keys that are made here, as GraphQL names them. */
export const KeyTypeName = {
  ECDSA_P256: "ecdsa-p256",
  ECDSA_P384: "ecdsa-p384",
  ECDSA_P521: "ecdsa-p521",
  ED25519: "ed25519",
  RSA_2048: "rsa-2048",
  RSA_3072: "rsa-3072",
  RSA_4096: "rsa-4096",
} as const satisfies Record<string, KeyType>;

/** Keys that are taken, whatever their size. */
export const KeyKindName = {
  ECDSA_P256: "ecdsa-p256",
  ECDSA_P384: "ecdsa-p384",
  ECDSA_P521: "ecdsa-p521",
  ED25519: "ed25519",
  ED448: "ed448",
  RSA: "rsa",
} as const satisfies Record<string, KeyKind>;

const EC = (curve: string) => ({ description: `ECDSA on ${curve}.` });
const EDWARDS = { ED25519: { description: "Ed25519." } };
const CURVES = { ECDSA_P256: EC("P-256"), ECDSA_P384: EC("P-384"), ECDSA_P521: EC("P-521"), ...EDWARDS };

registerEnumType(KeyTypeName, {
  name: "KeyType",
  description: "A kind of key to make.",
  valuesMap: {
    ...CURVES,
    RSA_2048: { description: "RSA of 2,048 bits." },
    RSA_3072: { description: "RSA of 3,072 bits." },
    RSA_4096: { description: "RSA of 4,096 bits." },
  },
});
registerEnumType(KeyKindName, {
  name: "KeyKind",
  description: "A kind of key, of whatever size.",
  valuesMap: { ...CURVES, ED448: { description: "Ed448." }, RSA: { description: "RSA, 2,048 bits or more." } },
});
