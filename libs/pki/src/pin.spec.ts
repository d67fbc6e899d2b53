import {
  type Authority,
  createIssuing,
  createRoot,
  generateKeys,
  issueAgent,
  issueServer,
  MemoryKeyStore,
  pinOf,
  spkiOf,
  verifyPinned,
} from "./index.js";

const NOW = Date.now();
const NAME = "control-plane.sallyport.internal";
const store = new MemoryKeyStore();
let root: Authority;
let issuing: Authority;
let spki: Uint8Array;

async function hierarchy() {
  const made = await createRoot(store, { commonName: "Root", organization: "Acme" }, NOW);
  return [made, await createIssuing(store, made, { commonName: "Issuing", organization: "Acme" }, NOW)] as const;
}

beforeAll(async () => {
  [root, issuing] = await hierarchy();
  spki = spkiOf((await generateKeys()).publicKey);
});

const server = async (by: Authority, name = NAME) => (await issueServer(store, by, { name, spki, now: NOW })).chain;
const coded = (code: string) => expect.objectContaining({ code });

describe("a pinned root", () => {
  it("is found in the chain that it vouches for", async () => {
    const found = verifyPinned(await server(issuing), pinOf(root.certificate.spki), NAME, NOW);
    expect(found.fingerprint).toBe(root.certificate.fingerprint);
  });

  it("is not found under another pin, nor when the server leaves it out", async () => {
    const chain = await server(issuing);
    expect(() => verifyPinned(chain, new Uint8Array(32), NAME, NOW)).toThrow(coded("pki/pin-mismatch"));
    expect(() => verifyPinned(chain.slice(0, 1), pinOf(root.certificate.spki), NAME, NOW)).toThrow(
      coded("pki/pin-mismatch"),
    );
    expect(() => verifyPinned([], pinOf(root.certificate.spki), NAME, NOW)).toThrow(coded("pki/pin-mismatch"));
  });

  it("that an impostor copied into a chain of his own helps him nothing", async () => {
    const [, theirs] = await hierarchy();
    const chain = [...(await server(theirs)), issuing.certificate.der, root.certificate.der];
    expect(() => verifyPinned(chain, pinOf(root.certificate.spki), NAME, NOW)).toThrow(coded("pki/untrusted"));
  });

  it("does not make an agent's certificate, another name or an old certificate the control plane's", async () => {
    const pin = pinOf(root.certificate.spki);
    const agent = await issueAgent(store, issuing, { gatewayId: "g", spki, now: NOW });
    expect(() => verifyPinned(agent.chain, pin, NAME, NOW)).toThrow(coded("pki/forbidden-use"));
    const other = await server(issuing, "gw-1.acme.sallyport");
    expect(() => verifyPinned(other, pin, NAME, NOW)).toThrow(coded("pki/identity-mismatch"));
    const old = await server(issuing);
    expect(() => verifyPinned(old, pin, NAME, NOW + 400 * 86_400_000)).toThrow(coded("pki/expired"));
  });
});
