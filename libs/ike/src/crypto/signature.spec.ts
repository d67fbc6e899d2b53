import {
  constants,
  createHash,
  createPublicKey,
  sign as cryptoSign,
  generateKeyPairSync,
  type KeyObject,
  privateEncrypt,
} from "node:crypto";
import { HASH } from "../wire/index.js";
import { authPrefix } from "./algorithm-identifier.js";
import { chooseScheme, keyKind, OFFERED_HASHES, type SignatureScheme, signAuth, verifyAuth } from "./index.js";

const octets = new TextEncoder().encode("the octets of RFC 7296 section 2.15");
const keys = {
  rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  "rsa-pss": generateKeyPairSync("rsa-pss", { modulusLength: 2048 }),
  "P-256": generateKeyPairSync("ec", { namedCurve: "P-256" }),
  "P-384": generateKeyPairSync("ec", { namedCurve: "P-384" }),
  "P-521": generateKeyPairSync("ec", { namedCurve: "P-521" }),
  ed25519: generateKeyPairSync("ed25519"),
  ed448: generateKeyPairSync("ed448"),
};
type KeyName = keyof typeof keys;

const bad = (field: string) => expect.objectContaining({ code: "ike/bad-signature", field: `AUTH.${field}` });
const unsuitable = expect.objectContaining({ code: "ike/unsuitable-key" });
const sign = (name: KeyName, scheme: SignatureScheme) => ({
  method: scheme.method,
  data: signAuth(keys[name].privateKey, scheme, octets),
});

describe("AlgorithmIdentifiers", () => {
  // RFC 7427 appendix A, RFC 8420 appendix A.
  it.each([
    ["rsa", "sha1", "300d06092a864886f70d0101050500"],
    ["rsa", "sha256", "300d06092a864886f70d01010b0500"],
    ["rsa", "sha384", "300d06092a864886f70d01010c0500"],
    ["rsa", "sha512", "300d06092a864886f70d01010d0500"],
    ["ec", "sha1", "300906072a8648ce3d0401"],
    ["ec", "sha256", "300a06082a8648ce3d040302"],
    ["ec", "sha384", "300a06082a8648ce3d040303"],
    ["ec", "sha512", "300a06082a8648ce3d040304"],
    [
      "rsa-pss",
      "sha256",
      "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d0609608648016503040201" +
        "0500a203020120",
    ],
    ["ed25519", "identity", "300506032b6570"],
    ["ed448", "identity", "300506032b6571"],
  ] as const)("%s with %s", (key, hash, der) => {
    const prefix = authPrefix({ key, hash });
    expect(Buffer.from(prefix ?? []).toString("hex")).toBe((der.length / 2).toString(16).padStart(2, "0") + der);
  });
});

const schemes: readonly (readonly [KeyName, SignatureScheme])[] = [
  ["rsa", { method: 1, key: "rsa", hash: "sha1" }],
  ["P-256", { method: 9, key: "ec", hash: "sha256", curve: "P-256" }],
  ["P-384", { method: 10, key: "ec", hash: "sha384", curve: "P-384" }],
  ["P-521", { method: 11, key: "ec", hash: "sha512", curve: "P-521" }],
  ...(["sha256", "sha384", "sha512"] as const).flatMap((hash) => [
    ["rsa", { method: 14, key: "rsa", hash }] as const,
    ["rsa", { method: 14, key: "rsa-pss", hash }] as const,
    ["rsa-pss", { method: 14, key: "rsa-pss", hash }] as const,
    ["P-256", { method: 14, key: "ec", hash, curve: "P-256" }] as const,
    ["P-521", { method: 14, key: "ec", hash, curve: "P-521" }] as const,
  ]),
  ["ed25519", { method: 14, key: "ed25519", hash: "identity" }],
  ["ed448", { method: 14, key: "ed448", hash: "identity" }],
];

describe.each(schemes)("%s by %j", (name, scheme) => {
  const auth = sign(name, scheme);
  const { publicKey } = keys[name];

  it("verifies and says what was used", () => {
    expect(verifyAuth(publicKey, auth, octets)).toEqual(scheme);
  });

  it("refuses other octets, another signature, a longer and a shorter one, and another key", () => {
    const other = (data: Uint8Array) =>
      expect(() => verifyAuth(publicKey, { ...auth, data }, octets)).toThrow(bad("signature"));
    expect(() => verifyAuth(publicKey, auth, octets.subarray(1))).toThrow(bad("signature"));
    const flipped = Uint8Array.from(auth.data);
    flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
    other(flipped);
    other(Uint8Array.of(...auth.data, 0));
    other(auth.data.subarray(0, -1));
    for (const [otherName, pair] of Object.entries(keys)) {
      if (otherName === name || (scheme.key === "rsa-pss" && otherName.startsWith("rsa"))) continue;
      expect(() => verifyAuth(pair.publicKey, auth, octets)).toThrow(
        expect.objectContaining({ code: "ike/bad-signature" }),
      );
    }
  });

  it("takes a method for what it is", () => {
    expect(() => verifyAuth(publicKey, { ...auth, method: 2 }, octets)).toThrow(bad("method"));
    expect(() => verifyAuth(publicKey, { ...auth, method: 12 }, octets)).toThrow(bad("method"));
  });
});

