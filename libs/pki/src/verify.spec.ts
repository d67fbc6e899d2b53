import { IpAddress } from "@sallyport/base";
import { issuerOf } from "./authority.js";
import { buildCertificate, type Issuer, type Template } from "./builder.js";
import {
  type Authority,
  type Certificate,
  ChainVerifier,
  createIssuing,
  createRoot,
  generateKeys,
  issueGateway,
  type KeyHandle,
  MemoryKeyStore,
  ownIdentity,
  type PeerIdentity,
  proves,
  readCertificate,
  requireIdentity,
  spkiOf,
  TrustAnchors,
} from "./index.js";

const NOW = Date.parse("2026-06-01T00:00:00Z");
const DAY = 86_400_000;
const FQDN: PeerIdentity = { type: "fqdn", name: "GW-1.acme.sallyport" };

const store = new MemoryKeyStore();
let root: Authority;
let issuing: Authority;
let leafSpki: Uint8Array;
let good: Certificate;

beforeAll(async () => {
  root = await createRoot(store, { commonName: "Root", organization: "Acme" }, NOW);
  issuing = await createIssuing(store, root, { commonName: "Issuing", organization: "Acme" }, NOW);
  leafSpki = spkiOf((await generateKeys()).publicKey);
  const request = { fqdn: "gw-1.acme.sallyport", organization: "Acme", spki: leafSpki, now: NOW };
  good = (await issueGateway(store, issuing, request)).certificate;
});

const verify = (
  leaf: Certificate,
  given: Partial<Parameters<ChainVerifier["verify"]>[0]> = {},
  verifier = new ChainVerifier(),
) =>
  verifier.verify({
    leaf: leaf.der,
    intermediates: [issuing.certificate.der],
    anchors: TrustAnchors.of([root.certificate.der]),
    now: NOW,
    usage: "ike",
    ...given,
  });

const template = (over: Partial<Template> = {}): Template => ({
  subject: [["CN", "leaf"]],
  spki: leafSpki,
  notBefore: NOW - DAY,
  notAfter: NOW + DAY,
  keyUsage: [0],
  names: [{ type: "dns", value: "gw-1.acme.sallyport" }],
  ...over,
});

const built = async (by: Issuer | KeyHandle, over: Partial<Template> = {}) =>
  readCertificate((await buildCertificate(store, by, template(over))).der);
const made = (by: Authority, over: Partial<Template> = {}) => built(issuerOf(by), over);

async function subordinate(by: Authority, over: Partial<Template> = {}): Promise<Authority> {
  const key = await store.generate("ecdsa-p256");
  const ca: Partial<Template> = {
    subject: [["CN", `sub ${key.ref}`]],
    spki: key.spki,
    ca: { pathLength: 3 },
    keyUsage: [5],
    names: [],
  };
  return { key, certificate: await made(by, { ...ca, ...over }), above: [by.certificate, ...by.above] };
}

const coded = (code: string, more: object = {}) => expect.objectContaining({ code, ...more });

