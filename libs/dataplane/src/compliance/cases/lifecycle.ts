import assert from "node:assert/strict";
import type { SaSpec } from "../../types.js";
import { freshReqid, installSas, makeSas, openTunnel, policiesFor, removeSas, sameSa, type TunnelSas } from "../kit.js";
import type { ComplianceCase, GatewayUnderTest, PairUnderTest } from "../types.js";
import { ofSa } from "../wire.js";

const steady = (pair: PairUnderTest, count: number) =>
  pair.left.host.echo({ to: pair.right.host.address[4], count, intervalMs: 3, waitMs: 1000 });

/** IP 20, UDP 8. */
const HEADERS = 28n;

/** Moves all four SAs, and the policies with them, to the gateways' alternate addresses. */
async function moveAll(pair: PairUnderTest, sas: TunnelSas, reqid: number) {
  const { left, right } = pair;
  const to = (source: GatewayUnderTest, destination: GatewayUnderTest, sa: SaSpec) => ({
    source: source.alternate[4],
    destination: destination.alternate[4],
    ...(sa.encapsulation ? { encapsulation: sa.encapsulation } : {}),
  });
  const policies = (here: GatewayUnderTest, there: GatewayUnderTest) =>
    policiesFor(here, there, reqid, {}, { here: here.alternate[4], there: there.alternate[4] });
  await Promise.all([
    right.dataPlane.moveSa(sas.rightward.in, to(left, right, sas.rightward.in)),
    left.dataPlane.moveSa(sas.leftward.in, to(right, left, sas.leftward.in)),
  ]);
  await Promise.all([
    left.dataPlane.moveSa(sas.rightward.out, to(left, right, sas.rightward.out)),
    right.dataPlane.moveSa(sas.leftward.out, to(right, left, sas.leftward.out)),
    ...policies(left, right).map((policy) => left.dataPlane.installPolicy(policy)),
    ...policies(right, left).map((policy) => right.dataPlane.installPolicy(policy)),
  ]);
}

