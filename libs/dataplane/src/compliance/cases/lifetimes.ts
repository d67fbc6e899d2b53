import assert from "node:assert/strict";
import type { DataPlaneEvent, SaId, SaLifetime } from "../../types.js";
import { openTunnel, sameSa } from "../kit.js";
import type { ComplianceCase, PairUnderTest } from "../types.js";

type Expiry = Extract<DataPlaneEvent, { on: "expire" }>;

const expiry =
  (sa: SaId, hard: boolean) =>
  (event: DataPlaneEvent): event is Expiry =>
    event.on === "expire" && event.hard === hard && sameSa(event.sa, sa);

async function limited(pair: PairUnderTest, leftOutLifetime: SaLifetime) {
  const tunnel = await openTunnel(pair, { leftOutLifetime });
  const echo = (count: number) =>
    pair.left.host.echo({ to: pair.right.host.address[4], count, size: 100, waitMs: 200, intervalMs: 2 });
  return { sa: tunnel.rightward.out, reqid: tunnel.reqid, echo };
}

/** What IKE does at a soft limit has to be possible: until the hard limit packets flow, afterwards the SA is gone. */
async function counted(pair: PairUnderTest, lifetime: SaLifetime): Promise<void> {
  const { left } = pair;
  const { sa, reqid, echo } = await limited(pair, lifetime);
  await echo(3);
  assert.deepEqual(
    left.events.filter((event) => event.on === "expire"),
    [],
  );
  await echo(4);
  const soft = await left.event(expiry(sa, false));
  assert.equal(soft.reqid, reqid);
  assert.ok(await left.dataPlane.querySa(sa), "a soft limit must not remove the SA");
  await echo(12);
  const hard = await left.event(expiry(sa, true));
  assert.equal(hard.reqid, reqid);
  assert.equal(await left.dataPlane.querySa(sa), undefined);
  assert.equal(left.events.filter(expiry(sa, false)).length, 1);
  assert.equal(left.events.filter(expiry(sa, true)).length, 1);
}

export const lifetimes: readonly ComplianceCase[] = [
  {
    name: "announces and enforces limits of packets",
    run: (pair) => counted(pair, { softPackets: 5n, hardPackets: 15n }),
  },
  {
    name: "announces and enforces limits of octets",
    // A packet is 128 octets: IPv4 20, UDP 8, payload 100.
    run: (pair) => counted(pair, { softBytes: 5n * 128n, hardBytes: 15n * 128n }),
  },
  {
    name: "announces and enforces limits of time",
    async run(pair) {
      const { left, right } = pair;
      for (let tries = 1; ; tries++) {
        const { sa, echo } = await limited(pair, { softSeconds: 1, hardSeconds: 3 });
        await left.event(expiry(sa, false));
        const { received } = await echo(3);
        // On a machine that stood still in between, both limits are over.
        const late = received < 3 && left.events.some(expiry(sa, true)) && tries < 4;
        if (!late) assert.equal(received, 3);
        await left.event(expiry(sa, true));
        assert.equal(await left.dataPlane.querySa(sa), undefined);
        if (!late) return assert.equal((await echo(2)).received, 0);
        await Promise.all([left.reset(), right.reset()]);
      }
    },
  },
  {
    name: "says nothing of an SA that was removed",
    async run(pair) {
      const { left } = pair;
      const { sa } = await limited(pair, { softSeconds: 1, hardSeconds: 2 });
      await left.dataPlane.removeSa(sa);
      await left.dataPlane.removeSa(sa);
      const before = left.events.length;
      await new Promise((resolve) => setTimeout(resolve, 2500));
      assert.deepEqual(
        left.events.slice(before).filter((event) => event.on === "expire"),
        [],
      );
    },
  },
];
