import assert from "node:assert/strict";
import { openTunnel } from "../kit.js";
import type { ComplianceCase, PairUnderTest } from "../types.js";
import { fromPort, ofSa, tampered } from "../wire.js";

const settle = () => new Promise((resolve) => setTimeout(resolve, 150));

/** What left sent to right on one SA, as it crossed the wire. */
async function recorded(pair: PairUnderTest, spi: number, count: number) {
  await pair.wire.capture();
  const echoed = await pair.left.host.echo({ to: pair.right.host.address[4], count, intervalMs: 2 });
  assert.equal(echoed.received, count);
  const packets = ofSa(await pair.wire.captured(), spi);
  assert.equal(packets.length, count);
  return packets;
}

async function inbound(pair: PairUnderTest, sa: Parameters<PairUnderTest["right"]["dataPlane"]["querySa"]>[0]) {
  const state = await pair.right.dataPlane.querySa(sa);
  assert.ok(state, "the SA is gone");
  return state;
}

export const protection: readonly ComplianceCase[] = [
  {
    name: "rejects and counts replayed packets",
    async run(pair) {
      const { rightward } = await openTunnel(pair);
      const packets = await recorded(pair, rightward.in.spi, 5);
      const before = await inbound(pair, rightward.in);
      assert.equal(before.packets, 5n);
      for (const { packet } of packets) await pair.wire.inject(packet);
      await settle();
      const after = await inbound(pair, rightward.in);
      assert.equal(after.packets, 5n);
      assert.equal(after.replayed - before.replayed, 5);
      assert.equal(after.integrityFailures, 0);
    },
  },
  {
    name: "rejects and counts packets behind the window",
    async run(pair) {
      const { rightward } = await openTunnel(pair, { sa: { replayWindow: 32 } });
      const packets = await recorded(pair, rightward.in.spi, 50);
      for (const { packet } of packets.slice(0, 3)) await pair.wire.inject(packet);
      await settle();
      const after = await inbound(pair, rightward.in);
      assert.equal(after.packets, 50n);
      assert.equal(after.outOfWindow, 3);
      assert.equal(after.replayed, 0);
    },
  },
  {
    name: "keeps a window of 4096 packets",
    applies: ({ left }) => left.dataPlane.capabilities.maxReplayWindow >= 4096,
    async run(pair) {
      const { rightward } = await openTunnel(pair, { sa: { replayWindow: 4096 } });
      const packets = await recorded(pair, rightward.in.spi, 300);
      for (const { packet } of packets.slice(0, 3)) await pair.wire.inject(packet);
      await settle();
      const after = await inbound(pair, rightward.in);
      assert.equal(after.replayed, 3);
      assert.equal(after.outOfWindow, 0);
    },
  },
  {
    name: "accepts replays when the check is off",
    async run(pair) {
      const { rightward } = await openTunnel(pair, { sa: { replayWindow: 0 } });
      const packets = await recorded(pair, rightward.in.spi, 3);
      for (const { packet } of packets) await pair.wire.inject(packet);
      await settle();
      const after = await inbound(pair, rightward.in);
      // More than 6: hosts answer echoes that nobody awaits with ICMP errors, through the tunnel.
      assert.ok(after.packets >= 6n, `${after.packets} packets`);
      assert.equal(after.replayed, 0);
    },
  },
  {
    name: "rejects and counts packets that were changed on their way",
    async run(pair) {
      const { rightward } = await openTunnel(pair, { encryption: "aes-cbc" });
      const packets = await recorded(pair, rightward.in.spi, 3);
      for (const { packet } of packets) await pair.wire.inject(tampered(packet));
      await settle();
      // A number that was accepted once is refused before the integrity check (RFC 4303 §3.4.3): use fresh ones.
      const ahead = packets.map(({ packet, ipsecAt = 0 }) => {
        const copy = Uint8Array.from(packet);
        copy[ipsecAt + 7] = 40 + (copy[ipsecAt + 7] ?? 0);
        return copy;
      });
      for (const packet of ahead) await pair.wire.inject(packet);
      await settle();
      const after = await inbound(pair, rightward.in);
      assert.equal(after.packets, 3n);
      assert.equal(after.integrityFailures, 3);
      assert.equal((await pair.left.host.echo({ to: pair.right.host.address[4] })).received, 5);
    },
  },
  {
    name: "counts across 2^32 with extended sequence numbers",
    async run(pair) {
      const start = (1n << 32n) - 5n;
      const { rightward } = await openTunnel(pair, { sa: { esn: true, replayWindow: 128, initialSequence: start } });
      const packets = await recorded(pair, rightward.in.spi, 20);
      const sent = await pair.left.dataPlane.querySa(rightward.out);
      assert.equal(sent?.sequence, start + 20n);
      assert.equal((await inbound(pair, rightward.in)).sequence, start + 20n);
      for (const { packet } of packets.slice(0, 10)) await pair.wire.inject(packet);
      await settle();
      const after = await inbound(pair, rightward.in);
      assert.equal(after.packets, 20n);
      assert.equal(after.replayed, 10);
    },
  },
  {
    name: "never wraps a sequence number of 32 bits",
    async run(pair) {
      const start = (1n << 32n) - 4n;
      const { rightward } = await openTunnel(pair, { sa: { initialSequence: start } });
      await pair.wire.capture();
      const echoed = await pair.left.host.echo({ to: pair.right.host.address[4], count: 8, waitMs: 200 });
      const sent = ofSa(await pair.wire.captured(), rightward.in.spi);
      assert.equal(sent.length, 3);
      assert.equal(echoed.received, 3);
      const numbers = sent.map(({ packet, ipsecAt = 0 }) => Buffer.from(packet).readUInt32BE(ipsecAt + 4));
      assert.deepEqual(numbers, [0xfffffffd, 0xfffffffe, 0xffffffff]);
    },
  },
  {
    name: "drops and counts packets of an unknown SPI",
    async run(pair) {
      const { rightward } = await openTunnel(pair);
      const [first] = await recorded(pair, rightward.in.spi, 1);
      assert.ok(first?.ipsecAt !== undefined);
      const before = await pair.right.dataPlane.statistics();
      const copy = Uint8Array.from(first.packet);
      copy[first.ipsecAt + 1] = (copy[first.ipsecAt + 1] ?? 0) ^ 0xff;
      await pair.wire.inject(copy);
      await settle();
      const after = await pair.right.dataPlane.statistics();
      assert.equal((after["in-no-states"] ?? 0n) - (before["in-no-states"] ?? 0n), 1n);
    },
  },
  {
    name: "tells that an authenticated packet came from another port, and of no other",
    async run(pair) {
      const { left, right, wire } = pair;
      const tunnel = await openTunnel(pair, { encapsulated: true });
      const packets = await recorded(pair, tunnel.rightward.in.spi, 3);
      // Forget the window: the packets count as new for a fresh SA with the same keys.
      await right.dataPlane.removeSa(tunnel.rightward.in);
      await right.dataPlane.installSa(tunnel.rightward.in);
      const [first, second] = packets;
      assert.ok(first && second);
      await wire.inject(tampered(fromPort(first, 40_000)));
      await settle();
      assert.equal(right.events.filter((event) => event.on === "mapping-changed").length, 0);
      await wire.inject(fromPort(second, 40_001));
      const event = await right.event((seen) => seen.on === "mapping-changed");
      assert.equal(event.reqid, tunnel.reqid);
      assert.equal(event.sa.spi, tunnel.rightward.in.spi);
      assert.equal(event.to.port, 40_001);
      assert.equal(event.from.port, 4500);
      assert.ok(event.to.address.equals(left.outer[4]));
    },
  },
];