it("fixes classic ECDSA signatures to r | s of the curve's size (RFC 4754 §7)", () => {
  expect(sign("P-256", { method: 9, key: "ec", hash: "sha256", curve: "P-256" }).data).toHaveLength(64);
  expect(sign("P-521", { method: 11, key: "ec", hash: "sha512", curve: "P-521" }).data).toHaveLength(132);
  const zero = { method: 9, data: new Uint8Array(64) };
  expect(() => verifyAuth(keys["P-256"].publicKey, zero, octets)).toThrow(bad("signature"));
});

it("refuses RFC 7427 data without algorithm, with an unknown one or with PSS defaults (SHA-1)", () => {
  for (const hex of [
    "",
    "00",
    "0a300a06082a8648ce3d0403",
    "ff300d06092a864886f70d01010b0500",
    "0f300d06092a864886f70d01010a3000",
  ]) {
    const data = Uint8Array.from(Buffer.from(hex, "hex"));
    expect(() => verifyAuth(keys.rsa.publicKey, { method: 14, data }, octets)).toThrow(bad("algorithm"));
  }
});

it("takes SHA-1 in method 14 only when told to", () => {
  const auth = sign("rsa", { method: 14, key: "rsa", hash: "sha1" });
  expect(() => verifyAuth(keys.rsa.publicKey, auth, octets)).toThrow(bad("hash"));
  expect(verifyAuth(keys.rsa.publicKey, auth, octets, { allowSha1: true }).hash).toBe("sha1");
  const classic = sign("rsa", { method: 1, key: "rsa", hash: "sha1" });
  expect(() => verifyAuth(keys.rsa.publicKey, classic, octets, { allowSha1: false })).toThrow(bad("hash"));
});

describe("PKCS#1 v1.5 paddings that lenient verifiers take (CVE-2018-16151, CVE-2018-16152)", () => {
  const digest = createHash("sha256").update(octets).digest();
  const info = Buffer.from("3031300d060960864801650304020105000420", "hex");
  const prefix = authPrefix({ key: "rsa", hash: "sha256" }) ?? new Uint8Array(0);

  function forged(middle: Buffer, tail: Buffer = Buffer.alloc(0), first = 1): Uint8Array {
    const pad = 256 - 3 - middle.length - tail.length;
    const block = Buffer.concat([Buffer.of(0, first), Buffer.alloc(pad, 0xff), Buffer.of(0), middle, tail]);
    const key = { key: keys.rsa.privateKey, padding: constants.RSA_NO_PADDING };
    return Buffer.concat([prefix, privateEncrypt(key, block)]);
  }
  const check = (data: Uint8Array) => verifyAuth(keys.rsa.publicKey, { method: 14, data }, octets);

  it("takes the right one", () => {
    expect(check(forged(Buffer.concat([info, digest]))).hash).toBe("sha256");
  });

  it.each([
    ["octets after the digest", forged(Buffer.concat([info, digest]), Buffer.alloc(32))],
    ["block type 2", forged(Buffer.concat([info, digest]), Buffer.alloc(0), 2)],
    ["no DigestInfo", forged(digest)],
    [
      "SHA-1's DigestInfo",
      forged(Buffer.concat([Buffer.from("3021300906052b0e03021a05000414", "hex"), digest.subarray(0, 20)])),
    ],
    [
      "octets in the parameters",
      forged(Buffer.concat([Buffer.from("3039301506096086480165030402010408aaaaaaaaaaaaaaaa0420", "hex"), digest])),
    ],
    [
      "a length in long form",
      forged(Buffer.concat([Buffer.from("308131300d060960864801650304020105000420", "hex"), digest])),
    ],
  ])("refuses %s", (_name, data) => {
    expect(() => check(data)).toThrow(bad("signature"));
  });
});

