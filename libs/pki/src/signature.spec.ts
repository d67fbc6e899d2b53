import { generateKeyPairSync, sign } from "node:crypto";
import { decode } from "./der.js";
import { readScheme, verifySignature } from "./signature.js";

const data = new TextEncoder().encode("to be signed");
const scheme = (der: string) => readScheme(decode(Buffer.from(der.replaceAll(" ", ""), "hex"), "x"), "x");

const SHA256 = "300d0609608648016503040201 0500";
const SHA384 = "300d0609608648016503040202 0500";
const MGF1 = "06092a864886f70d010108";
const wrapped = (tag: string, der: string) => {
  const octets = der.replaceAll(" ", "");
  return `${tag}${(octets.length / 2).toString(16).padStart(2, "0")}${octets}`;
};
/** An AlgorithmIdentifier of RSASSA-PSS. */
const pss = (hash: string, maskHash: string, salt: string, more = "") =>
  wrapped(
    "30",
    `06092a864886f70d01010a ${wrapped(
      "30",
      `${wrapped("a0", hash)} ${wrapped("a1", wrapped("30", `${MGF1} ${maskHash}`))} ${wrapped("a2", `0201${salt}`)} ${more}`,
    )}`,
  );

describe("parameters of RSASSA-PSS", () => {
  it("that go together are taken", () => {
    expect(scheme(pss(SHA256, SHA256, "20"))).toEqual({ with: "rsa-pss", hash: "sha256", saltLength: 32 });
  });

  it.each([
    ["no salt", pss(SHA256, SHA256, "00")],
    ["a longer salt", pss(SHA256, SHA256, "40")],
    ["another hash for the mask", pss(SHA256, SHA384, "20")],
    ["another trailer", pss(SHA256, SHA256, "20", "a303020102")],
    ["SHA-1", pss("300906052b0e03021a0500", "300906052b0e03021a0500", "14")],
  ])("with %s are refused", (_what, der) => {
    expect(() => scheme(der)).toThrow(expect.objectContaining({ code: "pki/bad-algorithm" }));
  });
});

it("an algorithm of another kind of key proves nothing", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signature = sign("sha256", data, privateKey);
  const signer = { kind: "ecdsa-p256", key: publicKey } as const;
  expect(verifySignature({ with: "ecdsa", hash: "sha256" }, data, signer, signature)).toBe(true);
  expect(verifySignature({ with: "rsa-pkcs1", hash: "sha256" }, data, signer, signature)).toBe(false);
});
