import { type Proposal, proposalText, type Transform } from "../wire/index.js";
import {
  type ChildSuite,
  childSuite,
  childTransforms,
  encryptionOf,
  type IkeSuite,
  ikeSuite,
  ikeTransforms,
} from "./index.js";

const ike = (...transforms: Transform[]): Proposal => ({ number: 1, protocol: 1, spi: new Uint8Array(0), transforms });
const esp = (...transforms: Transform[]): Proposal => ({ number: 1, protocol: 3, spi: new Uint8Array(4), transforms });
const ah = (...transforms: Transform[]): Proposal => ({ ...esp(...transforms), protocol: 2 });

const GCM: Transform = { type: 1, id: 20, keyBits: 256 };
const CBC: Transform = { type: 1, id: 12, keyBits: 128 };
const NULL: Transform = { type: 1, id: 11 };
const PRF: Transform = { type: 2, id: 5 };
const SHA256: Transform = { type: 3, id: 12 };
const NO_INTEG: Transform = { type: 3, id: 0 };
const X25519: Transform = { type: 4, id: 31 };
const NO_GROUP: Transform = { type: 4, id: 0 };
const ESN: Transform = { type: 5, id: 1 };
const NO_ESN: Transform = { type: 5, id: 0 };

const refused = (run: () => unknown, field: string) =>
  expect(run).toThrow(expect.objectContaining({ code: "ike/unsuitable-proposal", field: `SA.${field}` }));

describe("an IKE suite", () => {
  it("comes from a chosen proposal and goes back", () => {
    const aead: IkeSuite = { encryption: "aes-gcm-16", keyBits: 256, prf: "hmac-sha2-256", group: "x25519" };
    expect(ikeSuite(ike(X25519, PRF, GCM))).toEqual(aead);
    expect(ikeSuite(ike(GCM, NO_INTEG, PRF, X25519))).toEqual(aead);
    expect(proposalText({ transforms: ikeTransforms(aead) })).toBe("AES_GCM_16_256/PRF_HMAC_SHA2_256/CURVE25519");
    const cbc: IkeSuite = { ...aead, encryption: "aes-cbc", keyBits: 128, integrity: "hmac-sha2-256-128" };
    expect(ikeSuite(ike(CBC, PRF, SHA256, X25519))).toEqual(cbc);
    expect(ikeSuite(ike(...ikeTransforms(cbc)))).toEqual(cbc);
    expect(proposalText({ transforms: ikeTransforms(cbc) })).toBe(
      "AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE25519",
    );
  });

  it("is refused when a transform is missing, doubled, unknown or does not go with the others", () => {
    refused(() => ikeSuite(ike(PRF, X25519)), "ENCR");
    refused(() => ikeSuite(ike(CBC, PRF, X25519)), "INTEG");
    refused(() => ikeSuite(ike(CBC, NO_INTEG, PRF, X25519)), "INTEG");
    refused(() => ikeSuite(ike(GCM, SHA256, PRF, X25519)), "INTEG");
    refused(() => ikeSuite(ike(GCM, X25519)), "PRF");
    refused(() => ikeSuite(ike(GCM, PRF)), "DH");
    refused(() => ikeSuite(ike(GCM, PRF, NO_GROUP)), "DH");
    refused(() => ikeSuite(ike(GCM, PRF, { type: 4, id: 1031 })), "DH");
    refused(() => ikeSuite(ike(GCM, { type: 2, id: 3 }, X25519)), "PRF");
    refused(() => ikeSuite(ike(GCM, GCM, PRF, X25519)), "ENCR");
    refused(() => ikeSuite(ike(GCM, PRF, X25519, { type: 4, id: 19 })), "DH");
    refused(() => ikeSuite(ike(NULL, SHA256, PRF, X25519)), "ENCR");
    refused(() => ikeSuite(ike(GCM, PRF, X25519, NO_ESN)), "ESN");
    refused(() => ikeSuite(ike(GCM, PRF, X25519, { type: 6, id: 35 })), "UNKNOWN_6");
    refused(() => ikeSuite(esp(GCM, PRF, X25519)), "protocol");
  });

  it("is refused for transforms with attributes that nobody here knows", () => {
    const unknownAttributes = [{ type: 17, value: new Uint8Array(2) }];
    refused(() => ikeSuite(ike({ ...GCM, unknownAttributes }, PRF, X25519)), "ENCR");
    refused(() => ikeSuite(ike(GCM, { ...PRF, unknownAttributes }, X25519)), "PRF");
    refused(() => ikeSuite(ike(GCM, PRF, { ...X25519, unknownAttributes })), "DH");
    refused(() => ikeSuite(ike(CBC, { ...SHA256, unknownAttributes }, PRF, X25519)), "INTEG");
  });

  it("is refused for key lengths that the cipher has not", () => {
    for (const keyBits of [0, 64, 129, 512, 65535]) expect(encryptionOf({ ...CBC, keyBits })).toBeUndefined();
    expect(encryptionOf({ type: 1, id: 12 })).toBeUndefined();
    expect(encryptionOf({ type: 1, id: 3 })).toEqual({ encryption: "3des-cbc", keyBits: 192 });
    expect(encryptionOf({ type: 1, id: 28 })).toEqual({ encryption: "chacha20-poly1305", keyBits: 256 });
    expect(encryptionOf({ type: 1, id: 28, keyBits: 128 })).toBeUndefined();
  });
});

describe("a CHILD SA suite", () => {
  it("comes from a chosen proposal and goes back", () => {
    const plain: ChildSuite = { protocol: "esp", encryption: "aes-gcm-16", keyBits: 256, esn: false };
    expect(childSuite(esp(GCM, NO_ESN))).toEqual(plain);
    expect(childSuite(esp(GCM, NO_GROUP))).toEqual(plain);
    const pfs: ChildSuite = { ...plain, group: "x25519", esn: true };
    expect(childSuite(esp(GCM, X25519, ESN))).toEqual(pfs);
    expect(childSuite(esp(...childTransforms(pfs)))).toEqual(pfs);
    expect(childSuite(esp(NULL, SHA256, NO_ESN))).toMatchObject({ encryption: "null", integrity: "hmac-sha2-256-128" });
    expect(childSuite(ah(SHA256, ESN))).toEqual({
      protocol: "ah",
      keyBits: 0,
      integrity: "hmac-sha2-256-128",
      esn: true,
    });
  });

  it("is refused when it would not protect", () => {
    refused(() => childSuite(esp(CBC, NO_ESN)), "INTEG");
    refused(() => childSuite(esp(NULL, NO_ESN)), "INTEG");
    refused(() => childSuite(esp(NULL, NO_INTEG, NO_ESN)), "INTEG");
    refused(() => childSuite(esp(SHA256, NO_ESN)), "ENCR");
    refused(() => childSuite(esp(GCM, SHA256, NO_ESN)), "INTEG");
    refused(() => childSuite(ah(NO_ESN)), "INTEG");
    refused(() => childSuite(ah(NO_INTEG, NO_ESN)), "INTEG");
    refused(() => childSuite(ah(GCM, SHA256, NO_ESN)), "ENCR");
  });

  it("is refused for unknown numbers", () => {
    refused(() => childSuite(esp(GCM, { type: 5, id: 2 })), "ESN");
    refused(() => childSuite(esp(GCM, { type: 4, id: 22 }, NO_ESN)), "DH");
    refused(() => childSuite(esp(GCM, PRF, NO_ESN)), "PRF");
    refused(() => childSuite(ike(GCM, NO_ESN)), "protocol");
  });
});
