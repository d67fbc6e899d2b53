import { ENCRYPTION, type EncryptionAlgorithm, type Family, IpAddress, isFault, Prefix } from "@sallyport/base";
import type { PolicySpec, SaSpec, Selector } from "@sallyport/dataplane";
import { NetlinkReader } from "@sallyport/linux-io";
import fc from "fast-check";
import { OWNED, SIZE, XFRMA } from "./constants.js";
import { decodeAcquire, decodeExpire, decodeMapping } from "./events.js";
import { decodePolicy, encodeBypass, encodePolicy, encodePolicyId } from "./policy.js";
import { decodeSa, encodeSa, encodeSaId, encodeSpiRequest } from "./sa.js";
import { readSaId } from "./structures.js";

const octets = (family: Family) =>
  fc.uint8Array({ minLength: family === 4 ? 4 : 16, maxLength: family === 4 ? 4 : 16 });
const address = (family: Family) => octets(family).map((bytes) => IpAddress.from(bytes));
const prefix = (family: Family) =>
  fc.tuple(address(family), fc.nat(family === 4 ? 32 : 128)).map(([a, length]) => Prefix.of(a, length));
const family = fc.constantFrom<Family>(4, 6);
const port = fc.nat(65535);
const spi = fc.integer({ min: 256, max: 0xffffffff });
const word = fc.nat(0xffffffff);

const selector = family.chain((f) =>
  fc.record<Selector>(
    {
      source: prefix(f),
      destination: prefix(f),
      protocol: fc.nat(255),
      sourcePort: port,
      destinationPort: port,
    },
    { requiredKeys: ["source", "destination", "protocol"] },
  ),
);

const sa = family.chain((f) =>
  fc
    .record({
      source: address(f),
      destination: address(f),
      spi,
      reqid: word,
      direction: fc.constantFrom("in", "out"),
      mode: fc.constantFrom("tunnel", "transport"),
      algorithm: fc.constantFrom(...(Object.keys(ENCRYPTION) as EncryptionAlgorithm[])),
      esn: fc.boolean(),
      replayWindow: fc.integer({ min: 1, max: 4096 }),
      low: word,
      high: word,
      ports: fc.option(fc.record({ sourcePort: port, destinationPort: port }), { nil: undefined }),
    })
    .map(({ algorithm, low, high, ports, ...rest }): SaSpec => {
      const info = ENCRYPTION[algorithm];
      return {
        ...rest,
        protocol: "esp",
        encryption: { algorithm, key: new Uint8Array((info.keyBits[0] ?? 0) / 8 + info.saltBytes).fill(0x5a) },
        ...(info.icvBytes > 0
          ? {}
          : { integrity: { algorithm: "hmac-sha2-256-128", key: new Uint8Array(32).fill(0xa5) } }),
        initialSequence: (BigInt(rest.esn ? high : 0) << 32n) | BigInt(low),
        lifetime: { softSeconds: 10, hardSeconds: 20, hardBytes: 1n << 40n },
        selectors: [],
        ...(ports ? { encapsulation: ports } : {}),
      };
    }),
);

describe("SAs", () => {
  it("come back from the kernel's structure as they went in", () => {
    fc.assert(
      fc.property(sa, (spec) => {
        const body = encodeSa(spec);
        expect(body.length % 4).toBe(0);
        const state = decodeSa(body);
        expect(state).toMatchObject({
          user: OWNED[spec.direction],
          spi: spec.spi,
          reqid: spec.reqid,
          direction: spec.direction,
          mode: spec.mode,
          sequence: spec.initialSequence,
        });
        expect(state.source.equals(spec.source) && state.destination.equals(spec.destination)).toBe(true);
        expect(state.encapsulation).toEqual(spec.encapsulation);
        expect(Buffer.from(body).includes(Buffer.from(spec.encryption.key))).toBe(true);
      }),
    );
  });

  it("have the structures' sizes", () => {
    const id = { destination: IpAddress.parse("192.0.2.1"), protocol: "esp", spi: 0x1000 } as const;
    expect(encodeSaId(id)).toHaveLength(SIZE.userSaId);
    expect(readSaId(new NetlinkReader(encodeSaId(id)))).toMatchObject({ protocol: "esp", spi: 0x1000 });
    const source = IpAddress.parse("192.0.2.2");
    expect(encodeSpiRequest({ ...id, source, mode: "tunnel", reqid: 1 })).toHaveLength(SIZE.userSpiInfo);
    expect(encodeBypass("in", 4)).toHaveLength(SIZE.userPolicyInfo);
    expect(encodeBypass("out", 6)).toHaveLength(SIZE.userPolicyInfo);
  });

  it("have a window for their receiver in proportion", () => {
    const spec = fc.sample(sa, { numRuns: 1, seed: 1 })[0] as SaSpec;
    for (const [replayWindow, words] of [
      [0, 0],
      [32, 1],
      [33, 2],
      [4096, 128],
    ] as const) {
      const body = encodeSa({ ...spec, esn: false, direction: "in", replayWindow });
      const replay = new NetlinkReader(body).skip(SIZE.userSaInfo).attributes().get(XFRMA.replayEsnVal);
      expect(replay?.u32("bmp_len")).toBe(words);
      expect(replay?.skip(16).u32("replay_window")).toBe(replayWindow);
      expect(replay?.remaining).toBe(words * 4);
    }
  });
});

describe("policies", () => {
  const policy = fc
    .record({
      direction: fc.constantFrom("in", "out", "fwd"),
      selector,
      priority: word,
      action: fc.constantFrom("encrypt", "discard", "none"),
      level: fc.constantFrom("require", "unique", "use"),
      ends: family.chain((f) => fc.tuple(address(f), address(f))),
      mode: fc.constantFrom("tunnel", "transport"),
      reqid: word,
    })
    .map(({ level, ends: [source, destination], mode, reqid, ...rest }): PolicySpec => {
      // The kernel has no optional template outwards (optional-policies.ts).
      const kept = level === "use" && rest.direction === "out" ? "require" : level;
      if (rest.action !== "encrypt") return rest;
      return { ...rest, template: { source, destination, protocol: "esp", mode, reqid, level: kept } };
    });

  it("come back from the kernel's structure as they went in", () => {
    fc.assert(
      fc.property(policy, (spec) => {
        const decoded = decodePolicy(encodePolicy(spec));
        expect(JSON.stringify(decoded?.selector)).toBe(
          JSON.stringify({
            source: spec.selector.source,
            destination: spec.selector.destination,
            protocol: spec.selector.protocol,
            sourcePort: spec.selector.sourcePort,
            destinationPort: spec.selector.destinationPort,
          }),
        );
        expect(decoded?.template).toEqual(spec.template);
        expect([decoded?.direction, decoded?.priority, decoded?.action]).toEqual([
          spec.direction,
          spec.priority,
          spec.action,
        ]);
        expect(encodePolicyId(spec.direction, spec.selector)).toHaveLength(SIZE.userPolicyId);
      }),
    );
  });

  it("of other programs are none of ours", () => {
    expect(decodePolicy(encodeBypass("in", 4))).toBeUndefined();
  });
});

describe("what the kernel sends", () => {
  it.each([
    ["decodeSa", decodeSa],
    ["decodePolicy", decodePolicy],
    ["decodeAcquire", decodeAcquire],
    ["decodeExpire", decodeExpire],
    ["decodeMapping", decodeMapping],
  ])("%s takes any octets, or refuses them with a fault", (_name, decode) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        try {
          decode(bytes);
        } catch (error) {
          expect(isFault(error, "linux-io/netlink-malformed")).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});
