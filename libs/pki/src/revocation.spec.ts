import { readFileSync } from "node:fs";
import { isFault } from "@sallyport/base";
import { type Certificate, readCertificate } from "./certificate.js";
import { readCrl, verifyCrl } from "./crl.js";
import { ocspRequest, readOcspResponse } from "./ocsp.js";
import { RevocationStore, requireUnrevoked } from "./revocation.js";
import { type Element, elementAt, elementsIn, octetsOf } from "./tlv.js";

const vectors: Record<string, string> = JSON.parse(
  readFileSync(new URL("./vectors/openssl-revocation.json", import.meta.url), "utf8"),
);
const octets = (name: string) => Uint8Array.from(Buffer.from(vectors[name] ?? "", "base64"));
const certificate = (name: string) => readCertificate(octets(name));
const [ca, good, bad, held, signer] = ["ca", "good", "bad", "held", "signer"].map(certificate) as [
  Certificate,
  Certificate,
  Certificate,
  Certificate,
  Certificate,
];
const NOW = Date.parse("2026-11-25T00:00:00Z");
const LATER = Date.parse("2027-03-01T00:00:00Z");

const codeOf = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    if (isFault(error)) return error.code;
    throw error;
  }
  return "none";
};

/** The same octets with one changed. */
const bent = (from: Uint8Array, at: number) => from.map((b, i) => (i === at ? b ^ 1 : b));

/** DER of up to 255 octets, or of 65,536 and more. */
function tlv(tag: number, ...parts: Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const octets = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x83, length >> 16, length >> 8, length];
  return Buffer.concat([Uint8Array.of(tag, ...octets), ...parts]);
}

/** The list of OpenSSL's with other entries and without extensions; its signature does not fit any more. */
function listOf(date: Uint8Array, entries: readonly Uint8Array[]): Buffer {
  const der = octets("crl");
  const [tbs, algorithm, signature] = elementsIn(der, elementAt(der, 0, der.length, "crl"), "crl") as [
    Element,
    Element,
    Element,
  ];
  const issuer = elementsIn(der, tbs, "tbs")[2] as Element;
  const own = [algorithm, issuer].map((e) => octetsOf(der, e)) as [Uint8Array, Uint8Array];
  return tlv(0x30, tlv(0x30, ...own, date, tlv(0x30, ...entries)), own[0], octetsOf(der, signature));
}

