import { readFileSync } from "node:fs";
import { ENCRYPTION, isFault } from "@sallyport/base";
import fc from "fast-check";
import { DEFAULT_PROFILE } from "./profiles.js";
import { type ProposalUse, parseProposal, parseProposals, proposalText } from "./proposals.js";

interface Cases {
  readonly read: readonly { use: ProposalUse; text: string; canonical: string[] }[];
  readonly refused: readonly { use: ProposalUse; text: string; about: string }[];
}
const cases = JSON.parse(readFileSync(`${import.meta.dirname}/cases/proposals.json`, "utf8")) as Cases;

describe("proposal texts", () => {
  test.each(cases.read)("$use: $text", ({ use, text, canonical }) => {
    const proposals = parseProposal(text, use);
    expect(proposals.map(proposalText)).toEqual(canonical);
    expect(parseProposals(canonical, use)).toEqual(proposals);
  });

  test.each(cases.refused)("$use: $text is refused", ({ use, text, about }) => {
    try {
      parseProposal(text, use, "ikeProposals[0]");
      throw new Error("accepted");
    } catch (error) {
      if (!isFault(error, "intent/bad-proposal")) throw error;
      expect(error.field).toBe("ikeProposals[0]");
      expect(error.value).toBe(text);
      expect(error.message).toContain(about);
      expect(error.expected).toBeTruthy();
    }
  });

  test("the default profile asks for 112 bits or more and never for SHA-1", () => {
    const all = [...DEFAULT_PROFILE.ikeProposals, ...DEFAULT_PROFILE.espProposals].join("-");
    expect(all).not.toMatch(/sha1|md5|3des|modp(768|1024|1536)|null/);
    expect(parseProposals(DEFAULT_PROFILE.ikeProposals, "ike")).toHaveLength(2);
    expect(parseProposals(DEFAULT_PROFILE.espProposals, "esp").every((p) => p.groups.length > 0)).toBe(true);
  });

  const words = ["aes128", "aes256gcm16", "aes192ctr", "chacha20poly1305", "3des", "null", "sha256", "sha1", "prfsha384", "aescmac", "x25519", "modp2048", "ecp384", "esn", "noesn", "!", "", "x"]; // biome-ignore format: one list
  test("whatever is accepted is one kind of cipher a proposal, complete, and reads back the same", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...words), { maxLength: 8 }),
        fc.constantFrom<ProposalUse>("ike", "esp"),
        (list, use) => {
          let proposals: ReturnType<typeof parseProposal>;
          try {
            proposals = parseProposal(list.join("-"), use);
          } catch (error) {
            return isFault(error, "intent/bad-proposal");
          }
          for (const p of proposals) {
            const aead = p.encryption.map((c) => ENCRYPTION[c.algorithm].icvBytes > 0);
            expect(new Set(aead).size).toBe(1);
            expect(p.integrity.length === 0).toBe(aead[0]);
            expect(p.prf.length > 0 && p.groups.length > 0).toBe(
              use === "ike" || (p.prf.length > 0 && p.groups.length > 0),
            );
            expect(parseProposal(proposalText(p), use)).toEqual([p]);
          }
          return proposals.length > 0;
        },
      ),
    );
  });

  test("any text is read or refused", () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom<ProposalUse>("ike", "esp"), (text, use) => {
        try {
          return parseProposal(text, use).length > 0;
        } catch (error) {
          return isFault(error, "intent/bad-proposal");
        }
      }),
    );
  });
});
