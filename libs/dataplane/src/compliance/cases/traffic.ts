import assert from "node:assert/strict";
import { ENCRYPTION, type EncryptionAlgorithm, type Family, INTEGRITY, type IntegrityAlgorithm } from "@sallyport/base";
import { openTunnel, type TunnelOptions } from "../kit.js";
import type { ComplianceCase, PairUnderTest } from "../types.js";
import { assertNothingClear, ofSa } from "../wire.js";

/** Echoes both ways, each of several sizes, nothing of it in the clear. */
async function carries(pair: PairUnderTest, options: TunnelOptions): Promise<void> {
  const { left, right, wire } = pair;
  const inner = options.inner ?? 4;
  const tunnel = await openTunnel(pair, options);
  await wire.capture();
  const ends =
    options.mode === "transport"
      ? { from: left.self, to: right.outer[options.outer ?? 4], back: right.self, here: left.outer[options.outer ?? 4] }
      : { from: left.host, to: right.host.address[inner], back: right.host, here: left.host.address[inner] };
  for (const size of [4, 65, 1200]) {
    assert.deepEqual(await ends.from.echo({ to: ends.to, count: 3, size }), { sent: 3, received: 3 }, `${size} octets`);
  }
  assert.deepEqual(await ends.back.echo({ to: ends.here, count: 3 }), { sent: 3, received: 3 }, "from right to left");
  const captured = await wire.captured();
  assertNothingClear(captured);
  assert.equal(ofSa(captured, tunnel.rightward.in.spi).length, 12);
  assert.equal(ofSa(captured, tunnel.leftward.in.spi).length, 12);
}

const sizes = (algorithm: EncryptionAlgorithm) => {
  const { keyBits } = ENCRYPTION[algorithm];
  return keyBits.length > 1 ? keyBits : [undefined];
};

const encryptions: ComplianceCase[] = (Object.keys(ENCRYPTION) as EncryptionAlgorithm[]).flatMap((encryption) =>
  sizes(encryption).map((keyBits) => ({
    name: `carries ESP with ${encryption}${keyBits ? ` and ${keyBits} bits` : ""}`,
    applies: (pair) => pair.left.dataPlane.capabilities.encryption.includes(encryption),
    run: (pair) => carries(pair, { encryption, ...(keyBits ? { keyBits } : {}) }),
  })),
);

const integrities: ComplianceCase[] = (Object.keys(INTEGRITY) as IntegrityAlgorithm[]).flatMap((integrity) => {
  const has = (pair: PairUnderTest) => pair.left.dataPlane.capabilities.integrity.includes(integrity);
  return [
    {
      name: `carries ESP with ${integrity}`,
      applies: has,
      run: (pair) => carries(pair, { encryption: "aes-cbc", integrity }),
    },
    {
      name: `carries AH with ${integrity}`,
      applies: (pair) => has(pair) && pair.left.dataPlane.capabilities.ah,
      run: (pair) => carries(pair, { protocol: "ah", integrity }),
    },
  ];
});

const families: ComplianceCase[] = (
  [
    [4, 6],
    [6, 4],
    [6, 6],
  ] as [Family, Family][]
).flatMap(([inner, outer]) =>
  [false, true].map((encapsulated) => ({
    name: `carries IPv${inner} in IPv${outer}${encapsulated ? " over UDP" : ""}`,
    applies: (pair: PairUnderTest) => encapsulated || !pair.left.dataPlane.capabilities.forcesEncapsulation,
    run: (pair: PairUnderTest) => carries(pair, { inner, outer, encapsulated }),
  })),
);

const others: ComplianceCase[] = [
  {
    name: "carries ESP in UDP on port 4500",
    async run(pair) {
      const { left, right, wire } = pair;
      const tunnel = await openTunnel(pair, { encapsulated: true });
      await wire.capture();
      assert.equal((await left.host.echo({ to: right.host.address[4], count: 4 })).received, 4);
      const sent = ofSa(await wire.captured(), tunnel.rightward.in.spi);
      assert.equal(sent.length, 4);
      for (const { udp } of sent) assert.deepEqual([udp?.sourcePort, udp?.destinationPort], [4500, 4500]);
      assert.deepEqual((await left.dataPlane.querySa(tunnel.rightward.out))?.encapsulation, {
        sourcePort: 4500,
        destinationPort: 4500,
      });
    },
  },
  {
    name: "carries AH and ESP in transport mode",
    applies: ({ left }) => left.dataPlane.capabilities.transportMode,
    async run(pair) {
      await carries(pair, { mode: "transport", selector: { protocol: 17 } });
      if (!pair.left.dataPlane.capabilities.ah) return;
      await Promise.all([pair.left.reset(), pair.right.reset()]);
      await carries(pair, { mode: "transport", protocol: "ah", selector: { protocol: 17 } });
    },
  },
  {
    name: "pads packets, so that their sizes tell nothing",
    async run(pair) {
      const { left, right, wire } = pair;
      const tunnel = await openTunnel(pair, { sa: { tfc: 1000 } });
      await wire.capture();
      const to = right.host.address[4];
      for (const size of [4, 65, 600]) {
        assert.deepEqual(await left.host.echo({ to, count: 3, size }), { sent: 3, received: 3 }, `${size} octets`);
      }
      const captured = await wire.captured();
      for (const spi of [tunnel.rightward.in.spi, tunnel.leftward.in.spi]) {
        const sizes = new Set(ofSa(captured, spi).map(({ packet }) => packet.length));
        assert.equal(sizes.size, 1, `packets of ${[...sizes].join(", ")} octets`);
        assert.ok([...sizes].every((size) => size > 1000));
      }
      assert.equal((await left.host.echo({ to, count: 3, size: 1200 })).received, 3, "larger than the padding");
      const { bytes } = (await left.dataPlane.querySa(tunnel.rightward.out)) ?? {};
      assert.ok(bytes !== undefined && bytes < 10_000n, `${bytes} octets counted, padding among them`);
    },
  },
  {
    name: "sets DF outside as it is asked to",
    async run(pair) {
      const { left, right, wire } = pair;
      for (const dontFragment of left.dataPlane.capabilities.dontFragment) {
        const tunnel = await openTunnel(pair, { sa: { dontFragment } });
        await wire.capture();
        // The host's datagrams bear DF.
        assert.equal((await left.host.echo({ to: right.host.address[4], count: 4 })).received, 4);
        const spi = tunnel.rightward.in.spi;
        const packets = (await wire.captured()).filter((packet) => ofSa([packet], spi).length > 0);
        assert.deepEqual(
          packets.map((packet) => ((packet[6] ?? 0) & 0x40) !== 0),
          packets.map(() => dontFragment !== "clear"),
        );
        assert.equal(packets.length, 4);
        await Promise.all([left.reset(), right.reset()]);
      }
    },
  },
  {
    name: "carries packets of full size and more",
    async run(pair) {
      await openTunnel(pair);
      const to = pair.right.host.address[4];
      assert.equal((await pair.left.host.echo({ to, size: 4000, count: 4, waitMs: 2000 })).received, 4);
    },
  },
];

export const traffic: readonly ComplianceCase[] = [...encryptions, ...integrities, ...families, ...others];
