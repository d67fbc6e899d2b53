import { getDiffieHellman } from "node:crypto";
import { DH, type DhGroup, dhGroupOf, generate, respond, shared } from "./index.js";

const groups = Object.keys(DH) as DhGroup[];
const modps = groups.filter((group) => DH[group].kind === "modp");
const ecps = groups.filter((group) => DH[group].kind === "ecp");

const toBigInt = (octets: Uint8Array) => BigInt(`0x${Buffer.from(octets).toString("hex")}`);
const toBytes = (value: bigint, size: number) =>
  Uint8Array.from(Buffer.from(value.toString(16).padStart(2 * size, "0"), "hex"));

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let b = base, e = exponent; e > 0n; e >>= 1n, b = (b * b) % modulus) {
    if (e & 1n) result = (result * b) % modulus;
  }
  return result;
}

const refuses = (group: DhGroup, value: Uint8Array, why: string = expect.any(String)) =>
  expect(() => shared(generate(group), value)).toThrow(
    expect.objectContaining({ code: "ike/bad-key-exchange", field: "KE.data", value: why, facts: { group } }),
  );

describe.each(groups)("%s", (group) => {
  const info = DH[group];

  it("has values of the sizes in the table, and both ends agree, on another thread too", () => {
    const a = generate(group);
    const b = generate(group);
    expect(a.publicValue).toHaveLength(info.publicBytes);
    expect(a.privateKey).toHaveLength(info.privateBytes);
    expect(a.publicValue).not.toEqual(b.publicValue);
    const secret = shared(a, b.publicValue);
    expect(secret).toHaveLength(info.secretBytes);
    expect(shared(structuredClone(b), a.publicValue)).toEqual(secret);
    expect(dhGroupOf(info.transformId)).toBe(group);
  });

  it("answers an exchange with a fresh key pair each time, or one from the rng", () => {
    const a = generate(group);
    const answers = [respond(group, a.publicValue), respond(group, a.publicValue)];
    expect(answers[0]?.publicValue).not.toEqual(answers[1]?.publicValue);
    for (const { publicValue, shared: secret } of answers) expect(shared(a, publicValue)).toEqual(secret);
    const rng = { bytes: (size: number) => new Uint8Array(size).fill(1) };
    expect(respond(group, a.publicValue, rng).publicValue).toEqual(generate(group, rng).publicValue);
    expect(() => respond(group, new Uint8Array(3))).toThrow(expect.objectContaining({ code: "ike/bad-key-exchange" }));
  });

  it("takes the private key from the rng when there is one", () => {
    let n = 0;
    const rng = { bytes: (size: number) => new Uint8Array(size).fill(++n) };
    const a = generate(group, rng);
    n = 0;
    expect(generate(group, rng)).toEqual(a);
    expect(generate(group, rng).publicValue).not.toEqual(a.publicValue);
  });

  it("does not wait for ever for an rng that is stuck", () => {
    expect(() => generate(group, { bytes: (n) => new Uint8Array(n) })).toThrow(RangeError);
  });

  it("refuses values of another size", () => {
    const { publicValue } = generate(group);
    for (const value of [new Uint8Array(0), publicValue.subarray(1), Uint8Array.of(0, ...publicValue)]) {
      refuses(group, value);
    }
  });
});

describe.each(modps)("%s", (group) => {
  const size = DH[group].publicBytes;
  const p = toBigInt(getDiffieHellman(DH[group].native).getPrime());

  it("is g^x mod p, padded to the modulus' size", () => {
    const a = generate(group);
    const b = generate(group);
    expect(toBigInt(a.publicValue)).toBe(power(2n, toBigInt(a.privateKey), p));
    expect(shared(a, b.publicValue)).toEqual(toBytes(power(toBigInt(b.publicValue), toBigInt(a.privateKey), p), size));
  });

  it("pads a small result", () => {
    const a = generate(group, { bytes: (n) => new Uint8Array(n).fill(1, -1) });
    expect(a.publicValue).toEqual(toBytes(2n, size));
    expect(shared(a, toBytes(3n, size))).toEqual(toBytes(3n, size));
  });

  it.each([
    ["0", 0n, "0 or 1"],
    ["1", 1n, "0 or 1"],
    ["p - 1", p - 1n, "p − 1 or above"],
    ["p", p, "p − 1 or above"],
    ["p + 1", p + 1n, "p − 1 or above"],
    ["the largest", (1n << BigInt(8 * size)) - 1n, "p − 1 or above"],
  ])("refuses %s", (_name, value, why) => {
    refuses(group, toBytes(value, size), why);
  });

  it("takes 2 and p - 2", () => {
    for (const value of [2n, p - 2n]) expect(shared(generate(group), toBytes(value, size))).toHaveLength(size);
  });
});

describe.each(ecps)("%s", (group) => {
  it("refuses points off the curve, and zero", () => {
    const { publicValue } = generate(group);
    for (const at of [0, publicValue.length - 1]) {
      const forged = Uint8Array.from(publicValue);
      forged[at] = (forged[at] ?? 0) ^ 1;
      refuses(group, forged);
    }
    refuses(group, new Uint8Array(publicValue.length));
    refuses(group, new Uint8Array(publicValue.length).fill(0xff));
  });
});

describe("low-order values", () => {
  // RFC 7748 §6.1 and §6.2: u = 0 and 1, and points of order 8 on curve25519.
  it.each([
    ["x25519", "00".repeat(32)],
    ["x25519", `01${"00".repeat(31)}`],
    ["x25519", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"],
    ["x25519", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"],
    ["x25519", `ec${"ff".repeat(30)}7f`],
    ["x448", "00".repeat(56)],
    ["x448", `01${"00".repeat(55)}`],
  ] as const)("%s refuses %s", (group, value) => {
    refuses(group, Uint8Array.from(Buffer.from(value, "hex")));
  });
});
