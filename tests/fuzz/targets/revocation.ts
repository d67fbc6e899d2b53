import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import {
  type Certificate,
  certificatesFromPem,
  checkRequest,
  RevocationStore,
  readCertificate,
  readCrl,
  readOcspRequest,
  readOcspResponse,
  requireUnrevoked,
} from "@sallyport/pki";
import { FuzzInput, holds, total } from "./input.ts";

/** CA and certificate of libs/pki/src/vectors/openssl-revocation.json, to which the kept lists and responses belong. */
const CA = [
  "MIIBkjCCATigAwIBAgIUVhSL8fBYB7xAreMIJJ/yNsHs+YwwCgYIKoZIzj0EAwIwJjEQMA4GA1UECgwHRXhhbXBsZTESMBAGA1UE",
  "AwwJVmVjdG9yIENBMCAXDTI2MTEyMTIwNTMwMVoYDzIxMjYxMDI4MjA1MzAxWjAmMRAwDgYDVQQKDAdFeGFtcGxlMRIwEAYDVQQD",
  "DAlWZWN0b3IgQ0EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQd4DYETax5PGGacJIVaY8SEJH3cK91Uj2SwU6NjRB7mYu+Z/KB",
  "doWx+WOO+u0lrwuiiiMlfmEiCbXSwaQwn3/so0IwQDAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAdBgNVHQ4EFgQU",
  "HXKZj2ng5sL7sbR8Tlw/TrePRGcwCgYIKoZIzj0EAwIDSAAwRQIgO2t/eL0ml6frUTRmJBSAhr17aPtxpeVlBprrAx8y9EwCIQCq",
  "p/VMGAWvyKQlsmz03/Zz6fjHITH+X6pIywwngO7hlg==",
].join("");
const GOOD = [
  "MIIB5jCCAYygAwIBAgICEAEwCgYIKoZIzj0EAwIwJjEQMA4GA1UECgwHRXhhbXBsZTESMBAGA1UEAwwJVmVjdG9yIENBMCAXDTI2",
  "MTEyMTIwNTMwMVoYDzIxMjYxMDI4MjA1MzAxWjAhMRAwDgYDVQQKDAdFeGFtcGxlMQ0wCwYDVQQDDARnb29kMFkwEwYHKoZIzj0C",
  "AQYIKoZIzj0DAQcDQgAEHwRzTIRjZiqIZyybyzNqAytwujbNf4z4oXEu1b1B6Imggi4u0iuw6kHsMhDRtCNT3uvq5yLZX4rzUDSC",
  "1n3MPKOBrDCBqTAJBgNVHRMEAjAAMB8GA1UdIwQYMBaAFB1ymY9p4ObC+7G0fE5cP063j0RnMCoGA1UdHwQjMCEwH6AdoBuGGWh0",
  "dHA6Ly9jcmwuZXhhbXBsZS9jYS5jcmwwMAYIKwYBBQUHAQEEJDAiMCAGCCsGAQUFBzABhhRodHRwOi8vb2NzcC5leGFtcGxlLzAd",
  "BgNVHQ4EFgQU3XdvMKxk4XpW66Ho3p6j73bQjhwwCgYIKoZIzj0EAwIDSAAwRQIgB6kqj3Fa9CRT6fHpdnA2T90NresRYuT1kTzs",
  "3Db4JP8CIQD3f4AjRmFe4l1MIcXsUPNjl0ILhMAwLO0IsVZIU6EMJA==",
].join("");
const NOW = Date.parse("2026-11-25T00:00:00Z");
const MAX_STATEMENTS = 6;

/** An Ed25519 key (RFC 8410 §7) of which the CA is made believe that it is its own, so that inputs can be signed. */
const KEY = createPrivateKey({
  key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.alloc(32, 7)]),
  format: "der",
  type: "pkcs8",
});
const [ca, good] = [CA, GOOD].map((text) => readCertificate(Buffer.from(text, "base64"))) as [Certificate, Certificate];
const signing: Certificate = { ...ca, kind: "ed25519", key: createPublicKey(KEY) };
const ED25519 = Uint8Array.of(0x30, 5, 6, 3, 0x2b, 0x65, 0x70);

function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Uint8Array.of(tag, ...size), content]);
}

/** What the CA would have signed had it wanted to say `statement`. */
function signed(statement: Uint8Array): Uint8Array {
  const signature = der(0x03, Uint8Array.of(0), sign(null, statement, KEY));
  return der(0x30, statement, ED25519, signature);
}

const BASIC = Uint8Array.of(0x06, 9, 0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1);

function response(statement: Uint8Array): Uint8Array {
  const octets = der(0x04, signed(statement));
  return der(0x30, Uint8Array.of(0x0a, 1, 0), der(0xa0, der(0x30, BASIC, octets)));
}

/** A question to our responder: few certificates, and nothing long that its answer would repeat and sign. */
function asked(octets: Uint8Array): void {
  const question = total(() => readOcspRequest(octets));
  if (question === undefined) return;
  const repeated = (question.nonce?.length ?? 0) + question.asked.reduce((sum, { id }) => sum + id.length, 0);
  holds(question.asked.length <= 8, () => `${question.asked.length} certificates in one question`);
  holds(repeated <= octets.length, () => `${repeated} octets to repeat, of ${octets.length} that came`);
}

/** Lists and OCSP responses as they would be fetched, from anybody and from a CA that keeps no rule, and what is made of them. */
export function fuzz(data: Uint8Array): void {
  const input = new FuzzInput(data);
  const store = new RevocationStore();
  for (let n = 0; n < MAX_STATEMENTS && input.left > 0; n++) {
    const kind = input.u8() % 5;
    const octets = input.take(input.u16());
    switch (kind) {
      case 0: {
        const list = total(() => readCrl(octets));
        if (list) total(() => list.lookUp(good.serial));
        total(() => store.addCrl(octets, ca));
        break;
      }
      case 1:
        total(() => readOcspResponse(octets, good, ca, NOW));
        total(() => store.addOcsp(octets, good, ca, NOW));
        break;
      case 2:
        total(() => store.addCrl(signed(octets), signing));
        break;
      case 3:
        total(() =>
          store.addOcsp(response(octets), good, signing, NOW, input.u8() & 1 ? octets.slice(0, 16) : undefined),
        );
        break;
      case 4:
        for (const found of total(() => certificatesFromPem(new TextDecoder().decode(octets))) ?? []) {
          total(() => readCertificate(found));
        }
        total(() => checkRequest(octets));
        asked(octets);
        break;
    }
  }
  for (const issuer of [ca, signing]) {
    for (const policy of ["strict", "relaxed"] as const)
      total(() => requireUnrevoked([good, issuer], store, policy, NOW));
  }
  const { lists, answers } = store.sizes;
  holds(lists <= MAX_STATEMENTS && answers <= 1, () => `${lists} lists, ${answers} answers`);
}
