import { PRF, type PrfAlgorithm, pskAuth, verifyPskAuth } from "./index.js";

const octets = new Uint8Array(100).fill(5);
const secret = new TextEncoder().encode("correct horse");

describe.each(Object.keys(PRF) as PrfAlgorithm[])("a pre-shared key under %s", (prf) => {
  const data = pskAuth(prf, secret, octets);

  it("proves itself in as many octets as the PRF gives", () => {
    expect(data).toHaveLength(PRF[prf].outputBytes);
    expect(verifyPskAuth(prf, secret, octets, data)).toBe(true);
  });

  it("does not match when anything differs", () => {
    const changed = Uint8Array.from(data);
    changed[0] = (changed[0] ?? 0) ^ 0x80;
    expect(verifyPskAuth(prf, secret, octets, changed)).toBe(false);
    expect(verifyPskAuth(prf, secret, octets, data.subarray(1))).toBe(false);
    expect(verifyPskAuth(prf, secret, octets, new Uint8Array(0))).toBe(false);
    expect(verifyPskAuth(prf, secret, octets.subarray(1), data)).toBe(false);
    expect(verifyPskAuth(prf, secret.subarray(1), octets, data)).toBe(false);
  });

  it("that is empty proves nothing (CVE-2024-2357)", () => {
    const nobody = new Uint8Array(0);
    expect(verifyPskAuth(prf, nobody, octets, pskAuth(prf, nobody, octets))).toBe(false);
  });
});
