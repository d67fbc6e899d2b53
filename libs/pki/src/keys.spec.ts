import { generateKeyPairSync } from "node:crypto";
import { readPublicKey, spkiOf } from "./keys.js";

describe("degenerate keys", () => {
  const spki = (algorithm: string, key: string) => {
    const bits = Buffer.from(`00${key}`, "hex");
    const value = Buffer.concat([Buffer.from([0x03, ...length(bits.length)]), bits]);
    const body = Buffer.concat([Buffer.from(algorithm, "hex"), value]);
    return Buffer.concat([Buffer.from([0x30, ...length(body.length)]), body]);
  };
  const length = (n: number) => (n < 128 ? [n] : n < 256 ? [0x81, n] : [0x82, n >> 8, n & 255]);
  const integerDer = (hex: string) => Buffer.from([0x02, ...length(hex.length / 2)]).toString("hex") + hex;
  const rsa = (modulus: string, exponent: string) => {
    const body = integerDer(modulus) + integerDer(exponent);
    return spki(
      "300d06092a864886f70d0101010500",
      Buffer.from([0x30, ...length(body.length / 2)]).toString("hex") + body,
    );
  };
  const odd2048 = `00${"c7".repeat(255)}c5`;

  it.each([
    ["Ed25519, the neutral element", spki("300506032b6570", `01${"00".repeat(31)}`)],
    ["Ed25519, zero", spki("300506032b6570", "00".repeat(32))],
    [
      "Ed25519, order 8 with the sign bit",
      spki("300506032b6570", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    ],
    ["Ed448, the neutral element", spki("300506032b6571", `01${"00".repeat(56)}`)],
    ["P-256, off the curve", spki("301306072a8648ce3d020106082a8648ce3d030107", `04${"11".repeat(64)}`)],
    ["P-256, the point at infinity", spki("301306072a8648ce3d020106082a8648ce3d030107", "00")],
    ["RSA, exponent 0", rsa(odd2048, "00")],
    ["RSA, exponent 1", rsa(odd2048, "01")],
    ["RSA, an even exponent", rsa(odd2048, "010000")],
    ["RSA, an exponent of 72 bits", rsa(odd2048, "01".repeat(9))],
    ["RSA, an even modulus", rsa(`00${"c7".repeat(255)}c4`, "010001")],
    ["RSA, a modulus that three divides", rsa(`00${"ff".repeat(256)}`, "010001")],
    ["RSA, a negative modulus", rsa("c7".repeat(256), "010001")],
    ["RSA, 16384 bits", rsa(`00${"c7".repeat(2048)}`, "010001")],
    ["RSA, modulus 0", rsa("00", "010001")],
  ])("%s, is refused", (_, der) => {
    expect(() => readPublicKey(der)).toThrow(expect.objectContaining({ code: "pki/weak-key", field: "publicKey" }));
  });

  it("and curves that are given by their parameters are refused", () => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256", paramEncoding: "explicit" });
    expect(() => readPublicKey(spkiOf(publicKey))).toThrow(expect.objectContaining({ code: "pki/bad-algorithm" }));
  });
});