describe("a chain", () => {
  it("is found whatever the order of its parts, and junk beside them", () => {
    const junk = [new Uint8Array(3), good.der, root.certificate.der, issuing.certificate.der];
    expect(verify(good, { intermediates: junk, identity: FQDN }).path.map((c) => c.subject.text)).toEqual([
      "CN=gw-1.acme.sallyport,O=Acme",
      "CN=Issuing,O=Acme",
      "CN=Root,O=Acme",
    ]);
  });

  it("may end at an issuing CA or at the leaf itself when that is what is trusted", () => {
    expect(verify(good, { intermediates: [], anchors: TrustAnchors.of([issuing.certificate.der]) }).path).toHaveLength(
      2,
    );
    expect(verify(good, { intermediates: [], anchors: TrustAnchors.of([good.der]) }).path).toHaveLength(1);
  });

  it("without a way to an anchor is untrusted, and says who was looked for", () => {
    const untrusted = coded("pki/untrusted", { facts: { ours: "CN=Root,O=Acme", theirs: "CN=Issuing,O=Acme" } });
    expect(() => verify(good, { intermediates: [] })).toThrow(untrusted);
    expect(() => verify(good, { anchors: TrustAnchors.of([]) })).toThrow(coded("pki/untrusted"));
  });

  it("of another CA with the same names is refused", async () => {
    const otherRoot = await createRoot(store, { commonName: "Root", organization: "Acme" }, NOW);
    const imitation = await createIssuing(store, otherRoot, { commonName: "Issuing", organization: "Acme" }, NOW);
    const forged = await made(imitation);
    expect(() => verify(forged, { intermediates: [imitation.certificate.der] })).toThrow(coded("pki/untrusted"));
    const tampered = Uint8Array.from(good.der);
    tampered[tampered.length - 1] = (tampered.at(-1) as number) ^ 1;
    expect(() => verify(readCertificate(tampered))).toThrow(coded("pki/bad-signature", { field: "leaf" }));
  });

  it("is refused before and after its time, whichever part it is that is too old", async () => {
    expect(() => verify(good, { now: good.notBefore - 1 })).toThrow(coded("pki/not-yet-valid", { field: "leaf" }));
    expect(() => verify(good, { now: good.notAfter + 1 })).toThrow(coded("pki/expired", { field: "leaf" }));
    const old = await subordinate(root, { notAfter: NOW - 1000 });
    const leaf = await made(old);
    expect(() => verify(leaf, { intermediates: [old.certificate.der] })).toThrow(
      coded("pki/expired", { field: "issuer" }),
    );
  });

  it("through a certificate that is no CA, or may not sign, or has too many CAs below it, is refused", async () => {
    const noCa = await subordinate(root, { ca: undefined });
    const noSign = await subordinate(root, { keyUsage: [0] });
    const tooDeep = await subordinate(issuing);
    for (const [by, field] of [
      [noCa, "issuer.basicConstraints"],
      [noSign, "issuer.keyUsage"],
      [tooDeep, "issuer.basicConstraints"],
    ] as const) {
      const leaf = await made(by);
      const intermediates = [by.certificate.der, issuing.certificate.der];
      expect(() => verify(leaf, { intermediates })).toThrow(coded("pki/forbidden-use", { field }));
    }
  });

  it("is refused when key usage or extended key usage speak of something else", async () => {
    const sign = await made(issuing, { keyUsage: [5] });
    const code = await made(issuing, { extendedKeyUsage: ["1.3.6.1.5.5.7.3.3"] });
    const mail = await subordinate(root, { extendedKeyUsage: ["1.3.6.1.5.5.7.3.4"] });
    expect(() => verify(sign)).toThrow(coded("pki/forbidden-use", { field: "leaf.keyUsage" }));
    expect(() => verify(code)).toThrow(coded("pki/forbidden-use", { field: "leaf" }));
    const leaf = await made(mail);
    expect(() => verify(leaf, { intermediates: [mail.certificate.der] })).toThrow(
      coded("pki/forbidden-use", { field: "issuer" }),
    );
    const only = await made(issuing, { keyUsage: [1], extendedKeyUsage: ["1.3.6.1.5.5.7.3.17"] });
    expect(verify(only).path).toHaveLength(3);
  });

  it("costs a bounded number of signatures, however many look-alikes are sent", async () => {
    const key = await store.generate("ecdsa-p256");
    const same: Partial<Template> = {
      subject: [
        ["O", "Acme"],
        ["CN", "Issuing"],
      ],
      spki: key.spki,
      ca: { pathLength: 0 },
      keyUsage: [5],
    };
    const decoys = await Promise.all(Array.from({ length: 10 }, async () => (await built(key, same)).der));
    expect(() => verify(good, { intermediates: decoys })).toThrow(coded("pki/untrusted"));
  });

  it("costs so also when the look-alikes have signed each other", async () => {
    const key = await store.generate("ecdsa-p256");
    const same: Partial<Template> = {
      subject: [["CN", "Ring"]],
      spki: key.spki,
      ca: { pathLength: 9 },
      keyUsage: [5],
      names: [],
    };
    const first = await built(key, same);
    const above = issuerOf({ key, certificate: first, above: [] });
    const ring = await Promise.all(Array.from({ length: 8 }, async () => (await built(above, same)).der));
    const leaf = await built(above);
    const refuse = () => expect(() => verify(leaf, { intermediates: ring })).toThrow(coded("pki/forbidden-use"));
    expect(processorMs(refuse)).toBeLessThan(500);
  });

  it("is looked for among the first ten certificates beside the leaf, whatever else is sent", async () => {
    const junk = await Promise.all(
      Array.from({ length: 10 }, async (_, i) => (await made(root, { subject: [["CN", `junk ${i}`]] })).der),
    );
    const own = issuing.certificate.der;
    expect(verify(good, { intermediates: [...junk.slice(1), own] }).path).toHaveLength(3);
    expect(() => verify(good, { intermediates: [...junk, own] })).toThrow(coded("pki/untrusted"));
  });
});