export const lifecycle: readonly ComplianceCase[] = [
  {
    name: "replaces the SAs of a tunnel without losing a packet",
    async run(pair) {
      const tunnel = await openTunnel(pair);
      const traffic = steady(pair, 200);
      let old: TunnelSas = tunnel;
      for (let round = 0; round < 3; round++) {
        const next = await makeSas(pair, tunnel.reqid);
        await installSas(pair, next);
        await removeSas(pair, old);
        old = next;
      }
      assert.deepEqual(await traffic, { sent: 200, received: 200 });
      assert.equal(pair.left.events.length, 0);
      assert.equal((await pair.left.dataPlane.listSas()).length, 2);
    },
  },
  {
    name: "moves SAs to other addresses with their replay state",
    async run(pair) {
      const { left, right, wire } = pair;
      const tunnel = await openTunnel(pair);
      await wire.capture();
      assert.equal((await steady(pair, 5)).received, 5);
      const old = ofSa(await wire.captured(), tunnel.rightward.in.spi);
      await moveAll(pair, tunnel, tunnel.reqid);
      await wire.capture();
      assert.equal((await steady(pair, 5)).received, 5);
      const moved = { ...tunnel.rightward.in, destination: right.alternate[4] };
      const state = await right.dataPlane.querySa(moved);
      assert.ok(state, "the moved SA is not there");
      assert.ok(state.source.equals(left.alternate[4]));
      assert.equal(state.packets, 10n);
      assert.ok(state.sequence >= 10n);
      assert.equal(await right.dataPlane.querySa(tunnel.rightward.in), undefined);
      for (const { packet } of ofSa(await wire.captured(), tunnel.rightward.in.spi)) await wire.inject(packet);
      assert.equal(old.length, 5);
      await new Promise((resolve) => setTimeout(resolve, 150));
      assert.equal((await right.dataPlane.querySa(moved))?.replayed, 5);
      assert.equal((await right.dataPlane.querySa(moved))?.packets, 10n);
    },
  },
  {
    name: "moves an outbound SA to another port in place",
    async run(pair) {
      const { left, right, wire } = pair;
      const { rightward } = await openTunnel(pair, { encapsulated: true });
      assert.equal((await steady(pair, 3)).received, 3);
      const { source, destination } = rightward.out;
      await left.dataPlane.moveSa(rightward.out, {
        source,
        destination,
        encapsulation: { sourcePort: 4500, destinationPort: 4511 },
      });
      await wire.capture();
      assert.equal((await left.host.echo({ to: right.host.address[4], count: 2, waitMs: 100 })).received, 0);
      const sent = ofSa(await wire.captured(), rightward.in.spi).filter(({ udp }) => udp?.destinationPort === 4511);
      assert.equal(sent.length, 2);
      const state = await left.dataPlane.querySa(rightward.out);
      assert.deepEqual(state?.encapsulation, { sourcePort: 4500, destinationPort: 4511 });
      assert.deepEqual([state?.packets, state?.sequence], [5n, 5n]);
    },
  },
  {
    name: "refuses to move what is not there",
    async run({ left, right }) {
      const id = { destination: right.outer[4], protocol: "esp", spi: 0x77777777 } as const;
      const to = { source: left.outer[4], destination: right.alternate[4] };
      await assert.rejects(left.dataPlane.moveSa(id, to), { code: "dataplane/refused", field: "spi" });
    },
  },
  {
    name: "counts what it carried",
    async run(pair) {
      const { left, right } = pair;
      const { rightward, leftward } = await openTunnel(pair);
      assert.equal((await left.dataPlane.querySa(rightward.out))?.idleSeconds, undefined);
      await left.host.echo({ to: right.host.address[4], count: 7, size: 100 });
      await left.host.echo({ to: right.host.address[4], count: 3, size: 1000 });
      const octets = 7n * (HEADERS + 100n) + 3n * (HEADERS + 1000n);
      for (const [gateway, sa] of [
        [left, rightward.out],
        [right, rightward.in],
        [right, leftward.out],
        [left, leftward.in],
      ] as const) {
        const state = await gateway.dataPlane.querySa(sa);
        assert.deepEqual([state?.packets, state?.bytes, state?.sequence], [10n, octets, 10n]);
        assert.deepEqual([state?.integrityFailures, state?.replayed, state?.outOfWindow], [0, 0, 0]);
        assert.ok((state?.idleSeconds ?? 99) <= 3 && (state?.ageSeconds ?? 99) <= 5);
      }
    },
  },
  {
    name: "lists its SAs as they were installed",
    async run(pair) {
      const { left, right } = pair;
      const { rightward, leftward } = await openTunnel(pair, { encapsulated: true });
      for (const [gateway, specs] of [
        [left, [rightward.out, leftward.in]],
        [right, [leftward.out, rightward.in]],
      ] as const) {
        const listed = await gateway.dataPlane.listSas();
        assert.equal(listed.length, 2);
        for (const spec of specs) {
          const found = listed.find((state) => sameSa(state, spec));
          assert.ok(found, `no ${spec.direction} SA`);
          assert.deepEqual([found.direction, found.mode, found.reqid], [spec.direction, spec.mode, spec.reqid]);
          assert.ok(found.source.equals(spec.source));
          if (spec.direction === "in") assert.equal(found.replayWindow, spec.replayWindow);
          assert.deepEqual(found.encapsulation, spec.encapsulation);
        }
      }
    },
  },
  {
    name: "goes on when its process is killed, and takes its entries over",
    applies: ({ left }) => left.dataPlane.capabilities.name === "kernel",
    async run(pair) {
      const { left } = pair;
      const tunnel = await openTunnel(pair);
      const traffic = steady(pair, 150);
      await left.crash();
      const adopted = await left.dataPlane.adopt();
      assert.deepEqual(await traffic, { sent: 150, received: 150 });
      assert.deepEqual(
        adopted.sas.map((sa) => [sa.direction, sa.spi]).sort(),
        [
          ["in", tunnel.leftward.in.spi],
          ["out", tunnel.rightward.out.spi],
        ].sort(),
      );
      assert.equal(adopted.policies.length, 3);
      assert.deepEqual(new Set(adopted.policies.map((policy) => policy.template?.reqid)), new Set([tunnel.reqid]));
      await left.dataPlane.removeSa(tunnel.rightward.out);
      assert.equal(await left.dataPlane.querySa(tunnel.rightward.out), undefined);
      await left.dataPlane.flush();
      assert.deepEqual(await left.dataPlane.listSas(), []);
      assert.deepEqual(await left.dataPlane.listPolicies(), []);
    },
  },
  {
    name: "takes a thousand SAs at a time",
    timeoutMs: 60_000,
    async run(pair) {
      const { left } = pair;
      const { rightward } = await makeSas(pair, freshReqid());
      const many = Array.from({ length: 1000 }, (_, index) => ({ ...rightward.out, spi: 0x10000 + index }));
      await Promise.all(many.map((sa) => left.dataPlane.installSa(sa)));
      assert.equal((await left.dataPlane.listSas()).length, 1000);
      await Promise.all(many.slice(0, 500).map((sa) => left.dataPlane.removeSa(sa)));
      assert.equal((await left.dataPlane.listSas()).length, 500);
      await left.dataPlane.flush();
      assert.deepEqual(await left.dataPlane.listSas(), []);
    },
  },
];
