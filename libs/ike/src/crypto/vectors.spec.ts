import { readFileSync } from "node:fs";
import { aesCmac, aesXcbc } from "./aes-mac.js";
import {
  type DhGroup,
  type DhKeyPair,
  deriveIkeKeys,
  generate,
  type IkeSuite,
  type PrfAlgorithm,
  prf,
  prfPlus,
  shared,
} from "./index.js";
import { mac } from "./integrity.js";

function load<T>(name: string): T[] {
  return JSON.parse(readFileSync(new URL(`./vectors/${name}.json`, import.meta.url), "utf8")) as T[];
}
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");

interface PrfVector {
  readonly source: string;
  readonly algorithm: PrfAlgorithm;
  readonly key: string;
  readonly data: string;
  readonly output: string;
}

describe.each(load<PrfVector>("prf"))("$source: $algorithm", (v) => {
  it("matches", () => {
    expect(hex(prf(v.algorithm, bytes(v.key), bytes(v.data)))).toBe(v.output);
  });

  it("matches with the data in parts", () => {
    const data = bytes(v.data);
    expect(hex(prf(v.algorithm, bytes(v.key), data.subarray(0, 3), data.subarray(3)))).toBe(v.output);
  });
});

it("truncates MACs to the sizes of the integrity algorithms", () => {
  const key = bytes("2b7e151628aed2a6abf7158809cf4f3c");
  const data = bytes("6bc1bee22e409f96e93d7e117393172a");
  expect(hex(mac("aes-cmac-96", key)(data))).toBe(hex(aesCmac(key, data)).slice(0, 24));
  expect(hex(mac("aes-xcbc-96", key)(data))).toBe(hex(aesXcbc(key, data)).slice(0, 24));
});

interface DhVector {
  readonly source: string;
  readonly group: DhGroup;
  readonly i: string;
  readonly gi: string;
  readonly r: string;
  readonly gr: string;
  readonly shared: string;
}

describe.each(load<DhVector>("dh"))("$source: $group", (v) => {
  it("gives both public values and g^ir", () => {
    const fixed = (privateKey: string) => generate(v.group, { bytes: () => bytes(privateKey) });
    const initiator = fixed(v.i);
    const responder = fixed(v.r);
    expect([hex(initiator.publicValue), hex(responder.publicValue)]).toEqual([v.gi, v.gr]);
    expect(hex(shared(initiator, responder.publicValue))).toBe(v.shared);
    const sent: DhKeyPair = structuredClone(responder);
    expect(hex(shared(sent, initiator.publicValue))).toBe(v.shared);
  });
});

interface KdfVector {
  readonly source: string;
  readonly prf: PrfAlgorithm;
  readonly ni: string;
  readonly nr: string;
  readonly sharedSecret: string;
  readonly sharedSecretNew: string;
  readonly initiatorSpi: string;
  readonly responderSpi: string;
  readonly skeyseed: string;
  readonly skeyseedRekey: string;
  readonly dkm: string;
}

describe.each(load<KdfVector>("kdf"))("$source", (v) => {
  it("gives SKEYSEED, DKM and the SKEYSEED of a rekey", () => {
    const seed = bytes(v.ni + v.nr + v.initiatorSpi + v.responderSpi);
    expect(hex(prf(v.prf, bytes(v.ni + v.nr), bytes(v.sharedSecret)))).toBe(v.skeyseed);
    expect(hex(prfPlus(v.prf, bytes(v.skeyseed), seed, v.dkm.length / 2))).toBe(v.dkm);
    // SK_d comes first and has the size of the PRF's key.
    const d = bytes(v.dkm.slice(0, v.skeyseed.length));
    expect(hex(prf(v.prf, d, bytes(v.sharedSecretNew), bytes(v.ni), bytes(v.nr)))).toBe(v.skeyseedRekey);
  });

  it("is cut into the seven keys in order", () => {
    const suite: IkeSuite = {
      encryption: "aes-cbc",
      keyBits: 128,
      integrity: "hmac-sha1-96",
      prf: v.prf,
      group: "modp2048",
    };
    const keys = deriveIkeKeys({
      suite,
      sharedSecret: bytes(v.sharedSecret),
      ni: bytes(v.ni),
      nr: bytes(v.nr),
      initiatorSpi: BigInt(`0x${v.initiatorSpi}`),
      responderSpi: BigInt(`0x${v.responderSpi}`),
    });
    const { d, ai, ar, ei, er, pi, pr } = keys;
    expect([d, ai, ar, ei, er, pi, pr].map(hex).join("")).toBe(v.dkm);
  });
});

it("prf+ gives at most 255 outputs", () => {
  const key = new Uint8Array(16);
  expect(prfPlus("aes-cmac", key, key, 255 * 16)).toHaveLength(255 * 16);
  expect(() => prfPlus("aes-cmac", key, key, 255 * 16 + 1)).toThrow(RangeError);
});
