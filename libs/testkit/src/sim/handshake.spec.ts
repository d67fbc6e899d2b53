import type { DhGroup, EspProposal, IkeProposal, PeerConfig } from "@sallyport/ike";
import { disagreements } from "./agreement.js";
import { childOf, configOf, ESP_PROPOSAL, IKE_PROPOSAL, peerOf, range } from "./configs.js";
import { SimKeys, type SimKeyType, trusting } from "./sim-keys.js";
import { pair } from "./simulation.js";

const CA = "root";

/** Both ends with the same changes. */
function both(more: Partial<PeerConfig>, child: Parameters<typeof childOf>[1] = {}) {
  return {
    a: configOf(peerOf("a", { ...more, children: [childOf("a", child)] })),
    b: configOf(peerOf("b", { ...more, children: [childOf("b", child)] })),
  };
}

describe("IKE_SA_INIT and IKE_AUTH", () => {
  test("two peers with a PSK bring up a tunnel in two round trips", () => {
    const { sim, a, b } = pair();
    sim.run(0.05);
    expect(sim.network.carried).toBe(4);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.of("ike-up")).toHaveLength(1);
    expect(b.of("child-up")[0]?.child).toMatchObject({
      child: "net",
      suite: "AES_GCM_16_256/NO_ESN",
      encapsulated: false,
    });
    expect(a.established()[0]).toMatchObject({ localId: "a.example", remoteId: "b.example", initiator: true });
  });

  const KEY_TYPES: SimKeyType[] = ["rsa", "p256", "p384", "p521", "ed25519"];
  test.each(KEY_TYPES)("certificates with %s keys prove both ends", (type) => {
    const keys = new SimKeys();
    const [idA, idB] = [{ type: "fqdn", name: "a.example" } as const, { type: "fqdn", name: "b.example" } as const];
    const { sim, a, b } = pair({
      keys,
      a: configOf(peerOf("a", { localAuth: [keys.issue(CA, idA, type)], remoteAuth: [trusting(idB, CA)] })),
      b: configOf(peerOf("b", { localAuth: [keys.issue(CA, idB, type)], remoteAuth: [trusting(undefined, CA)] })),
    });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(b.established()[0]?.remoteCertificate).toBe("a.example");
  });

  test("each end may prove itself in its own way", () => {
    const keys = new SimKeys();
    const idB = { type: "fqdn", name: "b.example" } as const;
    const { sim, a, b } = pair({
      keys,
      a: configOf(peerOf("a", { remoteAuth: [trusting(idB, CA)] })),
      b: configOf(peerOf("b", { localAuth: [keys.issue(CA, idB)] })),
    });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
  });

  test.each<DhGroup>(["modp2048", "ecp256", "ecp384", "ecp521", "x25519", "x448"])("key exchange by %s", (group) => {
    const { sim, a, b } = pair(both({ proposals: [{ ...IKE_PROPOSAL, dh: [group] }] }));
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
  });

  const suites: [string, IkeProposal, Omit<EspProposal, "esn">][] = [
    [
      "AES-CBC with HMAC-SHA-256",
      {
        encryption: [{ algorithm: "aes-cbc", keyBits: 128 }],
        integrity: ["hmac-sha2-256-128"],
        prf: ["hmac-sha2-256"],
        dh: ["x25519"],
      },
      {
        encryption: [{ algorithm: "aes-cbc", keyBits: 128 }],
        integrity: ["hmac-sha2-256-128"],
        pfs: [],
      },
    ],
    [
      "ChaCha20-Poly1305",
      { ...IKE_PROPOSAL, encryption: [{ algorithm: "chacha20-poly1305", keyBits: 256 }], prf: ["hmac-sha2-512"] },
      { ...ESP_PROPOSAL, encryption: [{ algorithm: "chacha20-poly1305", keyBits: 256 }] },
    ],
    [
      "AES-CTR with AES-CMAC and AES-XCBC",
      {
        encryption: [{ algorithm: "aes-ctr", keyBits: 256 }],
        integrity: ["aes-xcbc-96"],
        prf: ["aes-cmac"],
        dh: ["ecp256"],
      },
      { encryption: [{ algorithm: "aes-ctr", keyBits: 192 }], integrity: ["aes-cmac-96"], pfs: [] },
    ],
    [
      "3DES with HMAC-SHA-1",
      {
        encryption: [{ algorithm: "3des-cbc", keyBits: 192 }],
        integrity: ["hmac-sha1-96"],
        prf: ["hmac-sha1"],
        dh: ["modp1024"],
      },
      {
        encryption: [{ algorithm: "3des-cbc", keyBits: 192 }],
        integrity: ["hmac-sha1-96"],
        pfs: [],
      },
    ],
  ];
  test.each(suites)("%s", (_, ike, esp) => {
    const { sim, a, b } = pair(both({ proposals: [ike] }, { proposals: [{ ...esp, esn: [true, false] }] }));
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(b.of("child-up")[0]?.child.suite).toMatch(/\/ESN$/);
  });

  test("crypto and data plane may take their time", () => {
    const { sim, a, b } = pair();
    a.cryptoDelay = 37;
    b.dataPlaneDelay = 113;
    sim.run(5);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("further children follow by CREATE_CHILD_SA", () => {
    const more = (mine: "a" | "b") => {
      const [local, remote] = mine === "a" ? ["10.3.0.0/16", "10.4.0.0/16"] : ["10.4.0.0/16", "10.3.0.0/16"];
      return childOf(mine, { id: "more", name: "more", local: [range(local)], remote: [range(remote)] });
    };
    const { sim, a, b } = pair({
      a: configOf(peerOf("a", { children: [childOf("a"), more("a")] })),
      b: configOf(peerOf("b", { children: [more("b"), childOf("b")] })),
    });
    sim.run(1);
    expect(disagreements(a, b, 2)).toEqual([]);
  });
});