it("refuses the method of one curve by a key of another", () => {
  const bare = { method: 14, key: "ec", hash: "sha256" } as const;
  const der = sign("P-384", bare).data;
  const auth = { method: 14, data: der };
  expect(verifyAuth(keys["P-384"].publicKey, auth, octets).hash).toBe("sha256");
  const raw = cryptoSign("sha256", octets, { key: keys["P-384"].privateKey, dsaEncoding: "ieee-p1363" });
  expect(() => verifyAuth(keys["P-384"].publicKey, { method: 9, data: raw }, octets)).toThrow(bad("algorithm"));
});

it("refuses an ECDSA signature in lax DER", () => {
  const scheme: SignatureScheme = { method: 14, key: "ec", hash: "sha256", curve: "P-256" };
  const { data } = sign("P-256", scheme);
  const at = 1 + (data[0] ?? 0);
  const der = data.subarray(at);
  const long = Uint8Array.of(...data.subarray(0, at), 0x30, 0x81, ...der.subarray(1));
  expect(() => verifyAuth(keys["P-256"].publicKey, { method: 14, data: long }, octets)).toThrow(bad("signature"));
});

describe("degenerate keys", () => {
  const rsa = (n: Buffer, e: Buffer) =>
    createPublicKey({ key: { kty: "RSA", n: n.toString("base64url"), e: e.toString("base64url") }, format: "jwk" });
  const modulus = Buffer.from(keys.rsa.publicKey.export({ format: "jwk" }).n ?? "", "base64url");
  const even = Buffer.from(modulus);
  even[255] = (even[255] ?? 0) & 0xfe;
  const E = Buffer.of(1, 0, 1);
  const cases: readonly (readonly [string, () => KeyObject])[] = [
    ["exponent 1", () => rsa(modulus, Buffer.of(1))],
    ["an even exponent", () => rsa(modulus, Buffer.of(1, 0, 0))],
    ["an exponent of 72 bits", () => rsa(modulus, Buffer.alloc(9, 0xff))],
    ["an even modulus", () => rsa(even, E)],
    ["1024 bits", () => generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey],
    ["16384 bits", () => rsa(Buffer.alloc(2048, 0xff), E)],
    ["a curve that IKE has no method for", () => generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey],
    ["a key exchange key", () => generateKeyPairSync("x25519").publicKey],
    ["DSA", () => generateKeyPairSync("dsa", { modulusLength: 1024, divisorLength: 160 }).publicKey],
  ];

  it.each(cases)("refuses %s before it looks at the signature", (_name, make) => {
    expect(() => verifyAuth(make(), { method: 1, data: new Uint8Array(256) }, octets)).toThrow(unsuitable);
  });

  it("takes smaller RSA keys when told to", () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
    expect(keyKind(publicKey, { minRsaBits: 1024 })).toEqual({ type: "rsa", bits: 1024 });
  });

  it("does not sign by a scheme that the key cannot do", () => {
    const scheme: SignatureScheme = { method: 14, key: "ed25519", hash: "identity" };
    expect(() => signAuth(keys.rsa.privateKey, scheme, octets)).toThrow(unsuitable);
    expect(() => signAuth(keys.ed25519.privateKey, { ...scheme, hash: "sha256" }, octets)).toThrow(unsuitable);
  });
});

describe("the choice of a scheme", () => {
  const kind = (name: KeyName) => keyKind(keys[name].publicKey);

  it("is RFC 7427 with the best hash of both, else the classic method", () => {
    expect(chooseScheme(kind("P-384"), OFFERED_HASHES)).toEqual({
      method: 14,
      key: "ec",
      hash: "sha384",
      curve: "P-384",
    });
    expect(chooseScheme(kind("P-384"), [HASH.SHA2_256])).toEqual({
      method: 14,
      key: "ec",
      hash: "sha256",
      curve: "P-384",
    });
    expect(chooseScheme(kind("P-384"), undefined)?.method).toBe(10);
    expect(chooseScheme(kind("rsa"), OFFERED_HASHES)).toEqual({ method: 14, key: "rsa", hash: "sha256" });
    expect(chooseScheme(kind("rsa"), OFFERED_HASHES, ["rsa-pss-sha384"])).toEqual({
      method: 14,
      key: "rsa-pss",
      hash: "sha384",
    });
    expect(chooseScheme(kind("rsa"), [HASH.SHA1])).toEqual({ method: 1, key: "rsa", hash: "sha1" });
    expect(chooseScheme(kind("ed25519"), OFFERED_HASHES)).toEqual({ method: 14, key: "ed25519", hash: "identity" });
  });

  it("is none for keys that need RFC 7427 with a peer that has none", () => {
    for (const name of ["ed25519", "ed448", "rsa-pss"] as const)
      expect(chooseScheme(kind(name), undefined)).toBeUndefined();
    expect(chooseScheme(kind("ed448"), [HASH.SHA2_256])).toBeUndefined();
  });
});
