import { createRoot, MAX_CERTIFICATE_BYTES, MemoryKeyStore, readCertificate } from "./index.js";

const NOW = Date.parse("2026-06-01T00:00:00Z");
const malformed = (field: string, why: string) =>
  expect.objectContaining({ code: "pki/malformed", field, message: expect.stringContaining(why) });

async function root(): Promise<Uint8Array> {
  return (await createRoot(new MemoryKeyStore(), { commonName: "Root", organization: "Acme" }, NOW)).certificate.der;
}

describe("a certificate", () => {
  it("in BER that is not DER is refused, which other readers may take for something else", async () => {
    const der = await root();
    // The outer length has two octets; the same in three.
    expect([...der.subarray(0, 2)]).toEqual([0x30, 0x82]);
    const long = Uint8Array.of(0x30, 0x83, 0, ...der.subarray(2));
    expect(() => readCertificate(long)).toThrow(malformed("certificate", "a length that is not DER"));
    const endless = Uint8Array.of(0x30, 0x80, ...der.subarray(4), 0, 0);
    expect(() => readCertificate(endless)).toThrow(malformed("certificate", "a length that is not DER"));
  });

  it("that names another signature algorithm outside than inside is refused", async () => {
    const der = Buffer.from(await root());
    const ecdsa256 = Buffer.from("06082a8648ce3d040302", "hex");
    const [inside, outside] = [der.indexOf(ecdsa256), der.lastIndexOf(ecdsa256)];
    expect(inside).toBeLessThan(outside);
    der[outside + ecdsa256.length - 1] = 3;
    expect(() => readCertificate(der)).toThrow(
      malformed("certificate.signatureAlgorithm", "not the one that was signed"),
    );
  });

  it("that is too large is not looked at", () => {
    const body = MAX_CERTIFICATE_BYTES;
    const der = Uint8Array.of(0x30, 0x82, body >> 8, body & 255, ...new Uint8Array(body));
    expect(() => readCertificate(der)).toThrow(malformed("certificate", `more than ${MAX_CERTIFICATE_BYTES} octets`));
  });
});