describe("the cache", () => {
  const request = () => ({ leaf: good.der, intermediates: [issuing.certificate.der], now: NOW, usage: "ike" as const });

  it("answers without the intermediates, for the same anchors and use only", () => {
    const verifier = new ChainVerifier();
    const anchors = TrustAnchors.of([root.certificate.der]);
    const first = verifier.verify({ ...request(), anchors });
    expect(verifier.verify({ ...request(), anchors, intermediates: [] })).toBe(first);
    expect(() => verifier.verify({ ...request(), anchors: TrustAnchors.of([]) })).toThrow(coded("pki/untrusted"));
    expect(() => verifier.verify({ ...request(), anchors, intermediates: [], usage: "tls-client" })).toThrow(
      coded("pki/untrusted"),
    );
  });

  it("does not outlive the certificate, its revocation, or another identity", () => {
    const revoked = new Set<string>();
    const verifier = new ChainVerifier({ isRevoked: (c) => revoked.has(c.serial) });
    const anchors = TrustAnchors.of([root.certificate.der]);
    verifier.verify({ ...request(), anchors, identity: FQDN });
    expect(() => verifier.verify({ ...request(), anchors, now: good.notAfter + 1 })).toThrow(coded("pki/expired"));
    expect(() => verifier.verify({ ...request(), anchors, identity: { type: "fqdn", name: "gw-2" } })).toThrow(
      coded("pki/identity-mismatch", {
        facts: { ours: "gw-2", theirs: "gw-1.acme.sallyport, CN=gw-1.acme.sallyport,O=Acme" },
      }),
    );
    revoked.add(good.serial);
    expect(() => verifier.verify({ ...request(), anchors })).toThrow(coded("pki/revoked", { value: good.serial }));
    revoked.clear();
    revoked.add(issuing.certificate.serial);
    expect(() => verifier.verify({ ...request(), anchors })).toThrow(coded("pki/revoked", { field: "issuer" }));
  });

  it("keeps no more than its size, and nothing that was refused", async () => {
    const verifier = new ChainVerifier({ cacheSize: 3 });
    const anchors = TrustAnchors.of([root.certificate.der]);
    for (let i = 0; i < 6; i++) verifier.verify({ ...request(), anchors, leaf: (await made(issuing)).der });
    expect(verifier.remembered).toBe(3);
    for (let i = 0; i < 6; i++) {
      const leaf = (await made(issuing, { keyUsage: [5] })).der;
      expect(() => verifier.verify({ ...request(), anchors, leaf })).toThrow(coded("pki/forbidden-use"));
    }
    expect(verifier.remembered).toBe(3);
  });

  it("makes a known chain cost less than a tenth of a millisecond", () => {
    const verifier = new ChainVerifier();
    const anchors = TrustAnchors.of([root.certificate.der]);
    verifier.verify({ ...request(), anchors });
    const verifyOften = () => {
      for (let i = 0; i < 1000; i++) verifier.verify({ ...request(), anchors, identity: FQDN });
    };
    expect(processorMs(verifyOften)).toBeLessThan(100);
  });
});

