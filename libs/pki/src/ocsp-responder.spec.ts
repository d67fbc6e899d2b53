import { readFileSync } from "node:fs";
import fc from "fast-check";
import { type Certificate, readCertificate } from "./certificate.js";
import { encode, sequenceOf } from "./der-writer.js";
import { ocspRequest } from "./ocsp.js";
import { certIdDer, issuerHash, MAX_OCSP_REQUEST_BYTES, readOcspRequest } from "./ocsp-responder.js";

const vectors: Record<string, string> = JSON.parse(
  readFileSync(new URL("./vectors/openssl-revocation.json", import.meta.url), "utf8"),
);
const certificate = (name: string) => readCertificate(Buffer.from(vectors[name] ?? "", "base64"));
const [ca, good] = ["ca", "good"].map(certificate) as [Certificate, Certificate];
const MALFORMED = expect.objectContaining({ code: "pki/malformed", field: "ocspRequest" });
const nonceOf = (length: number) => new Uint8Array(length).fill(0x5a);

/** A request about that many certificates. */
function asking(count: number): Uint8Array {
  const id = certIdDer(ca, "sha256", "01");
  return encode(sequenceOf(sequenceOf(sequenceOf(...Array.from({ length: count }, () => sequenceOf(id))))));
}

describe("an OCSP request", () => {
  it("names its certificate by the hashes of the issuer and the serial number", () => {
    expect(readOcspRequest(ocspRequest(good, ca)).asked).toMatchObject([
      { hash: "sha1", issuer: issuerHash(ca, "sha1"), serial: good.serial },
    ]);
  });

  it.each([1, 32, 128])("may carry a nonce of %i octets", (length) => {
    expect(readOcspRequest(ocspRequest(good, ca, nonceOf(length))).nonce).toEqual(nonceOf(length));
  });

  it.each([0, 129, 2000])("with a nonce of %i octets is malformed (RFC 9654 §2.1)", (length) => {
    expect(() => readOcspRequest(ocspRequest(good, ca, nonceOf(length)))).toThrow(MALFORMED);
  });

  it("asks about eight certificates at most, and about one at least", () => {
    expect(readOcspRequest(asking(8)).asked).toHaveLength(8);
    for (const count of [0, 9]) expect(() => readOcspRequest(asking(count))).toThrow(MALFORMED);
  });

  it("that is too long is not looked at", () => {
    const long = encode(sequenceOf(new Uint8Array(MAX_OCSP_REQUEST_BYTES)));
    expect(() => readOcspRequest(long)).toThrow("more than 4096 octets");
  });

  it("of any octets is a question or a coded fault", () => {
    const request = ocspRequest(good, ca, nonceOf(32));
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(fc.nat(request.length - 1), fc.nat(255)).map(([at, to]) => request.with(at, to)),
      fc.nat(request.length).map((n) => request.slice(0, n)),
    );
    const read = (bytes: Uint8Array) => {
      try {
        return readOcspRequest(bytes).asked.length;
      } catch (error) {
        expect(error).toEqual(MALFORMED);
        return 0;
      }
    };
    fc.assert(
      fc.property(octets, (bytes) => read(bytes) <= 8),
      { numRuns: 500 },
    );
  });
});