describe("a list of OpenSSL's", () => {
  it("names who is revoked, when and why", () => {
    const crl = readCrl(octets("crl"));
    verifyCrl(crl, ca);
    expect(crl).toMatchObject({ number: 2n, base: undefined, scope: "all", entries: 2 });
    expect(crl.lookUp(bad.serial)).toEqual({ at: Date.parse("2026-11-21T20:53:01Z"), reason: "keyCompromise" });
    expect(crl.lookUp(held.serial)?.reason).toBe("certificateHold");
    expect(crl.lookUp(good.serial)).toBeUndefined();
  });

  it("of many entries is searched in no time", () => {
    const date = tlv(0x17, Buffer.from("261121205301Z"));
    const serial = (i: number) => Uint8Array.of(0x40, i >> 16, (i >> 8) & 0xff, i & 0xff);
    const entries = Array.from({ length: 100_000 }, (_, i) => tlv(0x30, tlv(0x02, serial(i)), date));
    const crl = readCrl(listOf(date, entries));
    expect(crl.entries).toBe(100_000);
    const asked = Array.from({ length: 10_000 }, (_, i) => Buffer.from(serial(99_000 + i)).toString("hex"));
    const before = process.cpuUsage();
    const found = asked.filter((text) => crl.lookUp(text) !== undefined);
    const { user, system } = process.cpuUsage(before);
    // One after another, entries would be looked at a billion times. The processor's time: that of the wall is others' too.
    expect((user + system) / 1000).toBeLessThan(2_000);
    expect(found).toEqual(asked.slice(0, 1_000));
  });

  it("is refused from another issuer and when an octet is changed", () => {
    const crl = readCrl(octets("crl"));
    expect(codeOf(() => verifyCrl(crl, signer))).toBe("pki/untrusted");
    const wrong = { ...crl, tbs: bent(crl.tbs, 60) };
    expect(codeOf(() => verifyCrl(wrong, ca))).toBe("pki/bad-signature");
    const mayNot = { ...ca, keyUsage: new Set([5]) };
    expect(codeOf(() => verifyCrl(crl, mayNot))).toBe("pki/forbidden-use");
  });

  it("is a value or a fault whatever octet is changed or cut off", () => {
    const der = octets("crl");
    for (let i = 0; i < der.length; i++) {
      const store = new RevocationStore();
      expect(codeOf(() => store.addCrl(bent(der, i), ca))).toMatch(/^pki\//);
      expect(codeOf(() => store.addCrl(der.subarray(0, i), ca))).toBe("pki/malformed");
    }
  });
});

describe("OCSP with OpenSSL", () => {
  it("asks with the very octets that OpenSSL asks with", () => {
    expect(ocspRequest(good, ca)).toEqual(octets("goodRequestWithoutNonce"));
    const asked = octets("goodRequest");
    expect(ocspRequest(good, ca, asked.slice(-16))).toEqual(asked);
  });

  it.each(["Ca", "Signer"])("reads what %s has signed", (by) => {
    const nonce = octets("goodRequest").slice(-16);
    expect(readOcspResponse(octets(`goodBy${by}`), good, ca, NOW, nonce).status).toBe("good");
    const answer = readOcspResponse(octets(`badBy${by}`), bad, ca, NOW);
    expect(answer.revoked).toEqual({ at: Date.parse("2026-11-21T20:53:01Z"), reason: "keyCompromise" });
  });

  it("refuses a response about another, to another question, of another time, signed by somebody else, or changed", () => {
    const response = octets("goodBySigner");
    expect(codeOf(() => readOcspResponse(response, bad, ca, NOW))).toBe("pki/untrusted");
    expect(codeOf(() => readOcspResponse(response, good, ca, NOW, new Uint8Array(16)))).toBe("pki/untrusted");
    expect(codeOf(() => readOcspResponse(response, good, ca, LATER))).toBe("pki/expired");
    expect(codeOf(() => readOcspResponse(octets("goodByCa"), good, held, NOW))).toBe("pki/forbidden-use");
    const outcomes = new Set<string>();
    for (let i = 0; i < response.length; i++) {
      outcomes.add(codeOf(() => readOcspResponse(bent(response, i), good, ca, NOW)));
    }
    // What no signature covers is the signer's own certificate: a bent copy of it is still no other signer.
    expect([...outcomes].filter((code) => !code.startsWith("pki/"))).toEqual([]);
  });
});

describe("what is known", () => {
  const path = (leaf: Certificate) => [leaf, ca];

  it("refuses the revoked under both policies, and the unknown under strict alone", () => {
    const store = new RevocationStore();
    expect(codeOf(() => requireUnrevoked(path(good), store, "strict", NOW))).toBe("pki/revocation-unknown");
    expect(codeOf(() => requireUnrevoked(path(bad), store, "relaxed", NOW))).toBe("none");
    expect(store.addCrl(octets("crl"), ca)).toBe(true);
    for (const policy of ["strict", "relaxed"] as const) {
      expect(codeOf(() => requireUnrevoked(path(good), store, policy, NOW))).toBe("none");
      expect(codeOf(() => requireUnrevoked(path(bad), store, policy, NOW))).toBe("pki/revoked");
    }
    expect(codeOf(() => requireUnrevoked(path(bad), store, "off", NOW))).toBe("none");
  });

  it("refuses what is withdrawn wherever it stands and whatever the policy, until it is reinstated", () => {
    const store = new RevocationStore();
    store.addCrl(octets("crl"), ca);
    for (const withdrawn of [good, ca]) {
      store.withdraw(withdrawn.fingerprint);
      for (const policy of ["strict", "relaxed", "off"] as const) {
        expect(codeOf(() => requireUnrevoked(path(good), store, policy, NOW))).toBe("pki/revoked");
      }
      expect(codeOf(() => requireUnrevoked([withdrawn], store, "off", NOW))).toBe("pki/revoked");
      store.reinstate(withdrawn.fingerprint);
      expect(codeOf(() => requireUnrevoked(path(good), store, "strict", NOW))).toBe("none");
    }
  });

  it("does not let an older list take a revocation back", () => {
    const store = new RevocationStore();
    store.addCrl(octets("crl"), ca);
    expect(store.addCrl(octets("oldCrl"), ca)).toBe(false);
    expect(store.stateOf(bad, ca, NOW).state).toBe("revoked");
  });

  it("knows nothing good from a stale list, but keeps its revocations", () => {
    const store = new RevocationStore();
    store.addCrl(octets("crl"), ca);
    expect(store.stateOf(good, ca, LATER)).toMatchObject({
      state: "unknown",
      why: /was good until 2026-12-21/ as never,
    });
    expect(store.stateOf(bad, ca, LATER).state).toBe("revoked");
  });

  it("takes OCSP where there is no list, and a revocation from either", () => {
    const store = new RevocationStore();
    expect(store.addOcsp(octets("goodByCa"), good, ca, NOW)).toBe("good");
    expect(store.stateOf(good, ca, NOW)).toMatchObject({ state: "good", by: "ocsp" });
    expect(store.stateOf(good, ca, LATER).state).toBe("unknown");
    store.addOcsp(octets("badBySigner"), bad, ca, NOW);
    store.addCrl(octets("oldCrl"), ca);
    expect(store.stateOf(bad, ca, NOW)).toMatchObject({ state: "revoked", by: "ocsp" });
    expect(store.sizes).toEqual({ lists: 1, answers: 2 });
  });
});

describe("where a certificate says that it is to be asked", () => {
  it("is read from its extensions", () => {
    expect(good.crlUris).toEqual(["http://crl.example/ca.crl"]);
    expect(good.ocspUris).toEqual(["http://ocsp.example/"]);
    expect(ca.crlUris).toEqual([]);
  });
});
