import { provenKeyId } from "./evidence.js";
import type { IkeSa } from "./sa.js";

const secrets = [Uint8Array.of(1), Uint8Array.of(2)] as const;
const peer = {
  remoteAuth: [{ method: "psk", identity: { match: "ignore" }, secrets, keyIds: ["old", "new"] }],
} as unknown as IkeSa["peer"];

describe("what proved the peer", () => {
  it("is the fingerprint of its certificate", () => {
    const evidence = [{ by: "certificate", round: 0, fingerprint: "aa", anchors: [] }] as const;
    expect(provenKeyId({ evidence, peer: undefined })).toBe("aa");
  });

  it("is the name of a pre-shared key as long as that is accepted", () => {
    const by = (secret: Uint8Array) => [{ by: "psk", round: 0, secret }] as const;
    expect(provenKeyId({ evidence: by(Uint8Array.of(2)), peer })).toBe("new");
    expect(provenKeyId({ evidence: by(Uint8Array.of(3)), peer })).toBeUndefined();
  });

  it("is not what a further round has shown", () => {
    const evidence = [{ by: "certificate", round: 1, fingerprint: "aa", anchors: [] }] as const;
    expect(provenKeyId({ evidence, peer })).toBeUndefined();
  });
});