describe("an identity", () => {
  it("is proven by a name of its own kind, as a whole", async () => {
    const certificate = await made(issuing, {
      names: [
        { type: "dns", value: "*.acme.example" },
        { type: "email", value: "Bob@Acme.example" },
        { type: "ip", value: "192.0.2.7" },
        { type: "ip", value: "2001:db8::7" },
      ],
    });
    const address = (text: string) => IpAddress.parse(text);
    const proven: PeerIdentity[] = [
      { type: "email", name: "Bob@acme.EXAMPLE" },
      { type: "ipv4", address: address("192.0.2.7") },
      { type: "ipv6", address: address("2001:db8::7") },
      { type: "dn", data: subjectDer(certificate) },
    ];
    const not: PeerIdentity[] = [
      { type: "fqdn", name: "x.acme.example" },
      { type: "fqdn", name: "*.acme.example" },
      { type: "fqdn", name: "leaf" },
      { type: "email", name: "bob@acme.example" },
      { type: "ipv4", address: address("192.0.2.8") },
      { type: "dn", data: subjectDer(good) },
      { type: "key-id", data: Uint8Array.from(Buffer.from(certificate.subjectKeyId ?? "", "hex")) },
    ];
    expect(proven.map((i) => proves(certificate, i))).toEqual(proven.map(() => true));
    expect(not.map((i) => proves(certificate, i))).toEqual(not.map(() => false));
  });

  it("is what the certificate says by itself: a name of its own, else its subject", async () => {
    const of = async (names: NonNullable<Template["names"]>) => ownIdentity(await made(issuing, { names }));
    expect(
      await of([
        { type: "ip", value: "192.0.2.7" },
        { type: "dns", value: "a.example" },
      ]),
    ).toEqual({
      type: "fqdn",
      name: "a.example",
    });
    expect(
      await of([
        { type: "dns", value: "*.a.example" },
        { type: "email", value: "a@a.example" },
      ]),
    ).toEqual({
      type: "email",
      name: "a@a.example",
    });
    const address = await of([{ type: "ip", value: "2001:db8::7" }]);
    expect(address).toMatchObject({ type: "ipv6" });
    expect("address" in address && String(address.address)).toBe("2001:db8::7");
    const bare = await made(issuing, { names: [] });
    expect(ownIdentity(bare)).toEqual({ type: "dn", data: bare.subject.der });
    expect(proves(bare, ownIdentity(bare))).toBe(true);
  });

  it("that is a crafted DN gives a coded fault, and a hostile subject reaches no log line raw", async () => {
    expect(() => requireIdentity(good, { type: "dn", data: Uint8Array.from([0x30, 0x80, 0, 0]) })).toThrow(
      coded("pki/malformed"),
    );
    const hostile = await made(issuing, { subject: [["CN", "x\u001b[31m\nroot,CN=admin"]] });
    expect(hostile.subject.text).toBe("CN=x\\1b[31m\\0aroot\\,CN\\=admin");
  });
});

/** The subject of one of our own certificates: it follows the validity (17-octet times, 2-octet headers). */
function subjectDer(certificate: Certificate): Uint8Array {
  const validity = Buffer.from(certificate.der).indexOf(Buffer.from("301e170d", "hex")) + 32;
  return certificate.der.slice(validity, validity + 2 + (certificate.der[validity + 1] as number));
}

/** Milliseconds of the processor that something took: the time of the wall is others' too. */
function processorMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
