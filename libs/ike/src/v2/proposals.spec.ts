import fc from "fast-check";
import type { EspProposal, IkeProposal } from "../config.js";
import { childSuite, ikeSuite } from "../crypto/index.js";
import { PROTOCOL, proposalsText, TRANSFORM } from "../wire/index.js";
import { choose, espProposals, ikeProposals, isAnswerTo } from "./proposals.js";

const SPI = Uint8Array.of(1, 2, 3, 4);
const NO_SPI = new Uint8Array(0);

const some = <T>(...all: T[]) => fc.shuffledSubarray(all, { minLength: 1 });
const ike: fc.Arbitrary<IkeProposal> = fc.oneof(
  fc.record({
    encryption: some(
      { algorithm: "aes-gcm-16" as const, keyBits: 128 },
      { algorithm: "chacha20-poly1305" as const, keyBits: 256 },
    ),
    integrity: fc.constant([]),
    prf: some("hmac-sha2-256" as const, "hmac-sha2-384" as const),
    dh: some("x25519" as const, "ecp256" as const, "modp2048" as const),
  }),
  fc.record({
    encryption: some({ algorithm: "aes-cbc" as const, keyBits: 128 }, { algorithm: "aes-cbc" as const, keyBits: 256 }),
    integrity: some("hmac-sha2-256-128" as const, "hmac-sha1-96" as const),
    prf: some("hmac-sha2-256" as const, "hmac-sha1" as const),
    dh: some("x25519" as const, "ecp256" as const),
  }),
);
const lists = fc.array(ike, { minLength: 1, maxLength: 3 });

test("a choice takes one of each type out of both lists, and its maker recognises it", () => {
  fc.assert(
    fc.property(lists, lists, fc.constantFrom(undefined, 31, 19), (a, b, group) => {
      const [ours, theirs] = [ikeProposals(a), ikeProposals(b)];
      const match = choose(ours, theirs, SPI, group);
      if (!match) return;
      expect(isAnswerTo(theirs, match.chosen)).toBe(true);
      expect(match.chosen.spi).toBe(SPI);
      const types = match.chosen.transforms.map((t) => t.type);
      expect(new Set(types).size).toBe(types.length);
      expect(ikeSuite(match.chosen).prf).toBeDefined();
      const common = ours.some((p) => p.transforms.some((t) => t.type === TRANSFORM.DH && t.id === group));
      const both = common && match.offered.transforms.some((t) => t.type === TRANSFORM.DH && t.id === group);
      const mine = ours.find((p) => choose([p], [match.offered], SPI, group));
      if (both && mine?.transforms.some((t) => t.id === group && t.type === TRANSFORM.DH)) {
        expect(match.chosen.transforms).toContainEqual({ type: TRANSFORM.DH, id: group });
      }
    }),
  );
});

test("whoever offers the same as he takes is chosen, first of all his first", () => {
  fc.assert(
    fc.property(lists, (config) => {
      const all = ikeProposals(config);
      expect(choose(all, all, NO_SPI)?.offered).toEqual(all[0]);
    }),
  );
});

test("an answer with anything that was not offered is none", () => {
  const config: IkeProposal[] = [
    {
      encryption: [{ algorithm: "aes-gcm-16", keyBits: 256 }],
      integrity: [],
      prf: ["hmac-sha2-256"],
      dh: ["x25519", "ecp256"],
    },
  ];
  const offer = ikeProposals(config);
  const good = choose(offer, offer, NO_SPI)?.chosen;
  if (!good) throw new Error("no choice");
  expect(isAnswerTo(offer, good)).toBe(true);
  const bent = [
    { ...good, number: 2 },
    { ...good, protocol: PROTOCOL.ESP },
    { ...good, transforms: good.transforms.slice(1) },
    { ...good, transforms: [...good.transforms, { type: TRANSFORM.DH, id: 19 }] },
    { ...good, transforms: good.transforms.map((t) => (t.type === TRANSFORM.ENCR ? { ...t, keyBits: 128 } : t)) },
    { ...good, transforms: good.transforms.map((t) => ({ ...t, unknownAttributes: [] })) },
  ];
  for (const answer of bent) expect(isAnswerTo(offer, answer)).toBe(false);
});

describe("ESP", () => {
  const esp = (pfs: EspProposal["pfs"], esn: EspProposal["esn"] = [false]): EspProposal[] => [
    { encryption: [{ algorithm: "aes-gcm-16", keyBits: 128 }], integrity: [], pfs, esn },
  ];

  test("PFS has to be wanted by both or by none", () => {
    const offer = (pfs: EspProposal["pfs"]) => espProposals(esp(pfs), SPI, true);
    expect(choose(offer([]), offer([]), SPI)).toBeDefined();
    expect(choose(offer(["x25519"]), offer(["ecp256", "x25519"]), SPI)?.chosen.transforms).toContainEqual({
      type: TRANSFORM.DH,
      id: 31,
    });
    expect(choose(offer(["x25519"]), offer([]), SPI)).toBeUndefined();
    expect(choose(offer([]), offer(["x25519"]), SPI)).toBeUndefined();
  });

  test("no group stands in IKE_AUTH", () => {
    expect(proposalsText(espProposals(esp(["x25519"]), SPI, false))).toBe("ESP:AES_GCM_16_128/NO_ESN");
  });

  test("ESN where both want it, plain numbers where one does not, nothing where each insists", () => {
    const [both, only, none] = [[true, false], [true], [false]];
    const offer = (esn: readonly boolean[]) => espProposals(esp([], esn), SPI, true);
    const suite = (a: readonly boolean[], b: readonly boolean[]) => {
      const chosen = choose(offer(a), offer(b), SPI)?.chosen;
      return chosen && childSuite(chosen);
    };
    for (const [a, b] of [
      [both, both],
      [both, only],
      [only, both],
      [only, only],
    ] as const) {
      expect(suite(a, b)?.esn).toBe(true);
    }
    expect(suite(both, none)?.esn).toBe(false);
    expect(suite([false, true], both)?.esn).toBe(false);
    expect(suite(only, none)).toBeUndefined();
    expect(suite(none, only)).toBeUndefined();
  });

  test("a peer that says nothing of sequence numbers has plain ones", () => {
    const offer = espProposals(esp([], [true, false]), SPI, true);
    const silent = offer.map((p) => ({ ...p, transforms: p.transforms.filter((t) => t.type !== TRANSFORM.ESN) }));
    expect(choose(offer, silent, SPI)).toBeDefined();
  });
});

test("a transform with an attribute that nobody knows is not chosen", () => {
  const [plain] = ikeProposals([
    { encryption: [{ algorithm: "aes-gcm-16", keyBits: 256 }], integrity: [], prf: ["hmac-sha2-256"], dh: ["x25519"] },
  ]);
  if (!plain) throw new Error("no proposal");
  const attribute = { type: 17, value: new Uint8Array(2) };
  const odd = (type: number) => ({
    ...plain,
    transforms: plain.transforms.map((t) => (t.type === type ? { ...t, unknownAttributes: [attribute] } : t)),
  });
  expect(choose([plain], [plain], NO_SPI)).toBeDefined();
  for (const { type } of plain.transforms) expect(choose([plain], [odd(type)], NO_SPI)).toBeUndefined();
});
