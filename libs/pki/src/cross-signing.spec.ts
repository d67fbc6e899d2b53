import {
  authoritySubject,
  type Certificate,
  certifyAuthority,
  createIssuing,
  createRoot,
  EXTENDED_KEY_USAGE,
  generateKeys,
  issueLeaf,
  MemoryKeyStore,
  spkiOf,
} from "./index.js";
import { findPath } from "./path.js";

const NOW = Date.UTC(2026, 0, 10);
const DAY = 86_400_000;

describe("an issuing CA that two roots have certified", () => {
  const name = (commonName: string) => ({ commonName, organization: "Acme" });
  const store = new MemoryKeyStore();
  let roots: { readonly old: Certificate; readonly new: Certificate };
  let shown: readonly Certificate[];
  let leaf: Certificate;

  beforeAll(async () => {
    const old = await createRoot(store, name("old root"), NOW);
    const next = await createRoot(store, name("new root"), NOW);
    const issuing = await createIssuing(store, next, name("issuing"), NOW);
    const subject = authoritySubject(name("issuing"));
    const template = { subject, now: NOW, notAfter: NOW + 30 * DAY, pathLength: 0 };
    const cross = await certifyAuthority(store, issuing.key, old, template);
    ({ certificate: leaf } = await issueLeaf(store, issuing, {
      ...{ subject: [["CN", "gw.example"]], now: NOW, notAfter: NOW + DAY },
      spki: spkiOf((await generateKeys()).publicKey),
      extendedKeyUsage: [EXTENDED_KEY_USAGE.ikeIntermediate],
      names: [{ type: "dns", value: "gw.example" }],
    }));
    roots = { old: old.certificate, new: next.certificate };
    shown = [issuing.certificate, cross.certificate];
  });

  const anchorOf = (...trusted: Certificate[]) =>
    findPath(leaf, shown, trusted, "ike", NOW)
      .at(-1)
      ?.subject.text.match(/(old|new) root/)?.[0];

  it("is found by who trusts either root", () => {
    expect(anchorOf(roots.old)).toBe("old root");
    expect(anchorOf(roots.new)).toBe("new root");
  });

  it("rests on the new one for who trusts both, in whatever order", () => {
    expect(anchorOf(roots.old, roots.new)).toBe("new root");
    expect(anchorOf(roots.new, roots.old)).toBe("new root");
  });

  it("is nothing to who trusts neither", () => {
    expect(() => anchorOf()).toThrow("no path");
  });
});
